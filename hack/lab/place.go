package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/cgroup"
	"seedbed.dev/seedbed/hack/lab/internal/control"
)

// place is where a program runs: the namespaces, and perhaps the cgroups, of a process.
type place struct {
	process string // its folder below /proc
	// namespaces to enter, by their names in /proc/PID/ns, in this order.
	namespaces []string
	cgroups    bool
}

var namespaceKinds = map[string]int{
	"net": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID, "uts": unix.CLONE_NEWUTS, "ipc": unix.CLONE_NEWIPC,
	"cgroup": unix.CLONE_NEWCGROUP, "mnt": unix.CLONE_NEWNS,
}

// place finds a host, or the seed.
func (l *Lab) place(ctx context.Context, on string) (place, error) {
	if on == Seed {
		return place{process: l.seedProcess(), namespaces: []string{"net", "pid", "uts", "ipc", "mnt"}}, nil
	}
	leader, err := l.leader(ctx, on)
	if err != nil {
		return place{}, err
	}
	// The host's process 1 is numbered as in the lab, so it is looked up in the lab's own /proc.
	return place{
		process:    filepath.Join(l.seedProcess(), "root", "proc", strconv.Itoa(leader)),
		namespaces: []string{"net", "pid", "uts", "ipc", "cgroup", "mnt"},
		cgroups:    true,
	}, nil
}

func (l *Lab) seedProcess() string { return filepath.Join("/proc", strconv.Itoa(l.state.Init)) }

func (l *Lab) leader(ctx context.Context, node string) (int, error) {
	if _, err := l.state.Layout.Node(node); err != nil {
		return 0, err
	}
	answer, err := control.Ask(ctx, l.state.Layout.Socket(), control.Request{Verb: control.Status})
	if err != nil {
		return 0, fmt.Errorf("lab %s: %w", l.Name(), err)
	}
	for _, state := range answer.Nodes {
		if state.Name == node && state.Leader != 0 {
			return state.Leader, nil
		}
	}
	return 0, fmt.Errorf("host %s is off", node)
}

// follow moves the calling thread into the place's cgroups. For the one that takes no single thread it
// returns the folder to start the program in, or nil.
func (p place) follow() (*os.File, error) {
	if !p.cgroups {
		return nil, nil
	}
	membership, err := os.ReadFile(filepath.Join(p.process, "cgroup"))
	if err != nil {
		return nil, err
	}
	all, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	folder, err := cgroup.Follow(all, string(membership))
	if err != nil || folder == "" {
		return nil, err
	}
	return os.Open(folder)
}

// enter moves the calling thread into the place's namespaces.
func (p place) enter() error {
	files := make([]*os.File, 0, len(p.namespaces))
	defer func() {
		for _, file := range files {
			_ = file.Close()
		}
	}()
	// All are opened first: the paths mean something else in another mount namespace.
	for _, name := range p.namespaces {
		file, err := os.Open(filepath.Join(p.process, "ns", name))
		if err != nil {
			return errors.Join(errors.New("the lab or the host has ended"), err)
		}
		files = append(files, file)
	}
	// The kernel lets a thread change its mount namespace when it shares its root with no other.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	for i, name := range p.namespaces {
		if err := unix.Setns(int(files[i].Fd()), namespaceKinds[name]); err != nil {
			return fmt.Errorf("entering the %s namespace of %s: %w", name, p.process, err)
		}
	}
	return nil
}

// DialContext connects from the seed's side to an address in the lab, such as 10.64.3.1:6443: what
// rest.Config's Dial wants. Names are not resolved.
func (l *Lab) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) == nil {
		return nil, fmt.Errorf("dialing %s in lab %s: only IP addresses are known there", address, l.Name())
	}
	type result struct {
		conn net.Conn
		err  error
	}
	seed := l.seedProcess()
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		var r result
		if r.err = (place{process: seed, namespaces: []string{"net"}}).enter(); r.err == nil {
			// One address is dialed by the goroutine itself, so the socket is made in the thread's namespace.
			r.conn, r.err = new(net.Dialer).DialContext(ctx, network, address)
		}
		done <- r
	}()
	r := <-done
	return r.conn, r.err
}
