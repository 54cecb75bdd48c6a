package rollout

import (
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Input is what Assign decides by.
type Input struct {
	// Nodes that the NodeConfig governs.
	Nodes []*v1alpha1.NodeState
	// Evidence of them by name, apart from what their agents say.
	Evidence map[string]Evidence
	// Target is what each of them is to be assigned in the end.
	Target v1alpha1.NodeStateSpec
	// Rollout may be nil; its defaults are applied here.
	Rollout *v1alpha1.Rollout
}

// Assignment says who is given the target now.
type Assignment struct {
	// Now are the nodes to give the target to, in order.
	Now []*v1alpha1.NodeState
	// Waiting are nodes that are to have the target and must wait: for a slot, or because the
	// rollout is paused. By name.
	Waiting []string
}

// Assign gives the target to as many nodes as rollout.maxUnavailable allows. A node that has
// nothing to lose (Unassigned, Offline) takes no slot; a node that is unavailable already is moved
// first and takes no further slot, so that fixing a bad object heals the nodes it broke. What
// remains of the slots goes to available nodes by name. Paused means that nobody is given anything.
//
// A node whose share is outside the network is given nothing, whatever its standing: with the network it
// would lose its flanneld for good. It keeps what it has, and others do not wait for it, unless it is
// down, which takes a slot as with any node.
func Assign(in Input) Assignment {
	var free, healthy []*v1alpha1.NodeState
	slotted, unavailable := 0, 0
	for _, n := range slices.SortedFunc(slices.Values(in.Nodes), byName) {
		standing := in.Evidence[n.Name].standing(n)
		if standing.Unavailable() {
			unavailable++
		}
		if standing.Unavailable() || standing == Available {
			slotted++
		}
		switch {
		case Same(n.Spec, in.Target), in.Evidence[n.Name].Outside:
		case standing == Available:
			healthy = append(healthy, n)
		default:
			free = append(free, n)
		}
	}
	if in.Rollout != nil && in.Rollout.Paused {
		return Assignment{Waiting: names(slices.Concat(free, healthy))}
	}
	slots := min(max(MaxUnavailable(in.Rollout, slotted)-unavailable, 0), len(healthy))
	return Assignment{Now: slices.Concat(free, healthy[:slots]), Waiting: names(healthy[slots:])}
}

// MaxUnavailable is how many of total nodes may be changing or not ready at once: a percentage is
// rounded down, and it is at least 1, since 0 would be a pause that nobody asked for. Total leaves
// out nodes that take no slots: a thousand host roots that do not run must not raise the limit for
// the ten that do.
func MaxUnavailable(r *v1alpha1.Rollout, total int) int {
	if r == nil || r.MaxUnavailable == nil {
		return 1
	}
	// An IntOrString that is neither is refused by the API; 1 is the documented default.
	n, err := intstr.GetScaledValueFromIntOrPercent(r.MaxUnavailable, total, false)
	if err != nil {
		return 1
	}
	return min(max(n, 1), math.MaxInt32)
}

func names(nodes []*v1alpha1.NodeState) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	slices.Sort(out)
	return out
}
