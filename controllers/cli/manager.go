package cli

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/sign"
)

// managerLease is the name of the Lease that the leading manager holds.
const managerLease = "seedbed-manager"

// managerOptions are the flags of `seedbed manager`.
type managerOptions struct {
	kubeconfig  string
	leaderElect bool
	metrics     string
	health      string
	signingCert string
	signingKey  string
	log         logOptions
}

func newManagerCommand() *cobra.Command {
	var o managerOptions
	c := &cobra.Command{
		Use:   "manager",
		Short: "Decide which node is to be at which configuration",
		Long: `Watch NodeConfigs, NetworkConfigs and the NodeStates of all nodes: find the NodeConfig that governs
each node, cut revisions, hand them out as fast as rollout.maxUnavailable allows, let each agent
read what it is assigned and nothing else, and show in NodeConfig.status how far it is. Let nodes
join that have a token of "seedbed seed token create", and approve the certificates of their agents,
kube-proxies, flannels and kubelets.

Several managers may run; the one that holds the lease ` + v1alpha1.Namespace + "/" + managerLease + ` works.`,
		Example: `  # Beside a seed
  seedbed manager --kubeconfig ./seed/manager.kubeconfig

  # In a cluster, as the Helm chart runs it
  seedbed manager --metrics-bind-address :8080 --health-probe-bind-address :8081`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			saveMemory()
			log := o.log.logger(cmd.ErrOrStderr())
			klog.SetLogger(log) // client-go's own words in the same form; before anything of it runs
			return o.run(cmd.Context(), log)
		},
	}
	f := c.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the manager (default: $KUBECONFIG, else the pod's service account)")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "wait for the lease before doing anything, so that one of several managers works")
	f.StringVar(&o.metrics, "metrics-bind-address", "127.0.0.1:9465", "address of the Prometheus metrics; 0 is off")
	f.StringVar(&o.health, "health-probe-bind-address", "0", "address of /healthz and /readyz, such as :8081; 0 is off")
	f.StringVar(&o.signingCert, "signing-cert", "", "certificate of the authority to sign approved certificates with, where no kube-controller-manager signs them")
	f.StringVar(&o.signingKey, "signing-key", "", "key of --signing-cert")
	o.log.addFlags(c)
	return c
}

// run works until ctx is done, and gives the lease back then.
func (o *managerOptions) run(ctx context.Context, log logr.Logger) error {
	ctrl.SetLogger(log)
	config, err := o.config()
	if err != nil {
		return err
	}
	mgr, err := o.manager(config)
	if err != nil {
		return err
	}
	log.Info("starting manager", "version", Version, "server", config.Host, "leaderElect", o.leaderElect)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	return nil
}

// config reads the kubeconfig. Requests are not held back here: the API server's priority and
// fairness does that with more knowledge.
func (o *managerOptions) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %q: %w", o.kubeconfig, err)
	}
	config.QPS = -1
	return config, nil
}

func (o *managerOptions) manager(config *rest.Config) (ctrl.Manager, error) {
	options, err := controllers.ManagerOptions()
	if err != nil {
		return nil, err
	}
	options.LeaderElection = o.leaderElect
	options.LeaderElectionID = managerLease
	options.LeaderElectionNamespace = v1alpha1.Namespace
	options.LeaderElectionReleaseOnCancel = true // the process ends with the manager
	options.Metrics = metricsserver.Options{BindAddress: o.metrics}
	options.HealthProbeBindAddress = o.health
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	services, err := o.services()
	if err != nil {
		return nil, err
	}
	return mgr, controllers.SetupManager(mgr, services)
}

// services reads the authority, where there is one to sign with.
func (o *managerOptions) services() (controllers.Services, error) {
	switch {
	case o.signingCert == "" && o.signingKey == "":
		return controllers.Services{}, nil
	case o.signingCert == "" || o.signingKey == "":
		return controllers.Services{}, fmt.Errorf("--signing-cert %q and --signing-key %q: give both, or neither", o.signingCert, o.signingKey)
	}
	authority, err := sign.Load(o.signingCert, o.signingKey)
	if err != nil {
		return controllers.Services{}, fmt.Errorf("--signing-cert: %w", err)
	}
	return controllers.Services{Authority: authority}, nil
}
