package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/control"
	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

const (
	// exitReboot is how systemd-nspawn says that the host wants to boot again.
	exitReboot = 133
	// signalOff and signalReboot tell systemd to shut down (systemd(1), SIGRTMIN+4 and +5).
	signalOff    = unix.Signal(34 + 4)
	signalReboot = unix.Signal(34 + 5)
)

// host is one host over all its boots.
type host struct {
	lab    layout.Lab
	node   layout.Node
	reaper *reaper

	mu      sync.Mutex
	state   control.Node
	changed chan struct{} // closed and replaced when the state changes
}

func newHost(lab layout.Lab, node layout.Node, r *reaper) *host {
	return &host{lab: lab, node: node, reaper: r, changed: make(chan struct{}), state: control.Node{Name: node.Name, Power: control.Stopped}}
}

// update changes the state and wakes those who wait for a change.
func (h *host) update(change func(*control.Node)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.state)
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *host) now() (control.Node, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state, h.changed
}

// await returns when the host's state is as wanted, or broken.
func (h *host) await(ctx context.Context, wanted func(control.Node) bool) error {
	for {
		state, changed := h.now()
		if state.Power == control.Broken {
			return fmt.Errorf("host %s: %s", state.Name, state.Error)
		}
		if wanted(state) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %s: waiting for it: %w", state.Name, ctx.Err())
		case <-changed:
		}
	}
}

// run boots the host, and again for as long as it ends by a reboot. It returns when the host is off.
func (h *host) run() {
	for again := true; again; {
		h.update(func(s *control.Node) { s.Power, s.Error = control.Starting, "" })
		status, err := h.boot()
		again = err == nil && status.ExitStatus() == exitReboot
		slog.Info("host ended", "host", h.node.Name, "status", int(status), "again", again, "error", err)
		h.update(func(s *control.Node) {
			s.Leader, s.Power = 0, control.Stopped
			// A host that is killed ends by a signal or a failure, but it was there; one that never booted
			// tells on its console why.
			if err != nil {
				s.Power, s.Error = control.Broken, err.Error()
			}
		})
	}
}

var errNeverBooted = errors.New("it ended before it had booted")

// boot starts the host and waits until it has ended.
func (h *host) boot() (unix.WaitStatus, error) {
	name := h.node.Name
	if err := makeSettings(h.lab, name); err != nil {
		return 0, err
	}
	if err := makeHostNetwork(h.lab, h.node); err != nil {
		return 0, err
	}
	notifications, err := h.notifySocket()
	if err != nil {
		return 0, err
	}
	defer func() { _ = notifications.Close() }()
	booted := make(chan struct{})
	go h.listen(notifications, booted)
	ended, err := h.reaper.start(func() (*os.Process, error) { return h.spawn(notifications.LocalAddr().String()) })
	if err != nil {
		return 0, err
	}
	status := <-ended
	select {
	case <-booted:
		return status, nil
	default:
		return status, fmt.Errorf("%w (status %d)", errNeverBooted, status.ExitStatus())
	}
}

// notifySocket is where systemd-nspawn reports. Closing it leaves its file, so that of the last boot goes.
func (h *host) notifySocket() (*net.UnixConn, error) {
	file := filepath.Join(h.lab.Registry(), h.node.Name+".notify")
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: file})
}

func (h *host) spawn(notify string) (*os.Process, error) {
	console, err := os.OpenFile(h.lab.Console(h.node.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = console.Close() }()
	command := exec.Command("/proc/self/exe", "host", layoutFile(h.lab), h.node.Name)
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	command.Stdout, command.Stderr = console, console
	if err := command.Start(); err != nil {
		return nil, err
	}
	return command.Process, nil
}

// listen follows what systemd-nspawn says of the host: which process leads it, and that it has booted.
// It ends when the socket is closed.
func (h *host) listen(notifications *net.UnixConn, booted chan<- struct{}) {
	buffer := make([]byte, 4096)
	for ready := false; ; {
		n, err := notifications.Read(buffer)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(buffer[:n])) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch {
			case key == "X_NSPAWN_LEADER_PID":
				leader, _ := strconv.Atoi(value)
				h.update(func(s *control.Node) { s.Leader = leader })
			case key == "READY" && value == "1" && !ready:
				ready = true
				close(booted)
				h.update(func(s *control.Node) { s.Power, s.Boots = control.On, s.Boots+1 })
			}
		}
	}
}
