package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	flanneld   = "flanneld.service"
	dockerOpts = "seedbed-docker-opts.service"
	socket     = "docker.socket"
	movedLease = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.60.1/24\nFLANNEL_MTU=1400\nFLANNEL_IPMASQ=true\n"
)

var web, job, pod = strings.Repeat("a1", 32), strings.Repeat("c3", 32), strings.Repeat("b2", 32)

// chained is the desired host with flannel, docker-opts and docker0 as well.
func chained() state.Host {
	h := version(1)
	yes := true
	for name, c := range map[string]state.Component{flanneld: state.ComponentFlannel, dockerOpts: state.ComponentDockerOpts} {
		content := "[Service]\nExecStart=/bin/" + name + "\n[Install]\nWantedBy=multi-user.target\n"
		path := state.UnitFolder + name
		h.Files[path] = file(content, c)
		h.Units[name] = state.Unit{Enablement: state.Enabled, Activity: state.Active, Component: c}
	}
	h.Links["docker0"] = state.Link{Promiscuous: &yes, Bridge: &state.Bridge{
		Lease: hosttest.LeasePath, Options: hosttest.OptionsPath, Writer: dockerOpts, Giver: flanneld, Maker: docker, Socket: socket, Users: []string{kubelet},
	}}
	return h
}

// node is a machine at chained, with docker's socket.
func node(t *testing.T) *hosttest.Fake {
	t.Helper()
	f := machine()
	f.Put("/usr/lib/systemd/system/docker.socket", file("[Socket]\n[Install]\nWantedBy=sockets.target\n", ""))
	f.SetUnit(socket, state.Unit{Enablement: state.Enabled, Activity: state.Active})
	settle(t, f, chained())
	return f.Restart()
}

// moved is that node after flannel got another lease while containers run, two of them not Kubernetes'.
func moved(t *testing.T) *hosttest.Fake {
	t.Helper()
	f := node(t)
	f.RunContainer(web, state.Container{Name: "web"})
	f.RunContainer(job, state.Container{Name: "job"})
	f.RunContainer(pod, state.Container{Name: "k8s_app", Kubernetes: true})
	f.SetLease(movedLease)
	return f
}

// permitted is a pass of an agent that has just started, with the permit that its plan wants if a
// manager gave it.
func permitted(t *testing.T, f *hosttest.Fake, desired state.Host, given bool) (plan.Plan, apply.Results, error) {
	t.Helper()
	return permittedOn(f.Host(), desired, given, func() {})
}

// permittedOn is that pass on ports of a test's own; meanwhile happens between its plan and its steps.
func permittedOn(h host.Host, desired state.Host, given bool, meanwhile func()) (plan.Plan, apply.Results, error) {
	book, err := apply.Open(h.Store)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	ctx := context.Background()
	seen := host.Observe(ctx, h, desired, book.Ledger())
	permit := ""
	if asks := plan.New(desired, seen, book.Ledger()).Asks; given && asks != nil {
		permit = asks.Plan
	}
	p := plan.NewPermitted(desired, seen, book.Ledger(), permit)
	meanwhile()
	results, err := apply.Apply(ctx, h, book, p, now, nil)
	return p, results, err
}

func settlePermitted(t *testing.T, f *hosttest.Fake) {
	t.Helper()
	for range 5 {
		p, results, err := permitted(t, f, chained(), true)
		if err != nil || results.Err() != nil {
			t.Fatal(err, results.Err())
		}
		if p.Empty() {
			return
		}
	}
	t.Fatal("the host does not settle")
}

func TestAFreshHostGetsDocker0OnTheLeaseBeforeTheKubeletStarts(t *testing.T) {
	f := node(t)
	link, _ := f.Link("docker0")
	if link.Addresses[0] != "172.30.38.1/24" || link.MTU != 1450 || !*link.Promiscuous {
		t.Errorf("docker0 is %+v", link)
	}
	if n := starts(f, kubelet); n != 1 {
		t.Errorf("the kubelet was started %d times", n)
	}
}

func TestALeaseThatMovedMakesDocker0AnewWithThePermitOnly(t *testing.T) {
	f := moved(t)
	before := f.Dump()
	_, results, err := permitted(t, f, chained(), false)
	if err != nil || results.Err() != nil {
		t.Fatal("waiting is no failure:", err, results.Err())
	}
	if n := results.Count(apply.Waiting); n != 1 {
		t.Errorf("%d steps wait, want 1", n)
	}
	if diff := cmp.Diff(before, f.Dump()); diff != "" {
		t.Errorf("something was done without a permit (-before +after):\n%s", diff)
	}
	settlePermitted(t, f)
	link, _ := f.Link("docker0")
	if link.Addresses[0] != "172.30.60.1/24" || link.MTU != 1400 || !*link.Promiscuous {
		t.Errorf("docker0 is %+v", link)
	}
	if diff := cmp.Diff([]string{web, job}, f.Running()); diff != "" {
		t.Errorf("running containers, but for those that the kubelet starts (-want +got):\n%s", diff)
	}
	for _, name := range []string{docker, kubelet} {
		if got := starts(f, name); got != 2 {
			t.Errorf("%s was started %d times, want once at first and once for the lease", name, got)
		}
	}
	f.ForgetJournal()
	if p, _, _ := permitted(t, f, chained(), false); !p.Empty() || f.Changes() != 0 {
		t.Errorf("the next pass had work to do:\n%s\n%v", p, f.Journal())
	}
}

func TestKilledAtAnyMomentOfARecreationEndsTheSame(t *testing.T) {
	reference := moved(t)
	settlePermitted(t, reference)
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n++ {
			f := moved(t)
			f.KillAt(n, when)
			_, _, _ = permitted(t, f, chained(), true) // dies
			if !f.Killed() {
				if n < 15 {
					t.Fatalf("only %d changing calls: nothing was tested", n-1)
				}
				break
			}
			f = f.Restart()
			// The manager may be away by now: what was begun is finished all the same.
			if began := ledgerOf(t, f).Recreated.UnderWay(); began {
				settle(t, f, chained())
			} else {
				settlePermitted(t, f)
			}
			if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
				t.Errorf("killed at call %d (%v): another end (-undisturbed +killed):\n%s", n, when, diff)
			}
			for _, u := range []string{docker, kubelet} {
				if got, want := starts(f, u), starts(reference, u); got != want {
					t.Errorf("killed at call %d (%v): %s was started %d times, want %d", n, when, u, got, want)
				}
			}
			if l := ledgerOf(t, f); l.Corrected != 0 {
				t.Errorf("killed at call %d (%v): our own stops count as %d corrections, last %+v", n, when, l.Corrected, l.LastCorrected)
			}
		}
	}
}

func ledgerOf(t *testing.T, f *hosttest.Fake) state.Ledger {
	t.Helper()
	book, err := apply.Open(f.Host().Store)
	if err != nil {
		t.Fatal(err)
	}
	return book.Ledger()
}

func TestFailureOfAnyCallOfARecreationThenARetryConverges(t *testing.T) {
	reference := moved(t)
	settlePermitted(t, reference)
	boom := errors.New("no space left on device")
	for n := 1; n <= reference.Changes(); n++ {
		f := moved(t)
		f.FailAt(n, boom)
		if _, results, err := permitted(t, f, chained(), true); err == nil && results.Err() == nil {
			continue
		}
		f.FailWhen(nil)
		settlePermitted(t, f)
		if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
			t.Errorf("failure at call %d: another end (-undisturbed +failed):\n%s", n, diff)
		}
	}
}

func TestADocker0ThatStaysWrongIsNotMadeAnewAgainAndAgain(t *testing.T) {
	f := moved(t)
	f.StubbornDocker()
	for range 5 {
		if _, _, err := permitted(t, f, chained(), true); err != nil {
			t.Fatal(err)
		}
	}
	if got := starts(f, docker); got != 2 {
		t.Errorf("docker was started %d times", got)
	}
	p, results, _ := permitted(t, f, chained(), true)
	if err := results.Err(); err == nil || !strings.Contains(err.Error(), "SB015") {
		t.Errorf("nothing says what is wrong: %v\n%s", err, p)
	}
	if diff := cmp.Diff([]string{web, job}, f.Running()); diff != "" {
		t.Errorf("what was stopped is running again all the same (-want +got):\n%s", diff)
	}
	if f.Unit(kubelet).Activity == state.Active {
		t.Error("the kubelet starts pods on a docker0 that nobody reaches")
	}
}
