package plan_test

import (
	"maps"
	"testing"

	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

func set(h state.Host, name string, change func(*state.Unit)) {
	u := h.Units[name]
	change(&u)
	h.Units[name] = u
}

func TestRestartUnderWayWhenTheAgentWasKilledIsNotDoneAgain(t *testing.T) {
	o, l := converged()
	l.Started[docker] = state.Started{
		Inputs:  map[string]string{daemon: "rest0"},
		Pending: &state.Pending{Inputs: l.Started[docker].Inputs, Invocation: "before"},
	}
	set(o, docker, func(u *state.Unit) { u.Activity, u.Invocation = state.Activating, "after" })
	for _, s := range plan.New(desired(), o, l).Steps {
		if s.Target.Name == docker && s.Blocked == "" {
			t.Errorf("docker, which is starting with the new files, is owed a %s", s.Action)
		}
	}
}

func TestWhatComesAfterAUnitThatIsStillStartingWaits(t *testing.T) {
	o, l := converged()
	set(o, docker, func(u *state.Unit) { u.Activity = state.Activating })
	set(o, kubelet, func(u *state.Unit) { u.Activity = state.Inactive })
	blocked := false
	for _, s := range plan.New(desired(), o, l).Steps {
		blocked = blocked || (s.Target.Name == docker && s.Blocked != "")
		if s.Target.Name == kubelet && !contains(s.Needs, state.Ref{Kind: state.KindUnit, Name: docker}) {
			t.Error("the kubelet does not wait for docker")
		}
	}
	if !blocked {
		t.Error("docker is taken for running although it has not started")
	}
}

func TestPendingRestartDoesNotOutliveARollback(t *testing.T) {
	o, l := converged()
	v2 := maps.Clone(l.Started[docker].Inputs)
	v2[daemon] = "rest2"
	at := l.Started[docker]
	at.Pending = &state.Pending{Inputs: v2, Invocation: docker + "-run1"}
	l.Started[docker] = at
	p := plan.New(desired(), o, l)
	if len(p.Steps) != 0 || p.Started[docker].Pending != nil || p.Started[docker].Inputs[daemon] != "rest1" {
		t.Fatalf("back at the first version: %s corrections %+v", p, p.Started)
	}
	maps.Copy(l.Started, p.Started)
	set(o, docker, func(u *state.Unit) { u.Invocation = "boot" })
	p = plan.New(desired(), o, l)
	if len(p.Steps) != 0 {
		t.Errorf("after a reboot with the files as desired:\n%s", p)
	}
	maps.Copy(l.Started, p.Started)
	d := desired()
	d.Units[docker].Inputs[1].Hash = "rest2"
	d.Files[daemon] = file("v2", state.ComponentDocker)
	if got := plan.New(d, o, l).Disruption(); got != state.Restart {
		t.Errorf("the second version again costs %s, want Restart", got)
	}
}

func TestUnitThatSomebodyElseStartedWithADriftedFileIsOwedARestart(t *testing.T) {
	o, l := converged()
	o.Files[daemon] = seen(`{"drifted": true}`)
	set(o, docker, func(u *state.Unit) { u.Invocation = "somebody's" })
	p := plan.New(desired(), o, l)
	if p.Disruption() != state.Restart {
		t.Errorf("docker runs with a file that is only now put right:\n%s", p)
	}
}

func TestBootIsNoDrift(t *testing.T) {
	o, l := converged()
	o.Units[docker] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive} // not started yet
	for _, s := range plan.New(desired(), o, l).Steps {
		if s.Drift {
			t.Errorf("%s %s is called drift", s.Action, s.Target)
		}
	}
}

func TestWhatIsUnknownAtARemovalIsKeptForTheNextPass(t *testing.T) {
	o, l := converged()
	delete(o.Chains, "filter/FORWARD")
	delete(o.Units, kubelet)
	delete(o.Files, daemon)
	refs := []state.Ref{{Kind: state.KindChain, Name: "filter/FORWARD"}, {Kind: state.KindUnit, Name: kubelet}, {Kind: state.KindFile, Name: daemon}}
	for _, ref := range refs {
		o.Unknown[ref] = "timeout"
	}
	p := plan.New(state.New(), o, l)
	for _, ref := range refs {
		if contains(p.Released, ref) {
			t.Errorf("%s is given up unseen", ref)
		}
		found := false
		for _, s := range p.Steps {
			found = found || (s.Target == ref && s.Blocked != "")
			if s.Target.Name == unit && ref.Name == kubelet && !contains(s.Needs, ref) {
				t.Error("the unit's file does not wait for the unit, whose state is unknown")
			}
		}
		if !found {
			t.Errorf("%s has no blocked step, so nothing says that it is still Seedbed's", ref)
		}
	}
}
