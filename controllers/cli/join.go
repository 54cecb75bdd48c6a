package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/join"
)

// joinOptions are the flags of `seedbed join`.
type joinOptions struct {
	token, tokenFile string
	hashes           []string
	nodeName         string
	timeout          time.Duration
}

// joinPoll is the time between two looks at what a join waits for.
const joinPoll = 500 * time.Millisecond

func newJoinCommand() *cobra.Command {
	var o joinOptions
	c := &cobra.Command{
		Use:   "join URL --token ID.SECRET --ca-cert-hash sha256:HEX",
		Short: "Make this host a node of a seed's cluster",
		Long: `Get this host its identity from the API server at URL, and install and start the agent as a
systemd service. The whole line, with a token in it, is printed by ` + "`seedbed seed token create`" + `.

Nothing the server says is believed before its authority has the given hash. A join that does not
succeed leaves nothing behind. On a host that has joined already it does nothing, and where the agent,
its certificate or the NodeState was lost it renews them, with a new token.`,
		Example: `  sudo seedbed join https://10.64.3.7:6443 --token abcdef.0123456789abcdef \
    --ca-cert-hash sha256:2b9c… --node-name node-a`,
		Args: exactURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&o.token, "token", "", "bootstrap token, ID.SECRET")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the token, where it must not be seen in the list of processes")
	f.StringSliceVar(&o.hashes, "ca-cert-hash", nil, "hash of the public key of the cluster's authority, sha256:HEX; may be given several times")
	f.StringVar(&o.nodeName, "node-name", "", "name of the node (default: the host's name in lower case)")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "time for everything together; what takes longer is undone")
	return c
}

func exactURL(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments: give the URL of the seed's API server and nothing else; example: seedbed join https://10.64.3.7:6443 --token …", len(args))
	}
	return nil
}

func (o *joinOptions) run(cmd *cobra.Command, url string) error {
	token, err := o.readToken()
	if err != nil {
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("the host's name: %w", err)
	}
	request, err := join.Arguments{URL: url, Token: token, Hashes: o.hashes, NodeName: o.nodeName, HostName: hostname}.Check()
	if err != nil {
		return err
	}
	if o.timeout < time.Second {
		return fmt.Errorf("--timeout %s is too short: use 1s or more", o.timeout)
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), o.timeout, fmt.Errorf("--timeout %s has passed", o.timeout))
	defer cancel()
	return onThisHost(cmd, func(n *join.Node) error { return n.Join(ctx, request) })
}

func (o *joinOptions) readToken() (string, error) {
	if (o.token == "") == (o.tokenFile == "") {
		return "", errors.New("give either --token or --token-file: `seedbed seed token create` prints one")
	}
	if o.token != "" {
		return o.token, nil
	}
	content, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

func newLeaveCommand() *cobra.Command {
	var o join.LeaveOptions
	c := &cobra.Command{
		Use:   "leave",
		Short: "Take this host out of its cluster and put it back as it was",
		Long: `Stop the agent, put files, units, sysctls and chains back as they were before Seedbed, delete this
host's NodeState, and remove the agent's credentials, unit and state. Nothing is changed when the API
server does not answer, unless --force is given: an administrator then has to delete the NodeState.

Drain the node first: its pods end with docker and kubelet. A leave that was cut off is finished by
running it again.`,
		Example: `  sudo seedbed leave

  # Stop managing the host, and change nothing on it
  sudo seedbed leave --keep`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onThisHost(cmd, func(n *join.Node) error { return n.Leave(cmd.Context(), o) })
		},
	}
	c.Flags().BoolVar(&o.Keep, "keep", false, "leave docker, flannel, kubelet and kube-proxy running as they are; a later leave without it puts the host back")
	c.Flags().BoolVar(&o.Force, "force", false, "go on where the API server does not answer, or something cannot be put back")
	return c
}

// onThisHost gives a node's ports to do, and prints what it says.
func onThisHost(cmd *cobra.Command, do func(*join.Node) error) (err error) {
	h, err := linux.Live()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	out := cmd.OutOrStdout()
	return do(&join.Node{
		Host: h, Machine: linux.Membership{}, Now: time.Now, Poll: joinPoll,
		Say: func(format string, args ...any) { say(out, format+"\n", args...) },
	})
}
