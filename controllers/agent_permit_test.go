package controllers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/apimachinery/pkg/api/meta"

	"seedbed.dev/seedbed/api/v1alpha1"
	stage "seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

const movedLease = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.60.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"

func ready(p stage.Pass) *metav1.Condition {
	return meta.FindStatusCondition(stage.Status(v1alpha1.NodeStateStatus{}, &p).Conditions, v1alpha1.ConditionReady)
}

// until takes passes until one is as wanted.
func until(t *testing.T, a *testAgent, what string, want func(stage.Pass) bool) stage.Pass {
	t.Helper()
	for range 20 {
		if p := a.next(t); want(p) {
			return p
		}
	}
	t.Fatalf("no pass %s", what)
	return stage.Pass{}
}

func TestAMovedLeaseIsAskedForWatchedAndCarriedOutWithThePermit(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.Assign(assignment(t, 1, nil))
	defer a.run(t)()
	until(t, a, "agrees", func(p stage.Pass) bool { return p.Agrees() && p.Healthy() })
	if link, _ := f.Link("docker0"); link.Addresses[0] != "172.30.38.1/24" {
		t.Fatalf("docker0 is %+v", link)
	}
	id := strings.Repeat("a1", 32)
	f.RunContainer(id, state.Container{Name: "web"})
	f.SetLease(movedLease)
	a.events <- struct{}{} // the watch of flannel's file
	waiting := until(t, a, "waits", func(p stage.Pass) bool { return p.Waits() })
	if !strings.Contains(strings.Join(a.watched, " "), resolve.PathSubnetEnv) {
		t.Errorf("flannel's lease is not among the watched paths %v", a.watched)
	}
	if c := ready(waiting); c.Reason != v1alpha1.ReasonWaitingForPermit || !strings.Contains(c.Message, "172.30.60.1/24") {
		t.Errorf("Ready is %+v", c)
	}
	pending := stage.Status(v1alpha1.NodeStateStatus{}, &waiting).Pending
	if link, _ := f.Link("docker0"); pending == nil || link.Addresses[0] != "172.30.38.1/24" || len(f.Running()) != 1 {
		t.Fatalf("pending %+v, docker0 %+v, running %v; want nothing done yet", pending, link, f.Running())
	}

	granted := assignment(t, 2, nil)
	granted.Permit = pending.Plan
	a.Assign(granted)
	done := until(t, a, "is done", func(p stage.Pass) bool { return p.Agrees() && p.Healthy() })
	if link, _ := f.Link("docker0"); link.Addresses[0] != "172.30.60.1/24" {
		t.Errorf("docker0 is %+v", link)
	}
	if got := stage.Status(v1alpha1.NodeStateStatus{Pending: pending}, &done).Pending; got != nil {
		t.Errorf("pending stays: %+v", got)
	}
	if len(f.Running()) != 1 {
		t.Error("the container was not started again")
	}
}

func TestARestartOfDockerThatEndsContainersIsAskedForAndCarriedOutWithThePermit(t *testing.T) {
	without := func(n *v1alpha1.NodeConfigSpec) { n.Docker.LiveRestore = new(false) }
	f := guideMachine(t)
	a := newAgent(t, f)
	a.Assign(assignment(t, 1, without))
	defer a.run(t)()
	until(t, a, "agrees", func(p stage.Pass) bool { return p.Agrees() && p.Healthy() })
	f.RunContainer(webContainer, state.Container{Name: "web"})
	change := func(n *v1alpha1.NodeConfigSpec) {
		without(n)
		n.Docker.IPForward = new(false)
	}
	a.Assign(assignment(t, 2, change))
	waiting := until(t, a, "waits", func(p stage.Pass) bool { return p.Waits() })
	if c := ready(waiting); c.Reason != v1alpha1.ReasonWaitingForPermit || !strings.Contains(c.Message, "restarting it ends 1 container, since docker.liveRestore is false") {
		t.Errorf("Ready is %+v", c)
	}
	pending := stage.Status(v1alpha1.NodeStateStatus{}, &waiting).Pending
	if pending == nil || pending.Disruption != "Recreate" || f.Ended(webContainer) != 0 {
		t.Fatalf("pending %+v, ended %d times; want nothing done yet", pending, f.Ended(webContainer))
	}

	granted := assignment(t, 3, change)
	granted.Permit = pending.Plan
	a.Assign(granted)
	done := until(t, a, "is done", func(p stage.Pass) bool { return p.Agrees() && p.Healthy() })
	if got := stage.Status(v1alpha1.NodeStateStatus{Pending: pending}, &done).Pending; got != nil {
		t.Errorf("pending stays: %+v", got)
	}
	if f.Ended(webContainer) != 1 || len(f.Running()) != 1 {
		t.Errorf("the container ended %d times, want once; running %v", f.Ended(webContainer), f.Running())
	}
}

func TestANetworkThatMovesTheLeaseWaitsForTheDrainWithFlanneldAsItIs(t *testing.T) {
	f, a, held, s := new(change).steady(t)
	s.network.PodCIDR = "172.31.0.0/16"
	f.NextLease(newNetworkLease)
	want, status := assignmentOf(t, 2, s), v1alpha1.NodeStateStatus{}
	pass := func() *v1alpha1.PendingPlan {
		t.Helper()
		next, enforced := a.Pipeline.Pass(context.Background(), want, held)
		held, status = enforced, stage.Status(status, &next)
		return status.Pending
	}
	run, address := f.Unit(resolve.UnitFlannel).Invocation, "172.30.38.1/24"
	looks := func(when string, flanneldRuns, bridge string, containers int) {
		t.Helper()
		link, _ := f.Link("docker0")
		if f.Unit(resolve.UnitFlannel).Invocation != flanneldRuns || link.Addresses[0] != bridge || len(f.Running()) != containers {
			t.Errorf("%s: flanneld is %s, docker0 %s, running %v", when, f.Unit(resolve.UnitFlannel).Invocation, link.Addresses, f.Running())
		}
	}
	first := pass()
	if first == nil || !strings.Contains(first.Message, "podCIDR 172.30.0.0/16 becomes 172.31.0.0/16") {
		t.Fatalf("it asks for %+v", first)
	}
	if again := pass(); again == nil || again.Plan != first.Plan {
		t.Errorf("it asks for %+v, and for %+v before", again, first)
	}
	looks("without a permit", run, address, 1)

	want.Permit = first.Plan
	if second := pass(); second == nil || second.Plan != first.Plan { // nothing, or another plan, would end the drain
		t.Fatalf("it asks for %+v after %+v", second, first)
	}
	looks("with the permit", f.Unit(resolve.UnitFlannel).Invocation, address, 1)
	if f.Unit(resolve.UnitFlannel).Invocation == run {
		t.Error("flanneld was not restarted with the permit")
	}
	want.Permit = "" // as when somebody paused: half of it is worse than all of it
	if third := pass(); third != nil || status.Revision != want.Revision {
		t.Errorf("it asks for %+v and is at %s", third, status.Revision)
	}
	looks("after the second pass", f.Unit(resolve.UnitFlannel).Invocation, "172.31.7.1/24", 1)
}

func TestANodeThatIsNotHealthyYetIsLookedAtUntilItIs(t *testing.T) {
	f := guideMachine(t)
	f.Answer("kubelet healthz", "connection refused")
	a := newAgent(t, f)
	a.Assign(assignment(t, 1, nil))
	defer a.run(t)()
	first := until(t, a, "agrees", func(p stage.Pass) bool { return p.Agrees() })
	if c := ready(first); c.Reason != v1alpha1.ReasonNotAnswering || !strings.Contains(c.Message, "kubelet healthz") {
		t.Errorf("Ready is %+v", c)
	}
	f.ForgetJournal()
	f.Answer("kubelet healthz", "")
	began := time.Now()
	until(t, a, "is healthy", func(p stage.Pass) bool { return p.Healthy() })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it was noticed after %s, with a resync of an hour", took)
	}
	if f.Changes() != 0 {
		t.Errorf("looking changed the host: %v", f.Journal())
	}
}
