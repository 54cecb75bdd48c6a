package join

import (
	"context"
	"time"

	"seedbed.dev/seedbed/controllers/host"
)

// Machine is what joining and leaving need of a machine beyond the ports of host.Host.
type Machine interface {
	// Check says why nobody can join from here: not root, or a system that systemd does not run.
	Check() error
	// Lock takes the right to act on the host, which an agent holds while it runs.
	Lock() (release func() error, err error)
	// HasProgram says whether the running program is at path, for everybody to run.
	HasProgram(path string) (bool, error)
	// InstallProgram puts the running program at path. It returns how to put back what was there.
	InstallProgram(path string) (undo func() error, err error)
	// RemoveMatching removes the files that match a pattern of path.Match.
	RemoveMatching(pattern string) error
	// RemoveState removes the agent's state but for the names in keep.
	RemoveState(keep ...string) error
}

// Node is a host that joins or leaves.
type Node struct {
	Host    host.Host
	Machine Machine
	Now     func() time.Time
	// Say is given a line for each thing that was done or is waited for.
	Say func(format string, args ...any)
	// Poll is the time between two looks at what is waited for.
	Poll time.Duration
}

// undoTimeout bounds taking everything back.
const undoTimeout = 10 * time.Minute

// pause waits for one poll, or returns why ctx ended.
func (n *Node) pause(ctx context.Context) error {
	timer := time.NewTimer(n.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
