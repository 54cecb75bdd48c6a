package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/flannelstore"
	"seedbed.dev/seedbed/controllers/rollout"
)

// NetworkConfigReconciler publishes a network to flannel's etcd, releases there what nodes left
// behind, and says in the NetworkConfig's status who uses it and whether it is in force.
type NetworkConfigReconciler struct {
	client client.Client
	// direct reads the Secrets of flannel's etcd, which no cache is to hold.
	direct  client.Reader
	events  events.EventRecorder
	etcd    *flannelstore.Follower
	repairs *repairs
	tenants *tenants
	now     func() time.Time
}

// networkPass is what one pass over a NetworkConfig works with.
type networkPass struct {
	network *v1alpha1.NetworkConfig
	// members are the nodes that are assigned a revision with the network, by name; nodes are all.
	members map[string]bool
	nodes   []v1alpha1.NodeState
	view    rollout.NetworkView
	// again is when the next pass is due even if nothing changes; 0 is never.
	again time.Duration
}

// Reconcile writes the status of one NetworkConfig, if it says something new. It is computed from
// the status of the NodeConfigs, which are looked at first.
func (r *NetworkConfigReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var old v1alpha1.NetworkConfig
	if err := r.client.Get(ctx, req.NamespacedName, &old); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.etcd.Forget(req.Name)
			r.tenants.forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	pass, err := r.observe(ctx, &old)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.subnets(ctx, pass); err != nil {
		return settle(err)
	}
	network := old.DeepCopy()
	network.Status = rollout.NetworkStatus(pass.view)
	network.Status.Conditions = mergeConditions(old.Status.Conditions, network.Status.Conditions)
	result := ctrl.Result{RequeueAfter: pass.again}
	if equality.Semantic.DeepEqual(old.Status, network.Status) {
		return result, nil
	}
	patch := client.MergeFromWithOptions(&old, client.MergeFromWithOptimisticLock{})
	if err := r.client.Status().Patch(ctx, network, patch); err != nil {
		return settle(fmt.Errorf("patch status of NetworkConfig %s: %w", network.Name, err))
	}
	publish(r.events, turned(network, old.Status.Conditions, network.Status.Conditions)...)
	publish(r.events, unpublished(network, old.Status.Conditions)...)
	return result, nil
}

func (r *NetworkConfigReconciler) observe(ctx context.Context, network *v1alpha1.NetworkConfig) (*networkPass, error) {
	p := &networkPass{network: network, members: map[string]bool{}, view: rollout.NetworkView{Generation: network.Generation}}
	var configs v1alpha1.NodeConfigList
	if err := r.client.List(ctx, &configs, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list NodeConfigs: %w", err)
	}
	for i := range configs.Items {
		if configs.Items[i].Spec.NetworkRef.Name == network.Name {
			p.view.NodeConfigs = append(p.view.NodeConfigs, &configs.Items[i])
		}
	}
	var revisions appsv1.ControllerRevisionList
	if err := r.client.List(ctx, &revisions, client.UnsafeDisableDeepCopy,
		client.InNamespace(v1alpha1.Namespace), client.MatchingLabels{NetworkConfigLabel: network.Name}); err != nil {
		return nil, fmt.Errorf("list ControllerRevisions of NetworkConfig %s: %w", network.Name, err)
	}
	uses := make(map[string]bool, len(revisions.Items))
	for i := range revisions.Items {
		uses[revisions.Items[i].Name] = true
	}
	var nodes v1alpha1.NodeStateList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list NodeStates: %w", err)
	}
	p.nodes = nodes.Items
	for i := range p.nodes {
		if uses[p.nodes[i].Spec.Revision] {
			p.members[p.nodes[i].Name] = true
		}
	}
	p.view.Nodes = len(p.members)
	return p, nil
}
