package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// newDockerOptsCommand is what seedbed-docker-opts.service runs; nobody types it.
func newDockerOptsCommand() *cobra.Command {
	var patience time.Duration
	c := &cobra.Command{
		Use:    "docker-opts",
		Hidden: true,
		Short:  "Turn flannel's lease into docker's options; waits for the lease",
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := linux.Live()
			if err != nil {
				return err
			}
			defer h.Close() //nolint:errcheck // every write was synced by then
			paths := dockeropts.Paths{
				SubnetEnv: resolve.PathSubnetEnv, LastLease: resolve.PathLastLease, Options: resolve.PathDockerOptsEnv,
			}
			ports := dockeropts.Host{Read: os.ReadFile, Sleep: sleep, Write: func(path string, content []byte) error {
				_, err := h.Files.Write(path, state.File{Content: content, Mode: 0o644, Owner: "root", Group: "root"})
				if err != nil {
					return err
				}
				return h.Files.Sync()
			}}
			out := cmd.OutOrStdout()
			lease, source, err := dockeropts.Run(cmd.Context(), ports, paths, patience, func(reason string) {
				say(out, "waiting for a lease: %s\n", reason)
			})
			if err != nil {
				return err
			}
			say(out, "docker's options are from the lease %s (%s)\n", lease.Bridge, source)
			return nil
		},
	}
	c.Flags().DurationVar(&patience, "patience", 30*time.Second, "how long to wait for flannel before the last lease is taken")
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
