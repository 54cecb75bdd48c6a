package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/forecast"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/join"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func newPlanCommand() *cobra.Command {
	var in offlineInput
	var output, hostRoot, kubeconfig string
	c := &cobra.Command{
		Use:   "plan [-f FILE] [--node-name NAME] | plan -f FILE {--host-root / | --facts FILE [--host-root DIR]}",
		Short: "Print what would change on nodes, why, and what it would disturb",
		Long: `Print the steps that would bring nodes to what their NodeConfig says, each with its reason and
what it costs: None, Reload, Restart, Recreate or Reboot. Nothing is changed.

Without --facts and --host-root the nodes are those of a cluster, or the one of them that --node-name
names: what would become of them if the files were applied, or without files what the objects that
are there have yet to bring. They are compared with what their agents report, so that a plan here does
not show what somebody else changed on a node.

With --host-root / the node is this machine, which is looked at as its agent does; that takes root.
With another folder it is the host root there, described by --facts. Both are compared with what
Seedbed's ledger there says it owns, and Secrets that no file has are those the agent keeps there.
With --facts alone the node is compared with an empty host.

A plan goes to the end: with what packages and binaries will bring, and with what waits for the
manager's permit or for flannel. Where that cannot be told it says what is missing.`,
		Example: `  # What an edited file would change on the nodes of a cluster, and what it would disturb
  seedbed plan -f edited/ --kubeconfig admin.kubeconfig

  # The same on one node, compared with the machine itself
  ssh node-a sudo seedbed plan -f - --host-root / < edited.yaml

  # Everything a new node needs
  seedbed plan -f config/samples/guide --facts config/samples/guide/facts/node-a.yaml

  # What an edited file would change on a prepared host root
  seedbed plan -f edited/ --facts node-a.yaml --host-root /srv/images/node-a`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.facts == "" && hostRoot == "" {
				plans, err := in.planCluster(cmd.Context(), cmd.InOrStdin(), kubeconfig)
				if err != nil {
					return err
				}
				return printPlans(cmd.OutOrStdout(), output, plans)
			}
			node, told, err := in.plan(cmd, hostRoot)
			if err != nil {
				return err
			}
			return printPlan(cmd.OutOrStdout(), output, planViewOf(node, told))
		},
	}
	in.addFlags(c)
	addOutputFlag(c, &output)
	c.Flags().StringVar(&hostRoot, "host-root", "", "host root to compare with, / for this machine (default: an empty host)")
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", kubeconfigUsage)
	c.MarkFlagsMutuallyExclusive("kubeconfig", "facts")
	c.MarkFlagsMutuallyExclusive("kubeconfig", "host-root")
	return c
}

func printPlan(w io.Writer, output string, view planView) error {
	if output != outputText {
		return encode(w, output, view)
	}
	view.print(w)
	return nil
}

func printPlans(w io.Writer, output string, plans []nodePlan) error {
	if output != outputText {
		return encode(w, output, plans)
	}
	for i, p := range plans {
		if i > 0 {
			say(w, "\n")
		}
		p.print(w)
	}
	return nil
}

func (in *offlineInput) plan(cmd *cobra.Command, hostRoot string) (offlineNode, forecast.Forecast, error) {
	if len(in.files) == 0 {
		return offlineNode{}, forecast.Forecast{}, errNoFiles
	}
	if hostRoot == "" {
		facts, err := loadFacts(in.facts)
		if err != nil {
			return offlineNode{}, forecast.Forecast{}, err
		}
		return in.foretell(cmd.InOrStdin(), hostKnowledge{facts: facts}, state.NewLedger(), nothing)
	}
	h, err := in.host(hostRoot)
	if err != nil {
		return offlineNode{}, forecast.Forecast{}, err
	}
	defer h.Close() //nolint:errcheck // nothing was written
	known, ledger, err := look(cmd.Context(), h)
	if err != nil {
		return offlineNode{}, forecast.Forecast{}, fmt.Errorf("host root %s: %w", hostRoot, err)
	}
	return in.foretell(cmd.InOrStdin(), known, ledger, func(desired state.Host) state.Host {
		return host.Observe(cmd.Context(), h, desired, ledger)
	})
}

func (in *offlineInput) foretell(stdin io.Reader, known hostKnowledge, ledger state.Ledger, observe func(state.Host) state.Host) (offlineNode, forecast.Forecast, error) {
	node, err := in.read(stdin, known)
	if err != nil {
		return offlineNode{}, forecast.Forecast{}, err
	}
	told, err := forecast.New(forecast.Input{Node: node.input, Observe: observe, Ledger: ledger})
	if err != nil {
		return offlineNode{}, forecast.Forecast{}, node.unrealised(err)
	}
	return node, told, nil
}

var errNoFiles = errors.New("--filename is missing: give the NodeConfig and its NetworkConfig with -f")

// host is this machine, or a host root with the facts that were given.
func (in *offlineInput) host(root string) (host.Host, error) {
	if filepath.Clean(root) != "/" {
		facts, err := loadFacts(in.facts)
		if err != nil {
			return host.Host{}, err
		}
		return linux.Offline(root, facts)
	}
	switch {
	case in.facts != "":
		return host.Host{}, errors.New("--host-root / is this machine, whose facts are read from it: remove --facts, or give another --host-root")
	case os.Geteuid() != 0:
		return host.Host{}, errors.New("--host-root / is this machine, and looking at all of it takes root: run it with sudo")
	}
	return linux.Live()
}

// look finds out what a host is and what the agent keeps there.
func look(ctx context.Context, h host.Host) (hostKnowledge, state.Ledger, error) {
	var known hostKnowledge
	var err error
	if known.facts, err = h.Facts.Facts(ctx); err != nil {
		return known, state.Ledger{}, fmt.Errorf("facts: %w", err)
	}
	if known.secrets, err = keptSecrets(h.Store); err != nil {
		return known, state.Ledger{}, err
	}
	if _, known.kubeletCertified, err = h.Files.Read(resolve.PathKubeletClient); err != nil {
		return known, state.Ledger{}, err
	}
	if known.node, err = join.NodeOf(h); err != nil {
		return known, state.Ledger{}, err
	}
	ledger, err := apply.Peek(h.Store)
	return known, ledger, err
}

// keptSecrets are those the agent keeps on the host, so that a plan does not take a Secret that no
// file has for one that changes.
func keptSecrets(store host.Store) (secretContents, error) {
	assignment, _, err := controllers.AssignmentCache{Store: store}.Load()
	if err != nil || assignment == nil {
		return nil, err
	}
	return assignment.Contents, nil
}

// nothing is an empty host. Units of packages are taken to be there, since the facts say so.
func nothing(desired state.Host) state.Host {
	observed := state.New()
	for name := range desired.Units {
		_, ours := desired.Files[state.UnitFolder+name]
		observed.Units[name] = state.Unit{Missing: ours, Activity: state.Inactive}
	}
	return observed
}
