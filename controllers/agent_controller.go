package controllers

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// AssignmentReconciler watches the agent's own NodeState, gets the revision and the Secrets it
// points at, and hands them to the agent. It reads nothing else and writes nothing.
type AssignmentReconciler struct {
	// Client reads the NodeState from a cache that holds no other object.
	Client client.Reader
	// Reader gets revisions and Secrets by name from the API server.
	Reader client.Reader
	Agent  *Agent
}

// SetupAgent adds the controller to a manager.
func (r *AssignmentReconciler) SetupAgent(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("agent").
		For(&v1alpha1.NodeState{}).
		WithEventFilter(predicate.Or(predicate.GenerationChangedPredicate{}, madeAnew)).
		// An API server that is away must not end the agent, however long it stays away.
		WithOptions(controller.Options{CacheSyncTimeout: math.MaxInt64 * time.Nanosecond}).
		Complete(r)
}

// madeAnew lets a NodeState through that was deleted and made again while the watch was away, which
// is an update to the cache: its generation may well be the same.
var madeAnew = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc:  func(e event.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() },
}

// Reconcile hands the present assignment to the agent. A NodeState that is gone changes nothing:
// removal is only ever explicit.
func (r *AssignmentReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var node v1alpha1.NodeState
	if err := r.Client.Get(ctx, req.NamespacedName, &node); err != nil {
		if client.IgnoreNotFound(err) == nil {
			ctrl.LoggerFrom(ctx).Info("NodeState is gone; keeping the host as it is")
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	assignment, err := r.assignment(ctx, &node)
	if err != nil {
		return ctrl.Result{}, err
	}
	r.Agent.Assign(assignment)
	return ctrl.Result{}, nil
}

// assignment gets what the NodeState points at, or takes it from the assignment the agent has.
func (r *AssignmentReconciler) assignment(ctx context.Context, node *v1alpha1.NodeState) (*Assignment, error) {
	a := &Assignment{Generation: node.Generation, Revision: node.Spec.Revision, Pins: node.Spec.Secrets, Permit: node.Spec.Permit}
	if a.Revision == "" {
		return a, nil
	}
	if has := r.Agent.Assigned(); has != nil && !has.Trimmed && has.Revision == a.Revision && slices.Equal(has.Pins, a.Pins) {
		a.Data, a.Contents = has.Data, has.Contents
		return a, nil
	}
	var rev appsv1.ControllerRevision
	key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: a.Revision}
	if err := r.Reader.Get(ctx, key, &rev); err != nil {
		return nil, fmt.Errorf("get revision %s: %w", a.Revision, err)
	}
	a.Data = rev.Data.Raw
	contents, err := r.contents(ctx, a.Pins)
	if err != nil {
		return nil, err
	}
	a.Contents = contents
	return a, nil
}

// contents gets the pinned Secrets. One at another version than the one pinned is an error that
// passes: the manager will pin the new version when its rollout comes to this node.
func (r *AssignmentReconciler) contents(ctx context.Context, pins []v1alpha1.PinnedSecret) (map[v1alpha1.SecretKeyReference]state.Sensitive, error) {
	contents := map[v1alpha1.SecretKeyReference]state.Sensitive{}
	for _, pin := range pins {
		var secret corev1.Secret
		if err := r.Reader.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: pin.Name}, &secret); err != nil {
			return nil, fmt.Errorf("get secret %s: %w", pin.Name, err)
		}
		if secret.UID != pin.UID || secret.ResourceVersion != pin.ResourceVersion {
			return nil, fmt.Errorf("secret %s has changed since it was pinned; waiting for the manager to pin it anew", pin.Name)
		}
		for key, content := range secret.Data {
			contents[v1alpha1.SecretKeyReference{Name: pin.Name, Key: key}] = state.NewSensitive(content)
		}
	}
	return contents, nil
}
