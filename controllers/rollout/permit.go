package rollout

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// PermitInput is what Permits decides by.
type PermitInput struct {
	// Nodes that the NodeConfig assigned; Evidence of them by name.
	Nodes    []*v1alpha1.NodeState
	Evidence map[string]Evidence
	// Rollout may be nil; its defaults are applied here.
	Rollout *v1alpha1.Rollout
	// Gone is true when the NodeConfig is no more: then what is under way ends and nothing begins.
	Gone bool
	Now  time.Time
}

// PermitAction is what the manager does for one node that asks, or asked, for a permit.
type PermitAction int

const (
	// BeginDrain cordons the node and has its pods evicted for the plan it asks for.
	BeginDrain PermitAction = iota
	// RenewDrain goes on with a drain for another plan than it began for.
	RenewDrain
	// Grant permits the plan.
	Grant
	// Finish uncordons what the drain cordoned and takes the permit back.
	Finish
)

// PermitStep is one action for one node.
type PermitStep struct {
	Node   *v1alpha1.NodeState
	Action PermitAction
}

// Permits are the steps of this pass.
type Permits struct {
	// Steps in order, at most one a node.
	Steps []PermitStep
	// Again is when an attempt that was given up may be repeated, from Now on; 0 is never.
	Again time.Duration
}

// PermitsOf decides who is drained and permitted now. As with assignments, a node that is taken down
// needs one of rollout.maxUnavailable's slots, and the nodes that are unavailable already have
// theirs; a node that merely waits for its permit runs, and has none. Broken nodes that ask come
// first, since their plan may be what heals them, then those whose drain was not given up before,
// then by name. Paused begins nothing and ends the drains that began; what is permitted goes on to its
// end, for half of it is a node whose containers were stopped for nothing.
func PermitsOf(in PermitInput) Permits {
	policy, timeout := Drain(in.Rollout)
	s := in.survey(policy)
	out := Permits{Steps: s.steps}
	if in.Gone || in.paused() {
		return out
	}
	action := BeginDrain
	if policy == v1alpha1.DrainNever {
		action = Grant
	}
	slices.SortStableFunc(s.asking, in.byUrgency)
	for _, n := range s.asking {
		if wait := in.backOff(n, timeout); wait > 0 {
			out.Again = cmp.Or(min(out.Again, wait), wait)
			continue
		}
		down := in.down(n)
		if !current(n) || s.underWay >= s.limit || down == 0 && s.used >= s.limit {
			continue
		}
		s.underWay, s.used = s.underWay+1, s.used+1-down
		out.Steps = append(out.Steps, PermitStep{n, action})
	}
	return out
}

func (in PermitInput) paused() bool { return in.Rollout != nil && in.Rollout.Paused }

// survey is where the nodes stand.
type survey struct {
	// steps for what is under way.
	steps []PermitStep
	// asking are the nodes for which nothing is under way yet.
	asking []*v1alpha1.NodeState
	// used of limit slots, underWay of which by drains and permits.
	used, underWay, limit int
}

func (in PermitInput) survey(policy v1alpha1.DrainPolicy) survey {
	var s survey
	total := 0
	for _, n := range slices.SortedFunc(slices.Values(in.Nodes), byName) {
		e := in.Evidence[n.Name]
		standing := e.standing(n)
		if standing == Unassigned || standing == Offline {
			continue
		}
		total++
		if action, acts := in.next(n, e, policy); acts {
			s.steps = append(s.steps, PermitStep{n, action})
		}
		switch {
		case e.underWay(n):
			s.underWay++
			s.used++
		case asked(n) != "":
			s.asking = append(s.asking, n)
			s.used += in.down(n)
		case standing.Unavailable():
			s.used++
		}
	}
	s.limit = MaxUnavailable(in.Rollout, total)
	return s
}

// next is what is to be done for a node for which something is under way, whatever the slots.
func (in PermitInput) next(n *v1alpha1.NodeState, e Evidence, policy v1alpha1.DrainPolicy) (PermitAction, bool) {
	asks, permit := asked(n), n.Spec.Permit
	switch {
	case asks == "" && permit == "":
		// Also when the question was taken back: then nothing happened that needs the cordon.
		return Finish, e.Drain != nil
	case asks == "":
		return Finish, StandingOf(n) == Available && e.Down == ""
	case asks == permit || !e.Drain.UnderWay():
		return 0, false
	case in.paused():
		return Finish, true
	case !current(n):
		return 0, false
	case policy == v1alpha1.DrainNever:
		return Grant, true
	case e.Drain.Plan != asks:
		return RenewDrain, true
	}
	return Grant, e.Drain.Drained
}

// current is true when the agent has seen the present spec: what it asks for then is about that,
// and not about an assignment that has been replaced meanwhile.
func current(n *v1alpha1.NodeState) bool { return n.Status.ObservedGeneration == n.Generation }

// down is 1 for a node that asks and is broken. One that is not ready merely because it waits, or that
// has not acknowledged its assignment for that reason, is not: it runs.
func (in PermitInput) down(n *v1alpha1.NodeState) int {
	e := in.Evidence[n.Name]
	ready := meta.FindStatusCondition(n.Status.Conditions, v1alpha1.ConditionReady)
	waits := ready != nil && ready.Reason == v1alpha1.ReasonWaitingForPermit
	if e.Down != "" || e.standing(n) == NotReady && !waits {
		return 1
	}
	return 0
}

// byUrgency is the order in which nodes that ask are served.
func (in PermitInput) byUrgency(a, b *v1alpha1.NodeState) int {
	failed := func(n *v1alpha1.NodeState) int {
		if in.Evidence[n.Name].Drain != nil {
			return 1
		}
		return 0
	}
	return cmp.Or(in.down(b)-in.down(a), failed(a)-failed(b), strings.Compare(a.Name, b.Name))
}

// backOff is how long a node whose drain was given up still waits for the next attempt: as long as
// the attempt took, so that half of the time it can run pods.
func (in PermitInput) backOff(n *v1alpha1.NodeState, timeout time.Duration) time.Duration {
	d := in.Evidence[n.Name].Drain
	if d == nil || d.GivenUp == nil {
		return 0
	}
	return max(d.GivenUp.Add(timeout).Sub(in.Now), 0)
}
