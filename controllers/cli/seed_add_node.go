package cli

import (
	"io"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers/seed"
)

func newSeedAddNodeCommand() *cobra.Command {
	var o seed.NodeOptions
	c := &cobra.Command{
		Use:   "add-node NAME",
		Short: "Register a node with a running seed and write its agent's kubeconfig",
		Long: `Register a node with a running seed: the manager then creates its NodeState with the labels given
here, which decide which NodeConfig governs it and which the node itself cannot change. The seed's
authority signs a client certificate for the node's agent, and a kubeconfig with it is written,
readable by nobody else. Bring that file to the node over a channel you trust.

Doing it again with the same labels changes nothing, except that a certificate near its end is
renewed.`,
		Example: `  seedbed seed add-node node-a --labels role=worker --data-dir ./seed
  seedbed seed add-node node-b --labels role=worker,zone=a --data-dir ./seed -o node-b.kubeconfig`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			result, err := seed.AddNode(cmd.Context(), o)
			if err != nil {
				return err
			}
			printAddedNode(cmd.OutOrStdout(), o.Name, result)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.DataDir, "data-dir", defaultSeedDir, "the seed's data dir")
	f.StringSliceVarP(&o.Labels, "labels", "l", nil, "labels of the node's NodeState, as key=value,key=value")
	f.StringVarP(&o.Output, "output", "o", "", "kubeconfig to write (default: nodes/NAME.kubeconfig in the data dir)")
	return c
}

func printAddedNode(w io.Writer, name string, r seed.NodeResult) {
	if r.Registered {
		say(w, "node %s registered\n", name)
	} else {
		say(w, "node %s is registered already, with the same labels\n", name)
	}
	if r.Issued != "" {
		say(w, "kubeconfig %s written (%s)\n", r.Kubeconfig, r.Issued)
	} else {
		say(w, "kubeconfig %s kept\n", r.Kubeconfig)
	}
	say(w, "start its agent:  on %s, as root:  seedbed agent --kubeconfig FILE --node-name %s\n", name, name)
	say(w, "                  for a folder:  seedbed agent --kubeconfig %s --node-name %s --host-root DIR --facts FILE\n", r.Kubeconfig, name)
}
