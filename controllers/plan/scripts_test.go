package plan_test

import (
	"testing"

	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

func TestPlanOfATransactionThatRestartsTheEngine(t *testing.T) {
	const containerd = "containerd.io"
	restarts := &state.PackagedEngine{Unit: docker, Users: []string{kubelet}}
	wants := func(d, o *state.Host, name, is, want string) {
		d.Packages[name] = state.Package{Version: want, Held: want != "", Absent: want == "", Engine: restarts}
		if is != "" {
			o.Packages[name] = state.Package{Version: is}
		}
	}
	lives := func(o *state.Host) {
		set(*o, docker, func(u *state.Unit) { u.Engine = &state.Engine{LiveRestore: true} })
	}
	upgraded := func(d, o *state.Host) { wants(d, o, engine, "5:26.1.5-1", "5:27.5.1-1") }
	for _, c := range []struct {
		reason         string
		change         func(d, o *state.Host, l *state.Ledger)
		asks, goes, on bool // a question; the transaction is made without a permit; containers on record then
	}{
		{"another release ends containers", func(d, o *state.Host, _ *state.Ledger) { upgraded(d, o) }, true, false, false},
		{"or may lose them, with live-restore", func(d, o *state.Host, _ *state.Ledger) {
			upgraded(d, o)
			lives(o)
		}, true, false, false},
		{"so does a patch release without live-restore", func(d, o *state.Host, _ *state.Ledger) {
			wants(d, o, engine, "5:27.5.0-1", "5:27.5.1-1")
		}, true, false, false},
		{"a patch release does not, with live-restore, back either", func(d, o *state.Host, _ *state.Ledger) {
			lives(o)
			wants(d, o, engine, "5:27.5.1-1", "5:27.5.0-1")
			wants(d, o, containerd, "1.7.22-1", "1.7.24-1")
		}, false, true, false},
		{"each package has to stay in its series", func(d, o *state.Host, _ *state.Ledger) {
			lives(o)
			wants(d, o, engine, "5:27.5.0-1", "5:27.5.1-1")
			wants(d, o, containerd, "1.7.24-1", "2.0.1-1")
		}, true, false, false},
		{"a package that goes takes docker along", func(d, o *state.Host, _ *state.Ledger) {
			lives(o)
			wants(d, o, old, "20.10", "")
			wants(d, o, engine, "", "5:27.5.1-1")
		}, true, false, false},
		{"one that was not there restarts nothing", func(d, o *state.Host, _ *state.Ledger) {
			wants(d, o, engine, "", "5:27.5.1-1")
		}, false, true, false},
		{"nothing ends where no container runs", func(d, o *state.Host, _ *state.Ledger) {
			upgraded(d, o)
			o.Containers = map[string]state.Container{}
		}, false, true, false},
		{"nor where docker does not run", func(d, o *state.Host, _ *state.Ledger) {
			upgraded(d, o)
			set(*o, docker, func(u *state.Unit) { u.Engine, u.Activity = nil, state.Failed })
			o.Containers = map[string]state.Container{}
		}, false, true, false},
		{"a host that joins waits for nobody", func(d, o *state.Host, l *state.Ledger) {
			upgraded(d, o)
			joins(o, l)
		}, false, true, true},
		{"what was begun is finished", func(d, o *state.Host, l *state.Ledger) {
			upgraded(d, o)
			l.Installing = []string{engine}
		}, false, true, false},
		{"of another transaction nothing was begun", func(d, o *state.Host, l *state.Ledger) {
			upgraded(d, o)
			l.Installing = []string{"conntrack"}
		}, true, false, false},
		{"a docker that just starts may have containers", func(d, o *state.Host, _ *state.Ledger) {
			upgraded(d, o)
			set(*o, docker, func(u *state.Unit) { u.Engine, u.Activity = nil, state.Activating })
			o.Containers = map[string]state.Container{}
		}, true, false, false},
		{"a docker that cannot be looked at is left alone", func(d, o *state.Host, _ *state.Ledger) {
			upgraded(d, o)
			o.Unknown[state.Ref{Kind: state.KindUnit, Name: docker}] = "no answer"
			delete(o.Units, docker)
			o.Containers = map[string]state.Container{}
		}, true, false, false},
		{"what somebody has to mend first is not asked for", func(d, o *state.Host, _ *state.Ledger) {
			upgraded(d, o)
			o.Packages[engine] = state.Package{Version: "5:26.1.5-1", Held: true}
		}, false, false, false},
		{"a docker that does not say what runs is left alone", func(d, o *state.Host, _ *state.Ledger) {
			upgraded(d, o)
			set(*o, docker, func(u *state.Unit) { u.Engine = nil })
			o.Containers = map[string]state.Container{}
			o.Unknown[state.Ref{Kind: state.KindContainers, Name: docker}] = "no answer"
		}, true, false, false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			d, o, l := chained(t)
			withPods(&o)
			set(o, docker, func(u *state.Unit) { u.Engine = &state.Engine{} })
			d.Packages["conntrack"] = state.Package{}
			c.change(&d, &o, &l)
			p := plan.New(d, o, l)
			if got := p.Asks != nil; got != c.asks {
				t.Errorf("asks %+v\n%s", p.Asks, p)
			}
			if got := goes(p); got != c.goes || c.asks && p.Installs() {
				t.Errorf("the transaction is made: %t, want %t\n%s", got, c.goes, p)
			}
			if got := p.Recreation != nil; got != c.on {
				t.Errorf("on record: %+v", p.Recreation)
			}
			if !c.asks {
				return
			}
			again := plan.NewPermitted(d, o, l, p.Asks.Plan)
			if len(o.Unknown) > 0 {
				if goes(again) {
					t.Errorf("with the permit, and without knowing what runs:\n%s", again)
				}
				return
			}
			if !goes(again) || again.Recreation == nil || len(again.Recreation.Containers) != min(len(o.Containers), 1) || again.Asks.Plan != p.Asks.Plan {
				t.Errorf("with the permit: on record %+v\n%s", again.Recreation, again)
			}
		})
	}
}

func TestAPlanThatCannotSeeAnEnginesPackageKnowsIt(t *testing.T) {
	d, o, l := chained(t)
	d.Packages[engine] = state.Package{Version: "5:27.5.1-1", Engine: &state.PackagedEngine{Unit: docker}}
	o.Packages[engine] = state.Package{Version: "5:27.5.1-1"}
	if plan.New(d, o, l).Blind {
		t.Error("blind with all in sight")
	}
	delete(o.Packages, engine)
	o.Unknown[state.Ref{Kind: state.KindPackage, Name: engine}] = "no answer"
	if !plan.New(d, o, l).Blind {
		t.Error("the plan says that there is nothing to ask")
	}
}

// goes is true if all packages change; a transaction is made wholly or not at all.
func goes(p plan.Plan) bool {
	n, blocked := 0, 0
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Target.Kind == state.KindPackage {
			n++
			if s.Blocked != "" {
				blocked++
			}
		}
	}
	return n > 1 && blocked == 0
}
