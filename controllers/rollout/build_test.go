package rollout

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var (
	oldSpec = v1alpha1.NodeStateSpec{Config: "workers", Revision: "workers-old"}
	newSpec = v1alpha1.NodeStateSpec{Config: "workers", Revision: "workers-new"}
)

// node is a NodeState at generation 2; the options say what has become of it.
func node(name string, options ...func(*v1alpha1.NodeState)) *v1alpha1.NodeState {
	n := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 2}}
	for _, o := range options {
		o(n)
	}
	return n
}

func labelled(key, value string) func(*v1alpha1.NodeState) {
	return func(n *v1alpha1.NodeState) {
		if n.Labels == nil {
			n.Labels = map[string]string{}
		}
		n.Labels[key] = value
	}
}

func assignedTo(spec v1alpha1.NodeStateSpec) func(*v1alpha1.NodeState) {
	return func(n *v1alpha1.NodeState) { n.Spec = *spec.DeepCopy() }
}

// acknowledging is at what it is assigned, as its agent reports.
func acknowledging(n *v1alpha1.NodeState) {
	n.Status.ObservedGeneration = n.Generation
	n.Status.Revision = n.Spec.Revision
	n.Status.Secrets = n.Spec.Secrets
}

func with(kind string, status metav1.ConditionStatus, reason, message string) func(*v1alpha1.NodeState) {
	return func(n *v1alpha1.NodeState) {
		n.Status.Conditions = append(n.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message})
	}
}

var (
	prepared = with(v1alpha1.ConditionPrepared, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "")
	ready    = with(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "")
	notReady = with(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnitNotActive, "docker is down")
	offline  = with(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOfflineRoot, "")
	stalled  = with(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonComponentMissing, "no dockerd\n\x1b[31mon this host")
)

// healthy is at spec and ready there.
func healthy(name string, spec v1alpha1.NodeStateSpec) *v1alpha1.NodeState {
	return node(name, assignedTo(spec), acknowledging, prepared, ready)
}

func nodeConfig(name string, priority int32, selector metav1.LabelSelector) *v1alpha1.NodeConfig {
	c := &v1alpha1.NodeConfig{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.Priority, c.Spec.NodeSelector = priority, selector
	return c
}

func role(value string) metav1.LabelSelector {
	return metav1.LabelSelector{MatchLabels: map[string]string{"role": value}}
}

func atMost(s string) *v1alpha1.Rollout {
	v := intstr.Parse(s)
	return &v1alpha1.Rollout{MaxUnavailable: &v}
}
