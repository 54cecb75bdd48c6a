package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/rollout"
)

// assignmentsAtOnce bounds the requests under way while a revision is handed out.
const assignmentsAtOnce = 8

// NodeConfigReconciler cuts a NodeConfig's revisions, gives them to the nodes it governs as its
// rollout allows, prunes old ones and rolls the nodes' state up into its status.
type NodeConfigReconciler struct {
	client client.Client
	events events.EventRecorder
	access *access
	now    func() time.Time
}

// Reconcile brings one NodeConfig forward by as much as is allowed now. Everything it knows is in
// the API, so that it can be stopped anywhere and called again.
func (r *NodeConfigReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	fleet, err := observeFleet(ctx, r.client, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if fleet.config == nil {
		forgetNodeConfig(req.Name)
		_, err := r.permit(ctx, fleet)
		return settle(errors.Join(err, r.prune(ctx, fleet)))
	}
	target, held := r.advance(ctx, fleet)
	if held != nil && !isOutcome(held) {
		return settle(held)
	}
	again, err := r.permit(ctx, fleet)
	if err != nil {
		return settle(err)
	}
	if err := r.prune(ctx, fleet); err != nil {
		return settle(err)
	}
	result, err := settle(r.report(ctx, fleet, held, target))
	if result.RequeueAfter == 0 {
		result.RequeueAfter = again
	}
	return result, err
}

// advance cuts the revision that the objects ask for now and assigns it. A StallError leaves every
// node with what it has.
func (r *NodeConfigReconciler) advance(ctx context.Context, fleet *fleet) (*v1alpha1.NodeStateSpec, error) {
	cut, err := cutRevision(ctx, r.client, fleet)
	if err != nil {
		return nil, err
	}
	if err := r.store(ctx, fleet, cut); err != nil {
		return nil, err
	}
	return &cut.target, r.assign(ctx, fleet, cut.target)
}

// assign gives the target to the nodes whose turn it is.
func (r *NodeConfigReconciler) assign(ctx context.Context, fleet *fleet, target v1alpha1.NodeStateSpec) error {
	turn := rollout.Assign(rollout.Input{Nodes: fleet.governed, Evidence: fleet.evidence, Target: target, Rollout: fleet.config.Spec.Rollout})
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(assignmentsAtOnce)
	assigned := make([]*v1alpha1.NodeState, len(turn.Now))
	for i, node := range turn.Now {
		group.Go(func() error {
			var err error
			assigned[i], err = r.access.assign(groupCtx, node, target)
			return err
		})
	}
	err := group.Wait()
	for _, node := range assigned {
		if node != nil {
			fleet.replace(node)
			assignmentsTotal.Inc()
			publish(r.events, nodeAssigned(node, fleet.config))
		}
	}
	return err
}

// prune deletes revisions that nothing needs any more.
func (r *NodeConfigReconciler) prune(ctx context.Context, fleet *fleet) error {
	names := rollout.Prune(fleet.stored(), fleet.nodes, fleet.newest())
	for _, name := range names {
		old := fleet.revisions[name]
		if err := client.IgnoreNotFound(r.client.Delete(ctx, old, as(old))); err != nil {
			return fmt.Errorf("prune ControllerRevision %s: %w", name, err)
		}
		delete(fleet.revisions, name)
	}
	return nil
}

// as keeps a leader that was stopped for a while from deleting what another has taken up again.
func as(o client.Object) client.Preconditions {
	uid, version := o.GetUID(), o.GetResourceVersion()
	return client.Preconditions{UID: &uid, ResourceVersion: &version}
}

// report writes the status, if it says something new, and says so in events and metrics.
func (r *NodeConfigReconciler) report(ctx context.Context, fleet *fleet, held error, target *v1alpha1.NodeStateSpec) error {
	old, config := fleet.config, fleet.config.DeepCopy()
	status := rollout.Status(fleet.view(held, target))
	status.Conditions = mergeConditions(old.Status.Conditions, status.Conditions)
	config.Status = status
	observeNodeConfig(config, len(fleet.revisions))
	if equality.Semantic.DeepEqual(old.Status, status) {
		return nil
	}
	patch := client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{})
	if err := r.client.Status().Patch(ctx, config, patch); err != nil {
		return fmt.Errorf("patch status of NodeConfig %s: %w", config.Name, err)
	}
	publish(r.events, turned(config, old.Status.Conditions, status.Conditions)...)
	return nil
}
