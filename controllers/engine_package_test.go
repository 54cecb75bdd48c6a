package controllers_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	stage "seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

// upgrade is a node with a container that is given another docker, which ends it.
func upgrade(t *testing.T, more ...func(specs)) (*hosttest.Fake, *testAgent, *controllers.Assignment, *controllers.Assignment) {
	t.Helper()
	c := change{before: withoutLiveRestore}
	f, a, held, s := c.steady(t)
	for _, do := range append(more, dockerVersion("27.5.1-1")) {
		do(s)
	}
	return f, a, held, assignmentOf(t, 2, s)
}

func dockerPackage(f *hosttest.Fake) string {
	p, _ := f.Package("docker-ce")
	return p.Version
}

func TestAnUpgradeOfDockerWaitsForItsPermitAndTheRestGoesOn(t *testing.T) {
	f, a, held, want := upgrade(t, func(s specs) { s.node.Kubelet = &v1alpha1.Kubelet{MaxPods: new(int32(99))} })
	kubelet := f.Unit("kubelet.service").Invocation
	f.ForgetJournal()
	pass, held := a.Pipeline.Pass(context.Background(), want, held)
	status := stage.Status(v1alpha1.NodeStateStatus{}, &pass)
	if reason, message := readiness(&pass); reason != v1alpha1.ReasonWaitingForPermit || !strings.Contains(message, "26.1.5-1 held becomes 27.5.1-1 held; it ends 1 container") {
		t.Errorf("Ready says %s: %s", reason, message)
	}
	if status.Pending == nil || status.Pending.Disruption != "Recreate" || f.Count("packages.Change") != 0 || f.Ended(webContainer) != 0 {
		t.Fatalf("asks for %+v; %d transactions; the container ended %d times", status.Pending, f.Count("packages.Change"), f.Ended(webContainer))
	}
	if f.Unit("kubelet.service").Invocation == kubelet {
		t.Error("the kubelet's new setting waits as well")
	}

	want.Permit = status.Pending.Plan
	pass, _ = a.Pipeline.Pass(context.Background(), want, held)
	mustAgree(t, &pass)
	if dockerPackage(f) != "27.5.1-1" || f.Ended(webContainer) != 1 || !slices.Equal(f.Running(), []string{webContainer}) {
		t.Errorf("docker-ce %s; the container ended %d times; running %v", dockerPackage(f), f.Ended(webContainer), f.Running())
	}
	if got := stage.Status(status, &pass).Pending; got != nil {
		t.Errorf("it goes on asking: %+v", got)
	}
}

func TestANodeWhoseNewProgramsWaitForAPermitIsKeptAtItsRevision(t *testing.T) {
	f, a, held, want := upgrade(t, func(s specs) {
		s.node.Kubernetes.Version = "v1.38.0"
		for _, name := range []v1alpha1.PackageName{"kubelet", "kube-proxy"} {
			s.node.Packages.Present = append(s.node.Packages.Present, v1alpha1.Package{Name: name, Version: new("1.38.0-1")})
		}
	})
	f.Put(daemonJSON, state.File{Content: []byte(`{"live-restore": false}`), Mode: 0o644})
	pass, enforced := a.Pipeline.Pass(context.Background(), want, held)
	if pass.Stall != nil || !pass.Waits() || enforced.Revision != held.Revision {
		t.Errorf("stall %+v, waits %t, kept at %s", pass.Stall, pass.Waits(), enforced.Revision)
	}
	if reason, message := readiness(&pass); reason != v1alpha1.ReasonWaitingForPermit {
		t.Errorf("Ready says %s: %s", reason, message)
	}
	if now, _ := f.File(daemonJSON); string(now.Content) == `{"live-restore": false}` {
		t.Error("drift is not repaired meanwhile")
	}
}

func TestKilledAtAnyMomentOfAnUpgradeItsContainersComeBack(t *testing.T) {
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n++ {
			f, a, held, want := upgrade(t)
			pass, held := a.Pipeline.Pass(context.Background(), want, held)
			granted := *want
			granted.Permit = v1alpha1.PlanHash(pass.Remaining.Asks.Plan)
			f.KillAt(n, when)
			_, _ = a.Pipeline.Pass(context.Background(), &granted, held)
			if !f.Killed() {
				if n < 4 {
					t.Fatalf("only %d changing calls: nothing was tested", n-1)
				}
				break
			}
			f = f.Restart()
			a = newAgent(t, f)
			a.Pipeline.Progress, a.Pipeline.Log = nil, logr.Discard()
			status := passesOf(t, a, &granted, held, nil)
			if status.Revision != want.Revision || dockerPackage(f) != "27.5.1-1" {
				t.Errorf("killed at call %d (%v): docker-ce %s, %+v", n, when, dockerPackage(f), status)
			}
			if diff := cmp.Diff([]string{webContainer}, f.Running()); diff != "" {
				t.Errorf("killed at call %d (%v): running (-want +got):\n%s", n, when, diff)
			}
		}
	}
}

func TestAContainerThatStartsBeforeATransactionIsNotEndedWithoutAPermit(t *testing.T) {
	f, a, held, want := upgrade(t)
	_ = f.Host().Containers.Stop(context.Background(), webContainer)
	ended := f.Ended(webContainer)
	a.Pipeline.Progress = func(stage.Pass) { _ = f.Host().Containers.Start(context.Background(), webContainer) }
	pass, _ := a.Pipeline.Pass(context.Background(), want, held)
	if dockerPackage(f) != "26.1.5-1" || f.Ended(webContainer) != ended || pass.Remaining.Asks == nil {
		t.Errorf("docker-ce %s, it ended %d times more, asks for %+v", dockerPackage(f), f.Ended(webContainer)-ended, pass.Remaining.Asks)
	}
}

func TestAHostThatJoinsUpgradesItsDockerWithoutAPermit(t *testing.T) {
	f := bareMachine(t)
	f.SetPackage("docker-ce", state.Package{Version: "26.1.5-1"})
	f.RunContainer(webContainer, state.Container{Name: "web"})
	f.EndContainers(false)
	in := resolvetest.Load(t, "guide")
	s := specs{&in.Revision.Node, &in.Revision.Network}
	s.node.Packages = &v1alpha1.Packages{Present: []v1alpha1.Package{{Name: "docker-ce"}}}
	dockerVersion("27.5.1-1")(s)
	a := newAgent(t, f)
	a.Pipeline.Progress, a.Pipeline.Log = nil, logr.Discard()
	want := assignmentOf(t, 1, s)
	var held *controllers.Assignment
	for range 4 {
		pass, enforced := a.Pipeline.Pass(context.Background(), want, held)
		if held = enforced; pass.Remaining.Asks != nil {
			t.Fatalf("asks for %+v", pass.Remaining.Asks)
		}
		if pass.Agrees() {
			break
		}
	}
	if dockerPackage(f) != "27.5.1-1" || !slices.Equal(f.Running(), []string{webContainer}) {
		t.Errorf("docker-ce %s, running %v", dockerPackage(f), f.Running())
	}
}
