package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/rollout"
)

// NetworkConfigReconciler says in a NetworkConfig's status who uses it and whether it is in force.
type NetworkConfigReconciler struct {
	client client.Client
	events events.EventRecorder
}

// Reconcile writes the status of one NetworkConfig, if it says something new. It is computed from
// the status of the NodeConfigs, which are looked at first.
func (r *NetworkConfigReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var old v1alpha1.NetworkConfig
	if err := r.client.Get(ctx, req.NamespacedName, &old); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	view, err := r.observe(ctx, &old)
	if err != nil {
		return ctrl.Result{}, err
	}
	network := old.DeepCopy()
	network.Status = rollout.NetworkStatus(view)
	network.Status.Conditions = mergeConditions(old.Status.Conditions, network.Status.Conditions)
	if equality.Semantic.DeepEqual(old.Status, network.Status) {
		return ctrl.Result{}, nil
	}
	patch := client.MergeFromWithOptions(&old, client.MergeFromWithOptimisticLock{})
	if err := r.client.Status().Patch(ctx, network, patch); err != nil {
		return settle(fmt.Errorf("patch status of NetworkConfig %s: %w", network.Name, err))
	}
	publish(r.events, turned(network, old.Status.Conditions, network.Status.Conditions)...)
	return ctrl.Result{}, nil
}

func (r *NetworkConfigReconciler) observe(ctx context.Context, network *v1alpha1.NetworkConfig) (rollout.NetworkView, error) {
	view := rollout.NetworkView{Generation: network.Generation}
	var configs v1alpha1.NodeConfigList
	if err := r.client.List(ctx, &configs, client.UnsafeDisableDeepCopy); err != nil {
		return view, fmt.Errorf("list NodeConfigs: %w", err)
	}
	for i := range configs.Items {
		if configs.Items[i].Spec.NetworkRef.Name == network.Name {
			view.NodeConfigs = append(view.NodeConfigs, &configs.Items[i])
		}
	}
	var revisions appsv1.ControllerRevisionList
	if err := r.client.List(ctx, &revisions, client.UnsafeDisableDeepCopy,
		client.InNamespace(v1alpha1.Namespace), client.MatchingLabels{NetworkConfigLabel: network.Name}); err != nil {
		return view, fmt.Errorf("list ControllerRevisions of NetworkConfig %s: %w", network.Name, err)
	}
	uses := make(map[string]bool, len(revisions.Items))
	for i := range revisions.Items {
		uses[revisions.Items[i].Name] = true
	}
	var nodes v1alpha1.NodeStateList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return view, fmt.Errorf("list NodeStates: %w", err)
	}
	for i := range nodes.Items {
		if uses[nodes.Items[i].Spec.Revision] {
			view.Nodes++
		}
	}
	return view, nil
}
