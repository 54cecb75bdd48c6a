package controllers

import (
	"context"
	"fmt"
	"net/netip"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/rollout"
)

// wantedNode is what the Node of one NodeState is to be, beside what it is.
type wantedNode struct {
	// node is nil when there is none yet. It is the cache's: see stripNode.
	node     *corev1.Node
	declared nodeobject.Declared
	// network is valid when the Node is to have a share of it, share when it has one or gets one.
	network, share netip.Prefix
	// awaits is true when it gets its share with the next revision only.
	awaits bool
}

// hasNode is true for a machine that is to have a Node: it is assigned a revision and runs. A host
// root that does not run says so in its first report; a machine that joined by itself is known to
// run before.
func hasNode(state *v1alpha1.NodeState) bool {
	switch rollout.StandingOf(state) {
	case rollout.Unassigned, rollout.Offline:
		return false
	}
	_, joined := state.Annotations[v1alpha1.MachineIDAnnotation]
	return joined || state.Status.ObservedGeneration > 0
}

// want reads what the assigned revision says of the Node. A revision that is not stored, or that a
// newer release cut, says nothing: then the result is nil, and the Node stays as it is.
func (r *NodeReconciler) want(ctx context.Context, state *v1alpha1.NodeState) (*wantedNode, error) {
	var stored appsv1.ControllerRevision
	err := r.client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: state.Spec.Revision}, &stored, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	rev, err := revision.Decode(stored.Data.Raw)
	if err != nil {
		return nil, nil //nolint:nilerr // Not ours to read; its agent refuses it, too.
	}
	want := &wantedNode{node: &corev1.Node{}, declared: nodeobject.Declare(rev.Node.Node)}
	err = r.client.Get(ctx, client.ObjectKey{Name: state.Name}, want.node)
	switch {
	case apierrors.IsNotFound(err):
		want.node = nil
	case err != nil:
		return nil, fmt.Errorf("get Node %s: %w", state.Name, err)
	}
	if _, _, ok := rollout.SharesNodes(rev.Network); !ok {
		return want, nil
	}
	next, err := r.nextNetwork(ctx, state)
	if err != nil {
		return nil, err
	}
	network, length, ok := rollout.ShareOf(rev.Network, next)
	if !ok {
		want.awaits = want.node == nil || want.node.Spec.PodCIDR == ""
		return want, nil
	}
	want.network = network
	return want, r.share(ctx, state.Name, length, want)
}

// nextNetwork is that of the NodeConfig which governs the node now; nil without one.
func (r *NodeReconciler) nextNetwork(ctx context.Context, state *v1alpha1.NodeState) (*v1alpha1.NetworkConfigSpec, error) {
	governor, err := governorOf(ctx, r.client, state)
	if governor == nil {
		return nil, err
	}
	var network v1alpha1.NetworkConfig
	name := governor.Spec.NetworkRef.Name
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, &network); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("get NetworkConfig %s: %w", name, err)
	}
	return &network.Spec, nil
}

// governorOf is the NodeConfig that governs one node, or nil. It is the cache's.
func governorOf(ctx context.Context, c client.Reader, state *v1alpha1.NodeState) (*v1alpha1.NodeConfig, error) {
	var configs v1alpha1.NodeConfigList
	if err := c.List(ctx, &configs, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list NodeConfigs: %w", err)
	}
	var live []*v1alpha1.NodeConfig
	for i := range configs.Items {
		if configs.Items[i].DeletionTimestamp.IsZero() {
			live = append(live, &configs.Items[i])
		}
	}
	name := rollout.Select(live, []*v1alpha1.NodeState{state}).Governor[state.Name]
	for _, config := range live {
		if config.Name == name {
			return config, nil
		}
	}
	return nil, nil
}

// share keeps the share that a Node has, be it what it may, and chooses one for a Node without.
func (r *NodeReconciler) share(ctx context.Context, name string, length int, want *wantedNode) error {
	if want.node != nil && want.node.Spec.PodCIDR != "" {
		want.share, _ = netip.ParsePrefix(want.node.Spec.PodCIDR) // as the API server took it
		return nil
	}
	nodes, err := listNodes(ctx, r.client)
	if err != nil {
		return err
	}
	// None left is shown by the NodeConfig; the Node has its labels and taints all the same.
	want.share, _ = nodeobject.PodCIDR(name, want.network, length, rollout.Shares(nodes))
	return nil
}

// listNodes returns the cache's own Nodes, which are not to be changed: thousands in a large cluster.
func listNodes(ctx context.Context, c client.Reader) ([]*corev1.Node, error) {
	var list corev1.NodeList
	if err := c.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list Nodes: %w", err)
	}
	nodes := make([]*corev1.Node, 0, len(list.Items))
	for i := range list.Items {
		nodes = append(nodes, &list.Items[i])
	}
	return nodes, nil
}

// patchNode changes a Node as decided, unless somebody wrote it since it was read, and returns it as
// it is then.
func patchNode(ctx context.Context, c client.Client, node *corev1.Node, patch nodeobject.Patch) (*corev1.Node, error) {
	raw, err := patch.Bytes(node.ResourceVersion)
	if err != nil {
		return nil, fmt.Errorf("patch Node %s: %w", node.Name, err)
	}
	after := node.DeepCopy()
	if err := c.Patch(ctx, after, client.RawPatch(types.MergePatchType, raw)); err != nil {
		return nil, fmt.Errorf("patch Node %s: %w", node.Name, err)
	}
	return after, nil
}
