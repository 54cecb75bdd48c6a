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

const (
	// startPauseMost bounds the pause before a unit whose start failed, or that died, is started again.
	startPauseMost = time.Minute
	// staysUp is how long a unit runs that is not dying: within that time systemd counts starts, too
	// (systemd-system.conf(5), DefaultStartLimitIntervalSec).
	staysUp = 10 * time.Second
)

// tries are starts in a row of a unit that has not stayed up yet.
type tries struct {
	// times, and when the last one was.
	times int
	last  time.Time
	// cause of the failure of the last; empty when its job went well.
	cause string
	// inputs that it was started with.
	inputs map[string]string
}

// pause doubles with each start: 1 s, 2 s, 4 s, up to a minute.
func (t tries) pause() time.Duration {
	if t.times > 6 {
		return startPauseMost
	}
	return min(time.Second<<(t.times-1), startPauseMost)
}

func isStart(s *plan.Step) bool {
	return s.Target.Kind == state.KindUnit && (s.Action == plan.Start || s.Action == plan.Restart)
}

// remember counts starts, those that went well too: of a simple service that means no more than that
// its process was made. A start resets the counter by which systemd would give up (StartLimitBurst),
// so that without a pause of ours whatever wakes the agent would start a unit that cannot run again
// and again (faults 19 and 22).
func (b *Book) remember(s *plan.Step, err error, now time.Time) {
	if !isStart(s) {
		return
	}
	if errors.Is(err, host.ErrDeferred) {
		delete(b.tries, s.Target.Name)
		return
	}
	this := tries{times: 1, last: now, inputs: s.Inputs}
	if before := b.tries[s.Target.Name]; maps.Equal(before.inputs, s.Inputs) {
		this.times += before.times
	}
	if err != nil {
		this.cause = err.Error()
	}
	b.tries[s.Target.Name] = this
}

// Saw is told the units that were observed. One that has stayed up, whoever mended it, is started at
// once when it stops.
func (b *Book) Saw(units map[string]state.Unit) {
	for name := range b.tries {
		if u := units[name]; u.Activity == state.Active && u.Uptime >= staysUp {
			delete(b.tries, name)
		}
	}
}

// tooSoon is why a unit is not started yet; nil when it may be. A start that reads something else than
// the last one is another try altogether, and a unit that the plan itself has stopped did not die.
func (b *Book) tooSoon(s *plan.Step, now time.Time) error {
	last, started := b.tries[s.Target.Name]
	if !started || !isStart(s) || !maps.Equal(last.inputs, s.Inputs) || now.Sub(last.last) >= last.pause() || now.Before(last.last) {
		return nil
	}
	switch {
	case last.cause != "":
		return fmt.Errorf("%s; it is started again after a pause", last.cause)
	case s.Before == string(state.Failed) || s.Before == string(state.Inactive):
		return fmt.Errorf("%s: ended soon after it was started: systemctl status %s says why; it is started again after a pause", s.Target, s.Target.Name)
	}
	return nil
}
