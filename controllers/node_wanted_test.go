package controllers

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/revision"
)

// movingNetwork is a machine without a Node that is at 172.30.0.0/16, while its network is to be 172.31.0.0/16.
func movingNetwork(t *testing.T) (*NodeReconciler, *v1alpha1.NetworkConfig) {
	t.Helper()
	network := &v1alpha1.NetworkConfig{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.NetworkConfigSpec{PodCIDR: "172.30.0.0/16"}}
	config := &v1alpha1.NodeConfig{ObjectMeta: metav1.ObjectMeta{Name: "workers"}}
	config.Spec.NetworkRef.Name = "default"
	data, name, err := revision.New(config.Spec, network.Spec).Encode("workers")
	if err != nil {
		t.Fatal(err)
	}
	network.Spec.PodCIDR, network.Spec.AllowDisruptiveChange = "172.31.0.0/16", true
	node := &v1alpha1.NodeState{
		ObjectMeta: metav1.ObjectMeta{Name: "node-a", Annotations: map[string]string{v1alpha1.MachineIDAnnotation: "machine"}},
		Spec:       v1alpha1.NodeStateSpec{Config: "workers", Revision: name},
	}
	stored := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: name}, Data: runtime.RawExtension{Raw: data}}
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(network, config, node, stored).Build()
	return &NodeReconciler{client: c, direct: c, events: events.NewFakeRecorder(9)}, network
}

func TestANodeGetsNoShareOfANetworkThatGoesAndIsLookedAtAgain(t *testing.T) {
	r, network := movingNetwork(t)
	node := &corev1.Node{}
	reconcile := func() (wait bool, got error) {
		t.Helper()
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "node-a"}})
		if err != nil {
			t.Fatal(err)
		}
		return result.RequeueAfter > 0, r.client.Get(t.Context(), client.ObjectKey{Name: "node-a"}, node)
	}
	if wait, err := reconcile(); !wait || !apierrors.IsNotFound(err) {
		t.Fatalf("waits %t, and the Node has %q: %v", wait, node.Spec.PodCIDR, err)
	}
	// One that its kubelet registered meanwhile is not given one either.
	if err := r.client.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}}); err != nil {
		t.Fatal(err)
	}
	if wait, err := reconcile(); !wait || err != nil || node.Spec.PodCIDR != "" || node.Labels[NodeLabel] == "" {
		t.Fatalf("waits %t, and the Node has %q, labels %v: %v", wait, node.Spec.PodCIDR, node.Labels, err)
	}
	if err := r.client.Delete(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	// The change is taken back, and nothing else tells the machine's Node.
	if err := r.client.Get(t.Context(), client.ObjectKeyFromObject(network), network); err != nil {
		t.Fatal(err)
	}
	network.Spec.PodCIDR = "172.30.0.0/16"
	if err := r.client.Update(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	if wait, err := reconcile(); wait || err != nil || !strings.HasPrefix(node.Spec.PodCIDR, "172.30.") {
		t.Fatalf("waits %t, and the Node has %q: %v", wait, node.Spec.PodCIDR, err)
	}
}
