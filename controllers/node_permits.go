package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
	"seedbed.dev/seedbed/controllers/rollout"
)

// permit does what is due now for the nodes that ask for a permit: it begins drains, which
// DrainReconciler carries out, grants what was drained for, and puts back what is done. It returns
// when to look again, 0 for at the next change.
func (r *NodeConfigReconciler) permit(ctx context.Context, fleet *fleet) (time.Duration, error) {
	in := rollout.PermitInput{Nodes: fleet.assigned, Evidence: fleet.evidence, Now: r.now(), Gone: fleet.config == nil}
	if fleet.config != nil {
		in.Rollout = fleet.config.Spec.Rollout
	}
	permits := rollout.PermitsOf(in)
	var failures []error
	for _, step := range permits.Steps {
		failures = append(failures, r.permitStep(ctx, fleet, step))
	}
	return permits.Again, errors.Join(failures...)
}

func (r *NodeConfigReconciler) permitStep(ctx context.Context, fleet *fleet, step rollout.PermitStep) error {
	node, object := step.Node, fleet.objects[step.Node.Name]
	switch step.Action {
	case rollout.BeginDrain:
		if object == nil { // nothing to cordon, and no pod can be bound to it
			return r.setPermit(ctx, fleet, node, node.Status.Pending.Plan)
		}
		return r.beginDrain(ctx, fleet, node, object)
	case rollout.RenewDrain:
		return r.renewDrain(ctx, fleet, node, object)
	case rollout.Grant:
		return r.setPermit(ctx, fleet, node, node.Status.Pending.Plan)
	default:
		return r.finishDrain(ctx, fleet, node, object)
	}
}

func (r *NodeConfigReconciler) beginDrain(ctx context.Context, fleet *fleet, node *v1alpha1.NodeState, object *corev1.Node) error {
	patch, err := nodeobject.Begin(object, node.Status.Pending.Plan, r.now())
	if err != nil {
		return err
	}
	if err := r.patchObject(ctx, fleet, object, patch); err != nil {
		return err
	}
	publish(r.events, drainStarted(node))
	return nil
}

// renewDrain goes on for another plan than before. An attempt that was done starts its time anew;
// one that was not keeps it, or an agent that changes its mind would never come to its end.
func (r *NodeConfigReconciler) renewDrain(ctx context.Context, fleet *fleet, node *v1alpha1.NodeState, object *corev1.Node) error {
	drain := *fleet.evidence[node.Name].Drain
	if drain.Drained {
		drain.Started = r.now()
	}
	drain.Plan, drain.Drained = node.Status.Pending.Plan, false
	patch, err := drain.Store()
	if err != nil {
		return err
	}
	return r.patchObject(ctx, fleet, object, patch)
}

// finishDrain uncordons before it takes the permit back: the permit is what a manager that was
// stopped between the two finds again.
func (r *NodeConfigReconciler) finishDrain(ctx context.Context, fleet *fleet, node *v1alpha1.NodeState, object *corev1.Node) error {
	if object != nil {
		if patch := nodeobject.End(object); !patch.Empty() {
			if err := r.patchObject(ctx, fleet, object, patch); err != nil {
				return err
			}
			publish(r.events, drainFinished(node, patch.Unschedulable != nil))
		}
	}
	return r.setPermit(ctx, fleet, node, "")
}

func (r *NodeConfigReconciler) patchObject(ctx context.Context, fleet *fleet, object *corev1.Node, patch nodeobject.Patch) error {
	after, err := patchNode(ctx, r.client, object, patch)
	if err != nil {
		return err
	}
	fleet.observeObject(after)
	return nil
}

// setPermit writes spec.permit; "" takes it back.
func (r *NodeConfigReconciler) setPermit(ctx context.Context, fleet *fleet, node *v1alpha1.NodeState, plan v1alpha1.PlanHash) error {
	if node.Spec.Permit == plan {
		return nil
	}
	after := node.DeepCopy()
	after.Spec.Permit = plan
	if err := r.client.Patch(ctx, after, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("permit plan %q to NodeState %s: %w", plan, node.Name, err)
	}
	fleet.replace(after)
	if plan != "" {
		permitsTotal.Inc()
		publish(r.events, planPermitted(after))
	}
	return nil
}

// podCIDRTrouble says what is wrong with the governed nodes' shares of the network.
func (f *fleet) podCIDRTrouble(network v1alpha1.NetworkConfigSpec) *rollout.Stall {
	var governed, all []*corev1.Node
	for _, n := range f.governed {
		if object := f.objects[n.Name]; object != nil && (hasNode(n) || f.evidence[n.Name].Outside) {
			governed = append(governed, object)
		}
	}
	for _, object := range f.objects {
		all = append(all, object)
	}
	return rollout.PodCIDRTrouble(network, governed, rollout.Shares(all))
}
