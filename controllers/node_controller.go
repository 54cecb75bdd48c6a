package controllers

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

// AnnotationOwned on a NodeState names the labels and taints of its Node that are ours. It is not on
// the Node, which a kubelet may annotate: what it named would then be taken off the Node for it.
const AnnotationOwned = "seedbed.dev/node-owned"

// sharePause is the wait before a node for which there was no podCIDR is looked at again.
const sharePause = 10 * time.Second

// NodeReconciler keeps the Node object of each running machine: it is there before flanneld needs its
// podCIDR, has the labels and taints that the assigned revision declares, and goes after its
// NodeState.
type NodeReconciler struct {
	client client.Client
	// direct reads from the API server, and not from the cache.
	direct client.Reader
	events events.EventRecorder
}

// Reconcile brings the Node of one NodeState up to date. It is called for one at a time, so that two
// Nodes are never given the same podCIDR.
func (r *NodeReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var state v1alpha1.NodeState
	err := r.client.Get(ctx, req.NamespacedName, &state)
	switch {
	case apierrors.IsNotFound(err):
		return settle(r.leave(ctx, req.Name))
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("get NodeState %s: %w", req.Name, err)
	case !hasNode(&state):
		return ctrl.Result{}, nil
	}
	want, err := r.want(ctx, &state)
	if want == nil {
		return ctrl.Result{}, err
	}
	if want.awaits && want.node == nil {
		// A Node with a share of the network that goes would keep the next one from its machine, and one
		// without would have pods while flanneld has no lease.
		return ctrl.Result{RequeueAfter: sharePause}, nil
	}
	if err := r.bring(ctx, &state, want); err != nil {
		return settle(err)
	}
	if want.awaits || want.network.IsValid() && !want.share.IsValid() {
		return ctrl.Result{RequeueAfter: sharePause}, nil
	}
	return ctrl.Result{}, nil
}

// bring makes the Node as wanted. The names of what is ours are stored before it is put on the
// Node, and cut down after, so that a crash between leaves nothing on the Node that nobody owns.
func (r *NodeReconciler) bring(ctx context.Context, state *v1alpha1.NodeState, want *wantedNode) error {
	// One that cannot be read was written by hand; what it named stays on the Node.
	owned, _ := nodeobject.ParseOwned(state.Annotations[AnnotationOwned])
	if err := r.own(ctx, state, owned.With(want.declared.Owned())); err != nil {
		return err
	}
	var err error
	if want.node == nil {
		err = r.create(ctx, state, want)
	} else {
		err = r.change(ctx, state, want, owned)
	}
	if err != nil {
		return err
	}
	return r.own(ctx, state, want.declared.Owned())
}

// own stores the names of the labels and taints that are ours.
func (r *NodeReconciler) own(ctx context.Context, state *v1alpha1.NodeState, owned nodeobject.Owned) error {
	if state.Annotations[AnnotationOwned] == owned.String() {
		return nil
	}
	before := state.DeepCopy()
	metav1.SetMetaDataAnnotation(&state.ObjectMeta, AnnotationOwned, owned.String())
	if owned.String() == "" {
		delete(state.Annotations, AnnotationOwned)
	}
	if err := r.client.Patch(ctx, state, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("annotate NodeState %s: %w", state.Name, err)
	}
	return nil
}

func (r *NodeReconciler) create(ctx context.Context, state *v1alpha1.NodeState, want *wantedNode) error {
	labels := map[string]string{NodeLabel: state.Name}
	maps.Copy(labels, want.declared.Labels)
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: state.Name, Labels: labels},
		Spec:       corev1.NodeSpec{Taints: want.declared.Taints},
	}
	if want.share.IsValid() {
		node.Spec.PodCIDR, node.Spec.PodCIDRs = want.share.String(), []string{want.share.String()}
	}
	if err := r.client.Create(ctx, node); err != nil {
		return fmt.Errorf("create Node %s: %w", node.Name, err)
	}
	publish(r.events, nodeObjectCreated(state, node))
	return nil
}

// change patches a Node that is there, ours or not: one that was there before us is adopted, with
// the podCIDR that it has.
func (r *NodeReconciler) change(ctx context.Context, state *v1alpha1.NodeState, want *wantedNode, owned nodeobject.Owned) error {
	if !want.node.DeletionTimestamp.IsZero() {
		return nil
	}
	patch := want.declared.Reconcile(want.node, owned)
	nodeobject.Back(want.node, &patch)
	adopts := want.node.Labels[NodeLabel] != state.Name
	if adopts {
		patch.Label(NodeLabel, state.Name)
	}
	if want.node.Spec.PodCIDR == "" && want.share.IsValid() {
		patch.PodCIDR = want.share.String()
	}
	if patch.Empty() {
		return nil
	}
	if _, err := patchNode(ctx, r.client, want.node, patch); err != nil {
		return err
	}
	if adopts {
		publish(r.events, nodeObjectAdopted(state, want.node))
	}
	return nil
}

// leave ends what a NodeState that is gone leaves behind: a drain, and the Node itself once it is known
// that its host has left, or never came. Any other has pods, which the garbage collector would delete
// with it, and a kubelet that makes its Node only when it starts: that one is kept whatever became of
// the NodeState, and however long it is silent.
func (r *NodeReconciler) leave(ctx context.Context, name string) error {
	var node corev1.Node
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
		return client.IgnoreNotFound(err)
	}
	if node.Labels[NodeLabel] != name || !node.DeletionTimestamp.IsZero() {
		return nil
	}
	if gone, err := isGone(ctx, r.direct, name); !gone {
		return err
	}
	if patch := nodeobject.End(&node); !patch.Empty() {
		after, err := patchNode(ctx, r.client, &node, patch)
		if err != nil {
			return err
		}
		node = *after
	}
	if !nodeobject.Gone(&node) {
		if why := nodeobject.Down(&node); why != "" {
			publish(r.events, nodeObjectKept(&node, why))
		}
		return nil
	}
	if err := client.IgnoreNotFound(r.client.Delete(ctx, &node, as(&node))); err != nil {
		return fmt.Errorf("delete Node %s: %w", name, err)
	}
	publish(r.events, nodeObjectDeleted(&node))
	return nil
}

// isGone asks the API server itself, and believes only an answer about the object: that there is no
// such kind is not a NodeState being deleted.
func isGone(ctx context.Context, direct client.Reader, name string) (bool, error) {
	err := direct.Get(ctx, client.ObjectKey{Name: name}, &v1alpha1.NodeState{})
	if apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("get NodeState %s: %w", name, err)
	}
	return false, nil
}
