package controllers

import (
	"context"
	"maps"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/revision"
)

// wakes answers which objects a change of another object concerns. It reads the cache only; when
// even that fails, nothing is woken and the failure is logged, since a handler cannot return it.
type wakes struct{ client client.Reader }

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

// nodeConfigs are those for which a test is true.
func (w wakes) nodeConfigs(ctx context.Context, concerned func(*v1alpha1.NodeConfig) bool) []reconcile.Request {
	var configs v1alpha1.NodeConfigList
	if err := w.client.List(ctx, &configs, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing NodeConfigs")
		return nil
	}
	var requests []reconcile.Request
	for i := range configs.Items {
		if concerned(&configs.Items[i]) {
			requests = append(requests, request(configs.Items[i].Name))
		}
	}
	return requests
}

func (w wakes) allNodeConfigs(ctx context.Context, _ client.Object) []reconcile.Request {
	return w.nodeConfigs(ctx, func(*v1alpha1.NodeConfig) bool { return true })
}

func (w wakes) nodeConfigsOfNetwork(ctx context.Context, network client.Object) []reconcile.Request {
	return w.nodeConfigs(ctx, func(c *v1alpha1.NodeConfig) bool { return c.Spec.NetworkRef.Name == network.GetName() })
}

func (w wakes) nodeConfigsOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	return w.nodeConfigs(ctx, func(c *v1alpha1.NodeConfig) bool {
		var network v1alpha1.NetworkConfig
		// Without its NetworkConfig no Secret matters, and the network's creation wakes it anyway.
		if err := w.client.Get(ctx, client.ObjectKey{Name: c.Spec.NetworkRef.Name}, &network, client.UnsafeDisableDeepCopy); err != nil {
			return false
		}
		return slices.Contains(revision.New(c.Spec, network.Spec).SecretNames(), secret.GetName())
	})
}

// nodeConfigOfRevision goes by the label and the name, since one that is not ours but has the name
// of one stands in the way of it.
func nodeConfigOfRevision(_ context.Context, revision client.Object) []reconcile.Request {
	name := revision.GetLabels()[NodeConfigLabel]
	if i := strings.LastIndex(revision.GetName(), "-"); name == "" && i > 0 {
		name = revision.GetName()[:i]
	}
	if name == "" {
		return nil
	}
	return []reconcile.Request{request(name)}
}

// nodeChanges wakes the NodeConfigs that a NodeState concerns: every one when it comes, goes or is
// labelled anew, since any may govern it now, else the one that assigned it.
func (w wakes) nodeChanges() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	all := func(ctx context.Context, q queue) {
		for _, r := range w.allNodeConfigs(ctx, nil) {
			q.Add(r)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, _ event.CreateEvent, q queue) { all(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { all(ctx, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) {
				all(ctx, q)
				return
			}
			for _, o := range []client.Object{e.ObjectOld, e.ObjectNew} {
				if node, ok := o.(*v1alpha1.NodeState); ok && node.Spec.Config != "" {
					q.Add(request(node.Spec.Config))
				}
			}
		},
	}
}

func networkOfNodeConfig(_ context.Context, config client.Object) []reconcile.Request {
	if c, ok := config.(*v1alpha1.NodeConfig); ok {
		return []reconcile.Request{request(c.Spec.NetworkRef.Name)}
	}
	return nil
}

func (w wakes) allNetworkConfigs(ctx context.Context, _ client.Object) []reconcile.Request {
	var networks v1alpha1.NetworkConfigList
	if err := w.client.List(ctx, &networks, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing NetworkConfigs")
		return nil
	}
	var requests []reconcile.Request
	for i := range networks.Items {
		requests = append(requests, request(networks.Items[i].Name))
	}
	return requests
}

func registrationOfNode(_ context.Context, node client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName(node.GetName()),
	}}}
}

// nodeOfAccess goes by the label that the cache selects by; an owner's kind would have to be looked up
// for each of them.
func nodeOfAccess(_ context.Context, object client.Object) []reconcile.Request {
	node := object.GetLabels()[NodeLabel]
	if node == "" {
		return nil
	}
	return []reconcile.Request{request(node)}
}

// requestsOfNode are the certificate signing requests that wait for the node.
func (w wakes) requestsOfNode(ctx context.Context, node client.Object) []reconcile.Request {
	var list certificatesv1.CertificateSigningRequestList
	if err := w.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing certificate signing requests")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		csr := &list.Items[i]
		if !undecided(csr) {
			continue
		}
		if claim, ours := approve.Read(requestOf(csr)); ours && claim.Node == node.GetName() {
			requests = append(requests, request(csr.Name))
		}
	}
	return requests
}

// isForOurSigners lets the requests through that could be a node's.
func isForOurSigners() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool {
		csr, ok := o.(*certificatesv1.CertificateSigningRequest)
		return ok && slices.Contains(approve.Signers(), csr.Spec.SignerName)
	})
}

// onlyDeletions lets only the end of an object through.
func onlyDeletions() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// isRegistration is the same as the cache's selector for ConfigMaps and more.
func isRegistration() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool {
		_, ok := o.(*corev1.ConfigMap)
		return ok && v1alpha1.IsRegistration(o)
	})
}
