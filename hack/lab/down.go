package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/layout"
	"seedbed.dev/seedbed/hack/lab/internal/supervisor"
)

// Down ends the lab and removes its files. It returns when nothing of it is left.
func (l *Lab) Down(ctx context.Context) error {
	if err := stop(l.state); err != nil {
		return fmt.Errorf("lab %s: ending it: %w", l.Name(), err)
	}
	if l.leash != nil {
		_ = l.leash.Close()
	}
	return clean(ctx, l.state.Layout)
}

// stop tells the supervisor to end. One that is gone already is no error.
func stop(state supervisor.State) error {
	pid, signal := state.Watcher, unix.SIGTERM
	if !runs(pid, state.Layout) {
		// The kernel kills the lab with its watcher; should that have failed, nobody else is left to do it.
		pid, signal = state.Init, unix.SIGKILL
	}
	if !runs(pid, state.Layout) {
		return nil
	}
	if err := unix.Kill(pid, signal); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
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
