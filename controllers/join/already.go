package join

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// joined is true when there is nothing left to do; an error when the host belongs to somebody else.
// A join that was cut off while its agent went on has joined, but for the agent's first report. Where
// that agent got an assignment, pods may run by it: it has joined, though nobody noted it down, and
// what it lacks now is renewed.
func (n *Node) joined(ctx context.Context, r Request, old *record) (bool, error) {
	switch {
	case old == nil:
		return false, nil
	case old.Kept:
		return false, old.belongs(r)
	}
	works, err := n.agentWorks(ctx, old.Node)
	if err != nil {
		return false, err
	}
	noted := old.Joined
	if !noted {
		old.Joined, err = n.hadAssignment()
	}
	if err != nil || (!old.Joined && !works) {
		return false, err
	}
	if err := old.belongs(r); err != nil {
		return false, err
	}
	switch {
	case !works, n.forgotten(ctx, r):
		return false, nil
	case !noted:
		return true, n.finish(ctx, r, *old)
	}
	n.Say("already joined: this is node %s of %s; nothing was changed", r.Node, r.Server)
	return true, nil
}

// forgotten is true when the API server answers an agent that works that it has no NodeState, which no
// agent can cure: it was deleted, or the cluster's data are older than the join. A node's rights end
// with its NodeState, so a refusal that lasts says the same. No answer says nothing.
func (n *Node) forgotten(ctx context.Context, r Request) bool {
	api, err := n.asAgent(r.Server)
	if err != nil {
		return false
	}
	node, err := n.granted(ctx, api, r.Node)
	gone := err == nil && node == nil
	if ctx.Err() != nil || !gone && !apierrors.IsForbidden(err) {
		return false
	}
	n.Say("%s has no NodeState %s any more, or lets its agent not see it: joining again; the node goes on as it is", r.Server, r.Node)
	return true
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
		leave := "seedbed leave --force" // its cluster cannot be asked any more
		if r.Kept {
			leave = "seedbed leave"
		}
		return problemf("compare it with what `seedbed seed token create` prints; if the authority was made anew, or the seed, "+
			"run `"+leave+"`, which ends the pods here, and join with a token made with --nodes "+r.Node,
			"this host %s a cluster at %s with hash %s, not the one given", how, r.Server, strings.Join(r.Authorities, " and "))
	}
	return nil
}

// agentWorks says whether the agent runs, will run after a boot, and can talk to its API server.
func (n *Node) agentWorks(ctx context.Context, node string) (bool, error) {
	unit, err := n.Host.Units.Get(ctx, resolve.UnitAgent)
	return unit.Activity == state.Active && unit.Enablement == state.Enabled && n.validCertificate(node), err
}

// hadAssignment is true from before an agent first changes its host to when the host leaves.
func (n *Node) hadAssignment() (bool, error) {
	_, err := n.Host.Store.Read(assignmentFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
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
