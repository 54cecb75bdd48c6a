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
	"seedbed.dev/seedbed/controllers/state"
)

func bridgeAddress(f *hosttest.Fake) string {
	link, _ := f.Link("docker0")
	return strings.Join(link.Addresses, " ")
}

const movedTo = "172.30.60.1/24"

func TestAContainerThatComesBackWhileOthersStopDoesNotOutliveDocker(t *testing.T) {
	f := moved(t)
	f.ReviveContainer(web, 2)
	if _, results, err := permitted(t, f, chained(), true); err != nil || results.Err() != nil {
		t.Fatal(err, results.Err())
	}
	if got := bridgeAddress(f); got != movedTo {
		t.Errorf("docker0 has %s", got)
	}
}

func TestDockerIsNotStoppedUnderAContainerThatSomebodyStartsAgainAndAgain(t *testing.T) {
	f := moved(t)
	f.ReviveContainer(web, 100)
	before := f.Unit(docker).Invocation
	_, results, err := permitted(t, f, chained(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := results.Err(); err == nil || !strings.Contains(err.Error(), "web") || !strings.Contains(err.Error(), "stop who starts it") {
		t.Errorf("the survivor is not named: %v", err)
	}
	if is := f.Unit(docker); is.Invocation != before || is.Activity != state.Active {
		t.Errorf("docker was stopped: %+v", is)
	}
	f.ReviveContainer(web, 0)
	settle(t, f, chained()) // what was begun goes on, the manager away or not
	if got := bridgeAddress(f); got != movedTo {
		t.Errorf("docker0 has %s after somebody had stopped who started it", got)
	}
}

// emptied is a node whose lease moved while no container runs, so that nobody is asked.
func emptied(t *testing.T) *hosttest.Fake {
	t.Helper()
	f := node(t)
	f.SetLease(movedLease)
	return f
}

func TestAPodThatStartsAfterTheLookIsNotStoppedWithoutAPermit(t *testing.T) {
	f := emptied(t)
	_, results, err := permittedOn(f.Host(), chained(), false, func() { f.RunContainer(pod, state.Container{Name: "k8s_app", Kubernetes: true}) })
	if err != nil {
		t.Fatal(err)
	}
	if err := results.Err(); err == nil || !strings.Contains(err.Error(), "k8s_app") {
		t.Errorf("the pod is not named: %v", err)
	}
	if f.Unit(kubelet).Activity != state.Active || starts(f, kubelet) != 1 || len(f.Running()) != 1 {
		t.Errorf("something was stopped without a permit: %v", f.Journal())
	}
	p, results, err := permitted(t, f, chained(), false)
	if err != nil || results.Err() != nil || p.Asks == nil || len(f.Running()) != 1 {
		t.Fatalf("the next pass asks for %+v, running %v: %v, %v", p.Asks, f.Running(), err, results.Err())
	}
	settlePermitted(t, f)
	if got := bridgeAddress(f); got != movedTo {
		t.Errorf("docker0 has %s", got)
	}
}

// late is a systemd on which somebody starts a container when it is asked to do something.
type late struct {
	host.Units
	at    func(name string, verb host.Verb) bool
	start func()
}

func (u late) Do(ctx context.Context, name string, verb host.Verb) error {
	if u.at(name, verb) {
		u.start()
	}
	return u.Units.Do(ctx, name, verb)
}

func TestAPodThatStartsBeforeItsKubeletStopsIsNoSurvivor(t *testing.T) {
	f := emptied(t)
	h := f.Host()
	h.Units = late{h.Units, func(name string, verb host.Verb) bool { return name == kubelet && verb == host.Stop }, func() {
		f.RunContainer(pod, state.Container{Name: "k8s_app", Kubernetes: true})
		f.RunContainer(job, state.Container{Name: "job"})
	}}
	if _, results, err := permittedOn(h, chained(), false, func() {}); err != nil || results.Err() != nil {
		t.Fatal(err, results.Err())
	}
	settle(t, f, chained())
	if got := bridgeAddress(f); got != movedTo {
		t.Errorf("docker0 has %s", got)
	}
	if diff := cmp.Diff([]string{job}, f.Running()); diff != "" {
		t.Errorf("running containers, but for those that the kubelet starts (-want +got):\n%s", diff)
	}
}

func TestAContainerThatOutlivesDockerAllTheSameCostsAnotherStart(t *testing.T) {
	f := moved(t)
	h, n := f.Host(), 0
	h.Units = late{h.Units, func(name string, verb host.Verb) bool { return name == docker && verb == host.Stop && n == 0 }, func() {
		n++
		f.RunContainer(pod, state.Container{Name: "k8s_late", Kubernetes: true})
	}}
	if _, results, _ := permittedOn(h, chained(), true, func() {}); results.Err() == nil {
		t.Fatal("nothing says that docker0 is wrong: the case is not the one to test")
	}
	settle(t, f, chained()) // needs no second permit
	if got := bridgeAddress(f); got != movedTo {
		t.Errorf("docker0 has %s", got)
	}
	if got := starts(f, docker); got != 3 {
		t.Errorf("docker was started %d times, want once at first and twice for the lease", got)
	}
}

func TestDockerIsNotStartedAgainAndAgainBesideContainersThatOutliveIt(t *testing.T) {
	f := moved(t)
	h := f.Host()
	h.Units = late{h.Units, func(name string, verb host.Verb) bool { return name == docker && verb == host.Start }, func() {
		f.RunContainer(pod, state.Container{Name: "k8s_late", Kubernetes: true})
	}}
	var last error
	for range 6 {
		_, results, err := permittedOn(h, chained(), true, func() {})
		if err != nil {
			t.Fatal(err)
		}
		last = results.Err()
	}
	if got := starts(f, docker); got != 4 {
		t.Errorf("docker was started %d times, want once at first and three times for the lease", got)
	}
	if last == nil || !strings.Contains(last.Error(), "SB015") {
		t.Errorf("nothing says what is wrong: %v", last)
	}
}

func TestKilledAtAnyMomentOfARecreationWithoutContainersEndsTheSame(t *testing.T) {
	reference := emptied(t)
	settle(t, reference, chained())
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n++ {
			f := emptied(t)
			f.KillAt(n, when)
			_, _, _ = permitted(t, f, chained(), false) // dies
			if !f.Killed() {
				break
			}
			f = f.Restart()
			settle(t, f, chained())
			if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
				t.Errorf("killed at call %d (%v): another end (-undisturbed +killed):\n%s", n, when, diff)
			}
			for _, u := range []string{docker, kubelet} {
				if got, want := starts(f, u), starts(reference, u); got != want {
					t.Errorf("killed at call %d (%v): %s was started %d times, want %d", n, when, u, got, want)
				}
			}
		}
	}
}

func TestAContainerThatCannotStartAgainKeepsNobodyWaiting(t *testing.T) {
	f := moved(t)
	refuse := func(c hosttest.Call) error {
		if c.Op == "containers.Start" && c.Args == web {
			return errors.New("driver failed programming external connectivity: port is already allocated")
		}
		return nil
	}
	f.FailWhen(refuse)
	tries := 0
	for range 10 {
		_, results, err := permitted(t, f, chained(), true)
		if err != nil {
			t.Fatal(err)
		}
		if got := bridgeAddress(f); got != movedTo || ledgerOf(t, f).Recreated.UnderWay() {
			t.Fatalf("docker0 has %s, and counts as under way: %+v", got, ledgerOf(t, f).Recreated)
		}
		if results.Count(apply.Failed) == 0 {
			break
		}
		if tries++; !strings.Contains(results.Err().Error(), "port is already allocated") {
			t.Errorf("try %d: %v", tries, results.Err())
		}
	}
	if tries != 5 {
		t.Errorf("it was tried %d times, want 5", tries)
	}
	if diff := cmp.Diff([]string{job}, f.Running()); diff != "" {
		t.Errorf("running containers (-want +got):\n%s", diff)
	}
	if p, _, _ := permitted(t, f, chained(), false); !p.Empty() {
		t.Errorf("the node still has work to do:\n%s", p)
	}
}

func TestANodeGoesOnAskingWhileFlannelRestarts(t *testing.T) {
	f := moved(t)
	before, _, _ := permitted(t, f, chained(), false)
	f.SetUnit(flanneld, state.Unit{Enablement: state.Enabled, Activity: state.Activating})
	meanwhile, _, err := permitted(t, f, chained(), false)
	if diff := cmp.Diff(before.Asks, meanwhile.Asks); diff != "" || err != nil || before.Asks == nil {
		t.Errorf("the question changed (-before +meanwhile), %v:\n%s", err, diff)
	}
}
