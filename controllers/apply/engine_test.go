package apply_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

// engine is chained with another daemon.json, in which live-restore can be reloaded.
func engine(liveRestore bool) state.Host {
	h := chained()
	content := fmt.Sprintf(`{"live-restore": %v, "data-root": "/data"}`, liveRestore)
	h.Files[daemon] = file(content, state.ComponentDocker)
	u := h.Units[docker]
	u.Engine = &state.Engine{LiveRestore: liveRestore, Users: []string{kubelet}}
	u.Inputs = []state.Input{
		input(daemon, content, state.Restart), u.Inputs[1],
		{Name: daemon + " (live keys)", Path: daemon, Hash: fmt.Sprint(liveRestore), Disruption: state.Reload},
	}
	h.Units[docker] = u
	return h
}

// busy is a node whose docker has no live-restore, with containers that nobody drains away.
func busy(t *testing.T) *hosttest.Fake {
	t.Helper()
	f := node(t)
	f.RunContainer(web, state.Container{Name: "web"})
	f.RunContainer(pod, state.Container{Name: "k8s_app", Kubernetes: true})
	f.EndContainers(false)
	return f
}

func TestADockerWithoutLiveRestoreTakesItOverBeforeItsRestart(t *testing.T) {
	f := busy(t)
	settle(t, f, engine(true))
	if diff := cmp.Diff([]string{web, pod}, f.Running()); diff != "" {
		t.Errorf("running containers (-want +got):\n%s", diff)
	}
	if got := starts(f, docker); got != 2 {
		t.Errorf("docker was started %d times, want once at first and once for daemon.json", got)
	}
}

func TestKilledAtAnyMomentOfARestartNoContainerEnds(t *testing.T) {
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n++ {
			f := busy(t)
			f.KillAt(n, when)
			_, _, _ = permitted(t, f, engine(true), false) // dies
			if !f.Killed() {
				if n < 6 {
					t.Fatalf("only %d changing calls: nothing was tested", n-1)
				}
				break
			}
			f = f.Restart()
			settle(t, f, engine(true))
			if got := starts(f, docker); got != 2 || len(f.Running()) != 2 {
				t.Errorf("killed at call %d (%v): docker was started %d times, running %v", n, when, got, f.Running())
			}
		}
	}
}

func TestADockerThatDoesNotTakeLiveRestoreOverAsksForAPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it waits for the reload
		f := busy(t)
		f.EndContainers(true)
		_, results, err := permitted(t, f, engine(true), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := results.Err(); err == nil || !strings.Contains(err.Error(), "SB015") {
			t.Errorf("nothing says what is wrong: %v", err)
		}
		p, results, err := permitted(t, f, engine(true), false)
		if err != nil || results.Err() != nil || p.Asks == nil || len(f.Running()) != 2 || starts(f, docker) != 1 {
			t.Fatalf("asks for %+v, running %v: %v, %v", p.Asks, f.Running(), err, results.Err())
		}
		for range 3 {
			if _, results, err := permitted(t, f, engine(true), true); err != nil || results.Err() != nil {
				t.Fatal(err, results.Err())
			}
		}
		if diff := cmp.Diff([]string{web}, f.Running()); diff != "" || starts(f, docker) != 2 {
			t.Errorf("docker was started %d times; running containers, but for those that the kubelet starts (-want +got):\n%s", starts(f, docker), diff)
		}
	})
}

func TestAContainerThatStartsAfterTheLookIsNotEndedWithoutAPermit(t *testing.T) {
	f := node(t)
	f.EndContainers(false)
	start := func() { f.RunContainer(pod, state.Container{Name: "k8s_app", Kubernetes: true}) }
	_, results, err := permittedOn(f.Host(), engine(false), false, start)
	if err != nil {
		t.Fatal(err)
	}
	if err := results.Err(); err == nil || !strings.Contains(err.Error(), "k8s_app") || f.Ended(pod) != 0 {
		t.Errorf("the pod ended %d times, or is not named: %v", f.Ended(pod), err)
	}
	p, results, err := permitted(t, f, engine(false), false)
	if err != nil || results.Err() != nil || p.Asks == nil || f.Ended(pod) != 0 {
		t.Errorf("the next pass asks for %+v, ended %d times: %v, %v", p.Asks, f.Ended(pod), err, results.Err())
	}
}

func TestAContainerThatStartsAfterThePermitIsStartedAgain(t *testing.T) {
	f := busy(t)
	start := func() { f.RunContainer(job, state.Container{Name: "job"}) }
	if _, results, err := permittedOn(f.Host(), engine(false), true, start); err != nil || results.Err() != nil {
		t.Fatal(err, results.Err())
	}
	if diff := cmp.Diff([]string{web, job}, f.Running()); diff != "" || f.Ended(job) != 1 {
		t.Errorf("it ended %d times; running containers, but for those that the kubelet starts (-want +got):\n%s", f.Ended(job), diff)
	}
	p, results, err := permitted(t, f, engine(false), false)
	if err != nil || results.Err() != nil || !p.Empty() {
		t.Errorf("not over: %v, %v\n%s", err, results.Err(), p)
	}
}

func TestKilledAtAnyMomentOfARestartThatEndsContainersTheyComeBack(t *testing.T) {
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n++ {
			f := busy(t)
			f.KillAt(n, when)
			_, _, _ = permitted(t, f, engine(false), true) // dies
			if !f.Killed() {
				break
			}
			f = f.Restart()
			for range 4 {
				if _, results, err := permitted(t, f, engine(false), true); err != nil || results.Err() != nil {
					t.Fatal(err, results.Err())
				}
			}
			if diff := cmp.Diff([]string{web}, f.Running()); diff != "" || starts(f, docker) != 2 {
				t.Errorf("killed at call %d (%v): docker was started %d times, running (-want +got):\n%s", n, when, starts(f, docker), diff)
			}
		}
	}
}

// elsewhere is engine with what no container outlives, whatever live-restore is.
func elsewhere() state.Host {
	h := engine(true)
	u := h.Units[docker]
	u.Inputs = append(u.Inputs, state.Input{Name: daemon + " (lasting keys)", Path: daemon, Hash: "elsewhere", Disruption: state.Recreate})
	h.Units[docker] = u
	return h
}

func TestNoContainerIsLeftToADockerThatWouldNotKnowIt(t *testing.T) {
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n++ {
			f := node(t)
			f.RunContainer(web, state.Container{Name: "web"})
			f.RunContainer(pod, state.Container{Name: "k8s_app", Kubernetes: true})
			if _, results, err := permitted(t, f, elsewhere(), false); err != nil || results.Err() != nil || starts(f, docker) != 1 || len(f.Running()) != 2 {
				t.Fatalf("without a permit docker was started %d times, running %v: %v, %v", starts(f, docker), f.Running(), err, results.Err())
			}
			f.KillAt(n, when)
			_, _, _ = permitted(t, f, elsewhere(), true) // dies
			killed := f.Killed()
			if killed {
				f = f.Restart()
			}
			for range 4 {
				if _, results, err := permitted(t, f, elsewhere(), true); err != nil || results.Err() != nil {
					t.Fatal(err, results.Err())
				}
			}
			if diff := cmp.Diff([]string{web}, f.Running()); diff != "" || f.Ended(web) != 1 || f.Ended(pod) != 1 || starts(f, docker) != 2 {
				t.Errorf("killed at call %d (%v): they ended %d and %d times, docker was started %d times, running (-want +got):\n%s",
					n, when, f.Ended(web), f.Ended(pod), starts(f, docker), diff)
			}
			if !killed {
				break
			}
		}
	}
}
