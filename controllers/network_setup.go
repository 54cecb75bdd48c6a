package controllers

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/flannelstore"
	"seedbed.dev/seedbed/controllers/nodeobject"
	"seedbed.dev/seedbed/controllers/revision"
)

// networkWorkers is how many networks are looked at together: a write to an etcd that hangs takes
// seconds.
const networkWorkers = 4

func setupNetworkConfig(mgr ctrl.Manager, r *NetworkConfigReconciler) error {
	w, etcd := wakes{client: mgr.GetClient()}, &etcdChanges{}
	r.etcd, r.repairs, r.tenants = flannelstore.NewFollower(etcd.of), newRepairs(), newTenants()
	if err := mgr.Add(r.etcd); err != nil {
		return err
	}
	specChanged := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.NetworkConfig{}, specChanged).
		Watches(&v1alpha1.NetworkConfig{}, handler.EnqueueRequestsFromMapFunc(w.allNetworkConfigs), specChanged).
		Watches(&v1alpha1.NodeConfig{}, handler.EnqueueRequestsFromMapFunc(networkOfNodeConfig)).
		Watches(&v1alpha1.NodeState{}, w.departures(r.tenants, r.now), builder.WithPredicates(stateMattersToNetwork())).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(w.allNetworkConfigs), builder.WithPredicates(leaseMatters())).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(w.networkConfigsOfSecret)).
		WatchesRawSource(source.Func(etcd.start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: networkWorkers}).
		Complete(r)
}

// etcdChanges wakes a NetworkConfig when its etcd holds something new.
type etcdChanges struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (c *etcdChanges) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = queue
	return nil
}

// of is called after start: only a pass makes the follower follow.
func (c *etcdChanges) of(network string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.Add(request(network))
}

// departures wakes every network for a NodeState, and takes note of one that was deleted. One that was
// found missing after a pause in the watch may never have been: its lease is left to expire.
func (w wakes) departures(t *tenants, now func() time.Time) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	all := handler.EnqueueRequestsFromMapFunc(w.allNetworkConfigs)
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { all.Create(ctx, e, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { all.Update(ctx, e, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			if !e.DeleteStateUnknown {
				t.leave(e.Object.GetName(), now())
			}
			all.Delete(ctx, e, q)
		},
	}
}

// stateMattersToNetwork lets through what says whose a lease is.
func stateMattersToNetwork() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.NodeState)
		now, also := e.ObjectNew.(*v1alpha1.NodeState)
		return !ok || !also || before.Generation != now.Generation || !equality.Semantic.DeepEqual(interfacesOf(before), interfacesOf(now))
	}}
}

func interfacesOf(n *v1alpha1.NodeState) []v1alpha1.InterfaceFacts {
	if n.Status.Facts == nil {
		return nil
	}
	return n.Status.Facts.Interfaces
}

// leaseMatters lets through what of a Node is a lease, and whether it may be released.
func leaseMatters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		now, also := e.ObjectNew.(*corev1.Node)
		return !ok || !also || before.Spec.PodCIDR != now.Spec.PodCIDR || nodeobject.Gone(before) != nodeobject.Gone(now) ||
			before.Annotations[publicIPAnnotation] != now.Annotations[publicIPAnnotation]
	}}
}

// networkMatters lets through what a NodeConfig's revision depends on: what a network is to be,
// whether flannel's etcd is told, and whether it has leases.
func networkMatters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.NetworkConfig)
		now, also := e.ObjectNew.(*v1alpha1.NetworkConfig)
		return !ok || !also || before.Generation != now.Generation || !equality.Semantic.DeepEqual(before.Status.Published, now.Status.Published) ||
			publishedReason(before) != publishedReason(now) || leasedIn(before) != leasedIn(now)
	}}
}

// leasedIn tells a network whose leases were not looked at from one without any, and that from the rest.
func leasedIn(n *v1alpha1.NetworkConfig) int32 {
	if n.Status.Leases == nil {
		return -1
	}
	return min(n.Status.Leases.Count, 1)
}

func publishedReason(n *v1alpha1.NetworkConfig) string {
	if c := meta.FindStatusCondition(n.Status.Conditions, v1alpha1.ConditionPublished); c != nil {
		return c.Reason
	}
	return ""
}

// networkConfigsOfSecret are those whose etcd wants it.
func (w wakes) networkConfigsOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var networks v1alpha1.NetworkConfigList
	if err := w.client.List(ctx, &networks, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing NetworkConfigs")
		return nil
	}
	var requests []reconcile.Request
	for i := range networks.Items {
		if slices.Contains(revision.Revision{Network: networks.Items[i].Spec}.EtcdSecretNames(), secret.GetName()) {
			requests = append(requests, request(networks.Items[i].Name))
		}
	}
	return requests
}
