package controllers_test

import (
	"context"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// Faults 19 and 22, as the whole pipeline meets them.
func TestF019AgentStartsAUnitThatDiesAgainAndAgainWithAPauseAndAMendedOneAtOnce(t *testing.T) {
	const unit = resolve.UnitKubelet
	f := guideMachine(t)
	a := newAgent(t, f)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a.Pipeline.Now = func() time.Time { return now }
	want := assignment(t, 1, nil)
	held := want
	pass := func() {
		t.Helper()
		p, enforced := a.Pipeline.Pass(context.Background(), want, held)
		if p.Err != nil {
			t.Fatal(p.Err)
		}
		held = enforced
	}
	f.SetUnit(unit, state.Unit{Activity: state.Inactive, Uptime: 300 * time.Millisecond}) // of each run
	for range 120 {                                                                       // a pass every 500 ms for a minute
		before := len(f.Jobs(unit))
		pass()
		if len(f.Jobs(unit)) > before {
			f.SetUnit(unit, state.Unit{Enablement: state.Enabled, Activity: state.Failed, Uptime: 300 * time.Millisecond})
		}
		now = now.Add(500 * time.Millisecond)
	}
	if got := len(f.Jobs(unit)); got != 6 { // at 0, 1, 3, 7, 15 and 31 s
		t.Errorf("%d starts in a minute, want 6", got)
	}

	f.SetUnit(unit, state.Unit{Enablement: state.Enabled, Activity: state.Active, Uptime: 15 * time.Second})
	pass()
	f.SetUnit(unit, state.Unit{Enablement: state.Enabled, Activity: state.Failed})
	before := len(f.Jobs(unit))
	pass()
	if len(f.Jobs(unit)) != before+1 {
		t.Error("a unit that somebody mended and started, and that stayed up, is not started at once when it stops")
	}
}
