package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the command line and returns the exit status.
func Main() int {
	ctx, stop := untilStopped()
	defer stop()
	root := NewRoot()
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "seedbed: "+oneLine(err))
		return 1
	}
	return 0
}

// untilStopped ends with the first signal to stop, a terminal that hangs up being one, so that a join
// is not left half done by a connection that drops. A second signal ends the process at once, but for
// another hangup: shells and terminals send more than one.
func untilStopped() (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1)
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP)
		stop()
	})
	return ctx, stop
}

// oneLine is an error as one line; several that were joined are parted by semicolons.
func oneLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

// NewRoot returns the command line.
func NewRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "seedbed",
		Short: "Keep Kubernetes nodes as their NodeConfig says",
		Long: `Seedbed prepares the nodes of a Kubernetes cluster: it renders the settings of flannel,
docker, cri-dockerd, kubelet and kube-proxy from NodeConfig and NetworkConfig objects, makes the
hosts agree, keeps them so, and says what it did.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupLook, Title: "Look before and after:"},
	)
	for id, commands := range map[string][]*cobra.Command{
		groupRun:  {newSeedCommand(), newManagerCommand(), newAgentCommand(), newJoinCommand(), newLeaveCommand()},
		groupLook: {newRenderCommand(), newPlanCommand(), newStatusCommand(), newVersionCommand()},
	} {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newDockerOptsCommand())
	return root
}

// saveMemory collects garbage at a quarter of the usual growth, unless the environment says otherwise:
// what runs for long here holds much and allocates little.
func saveMemory() {
	const percent = 25
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

const (
	groupRun  = "run"
	groupLook = "look"
)

// say writes to the command's output; a reader that has gone away (a closed pipe) is no error.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
