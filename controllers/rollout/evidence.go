package rollout

import (
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

// Evidence is what the cluster itself knows of a node, apart from what its agent says: its Node
// object. The zero value is a node that has none, of which the agent alone is believed.
type Evidence struct {
	// Down is why the kubelet is not ready, or "". An agent that is dead still says Ready; its
	// node's heartbeat has stopped.
	Down string
	// Drain is nil while the manager does not drain the node and has not tried to lately.
	Drain *nodeobject.Drain
	// Outside is true where the Node's share of the pod network is no part of the network that is wanted.
	Outside bool
}

// standing is StandingOf, corrected by the evidence: a node is available only while its kubelet is
// heard of and nothing that wants a drain goes on there.
func (e Evidence) standing(n *v1alpha1.NodeState) Standing {
	s := StandingOf(n)
	switch {
	case s != Available:
	case e.Down != "":
		return NotReady
	case e.underWay(n):
		return Changing
	}
	return s
}

// underWay is true from the cordon on, or without one from the permit on, until both are taken
// back. A permit for another plan than the one that the agent asks for permits nothing.
func (e Evidence) underWay(n *v1alpha1.NodeState) bool {
	permit, asks := n.Spec.Permit, asked(n)
	return e.Drain.UnderWay() || permit != "" && (asks == "" || asks == permit)
}

// asked is the plan that a node's agent wants a permit for, or "".
func asked(n *v1alpha1.NodeState) v1alpha1.PlanHash {
	if n.Status.Pending == nil {
		return ""
	}
	return n.Status.Pending.Plan
}

const defaultDrainTimeout = 5 * time.Minute

// Drain is a rollout's drain with its defaults; the rollout may be nil.
func Drain(r *v1alpha1.Rollout) (v1alpha1.DrainPolicy, time.Duration) {
	policy, timeout := v1alpha1.DrainWhenNeeded, defaultDrainTimeout
	if r == nil || r.Drain == nil {
		return policy, timeout
	}
	if r.Drain.Policy != nil {
		policy = *r.Drain.Policy
	}
	if r.Drain.Timeout != nil {
		timeout = r.Drain.Timeout.Duration
	}
	return policy, timeout
}
