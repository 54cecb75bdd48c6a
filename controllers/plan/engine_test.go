package plan_test

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

func TestPlanOfARestartOfTheEngine(t *testing.T) {
	const permit = "the plan's own"
	lives := func(o *state.Host, on bool) {
		set(*o, docker, func(u *state.Unit) { u.Engine = &state.Engine{LiveRestore: on} })
	}
	without := func(d *state.Host) { d.Units[docker].Engine.LiveRestore = false }
	lost := func(d, o *state.Host) {
		lives(o, true)
		u := d.Units[docker]
		u.Inputs = append(u.Inputs, state.Input{Name: daemon + " (lasting keys)", Path: daemon, Hash: "lasting2", Disruption: state.Recreate})
		d.Units[docker] = u
	}
	for _, c := range []struct {
		name, reason, permit string
		change               func(d, o *state.Host, l *state.Ledger)
	}{
		{"engine-live", "containers that go on do not keep docker from a restart", "", func(_, o *state.Host, _ *state.Ledger) {
			lives(o, true)
		}},
		{"engine-wakes", "a docker that was there before takes live-restore over first, and is asked whether it did", "", func(d, _ *state.Host, _ *state.Ledger) {
			d.Units[docker].Inputs[0].Hash = "live2"
		}},
		{"engine-deaf", "a docker that did not take it over is restarted with a permit", "", func(_, _ *state.Host, _ *state.Ledger) {}},
		{"engine-ends", "without live-restore a restart waits for a permit", "", func(d, o *state.Host, _ *state.Ledger) {
			lives(o, true) // the one that starts would end them
			without(d)
		}},
		{"engine-ends-permitted", "with the permit the containers that nobody else starts are started again", permit, func(d, _ *state.Host, _ *state.Ledger) {
			without(d)
		}},
		{"engine-killed", "and also after a crash between the two", "", func(d, _ *state.Host, l *state.Ledger) {
			without(d)
			d.Units[docker].Inputs[1].Hash = "rest1"
			l.Recreated = &state.Recreation{Maker: docker, Plan: "p", Permitted: true, Containers: []string{web}}
		}},
		{"engine-empty", "where no container runs nobody is asked", "", func(d, o *state.Host, _ *state.Ledger) {
			without(d)
			o.Containers = map[string]state.Container{}
		}},
		{"engine-unknown", "a docker that does not answer is not restarted, and the node goes on asking", "", func(d, o *state.Host, _ *state.Ledger) {
			without(d)
			set(*o, docker, func(u *state.Unit) { u.Engine = nil })
			o.Containers = map[string]state.Container{}
			o.Unknown[state.Ref{Kind: state.KindContainers, Name: docker}] = "docker: list containers: no answer"
		}},
		{"engine-afar", "from afar, where nobody says what runs, something does", permit, func(d, o *state.Host, _ *state.Ledger) {
			without(d)
			o.Containers = map[string]state.Container{}
			o.Unknown[state.Ref{Kind: state.KindContainers, Name: docker}] = "it is not asked from here"
		}},
		{"engine-starting", "one that still starts is asked by nobody, and its start may be what is to be mended", "", func(d, o *state.Host, _ *state.Ledger) {
			without(d)
			set(*o, docker, func(u *state.Unit) { u.Engine, u.Activity = nil, state.Activating })
			o.Containers = map[string]state.Container{}
		}},
		{"engine-recorded", "a restart that was done when the agent was killed is over", "", func(d, _ *state.Host, l *state.Ledger) {
			without(d)
			d.Units[docker].Inputs[1].Hash = "rest1"
			l.Recreated = &state.Recreation{Maker: docker, Plan: "p", Permitted: true}
		}},
		{"engine-next-docker0", "one restart is enough for both", "", func(d, _ *state.Host, _ *state.Ledger) {
			without(d)
			reads(d, flanneld)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
		}},
		{"engine-with-docker0", "nothing is stopped while docker0 waits", "", func(d, o *state.Host, _ *state.Ledger) {
			without(d)
			o.Files[subnetEnv] = seen(newLease)
		}},
		{"engine-joins", "a host that never had a kubelet of Seedbed's waits for nobody, and gets its containers back", "", func(d, o *state.Host, l *state.Ledger) {
			without(d)
			joins(o, l)
		}},
		{"engine-lost", "live-restore keeps no container for a docker that would not know it", "", func(d, o *state.Host, _ *state.Ledger) {
			lost(d, o)
		}},
		{"engine-lost-permitted", "so none runs when that docker starts, and no kubelet that would start another in its place", permit, func(d, o *state.Host, _ *state.Ledger) {
			lost(d, o)
		}},
		{"engine-lost-killed", "what was begun with a permit is finished with the API away", "", func(d, o *state.Host, l *state.Ledger) {
			lost(d, o)
			l.Recreated = &state.Recreation{Maker: docker, Plan: plan.New(*d, *o, *l).Asks.Plan, Permitted: true, Containers: []string{web}}
			delete(o.Containers, web)
			o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive, Invocation: kubelet + "-run1"}
		}},
		{"engine-lost-empty", "where no container runs none is lost", "", func(d, o *state.Host, _ *state.Ledger) {
			lost(d, o)
			o.Containers = map[string]state.Container{}
		}},
		{"engine-lost-masked", "nothing is stopped for it that would not start again, and nobody is asked", "", func(d, o *state.Host, _ *state.Ledger) {
			lost(d, o)
			set(*o, kubelet, func(u *state.Unit) { u.Enablement = state.Masked })
		}},
		{"engine-lost-joins", "a host that joins waits for nobody, but its containers are stopped as well", "", func(d, o *state.Host, l *state.Ledger) {
			lost(d, o)
			joins(o, l)
		}},
		{"engine-lost-with-docker0", "one stop is enough for both", permit, func(d, o *state.Host, _ *state.Ledger) {
			lost(d, o)
			o.Files[subnetEnv] = seen(newLease)
		}},
		{"bridge-joins", "so does one whose docker0 docker has made before flannel came", "", func(d, o *state.Host, l *state.Ledger) {
			d.Units[docker].Inputs[1].Hash = "rest1"
			lives(o, true)
			joins(o, l)
			o.Files[subnetEnv] = seen(newLease)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, o, l := chained(t)
			withPods(&o)
			u := d.Units[docker]
			u.Engine = &state.Engine{LiveRestore: true, Users: []string{kubelet}, Socket: "docker.socket"}
			d.Units[docker] = u
			d.Files[daemon] = file(`{"data-root": "/data"}`, state.ComponentDocker)
			d.Units[docker].Inputs[1].Hash = "rest2"
			lives(&o, false)
			c.change(&d, &o, &l)
			if c.permit == permit {
				c.permit = plan.New(d, o, l).Asks.Plan
			}
			p := plan.NewPermitted(d, o, l, c.permit)
			text := "# " + c.reason + "\n" + p.String()
			if p.Asks != nil {
				text += "asks for " + p.Asks.Plan + ": " + p.Asks.Message + "\n"
			}
			if p.Recreation != nil {
				text += "on record: " + strings.Join(p.Recreation.Containers, ", ") + "\n"
			}
			golden(t, c.name, text)
		})
	}
}

// joins takes away what only a node has that has been one.
func joins(o *state.Host, l *state.Ledger) {
	delete(o.Containers, pod)
	o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive}
	delete(l.Started, kubelet)
}

func TestWhatADockerOfSomebodyElsesWasStartedWithIsKnownFromItsFile(t *testing.T) {
	keys := map[string]any{"data-root": "/var/lib/docker"}
	for content, lost := range map[string]bool{
		`{"debug": true}`: false, `{"data-root": "/var/lib/docker"}`: false, `{"data-root": "/old"}`: true, `[`: true,
	} {
		d, o, l := chained(t)
		withPods(&o)
		hash, err := state.HashKeys(nil, keys)
		if err != nil {
			t.Fatal(err)
		}
		u := d.Units[docker]
		u.Engine = &state.Engine{LiveRestore: true, Users: []string{kubelet}}
		u.Inputs = append(u.Inputs, state.Input{Name: daemon + " (lasting keys)", Path: daemon, Hash: hash, Disruption: state.Recreate, Keys: keys})
		d.Units[docker] = u
		o.Files[daemon] = seen(content)
		set(o, docker, func(u *state.Unit) { u.Engine, u.Invocation = &state.Engine{LiveRestore: true}, "somebody's" })
		if p := plan.New(d, o, l); (p.Asks != nil) != lost || p.Disruption() < state.Restart {
			t.Errorf("started with %s by somebody else it asks for %+v, want a permit %v:\n%s", content, p.Asks, lost, p)
		}
	}
}
