package rollout

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Standing is what a node has to lose when it is given a new revision.
type Standing int

const (
	// Unassigned: it was never given anything, so nothing that runs there depends on us.
	Unassigned Standing = iota
	// Offline: a host root that does not run. Nothing can become unavailable on it, and nothing on
	// it ever counts as healthy.
	Offline
	// Changing: it has not acknowledged what it is assigned.
	Changing
	// NotReady: it is at what it is assigned, and not ready.
	NotReady
	// Available: it is at what it is assigned, and ready.
	Available
)

// StandingOf looks at one node.
func StandingOf(n *v1alpha1.NodeState) Standing {
	ready := meta.FindStatusCondition(n.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case n.Spec.Revision == "":
		return Unassigned
	case ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == v1alpha1.ReasonOfflineRoot:
		return Offline
	case !Acknowledged(n):
		return Changing
	case ready != nil && ready.Status == metav1.ConditionTrue:
		return Available
	default:
		return NotReady
	}
}

// Unavailable is true for a node that takes one of rollout.maxUnavailable's slots.
func (s Standing) Unavailable() bool { return s == Changing || s == NotReady }

// Acknowledged is true when the node's agent has reported, of the spec as it is now, that the host
// is at the assigned revision with the assigned Secrets.
func Acknowledged(n *v1alpha1.NodeState) bool {
	return n.Spec.Revision != "" &&
		n.Status.ObservedGeneration == n.Generation &&
		n.Status.Revision == n.Spec.Revision &&
		samePins(n.Status.Secrets, n.Spec.Secrets)
}

// Same is true for assignments that differ at most in the order of their Secrets.
func Same(a, b v1alpha1.NodeStateSpec) bool {
	return a.Config == b.Config && a.Revision == b.Revision && samePins(a.Secrets, b.Secrets)
}

func samePins(a, b []v1alpha1.PinnedSecret) bool {
	return len(a) == len(b) && slices.Equal(sortedPins(a), sortedPins(b))
}

func sortedPins(pins []v1alpha1.PinnedSecret) []v1alpha1.PinnedSecret {
	return slices.SortedFunc(slices.Values(pins), func(a, b v1alpha1.PinnedSecret) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.UID), string(b.UID)),
			strings.Compare(a.ResourceVersion, b.ResourceVersion))
	})
}

func byName(a, b *v1alpha1.NodeState) int { return strings.Compare(a.Name, b.Name) }
