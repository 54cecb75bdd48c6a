package controllers

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// agentName reports an agent's events, and owns the fields of the statuses it writes.
const agentName = "seedbed-agent"

// agentMapper knows the few kinds an agent uses, so that it asks no API server for them: one that is
// away when the agent starts must not keep it from starting.
func agentMapper(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	m := meta.NewDefaultRESTMapper(nil)
	m.Add(v1alpha1.GroupVersion.WithKind("NodeState"), meta.RESTScopeRoot)
	m.Add(appsv1.SchemeGroupVersion.WithKind("ControllerRevision"), meta.RESTScopeNamespace)
	m.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	m.Add(eventsv1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	return m, nil
}

// agentScheme is the groups of the kinds that an agent uses: those of all of Kubernetes would be held
// for nothing.
func agentScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, appsv1.AddToScheme, corev1.AddToScheme, eventsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build scheme: %w", err)
		}
	}
	return scheme, nil
}

// AgentOptions are the options that an agent's side of the API relies on: a cache of the node's own
// NodeState, by name, and of nothing else. That is also all a node's role lets it watch.
func AgentOptions(nodeName string) (ctrl.Options, error) {
	scheme, err := agentScheme()
	if err != nil {
		return ctrl.Options{}, err
	}
	consistent := true
	return ctrl.Options{
		Scheme:         scheme,
		MapperProvider: agentMapper,
		Client: client.Options{
			FieldOwner: agentName,
			// The next status is computed from the last one, also when the watch lags behind.
			Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &consistent},
		},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&v1alpha1.NodeState{}: {Field: fields.OneTermEqualSelector("metadata.name", nodeName)},
			},
		},
	}, nil
}

// RunAgent runs an agent on its host, the watch of its NodeState, and the writing of its status,
// until ctx is done or one of them fails. The agent's passes wait for none of the others: an API
// server that is away keeps nothing from being repaired.
func RunAgent(ctx context.Context, config *rest.Config, agent *Agent, options ctrl.Options) error {
	registerAgentMetrics()
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	// The manager's client would watch what it writes, and an agent may not watch events.
	direct, err := client.New(mgr.GetConfig(), client.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
	})
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	log := agent.Log.WithName("status")
	events := newEventWriter(agent.Pipeline.NodeName, direct, agent.Pipeline.Now, log)
	writer := newStatusWriter(agent.Pipeline.NodeName, mgr.GetClient(), events, log)
	agent.Report = writer.Report
	reconciler := &AssignmentReconciler{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Agent: agent}
	if err := reconciler.SetupAgent(mgr); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	if agent.Certificates {
		reporter := newCertificateReporter(agent.Pipeline.NodeName, mgr.GetClient(), events, log)
		renewer := newRenewer(agent, config, reporter)
		group.Go(func() error { return renewer.Run(ctx) })
		group.Go(func() error { return reporter.Run(ctx) })
	}
	group.Go(func() error { return mgr.Start(ctx) })
	group.Go(func() error { return agent.Run(ctx) })
	group.Go(func() error { return writer.Run(ctx) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}
