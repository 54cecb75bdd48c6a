package nodeobject

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
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

func readiness(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}
