// Command lab starts a lab and works with it: `make lab` and what follows. Package hack/lab is what it
// is made of.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/hack/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	// A program of the lab that ended with a code has said why; ours is to pass on the code.
	var exit interface{ ExitCode() int }
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "lab", Short: "Hosts to try Seedbed on, on this machine alone (LAB_NAME tells several labs apart)",
		SilenceErrors: true, SilenceUsage: true,
	}
	root.AddCommand(up(), down(), status(), run(), seed(),
		power("boot", "Switch a host on", (*lab.Lab).Boot),
		power("reboot", "Shut a host down and boot it", (*lab.Lab).Reboot),
		power("off", "Shut a host down", (*lab.Lab).Off),
		power("kill", "Pull the plug of a host", (*lab.Lab).Kill))
	return root
}

func up() *cobra.Command {
	options := lab.Options{Keep: true, Progress: os.Stderr}
	c := &cobra.Command{
		Use: "up", Short: "Start a lab and leave it up", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			started, err := lab.Start(c.Context(), options)
			if err != nil {
				return err
			}
			return tell(c.Context(), started)
		},
	}
	c.Flags().IntVar(&options.Nodes, "nodes", 3, "how many hosts, 1 to 9")
	c.Flags().BoolVar(&options.TwoInterfaces, "two-interfaces", false,
		"give each host an eth0 with a public address and the default route, and the cluster's address on eth1")
	return c
}

// tell says what there is and how to use it.
func tell(ctx context.Context, l *lab.Lab) error {
	if err := show(ctx, l); err != nil {
		return err
	}
	fmt.Printf(`
On a host:    make lab-shell NODE=node-a            or  … NODE=node-a CMD='COMMAND'
As the seed:  make lab-shell NODE=seed
Without make: go run ./hack/lab/cmd exec node-a -- ip address
              go run ./hack/lab/cmd seed -- bin/seedbed seed …
              go run ./hack/lab/cmd reboot|kill|off|boot node-a
On a host are /root/seedbed, a package repository with docker in /srv/repo, images in /srv/images; programs are at
%s/ (kubelet, kube-proxy, flanneld, cri-dockerd and others).
`, lab.FilesURL())
	return nil
}

func show(ctx context.Context, l *lab.Lab) error {
	hosts, err := l.Hosts(ctx)
	fmt.Printf("%-8s %-12s this machine's files, in the lab's network; folder %s\n", lab.Seed, lab.SeedAddress, l.Folder())
	for _, h := range hosts {
		state := "off"
		if h.Booted {
			state = "on"
		}
		fmt.Printf("%-8s %-12s %s, booted %d times; console %s\n", h.Name, h.Address, state, h.Boots, l.Console(h.Name))
	}
	return err
}

func down() *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "End a lab and remove all of it, also what is left of one that was killed", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return lab.Clean(c.Context(), "") },
	}
}

func status() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the hosts", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := lab.Open("")
			if err != nil {
				return err
			}
			return show(c.Context(), l)
		},
	}
}

func run() *cobra.Command {
	return &cobra.Command{
		Use: "exec NODE [-- COMMAND...]", Short: "Run a program on a host, a shell if none is named", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return enter(c.Context(), args[0], args[1:]) },
	}
}

func seed() *cobra.Command {
	return &cobra.Command{
		Use: "seed [-- COMMAND...]", Short: "Run a program of this machine in the lab's network, a shell if none is named",
		RunE: func(c *cobra.Command, args []string) error { return enter(c.Context(), lab.Seed, args) },
	}
}

func enter(ctx context.Context, on string, argv []string) error {
	l, err := lab.Open("")
	if err != nil {
		return err
	}
	if len(argv) == 0 {
		// A terminal of the host's own, for job control; keys such as Ctrl-C pass through ours as bytes.
		argv = []string{"script", "--quiet", "--return", "--command", "bash", "/dev/null"}
	}
	// A program of this machine may be named by a path from here; the working directory does not come along.
	if folder, err := os.Getwd(); err == nil && on == lab.Seed && filepath.Base(argv[0]) != argv[0] && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(folder, argv[0])
	}
	return l.Run(ctx, lab.Command{On: on, Argv: argv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
}

func power(name, short string, act func(*lab.Lab, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " NODE", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := lab.Open("")
			if err != nil {
				return err
			}
			return act(l, c.Context(), args[0])
		},
	}
}
