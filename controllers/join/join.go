package join

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// joined is true when there is nothing left to do; an error when the host belongs to somebody else.
// A join that was cut off while its agent went on has joined, but for the agent's first report.
func (n *Node) joined(ctx context.Context, r Request, old *record) (bool, error) {
	switch {
	case old == nil:
		return false, nil
	case old.Kept:
		return false, old.belongs(r)
	}
	works, err := n.agentWorks(ctx, old.Node)
	if err != nil || (!old.Joined && !works) {
		return false, err
	}
	if err := old.belongs(r); err != nil {
		return false, err
	}
	if !works {
		return false, nil
	}
	if !old.Joined {
		return true, n.finish(ctx, r, *old)
	}
	n.Say("already joined: this is node %s of %s; nothing was changed", r.Node, r.Server)
	return true, nil
}

// belongs is nil for a request of the cluster and the name that the host has already: what it runs has
// credentials of these.
func (r *record) belongs(to Request) error {
	const cure = "run `seedbed leave` first"
	how := "has already joined"
	if r.Kept {
		how = "was left with --keep, and still runs what it got from"
	}
	if r.Server != to.Server || r.Node != to.Node {
		return problemf(cure, "this host %s %s as node %s", how, r.Server, r.Node)
	}
	if len(r.Authorities) > 0 && !slices.ContainsFunc(r.Authorities, func(hash string) bool { return slices.Contains(to.pins, hash) }) {
		return problemf(cure+", or compare the hash with what `seedbed seed token create` prints",
			"this host %s a cluster at %s with hash %s, not the one given", how, r.Server, strings.Join(r.Authorities, " and "))
	}
	return nil
}

// agentWorks says whether the agent runs, will run after a boot, and can talk to its API server.
func (n *Node) agentWorks(ctx context.Context, node string) (bool, error) {
	unit, err := n.Host.Units.Get(ctx, resolve.UnitAgent)
	return unit.Activity == state.Active && unit.Enablement == state.Enabled && n.validCertificate(node), err
}

// finish ends a join that was cut off while it waited for its agent. The agent may have reported
// since, and pods may run: what it waits for in vain is no reason to take them away.
func (n *Node) finish(ctx context.Context, r Request, old record) error {
	n.Say("an earlier join was cut off and its agent runs: waiting for its first report")
	api, err := n.asAgent(r.Server)
	if err == nil {
		err = (&joining{Node: n, request: r}).reported(ctx, api)
	}
	if err != nil {
		return because(err, "nothing was changed; run join again, or `seedbed leave` to undo it all", "the join that was cut off is not finished")
	}
	old.Joined = true
	if err := old.write(n.Host.Store); err != nil {
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
