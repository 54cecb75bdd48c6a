package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
