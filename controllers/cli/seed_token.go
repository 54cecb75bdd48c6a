package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers/seed"
	"seedbed.dev/seedbed/controllers/seed/install"
)

func newSeedTokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make, list and delete the tokens by which nodes join",
		Example: `  seedbed seed token create --labels role=worker --data-dir ./seed
  seedbed seed token list --data-dir ./seed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newSeedTokenCreateCommand(), newSeedTokenListCommand(), newSeedTokenDeleteCommand())
	return c
}

func addAccessFlags(c *cobra.Command, a *seed.Access) {
	c.Flags().StringVar(&a.Kubeconfig, "kubeconfig", "", "kubeconfig of an administrator (default: the one in --data-dir)")
	c.Flags().StringVar(&a.DataDir, "data-dir", defaultSeedDir, "the seed's data dir")
}

func newSeedTokenCreateCommand() *cobra.Command {
	var o seed.TokenOptions
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a token and print the command line that joins a node with it",
		Long: `Make a token by which nodes may join, and print the command line that joins one. The labels decide
which NodeConfig governs the nodes; the nodes cannot change them. The token is a password: whoever
has it can join a machine by any of its names that is free, until it expires or is deleted. The
command line is all that goes to standard output.

A kubelet's serving certificate, which "kubectl logs" and "exec" go by, is approved for addresses
given here, or set later in spec.addresses of the NodeState.`,
		Example: `  seedbed seed token create --labels role=worker --nodes node-a,node-b --addresses 10.64.3.0/26 --data-dir ./seed
  seedbed seed token create --labels role=worker --ttl 1h --kubeconfig admin.kubeconfig`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := seed.CreateToken(cmd.Context(), o, time.Now())
			if err != nil {
				return err
			}
			printToken(cmd.ErrOrStderr(), result)
			say(cmd.OutOrStdout(), "%s\n", result.Join)
			return nil
		},
	}
	f := c.Flags()
	f.StringSliceVarP(&o.Labels, "labels", "l", nil, "labels of the nodes' NodeStates, as key=value,key=value")
	f.StringSliceVar(&o.Nodes, "nodes", nil, "names that nodes may join by (default: any)")
	f.StringSliceVar(&o.Addresses, "addresses", nil, "IP addresses and CIDRs that the kubelets' serving certificates may name")
	f.DurationVar(&o.TTL, "ttl", seed.DefaultTokenTTL, "how long the token is valid")
	addAccessFlags(c, &o.Access)
	return c
}

func newSeedTokenListCommand() *cobra.Command {
	var a seed.Access
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens by their ids, never with their secrets",
		Example: "  seedbed seed token list --data-dir ./seed",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tokens, err := seed.ListTokens(cmd.Context(), a, time.Now())
			if err != nil {
				return err
			}
			printTokens(cmd.OutOrStdout(), tokens)
			return nil
		},
	}
	addAccessFlags(c, &a)
	return c
}

func newSeedTokenDeleteCommand() *cobra.Command {
	var a seed.Access
	c := &cobra.Command{
		Use:   "delete ID...",
		Short: "Delete tokens; nodes that have joined with them stay",
		Example: `  seedbed seed token list --data-dir ./seed
  seedbed seed token delete abcdef --data-dir ./seed`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			deleted, err := seed.DeleteTokens(cmd.Context(), a, args)
			for _, id := range deleted {
				say(cmd.OutOrStdout(), "token %s deleted\n", id)
			}
			return err
		},
	}
	addAccessFlags(c, &a)
	return c
}

// printToken says what the token is for, without its secret.
func printToken(w io.Writer, r seed.TokenResult) {
	who := "any node"
	if len(r.Scope.Nodes) > 0 {
		who = "node " + strings.Join(r.Scope.Nodes, ", ")
	}
	say(w, "token %s: %s may join until %s, with labels %s\n", r.ID, who, r.Scope.Expires.UTC().Format(time.RFC3339), pairs(r.Scope.Labels))
	if len(r.Scope.Addresses) == 0 {
		say(w, "no --addresses: kubectl logs and exec work once spec.addresses of the NodeStates is set\n")
	}
	if r.Loopback {
		say(w, "SB017: the API server listens on loopback: only this machine can join; start the seed with --bind-address\n")
	}
	say(w, "on each node, as root:\n")
}

func printTokens(w io.Writer, tokens []install.TokenInfo) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	say(t, "ID\tEXPIRES\tNODES\tLABELS\tADDRESSES\tPROBLEM\n")
	for _, k := range tokens {
		expires := "-"
		if !k.Scope.Expires.IsZero() {
			expires = k.Scope.Expires.UTC().Format(time.RFC3339)
		}
		say(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, expires, orAny(k.Scope.Nodes, "any"), pairs(k.Scope.Labels), orAny(k.Scope.Addresses, "none"), k.Problem)
	}
	_ = t.Flush() // a reader that has gone away is no error
}

func orAny(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ",")
}

func pairs(labels map[string]string) string {
	if len(labels) == 0 {
		return "none"
	}
	var list []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, fmt.Sprintf("%s=%s", key, labels[key]))
	}
	return strings.Join(list, ",")
}
