package controllers

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

// drainWorkers is how many Nodes' pods are evicted at once.
const drainWorkers = 4

// setupNode leaves the concurrency at one: see NodeReconciler.
func setupNode(mgr ctrl.Manager, r *NodeReconciler) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("node").
		For(&v1alpha1.NodeState{}, builder.WithPredicates(stateMattersToNode())).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(sameName), builder.WithPredicates(nodeMatters())).
		Complete(r)
}

func setupDrain(mgr ctrl.Manager, r *DrainReconciler) error {
	draining := predicate.NewPredicateFuncs(func(o client.Object) bool {
		node, ok := o.(*corev1.Node)
		return ok && nodeobject.DrainOf(node).UnderWay()
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("drain").
		For(&corev1.Node{}, builder.WithPredicates(nodeMatters(), draining)).
		WithOptions(controller.Options{MaxConcurrentReconciles: drainWorkers}).
		Complete(r)
}
