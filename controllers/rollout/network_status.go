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
	// Published is the condition of that name, nil where nothing is to be published.
	Published *metav1.Condition
	// Network that was published last, and Leases of it.
	Network *v1alpha1.PublishedNetwork
	Leases  *v1alpha1.LeaseStatus
}

// awaitsUser are the reasons of Published that no time cures.
var awaitsUser = []string{
	v1alpha1.ReasonNetworkChanged, v1alpha1.ReasonPrefixConflict, v1alpha1.ReasonEtcdContended, v1alpha1.ReasonEtcdPermissionDenied,
	v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonInvalid,
}

// NetworkStatus says who uses a network and whether it is in force: Ready when every NodeConfig
// that refers to it is and flannel's etcd holds it, if there is one; Stalled while a user has to change
// something. Conditions carry no transition time.
func NetworkStatus(v NetworkView) v1alpha1.NetworkConfigStatus {
	conditions := v.readiness()
	if v.Published != nil {
		conditions = append(conditions, *v.Published)
	}
	slices.SortFunc(conditions, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	return v1alpha1.NetworkConfigStatus{
		ObservedGeneration: v.Generation,
		NodeConfigs:        int32(len(v.NodeConfigs)),
		Nodes:              int32(v.Nodes),
		Leases:             v.Leases,
		Published:          v.Network,
		Conditions:         conditions,
	}
}

// readiness is Ready, and Stalled where it is.
func (v NetworkView) readiness() []metav1.Condition {
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
	conditions := make([]metav1.Condition, 0, 3)
	stalled := func(reason, message string) []metav1.Condition {
		ready.Reason, ready.Message = reason, message
		stall := ready
		stall.Type, stall.Status = v1alpha1.ConditionStalled, metav1.ConditionTrue
		return append(conditions, ready, stall)
	}
	p := v.Published
	switch unpublished := p != nil && p.Status != metav1.ConditionTrue; {
	case unpublished && slices.Contains(awaitsUser, p.Reason):
		return stalled(p.Reason, p.Message)
	case refused != "":
		return stalled(v1alpha1.ReasonNetworkChanged, refused)
	case unpublished:
		ready.Reason, ready.Message = p.Reason, p.Message
		conditions = append(conditions, ready)
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
	return conditions
}
