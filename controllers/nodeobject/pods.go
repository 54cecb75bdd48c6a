package nodeobject

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Leaves is true for a pod that a drain evicts and waits for. These stay:
//
//   - finished pods: nothing of them runs;
//   - static pods, whose mirror in the API is not what runs;
//   - pods of a DaemonSet, which would be made anew on the same Node;
//   - pods that no controller makes anew: evicted they would be gone for good, while the kubelet
//     restarts their containers where they are.
//
// A pod with emptyDir volumes leaves, and what is in them is lost: its controller makes another.
func Leaves(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return false
	}
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind != "DaemonSet" && owner.Kind != "Node"
}
