package join

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// Join gives the host its identity, and starts the agent. On an error, a *Problem as far as the user
// can do something about it, the host is as it was. ctx bounds it: what is waited for is given up
// when it ends, and what was done is undone all the same.
func (n *Node) Join(ctx context.Context, r Request) error {
	if err := n.Machine.Check(); err != nil {
		return err
	}
	old, err := readRecord(n.Host.Store)
	if err != nil {
		return err
	}
	done, err := n.joined(ctx, r, old)
	if err != nil || done {
		return err
	}
	j := &joining{Node: n, request: r, old: old}
	if err := j.run(ctx); err != nil {
		if undoing := j.undo.run(ctx); undoing != nil {
			return fmt.Errorf("%w; and not all could be undone (`seedbed leave` tries again): %w", err, undoing)
		}
		return err
	}
	n.Say("node %s has joined %s", r.Node, r.Server)
	return nil
}

// joining is one join under way.
type joining struct {
	*Node
	request Request
	// old is the record of an earlier join, or of a leave that kept the host; nil for none. That of a
	// join that was cut off is there until the cluster has let the host join again.
	old *record
	// hadLedger is true when the host has a ledger of an agent before this join. It is then not for
	// this join to put the host back as it was before Seedbed.
	hadLedger bool
	// kubeletHad is true when the kubelet has credentials that are not of this join.
	kubeletHad bool
	identity   identity
	undo       undo
	release    func() error
}

// renews is true when the host was joined before, and has lost its certificate or its agent.
func (j *joining) renews() bool { return j.old != nil && j.old.Joined }

// cutOff is true when an earlier join left something, and nobody undid it.
func (j *joining) cutOff() bool { return j.old != nil && !j.old.Joined && !j.old.Kept }

func (j *joining) run(ctx context.Context) error {
	if err := j.takeHost(ctx); err != nil {
		return err
	}
	authority, err := j.discover(ctx, j.request)
	if err != nil {
		return err
	}
	j.Say("%s has the authority with the given hash", j.request.Server)
	if j.identity, err = j.obtain(ctx, authority); err != nil {
		return err
	}
	j.undo.add("forget the NodeState", j.forgetNewborn(authority))
	if err := j.undoOld(ctx); err != nil {
		return err
	}
	next, err := j.install(ctx, authority)
	if err != nil {
		return err
	}
	if err := j.enable(ctx); err != nil {
		return err
	}
	if err := j.start(ctx, authority); err != nil {
		return err
	}
	next.Joined = true
	return next.write(j.Host.Store)
}

// takeHost stops an agent of an earlier join and takes its place, so that no other comes between.
func (j *joining) takeHost(ctx context.Context) error {
	if j.old != nil {
		if err := j.stopOld(ctx); err != nil {
			return err
		}
	}
	release, err := j.Machine.Lock()
	if err != nil {
		return err
	}
	j.release = release
	j.undo.add("give the host free", func(context.Context) error { return j.letGo() })
	return nil
}

// undoOld clears away what a join that was cut off has left, and not before the cluster lets the host
// join: one that is refused keeps what it has.
func (j *joining) undoOld(ctx context.Context) error {
	if !j.cutOff() {
		return nil
	}
	j.Say("an earlier join was cut off: undoing it first")
	l := &leaving{Node: j.Node, record: j.old}
	l.record.Forgotten, j.old = true, nil // the NodeState is this join's now, and the old agent's work is over
	if err := l.stop(ctx); err != nil {
		return err
	}
	return l.giveUp(ctx, nil)
}

func (j *joining) stopOld(ctx context.Context) error {
	unit, err := j.Host.Units.Get(ctx, resolve.UnitAgent)
	if err != nil || unit.Missing {
		return err
	}
	if (j.renews() || j.cutOff()) && unit.Activity == state.Active {
		j.undo.add("start the agent again", func(ctx context.Context) error {
			if j.old == nil {
				return nil
			}
			return j.Host.Units.Do(ctx, resolve.UnitAgent, host.Start)
		})
	}
	return j.Host.Units.Do(ctx, resolve.UnitAgent, host.Stop)
}

// letGo gives the host to the agent.
func (j *joining) letGo() error {
	if j.release == nil {
		return nil
	}
	release := j.release
	j.release = nil
	return release()
}

// undo takes steps back, the last one first.
type undo struct {
	steps []func(context.Context) error
}

func (u *undo) add(what string, step func(context.Context) error) {
	u.steps = append(u.steps, func(ctx context.Context) error {
		if err := step(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// run takes every step back, also those after one that fails, and also when ctx has ended: what the
// user interrupts is undone, too.
func (u *undo) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var errs []error
	for _, step := range slices.Backward(u.steps) {
		errs = append(errs, step(ctx))
	}
	return errors.Join(errs...)
}
