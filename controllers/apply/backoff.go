package apply

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// startPauseMost bounds the pause before a unit whose start failed is started again.
const startPauseMost = time.Minute

// failure is a start that failed, and how often in a row.
type failure struct {
	times int
	last  time.Time
	cause string
	// inputs that it was started with.
	inputs map[string]string
}

// pause doubles with each failure: 1 s, 2 s, 4 s, up to a minute.
func (f failure) pause() time.Duration {
	if f.times > 6 {
		return startPauseMost
	}
	return min(time.Second<<(f.times-1), startPauseMost)
}

func isStart(s *plan.Step) bool {
	return s.Target.Kind == state.KindUnit && (s.Action == plan.Start || s.Action == plan.Restart)
}

// remember counts starts that failed. A start resets the counter by which systemd would give up
// (StartLimitBurst), so that without a pause of ours a watched file that changes all the time would
// start a unit that cannot run again and again (fault 22).
func (b *Book) remember(s *plan.Step, err error, now time.Time) {
	if !isStart(s) {
		return
	}
	if err == nil || errors.Is(err, host.ErrDeferred) {
		delete(b.failures, s.Target.Name)
		return
	}
	b.failures[s.Target.Name] = failure{times: b.failures[s.Target.Name].times + 1, last: now, cause: err.Error(), inputs: s.Inputs}
}

// tooSoon is why a unit is not started yet; nil when it may be. A start that reads something else than
// the one that failed is another try altogether.
func (b *Book) tooSoon(s *plan.Step, now time.Time) error {
	f, failed := b.failures[s.Target.Name]
	if !failed || !isStart(s) || !maps.Equal(f.inputs, s.Inputs) || now.Sub(f.last) >= f.pause() || now.Before(f.last) {
		return nil
	}
	return fmt.Errorf("%s; it is started again after a pause", f.cause)
}
