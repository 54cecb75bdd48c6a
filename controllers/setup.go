package controllers

import (
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/sign"
)

// Labels of objects that the manager makes.
const (
	// NodeConfigLabel on a ControllerRevision has the name of its NodeConfig.
	NodeConfigLabel = "seedbed.dev/nodeconfig"
	// NetworkConfigLabel on a ControllerRevision has the name of the NetworkConfig in it.
	NetworkConfigLabel = "seedbed.dev/networkconfig"
	// NodeLabel on the RBAC objects of a node's agent has the node's name.
	NodeLabel = "seedbed.dev/node"
)

const (
	// fieldOwner is the manager's name in managedFields, and reports its events.
	fieldOwner = "seedbed-manager"
	// passTimeout bounds one pass, reading back what was written included.
	passTimeout = time.Minute
	// accessWorkers is how many nodes' RBAC objects are made, and requests decided, at once when many
	// nodes join.
	accessWorkers = 4
)

// NewScheme returns the kinds of Kubernetes and of Seedbed.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	return scheme, nil
}

// ManagerOptions are the options that the controllers of SetupManager rely on: a cache that holds
// no more than they use, and reads that see the process's own writes, without which two passes in
// quick succession could take more nodes than rollout.maxUnavailable allows.
func ManagerOptions() (ctrl.Options, error) {
	scheme, err := NewScheme()
	if err != nil {
		return ctrl.Options{}, err
	}
	cached, err := managerCache()
	if err != nil {
		return ctrl.Options{}, err
	}
	consistent := true
	return ctrl.Options{
		Scheme: scheme,
		Cache:  cached,
		Client: client.Options{
			FieldOwner: fieldOwner,
			Cache:      &client.CacheOptions{EnableReadYourWritesConsistency: &consistent},
		},
		Controller: config.Controller{ReconciliationTimeout: passTimeout},
	}, nil
}

// Services are what a manager is given beside the API. The zero value is right for a cluster that has
// a kube-controller-manager.
type Services struct {
	// Authority signs the certificates that are approved; nil where kube-controller-manager does.
	Authority *sign.Authority
}

// SetupManager adds the manager's controllers to mgr, which must have been made with
// ManagerOptions.
func SetupManager(mgr ctrl.Manager, services Services) error {
	registerManagerMetrics()
	c, events := mgr.GetClient(), mgr.GetEventRecorder(fieldOwner)
	access := &access{client: c}
	err := errors.Join(
		setupNodeConfig(mgr, &NodeConfigReconciler{client: c, events: events, access: access, now: time.Now}),
		setupNetworkConfig(mgr, &NetworkConfigReconciler{client: c, direct: mgr.GetAPIReader(), events: events, now: time.Now}),
		setupNodeState(mgr, &NodeStateReconciler{access: access}),
		setupNode(mgr, &NodeReconciler{client: c, direct: mgr.GetAPIReader(), events: events}),
		setupDrain(mgr, &DrainReconciler{client: c, direct: mgr.GetAPIReader(), events: events, now: time.Now}),
		setupRegistration(mgr, &RegistrationReconciler{client: c, events: events}),
		setupCertificates(mgr, &CertificateReconciler{
			client: c, live: mgr.GetAPIReader(), events: events, now: time.Now, authority: services.Authority,
		}),
	)
	if err != nil {
		return fmt.Errorf("set up controllers: %w", err)
	}
	return nil
}

// setupNodeConfig leaves the concurrency at one: two NodeConfigs that hand a node over must not
// both count it.
func setupNodeConfig(mgr ctrl.Manager, r *NodeConfigReconciler) error {
	w := wakes{client: mgr.GetClient()}
	specChanged := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.NodeConfig{}, specChanged).
		Watches(&v1alpha1.NodeConfig{}, handler.EnqueueRequestsFromMapFunc(w.allNodeConfigs), specChanged).
		Watches(&v1alpha1.NetworkConfig{}, handler.EnqueueRequestsFromMapFunc(w.nodeConfigsOfNetwork), builder.WithPredicates(networkMatters())).
		Watches(&v1alpha1.NodeState{}, w.nodeChanges()).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(w.nodeConfigsOfNode), builder.WithPredicates(nodeMatters())).
		Watches(&appsv1.ControllerRevision{}, handler.EnqueueRequestsFromMapFunc(nodeConfigOfRevision)).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(w.nodeConfigsOfSecret)).
		Complete(r)
}

func setupNodeState(mgr ctrl.Manager, r *NodeStateReconciler) error {
	ofNode := handler.EnqueueRequestsFromMapFunc(nodeOfAccess)
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.NodeState{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&rbacv1.ClusterRole{}, ofNode).
		Watches(&rbacv1.ClusterRoleBinding{}, ofNode).
		Watches(&rbacv1.Role{}, ofNode).
		Watches(&rbacv1.RoleBinding{}, ofNode).
		WithOptions(controller.Options{MaxConcurrentReconciles: accessWorkers}).
		Complete(r)
}

func setupCertificates(mgr ctrl.Manager, r *CertificateReconciler) error {
	w := wakes{client: mgr.GetClient()}
	return ctrl.NewControllerManagedBy(mgr).
		For(&certificatesv1.CertificateSigningRequest{}, builder.WithPredicates(isForOurSigners())).
		Watches(&v1alpha1.NodeState{}, handler.EnqueueRequestsFromMapFunc(w.requestsOfNode), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: accessWorkers}).
		Complete(r)
}

func setupRegistration(mgr ctrl.Manager, r *RegistrationReconciler) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("registration").
		For(&corev1.ConfigMap{}, builder.WithPredicates(isRegistration())).
		Watches(&v1alpha1.NodeState{}, handler.EnqueueRequestsFromMapFunc(registrationOfNode), builder.WithPredicates(onlyDeletions())).
		Complete(r)
}
