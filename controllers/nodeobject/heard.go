package nodeobject

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Down says why a Node is not ready by what its kubelet last said, or by its silence: the node
// controller turns a missed heartbeat into Ready Unknown. "" is ready, and also a Node on which
// nothing was ever said: then there is no evidence.
func Down(node *corev1.Node) string {
	c := readiness(node)
	if c == nil || c.Status == corev1.ConditionTrue {
		return ""
	}
	return fmt.Sprintf("%s: %s", c.Reason, c.Message)
}

// Alive is true when the kubelet is known to run.
func Alive(node *corev1.Node) bool {
	c := readiness(node)
	return c != nil && c.Status == corev1.ConditionTrue
}

// Gone is true when no kubelet is to come back on a Node that no NodeState stands for: its host has left,
// or it never had one. One that is only silent may be rebooting, or cut off, with its pods.
func Gone(node *corev1.Node) bool {
	_, left := node.Annotations[v1alpha1.LeftAnnotation]
	return !Alive(node) && (left || node.Status.NodeInfo.KubeletVersion == "")
}

// Back takes away the note that the host of a Node has left, if its kubelet runs again.
func Back(node *corev1.Node, p *Patch) {
	if _, left := node.Annotations[v1alpha1.LeftAnnotation]; left && Alive(node) {
		p.Annotate(v1alpha1.LeftAnnotation, "")
	}
}

func readiness(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}
