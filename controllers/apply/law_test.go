package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	daemon  = "/etc/docker/daemon.json"
	dropIn  = "/etc/systemd/system/docker.service.d/50-seedbed.conf"
	unit    = "/etc/systemd/system/kubelet.service"
	config  = "/var/lib/kubelet/config.yaml"
	docker  = "docker.service"
	kubelet = "kubelet.service"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func file(content string, c state.Component) state.File {
	return state.File{Content: []byte(content), Mode: 0o644, Owner: "root", Group: "root", Component: c}
}

func input(path, content string, d state.Disruption) state.Input {
	return state.Input{Name: path, Path: path, Hash: state.Hash([]byte(content)), Disruption: d}
}

// version is a desired host: docker of a package with our drop-in, kubelet with our unit.
func version(n int) state.Host {
	h := state.New()
	daemonJSON, kubeletYAML := fmt.Sprintf(`{"version": %d}`, n), fmt.Sprintf("version: %d\n", n)
	const drop, own = "[Service]\nRestart=always\n", "[Service]\nExecStart=/usr/bin/kubelet\n[Install]\nWantedBy=multi-user.target\n"
	h.Files[daemon] = file(daemonJSON, state.ComponentDocker)
	h.Files[dropIn] = file(drop, state.ComponentDocker)
	h.Files[unit] = checked(file(own, state.ComponentKubelet), []byte(kubeletYAML))
	h.Files[config] = checked(file(kubeletYAML, state.ComponentKubelet), nil)
	h.Units[docker] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Component: state.ComponentDocker,
		Inputs: []state.Input{input(daemon, daemonJSON, state.Restart), input(dropIn, drop, state.Restart)},
	}
	h.Units[kubelet] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Component: state.ComponentKubelet,
		Inputs: []state.Input{input(config, kubeletYAML, state.Restart), input(unit, own, state.Restart)},
	}
	h.Sysctls["net.ipv4.ip_forward"] = "1"
	h.Modules["br_netfilter"] = state.Module{}
	h.Sysctls["net.bridge.bridge-nf-call-iptables"] = "1"
	h.Chains["filter/FORWARD"] = state.Chain{Policy: "ACCEPT"}
	return h
}

// machine is a host somebody set up by hand: docker runs with a daemon.json of its own.
func machine() *hosttest.Fake {
	f := hosttest.New()
	f.Put("/usr/lib/systemd/system/docker.service", file("[Service]\nExecStart=/usr/bin/dockerd\n[Install]\nWantedBy=multi-user.target\n", ""))
	f.Put(daemon, state.File{Content: []byte(`{"mine": true}`), Mode: 0o600, Owner: "root", Group: "root"})
	f.SetUnit(docker, state.Unit{Enablement: state.Disabled, Activity: state.Active})
	f.AddSysctl("net.ipv4.ip_forward", "0")
	f.AddModule("br_netfilter", map[string]string{"net.bridge.bridge-nf-call-iptables": "0"})
	f.SetChain("filter/FORWARD", "DROP")
	f.Judge(kubeletProgram, judgeKubelet)
	return f
}

// pass is one pass of an agent that has just started.
func pass(t *testing.T, f *hosttest.Fake, desired state.Host) (plan.Plan, apply.Results, error) {
	t.Helper()
	h := f.Host()
	book, err := apply.Open(h.Store)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	ctx := context.Background()
	p := plan.New(desired, host.Observe(ctx, h, desired, book.Ledger()), book.Ledger())
	results, err := apply.Apply(ctx, h, book, p, now, nil)
	return p, results, err
}

// settle runs passes until one has nothing to do.
func settle(t *testing.T, f *hosttest.Fake, desired state.Host) {
	t.Helper()
	for range 4 {
		p, results, err := pass(t, f, desired)
		if err != nil {
			t.Fatal(err)
		}
		if err := results.Err(); err != nil {
			t.Fatal(err)
		}
		if p.Empty() {
			return
		}
	}
	t.Fatal("the host does not settle")
}

// starts counts the jobs that gave a unit a new run.
func starts(f *hosttest.Fake, name string) int {
	n := 0
	for _, j := range f.Jobs(name) {
		if j.Result == "done" && (j.Verb == host.Start || j.Verb == host.Restart) {
			n++
		}
	}
	return n
}

func noStaleJobs(t *testing.T, f *hosttest.Fake) {
	t.Helper()
	for _, name := range []string{docker, kubelet} {
		for _, j := range f.Jobs(name) {
			if j.Stale {
				t.Errorf("%s %s ran before systemd had read the unit's files", j.Verb, j.Unit)
			}
		}
	}
}

func TestPlanAfterApplyIsEmptyAndTheNextPassWritesNothing(t *testing.T) {
	f := machine()
	if _, results, err := pass(t, f, version(1)); err != nil || results.Err() != nil {
		t.Fatal(err, results.Err())
	}
	f.ForgetJournal()
	p, _, err := pass(t, f, version(1))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Empty() || f.Changes() != 0 {
		t.Errorf("the second pass had work to do:\n%s\n%s", p, strings.Join(f.Journal(), "\n"))
	}
	noStaleJobs(t, f)
}

func TestApplyThenRemoveGivesThePristineHostBack(t *testing.T) {
	f := machine()
	// A module is never unloaded, so the comparison begins with it loaded.
	if err := f.Host().Modules.Load(context.Background(), "br_netfilter"); err != nil {
		t.Fatal(err)
	}
	pristine := f.Dump()
	settle(t, f, version(1))
	settle(t, f, version(2))
	settle(t, f, state.New())
	if diff := cmp.Diff(pristine, f.Dump()); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
	for _, name := range f.StoreNames() {
		if strings.HasPrefix(name, "priors/") {
			t.Errorf("the original %s is still kept", name)
		}
	}
	book, err := apply.Open(f.Host().Store)
	if err != nil {
		t.Fatal(err)
	}
	if l := book.Ledger(); len(l.Owned)+len(l.Started)+len(l.Directories) != 0 {
		t.Errorf("the ledger still has %+v", l)
	}
}

func TestRemovalPutsSymbolicLinksAndModesBack(t *testing.T) {
	f := machine()
	f.Put(daemon, state.File{Type: state.Symlink, Target: "/etc/elsewhere.json", Owner: "root", Group: "root"})
	pristine, _ := f.File(daemon)
	settle(t, f, version(1))
	if now, _ := f.File(daemon); now.Type != state.Regular {
		t.Fatalf("the link was not replaced: %s", now.Describe())
	}
	settle(t, f, state.New())
	restored, _ := f.File(daemon)
	if diff := cmp.Diff(pristine, restored); diff != "" {
		t.Errorf("the link is not as before (-before +after):\n%s", diff)
	}
}

// killed runs an agent that is killed at its nth changing call, then the next one.
func killed(t *testing.T, from func() *hosttest.Fake, desired state.Host, n int, when hosttest.When, next func(*hosttest.Fake) *hosttest.Fake) (after *hosttest.Fake, reached bool) {
	t.Helper()
	f := from()
	f.KillAt(n, when)
	_, _, err := pass(t, f, desired)
	if !f.Killed() {
		return f, false
	}
	_ = err // a dead process reports to nobody
	after = next(f)
	settle(t, after, desired)
	return after, true
}

func TestKilledAtAnyMomentAndStartedAgainEndsTheSame(t *testing.T) {
	updated := func() *hosttest.Fake {
		f := machine()
		settle(t, f, version(1))
		return f.Restart()
	}
	for name, c := range map[string]struct {
		from    func() *hosttest.Fake
		desired state.Host
	}{
		"first apply": {machine, version(1)},
		"an update":   {updated, version(2)},
		"a removal":   {updated, state.New()},
	} {
		t.Run(name, func(t *testing.T) {
			reference := c.from()
			before := map[string]int{docker: starts(reference, docker), kubelet: starts(reference, kubelet)}
			settle(t, reference, c.desired)
			for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
				for n := 1; ; n++ {
					f, reached := killed(t, c.from, c.desired, n, when, (*hosttest.Fake).Restart)
					if !reached {
						if n < 10 {
							t.Fatalf("only %d changing calls: nothing was tested", n-1)
						}
						break
					}
					if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
						t.Errorf("killed at call %d (%v): another end (-undisturbed +killed):\n%s", n, when, diff)
					}
					for _, u := range []string{docker, kubelet} {
						if got, want := starts(f, u)-before[u], starts(reference, u)-before[u]; got != want {
							t.Errorf("killed at call %d (%v): %s was started %d times, want %d", n, when, u, got, want)
						}
					}
					noStaleJobs(t, f)
				}
			}
		})
	}
}

func TestPowerCutAtAnyMomentLosesNoFileAndEndsTheSame(t *testing.T) {
	reference := machine()
	settle(t, reference, version(1))
	for n := 1; ; n++ {
		f, reached := killed(t, machine, version(1), n, hosttest.After, (*hosttest.Fake).PowerCut)
		if !reached {
			break
		}
		if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
			t.Errorf("power cut after call %d: another end (-undisturbed +cut):\n%s", n, diff)
		}
	}
}

func TestFailureOfAnyStepThenARetryConverges(t *testing.T) {
	reference := machine()
	settle(t, reference, version(1))
	boom := errors.New("no space left on device")
	for n := 1; n <= reference.Changes(); n++ {
		f := machine()
		f.FailAt(n, boom)
		_, results, err := pass(t, f, version(1))
		if err == nil && results.Err() == nil {
			continue // a call beside the steps, such as a clean-up
		}
		if joined := errors.Join(err, results.Err()); !errors.Is(joined, boom) {
			t.Errorf("failure at call %d: the cause is lost: %v", n, joined)
		}
		f.FailWhen(nil)
		settle(t, f, version(1))
		if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
			t.Errorf("failure at call %d: another end (-undisturbed +failed):\n%s", n, diff)
		}
		noStaleJobs(t, f)
	}
}
