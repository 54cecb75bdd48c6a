package controllers

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func nodeObjectCreated(state *v1alpha1.NodeState, node *corev1.Node) Event {
	message := "created Node " + node.Name
	if node.Spec.PodCIDR != "" {
		message += " with podCIDR " + node.Spec.PodCIDR
	}
	return Event{state, corev1.EventTypeNormal, "NodeCreated", "Create", message}
}

func nodeObjectAdopted(state *v1alpha1.NodeState, node *corev1.Node) Event {
	message := fmt.Sprintf("Node %s was there before: it keeps its podCIDR %q, and what others set on it", node.Name, node.Spec.PodCIDR)
	return Event{state, corev1.EventTypeNormal, "NodeAdopted", "Adopt", message}
}

func nodeObjectDeleted(node *corev1.Node) Event {
	return Event{node, corev1.EventTypeNormal, "NodeDeleted", "Delete", "its NodeState is gone, and so is its kubelet"}
}

func nodeObjectKept(node *corev1.Node, why string) Event {
	message := fmt.Sprintf("its NodeState is gone and its kubelet is not ready (%s), but has not said that its host left: when the machine is gone for good, kubectl delete node %s", why, node.Name)
	return Event{node, corev1.EventTypeWarning, "NodeKept", "Keep", message}
}

func drainStarted(node *v1alpha1.NodeState) Event {
	p := node.Status.Pending
	message := fmt.Sprintf("draining for plan %s (%s)", p.Plan, p.Disruption)
	return Event{node, corev1.EventTypeNormal, "DrainStarted", "Drain", message}
}

func nodeDrained(node *v1alpha1.NodeState, took time.Duration) Event {
	return Event{node, corev1.EventTypeNormal, "Drained", "Drain", fmt.Sprintf("the pods are gone after %s", took.Round(time.Second))}
}

func drainBlocked(node *v1alpha1.NodeState, why string) Event {
	return Event{node, corev1.EventTypeWarning, v1alpha1.ReasonDrainBlocked, "Drain", why}
}

func drainGivenUp(node *v1alpha1.NodeState, why string, timeout time.Duration) Event {
	message := fmt.Sprintf("given up after %s, and tried again in as long: %s", timeout, why)
	return Event{node, corev1.EventTypeWarning, "DrainGivenUp", "Drain", message}
}

func planPermitted(node *v1alpha1.NodeState) Event {
	message := fmt.Sprintf("plan %s may be carried out", node.Spec.Permit)
	return Event{node, corev1.EventTypeNormal, "PlanPermitted", "Permit", message}
}

func drainFinished(node *v1alpha1.NodeState, uncordoned bool) Event {
	message := "the drain is over; the Node was cordoned by somebody else and stays so"
	if uncordoned {
		message = "the drain is over and pods may be scheduled again"
	}
	return Event{node, corev1.EventTypeNormal, "DrainFinished", "Uncordon", message}
}
