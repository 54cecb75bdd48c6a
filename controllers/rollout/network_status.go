package rollout

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// NetworkView is what a NetworkConfig's status is computed from.
type NetworkView struct {
	// Generation of the NetworkConfig that was looked at.
	Generation int64
	// NodeConfigs that refer to it.
	NodeConfigs []*v1alpha1.NodeConfig
	// Nodes counts those that are assigned a revision with it.
	Nodes int
}

// NetworkStatus says who uses a network and whether it is in force: Ready when every NodeConfig
// that refers to it is, Stalled while a change of it is refused. Conditions carry no transition time.
func NetworkStatus(v NetworkView) v1alpha1.NetworkConfigStatus {
	var notReady []string
	var refused string
	for _, c := range slices.SortedFunc(slices.Values(v.NodeConfigs), func(a, b *v1alpha1.NodeConfig) int {
		return strings.Compare(a.Name, b.Name)
	}) {
		if s := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionStalled); refused == "" && s != nil &&
			s.Status == metav1.ConditionTrue && s.Reason == v1alpha1.ReasonNetworkChanged {
			refused = fmt.Sprintf("NodeConfig %s: %s", c.Name, s.Message)
		}
		if c.Status.ObservedGeneration != c.Generation || !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
			notReady = append(notReady, c.Name)
		}
	}
	ready := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: v.Generation,
		Reason: v1alpha1.ReasonProgressing, Message: "NodeConfigs that are not ready: " + list(notReady),
	}
	conditions := make([]metav1.Condition, 0, 2)
	switch {
	case refused != "":
		ready.Reason, ready.Message = v1alpha1.ReasonNetworkChanged, refused
		stalled := ready
		stalled.Type, stalled.Status = v1alpha1.ConditionStalled, metav1.ConditionTrue
		conditions = append(conditions, ready, stalled)
	case len(v.NodeConfigs) == 0:
		ready.Reason, ready.Message = v1alpha1.ReasonNoNodes, "no NodeConfig refers to it"
		conditions = append(conditions, ready)
	case len(notReady) > 0:
		conditions = append(conditions, ready)
	default:
		ready.Status, ready.Reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
		ready.Message = fmt.Sprintf("in force on %s of %s", plural(v.Nodes, "node"), plural(len(v.NodeConfigs), "NodeConfig"))
		conditions = append(conditions, ready)
	}
	return v1alpha1.NetworkConfigStatus{
		ObservedGeneration: v.Generation,
		NodeConfigs:        int32(len(v.NodeConfigs)),
		Nodes:              int32(v.Nodes),
		Conditions:         conditions,
	}
}
