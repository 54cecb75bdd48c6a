package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/cgroup"
	"seedbed.dev/seedbed/hack/lab/internal/control"
	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

// runInit is process 1 of the lab: it makes the networks and the disks, boots the hosts, and answers
// requests until it is killed.
func runInit(lab layout.Lab) error {
	r := newReaper()
	if err := settleNamespaces(); err != nil {
		return err
	}
	if err := makeSeedNetwork(lab); err != nil {
		return fmt.Errorf("the seed's network: %w", err)
	}
	all, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	files, err := net.Listen("tcp", net.JoinHostPort(layout.SeedAddress, strconv.Itoa(layout.FilesPort)))
	if err != nil {
		return err
	}
	hosts := map[string]*host{}
	for _, node := range lab.Nodes {
		if err := cgroup.Make(all, hostCgroup(lab, node.Name)); err != nil {
			return fmt.Errorf("host %s: cgroups: %w", node.Name, err)
		}
		if err := makeDisk(lab, node); err != nil {
			return err
		}
		hosts[node.Name] = newHost(lab, node, r)
	}
	requests, err := net.Listen("unix", lab.Socket())
	if err != nil {
		return err
	}
	for _, h := range hosts {
		h.update(func(s *control.Node) { s.Power = control.Starting })
		go h.run()
	}
	go func() {
		// Only broken files end it; hosts then say what they could not fetch.
		slog.Error("serving files ended", "error", http.Serve(files, http.FileServer(http.Dir(lab.Served()))))
	}()
	return control.Serve(requests, func(ctx context.Context, request control.Request) control.Answer {
		return answer(ctx, lab, hosts, request)
	})
}

// settleNamespaces makes the new namespaces what they are for: mounts that do not spread, processes of
// this lab only, a name.
func settleNamespaces() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := unix.Sethostname([]byte("seed")); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	// A new namespace copies the machine's own setting; the seed does not forward.
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0)
}
