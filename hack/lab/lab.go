package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/control"
	"seedbed.dev/seedbed/hack/lab/internal/layout"
	"seedbed.dev/seedbed/hack/lab/internal/supervisor"
)

// SeedAddress is the seed's address, as hosts see it.
const SeedAddress = layout.SeedAddress

// FilesURL is where hosts find what the lab serves: the programs by their names, and images.
func FilesURL() string { return layout.FilesURL() }

// Options say what lab to start.
type Options struct {
	// Name tells labs on one machine apart; empty means LAB_NAME from the environment, else "lab".
	Name string
	// Nodes is how many hosts there are, 1 to 9; 0 means 3.
	Nodes int
	// TwoInterfaces gives each host an eth0 with a public address and the default route, on which hosts do
	// not reach each other, and the cluster's address on eth1.
	TwoInterfaces bool
	// Keep leaves the lab up when the calling process ends. Otherwise it ends with it, however that ends.
	Keep bool
	// Progress is where stages and their times are written; nil means nowhere.
	Progress io.Writer
}

// Lab is a lab that is up.
type Lab struct {
	state supervisor.State
	// leash holds the lab up, unless it is kept: the lab ends when this end of the pipe is closed.
	leash *os.File
}

// Host is a host of the lab.
type Host struct {
	// Name is the host's name, such as node-a.
	Name string
	// Address is its address in the cluster's network, such as 10.64.3.7.
	Address string
	// Booted says that the host is on and has booted.
	Booted bool
	// Boots counts its boots.
	Boots int
}

// Name returns the lab's name.
func (l *Lab) Name() string { return l.state.Layout.Name }

// Folder is the lab's folder on the machine, for files of the tests and of the seed. It goes with the lab.
func (l *Lab) Folder() string { return l.state.Layout.Seed() }

// Served is the folder whose files hosts find at FilesURL.
func (l *Lab) Served() string { return l.state.Layout.Served() }

// Components is the folder on the machine with etcd, the programs of Kubernetes and kubectl: what `seedbed
// seed --components` wants.
func (l *Lab) Components() string { return l.state.Layout.Components }

// Program is the path on the machine of a program that is served, such as seedbed or kubectl.
func (l *Lab) Program(name string) string { return filepath.Join(l.Served(), name) }

// Processes returns the supervisor's two processes: the watcher, and process 1 of the lab.
func (l *Lab) Processes() (watcher, first int) { return l.state.Watcher, l.state.Init }

// Console returns the path of what a host wrote to its console.
func (l *Lab) Console(node string) string { return l.state.Layout.Console(node) }

// Open finds a lab that is up. An empty name means LAB_NAME from the environment, else "lab".
func Open(name string) (*Lab, error) {
	lab, err := layout.New("", nameOf(name), 1)
	if err != nil {
		return nil, err
	}
	state, err := readState(lab)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lab %s is not up: start it with `make lab%s`", lab.Name, nameHint(lab.Name))
	}
	if err == nil {
		err = alive(state)
	}
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", lab.Name, err)
	}
	return &Lab{state: state}, nil
}

func readState(lab layout.Lab) (supervisor.State, error) {
	var state supervisor.State
	content, err := os.ReadFile(lab.StateFile())
	if err == nil {
		err = json.Unmarshal(content, &state)
	}
	return state, err
}

// alive checks that the processes are there and are those of the state: after a crash others may have
// their numbers.
func alive(state supervisor.State) error {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", state.Init))
	if err != nil || program != state.Layout.Program() {
		return errors.New("it was killed; `make lab` cleans up after it and starts it again, `make lab-down` only cleans up")
	}
	return nil
}

func nameOf(name string) string {
	if name == "" {
		name = os.Getenv("LAB_NAME")
	}
	if name == "" {
		name = "lab"
	}
	return name
}

func nameHint(name string) string {
	if name == "lab" {
		return ""
	}
	return " LAB_NAME=" + name
}

// Hosts asks for the hosts and their states, in order.
func (l *Lab) Hosts(ctx context.Context) ([]Host, error) {
	return l.ask(ctx, control.Request{Verb: control.Status})
}

// Boot switches a host on that is off and waits until it has booted.
func (l *Lab) Boot(ctx context.Context, node string) error {
	return l.power(ctx, control.Boot, node)
}

// Reboot shuts a host down in order and boots it, and waits until it has booted. Its files stay.
func (l *Lab) Reboot(ctx context.Context, node string) error {
	return l.power(ctx, control.Reboot, node)
}

// Off shuts a host down in order and waits until it is off.
func (l *Lab) Off(ctx context.Context, node string) error {
	return l.power(ctx, control.Off, node)
}

// Kill pulls the plug of a host. Boot switches it on again.
func (l *Lab) Kill(ctx context.Context, node string) error {
	return l.power(ctx, control.Kill, node)
}

func (l *Lab) power(ctx context.Context, verb control.Verb, node string) error {
	_, err := l.ask(ctx, control.Request{Verb: verb, Node: node})
	return err
}

func (l *Lab) ask(ctx context.Context, request control.Request) ([]Host, error) {
	answer, err := control.Ask(ctx, l.state.Layout.Socket(), request)
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", l.Name(), err)
	}
	var hosts []Host
	for i, state := range answer.Nodes {
		if state.Power == control.Broken {
			err = errors.Join(err, fmt.Errorf("lab %s: host %s: %s", l.Name(), state.Name, state.Error))
		}
		hosts = append(hosts, Host{
			Name: state.Name, Address: l.state.Layout.Nodes[i].Address, Booted: state.Power == control.On, Boots: state.Boots,
		})
	}
	return hosts, err
}

// Down ends the lab and removes its files. It returns when nothing of it is left.
func (l *Lab) Down(ctx context.Context) error {
	if err := unix.Kill(l.state.Watcher, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("lab %s: ending it: %w", l.Name(), err)
	}
	if l.leash != nil {
		_ = l.leash.Close()
	}
	return clean(ctx, l.state.Layout)
}

// Clean ends the lab of that name if it is up, and removes what is left of one that was killed.
func Clean(ctx context.Context, name string) error {
	if lab, err := Open(name); err == nil {
		return lab.Down(ctx)
	}
	lab, err := layout.New("", nameOf(name), 1)
	if err != nil {
		return err
	}
	if state, err := readState(lab); err == nil {
		lab = state.Layout
	} else if lab.Cache, err = cacheFolder(); err != nil {
		return err
	}
	return clean(ctx, lab)
}

// clean waits until the lab is down and removes what is left of it.
func clean(ctx context.Context, lab layout.Lab) error {
	lock, err := lockLab(lab)
	for err != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
		lock, err = lockLab(lab)
	}
	return errors.Join(supervisor.Sweep(lab), os.RemoveAll(lab.Work()), lock.Close())
}

// errUp is a lab of that name that is up.
type errUp string

func (name errUp) Error() string {
	return fmt.Sprintf("lab %s is up already: use it, end it with `make lab-down%s`, or choose another name by LAB_NAME", string(name), nameHint(string(name)))
}

// lockLab takes the lab's lock. Who has it may start the lab or clean up after it.
func lockLab(lab layout.Lab) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(lab.LockFile()), 0o755); err != nil {
		return nil, err
	}
	lock, err := lockFile(lab.LockFile(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errUp(lab.Name)
	}
	return lock, err
}

// lockFile opens a file, made if missing, and locks it until it is closed.
func lockFile(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return file, nil
}

// repository is the root of the checkout that the working directory is in.
func repository() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "hack", "lab", "root.sh")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("not inside a checkout of Seedbed: change to one")
		}
		folder = parent
	}
}

// cacheFolder is bin/lab of the checkout, which may be linked to another one's.
func cacheFolder() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "bin", "lab")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(folder)
}
