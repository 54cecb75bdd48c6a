package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/schema"
)

// agentOptions are the flags of `seedbed agent`.
type agentOptions struct {
	kubeconfig string
	nodeName   string
	hostRoot   string
	facts      string
	resync     time.Duration
	metrics    string
	log        logOptions
}

func newAgentCommand() *cobra.Command {
	var o agentOptions
	c := &cobra.Command{
		Use:   "agent --kubeconfig FILE",
		Short: "Keep this host as its NodeState says",
		Long: `Keep one host as its NodeState says: render the assigned revision, make the host agree, repair
what somebody else changes, and report. It works from the revision kept on disk while the API
server is away.

With --host-root it keeps the files below a folder instead, for image builds and tests: nothing
runs there, so changes to the running system are recorded and deferred, and the node is Prepared
but never Ready.`,
		Example: `  # On a node, as root; a systemd service runs it so
  seedbed agent --kubeconfig /etc/seedbed/agent.kubeconfig

  # A host root
  seedbed agent --kubeconfig node-a.kubeconfig --node-name node-a --host-root ./node-a --facts node-a.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			saveMemory()
			if err := o.complete(); err != nil {
				return err
			}
			return o.run(cmd.Context(), o.log.logger(cmd.ErrOrStderr()))
		},
	}
	f := c.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "/etc/seedbed/agent.kubeconfig", "kubeconfig of this node's agent")
	f.StringVar(&o.nodeName, "node-name", "", "name of the node's NodeState (default: the host's name in lower case)")
	f.StringVar(&o.hostRoot, "host-root", "/", "root folder of the host; other than / it is a host root without a running system")
	f.StringVar(&o.facts, "facts", "", "facts file of a host root; required with --host-root and only there")
	f.DurationVar(&o.resync, "resync", time.Minute, "time between looks at what sends no events (units, sysctls, chains)")
	f.StringVar(&o.metrics, "metrics-bind-address", "0", "address of the Prometheus metrics, such as 127.0.0.1:9464; 0 is off")
	o.log.addFlags(c)
	return c
}

// complete fills in defaults and checks the flags against each other.
func (o *agentOptions) complete() error {
	o.hostRoot = filepath.Clean(o.hostRoot)
	offline := o.hostRoot != "/"
	switch {
	case offline && o.facts == "":
		return fmt.Errorf("--host-root %s needs --facts: what the host is cannot be found out while it does not run", o.hostRoot)
	case !offline && o.facts != "":
		return errors.New("--facts is for host roots only: a running host's facts are read from it; remove --facts or give --host-root")
	case o.resync < time.Second:
		return fmt.Errorf("--resync %s is too short: use 1s or more", o.resync)
	}
	if o.nodeName == "" {
		name, err := o.hostName()
		if err != nil {
			return err
		}
		o.nodeName = strings.ToLower(name)
	}
	if errs := validation.IsDNS1123Label(o.nodeName); len(errs) > 0 {
		return fmt.Errorf("--node-name %q: %s", o.nodeName, errs[0])
	}
	return nil
}

func (o *agentOptions) hostName() (string, error) {
	if o.facts == "" {
		return os.Hostname()
	}
	facts, err := loadFacts(o.facts)
	return facts.Hostname, err
}

func (o *agentOptions) run(ctx context.Context, log logr.Logger) (err error) {
	ctrl.SetLogger(log)
	if err := o.checkProgram(); err != nil {
		return err
	}
	lock, err := linux.AcquireLock(o.hostRoot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	h, err := o.host()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	agent, watcher, err := o.agent(h, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watcher.Close()) }()
	options, err := controllers.AgentOptions(o.nodeName)
	if err != nil {
		return err
	}
	options.Metrics = metricsserver.Options{BindAddress: o.metrics}
	log.Info("starting agent", "node", o.nodeName, "hostRoot", o.hostRoot, "version", Version)
	return controllers.RunAgent(ctx, config, agent, options)
}

// checkProgram: docker's units run this program by its path, and docker would not start without it.
func (o *agentOptions) checkProgram() error {
	if o.hostRoot != "/" {
		return nil
	}
	if _, err := os.Stat(resolve.PathSeedbed); err != nil {
		return fmt.Errorf("%s is missing, and docker's units run it: install this program there: %w", resolve.PathSeedbed, err)
	}
	return nil
}

func (o *agentOptions) host() (host.Host, error) {
	if o.hostRoot == "/" {
		return linux.Live()
	}
	facts, err := loadFacts(o.facts)
	if err != nil {
		return host.Host{}, err
	}
	return linux.Offline(o.hostRoot, facts)
}

func (o *agentOptions) agent(h host.Host, log logr.Logger) (*controllers.Agent, *linux.Watcher, error) {
	book, err := apply.Open(h.Store)
	if err != nil {
		return nil, nil, err
	}
	if book.Rebuilt != "" {
		log.Info("the ledger was damaged and is started anew; what was there before Seedbed is no longer known", "damage", book.Rebuilt)
	}
	if err := cleanTemps(o.hostRoot, book, log); err != nil {
		return nil, nil, err
	}
	watcher := linux.NewWatcher(o.hostRoot)
	agent := &controllers.Agent{
		Pipeline: &controllers.Pipeline{
			NodeName: o.nodeName, Host: h, Book: book, Validate: validateOnce,
			Now: time.Now, Log: log.WithName("pass"),
		},
		Cache: controllers.AssignmentCache{Store: h.Store}, Watcher: watcher,
		Certificates: !h.Offline, Resync: o.resync, Jitter: rand.Float64, Log: log.WithName("agent"),
	}
	if err := agent.Init(); err != nil {
		return nil, nil, errors.Join(err, watcher.Close())
	}
	return agent, watcher, nil
}

// cleanTemps removes what a killed agent left of writes and checks it had begun.
func cleanTemps(root string, book *apply.Book, log logr.Logger) error {
	removed, err := linux.CleanTemps(root, book.Folders())
	if len(removed) > 0 {
		log.Info("removed unfinished writes of an earlier run", "files", removed)
	}
	if root == "/" {
		err = errors.Join(err, linux.CleanTrials())
	}
	return err
}

// validateOnce checks a revision by the rules of the CRDs and gives the memory back: compiling the
// rules takes more of it than all else the agent does, and new revisions are rare.
func validateOnce(rev revision.Revision) field.ErrorList {
	defer debug.FreeOSMemory()
	validator, err := schema.New()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	return validator.ValidateRevision(rev)
}
