package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
)

// NodeStateReconciler keeps what a node's agent may do in step with its NodeState.
type NodeStateReconciler struct{ access *access }

// Reconcile leaves the agent the rights that its NodeState's present assignment needs, or none when
// the NodeState is gone.
func (r *NodeStateReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return settle(r.access.withdraw(ctx, req.Name))
}
