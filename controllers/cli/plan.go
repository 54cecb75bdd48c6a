package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

func newPlanCommand() *cobra.Command {
	var in offlineInput
	var output, hostRoot string
	c := &cobra.Command{
		Use:   "plan -f FILE --facts FILE [--host-root DIR]",
		Short: "Print what would change on a node, why, and what it would disturb",
		Long: `Print the steps that would bring a node to what its NodeConfig says, each with its reason and
what it costs: None, Reload, Restart, Recreate or Reboot. Nothing is changed.

With --host-root the node is compared with that host root and with what Seedbed's ledger there
says it owns, and Secrets that no file has are those the agent keeps there; without it, the node is
compared with an empty host. Where packages or binaries bring the programs, and the facts do not
have them yet, the plan is what has to be installed first, and says so.`,
		Example: `  # Everything a new node needs
  seedbed plan -f config/samples/guide --facts config/samples/guide/facts/node-a.yaml

  # What an edited file would change on a prepared host root
  seedbed plan -f edited/ --facts node-a.yaml --host-root /srv/images/node-a`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, p, err := in.plan(cmd, hostRoot)
			if err != nil {
				return err
			}
			if output != outputText {
				return encode(cmd.OutOrStdout(), output, planView{node.name, node.revision, p.Disruption(), node.rest(), p})
			}
			say(cmd.OutOrStdout(), "Node %s, revision %s\n%s", node.name, node.revision, p)
			node.sayRest(cmd.OutOrStdout(), "")
			return nil
		},
	}
	in.addFlags(c)
	addOutputFlag(c, &output)
	c.Flags().StringVar(&hostRoot, "host-root", "", "host root to compare with (default: an empty host)")
	return c
}

type planView struct {
	Node       string           `json:"node"`
	Revision   string           `json:"revision"`
	Disruption state.Disruption `json:"disruption"`
	// Missing is why the rest of the node can be planned only once this is installed.
	Missing []string `json:"missing,omitempty"`
	plan.Plan
}

func (in *offlineInput) plan(cmd *cobra.Command, hostRoot string) (offlineNode, plan.Plan, error) {
	if hostRoot == "" {
		node, err := in.node(cmd.InOrStdin(), nil)
		return node, plan.New(node.desired, nothing(node.desired), state.NewLedger()), err
	}
	facts, err := loadFacts(in.facts)
	if err != nil {
		return offlineNode{}, plan.Plan{}, err
	}
	h, err := linux.Offline(hostRoot, facts)
	if err != nil {
		return offlineNode{}, plan.Plan{}, err
	}
	defer h.Close() //nolint:errcheck // nothing was written
	kept, err := keptSecrets(h.Store)
	if err != nil {
		return offlineNode{}, plan.Plan{}, fmt.Errorf("host root %s: %w", hostRoot, err)
	}
	node, err := in.node(cmd.InOrStdin(), kept)
	if err != nil {
		return offlineNode{}, plan.Plan{}, err
	}
	ledger, err := apply.Peek(h.Store)
	if err != nil {
		return offlineNode{}, plan.Plan{}, fmt.Errorf("host root %s: %w", hostRoot, err)
	}
	observed := host.Observe(cmd.Context(), h, node.desired, ledger)
	return node, plan.New(node.desired, observed, ledger), nil
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
