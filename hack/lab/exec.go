package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/control"
)

// Seed names the seed's side as the place to run a program: the machine's files, in the lab's network
// and among the lab's processes.
const Seed = "seed"

// stopPatience is how long a program may take to end after SIGTERM.
const stopPatience = 10 * time.Second

// path is where programs are looked for on hosts.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Command is a program to run in the lab.
type Command struct {
	// On is a host's name, or Seed.
	On string
	// Argv is the program and its arguments; no shell is involved.
	Argv []string
	// Env is added to the environment; on a host that has PATH, HOME and LANG, at the seed all of this
	// process's.
	Env []string
	// Stdin, Stdout and Stderr are as in os/exec.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Exec runs a program on a host, or at the Seed, and returns what it wrote to its standard output. An
// error says what it wrote to standard error.
func (l *Lab) Exec(ctx context.Context, on string, argv ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	err := l.Run(ctx, Command{On: on, Argv: argv, Stdout: &stdout, Stderr: &stderr})
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), err
}

// Seed runs a program at the seed's side, as Exec does.
func (l *Lab) Seed(ctx context.Context, argv ...string) (string, error) {
	return l.Exec(ctx, Seed, argv...)
}

// Run runs a program and waits for its end. When ctx ends it gets SIGTERM, and ten seconds later SIGKILL;
// when this process ends, it is killed too. A program that ended with another code than 0 is an *exec.ExitError.
func (l *Lab) Run(ctx context.Context, c Command) error {
	namespaces, err := l.namespaces(ctx, c.On)
	if err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		// The thread enters the namespaces, and ends with this goroutine; until then it is the parent.
		runtime.LockOSThread()
		err := enter(namespaces)
		if err == nil {
			err = command(ctx, c).Run()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("%s: %s: %w", c.On, strings.Join(c.Argv, " "), err)
	}
	return nil
}

func command(ctx context.Context, c Command) *exec.Cmd {
	// setpriv finds the program below the root in which it runs, where os/exec would look on the machine.
	// It also asks for the signal: SysProcAttr's Pdeathsig takes a parent in another process namespace
	// for one that is dead.
	command := exec.CommandContext(ctx, "/usr/bin/setpriv", append([]string{"--pdeathsig", "KILL", "--"}, c.Argv...)...)
	command.Env = []string{"PATH=" + path, "HOME=/root", "LANG=C.UTF-8", "TERM=" + os.Getenv("TERM")}
	if c.On == Seed {
		command.Env = os.Environ()
	}
	command.Env = append(command.Env, c.Env...)
	command.Stdin, command.Stdout, command.Stderr = c.Stdin, c.Stdout, c.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopPatience
	return command
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
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		var r result
		namespace := fmt.Sprintf("/proc/%d/ns/net", l.state.Init)
		if r.err = enter([]namespaceFile{{path: namespace, kind: unix.CLONE_NEWNET}}); r.err == nil {
			// One address is dialed by the goroutine itself, so the socket is made in the thread's namespace.
			r.conn, r.err = new(net.Dialer).DialContext(ctx, network, address)
		}
		done <- r
	}()
	r := <-done
	return r.conn, r.err
}

// namespaceFile is a namespace to enter.
type namespaceFile struct {
	path string
	kind int
}

// namespaces lists those of a host, or of the seed. A host's process 1 is numbered as in the lab, so it is
// looked up in the lab's own /proc.
func (l *Lab) namespaces(ctx context.Context, on string) ([]namespaceFile, error) {
	process := filepath.Join("/proc", strconv.Itoa(l.state.Init))
	kinds := map[string]int{"net": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID, "uts": unix.CLONE_NEWUTS, "ipc": unix.CLONE_NEWIPC}
	if on != Seed {
		leader, err := l.leader(ctx, on)
		if err != nil {
			return nil, err
		}
		process = filepath.Join(process, "root", "proc", strconv.Itoa(leader))
		kinds["cgroup"] = unix.CLONE_NEWCGROUP
	}
	var files []namespaceFile
	for name, kind := range kinds {
		files = append(files, namespaceFile{path: filepath.Join(process, "ns", name), kind: kind})
	}
	// After this one, the others' paths would mean something else.
	return append(files, namespaceFile{path: filepath.Join(process, "ns", "mnt"), kind: unix.CLONE_NEWNS}), nil
}

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

// enter moves the calling thread into the namespaces.
func enter(namespaces []namespaceFile) error {
	files := make([]*os.File, 0, len(namespaces))
	defer func() {
		for _, file := range files {
			_ = file.Close()
		}
	}()
	for _, n := range namespaces {
		file, err := os.Open(n.path)
		if err != nil {
			return errors.Join(errors.New("the lab or the host ended"), err)
		}
		files = append(files, file)
	}
	// The kernel lets a thread change its mount namespace when it shares its root with no other.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	for i, n := range namespaces {
		if err := unix.Setns(int(files[i].Fd()), n.kind); err != nil {
			return fmt.Errorf("entering %s: %w", n.path, err)
		}
	}
	return nil
}
