package join

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// LeaveOptions say how to leave.
type LeaveOptions struct {
	// Keep leaves the host as it is: the components go on, and nothing is put back.
	Keep bool
	// Force goes on where the API server is away or something cannot be put back.
	Force bool
}

// Leave takes the host out of its cluster: it stops the agent, puts the host back as it was before
// Seedbed, deletes the NodeState and removes what joining wrote. What was done already is passed over,
// so that a leave that was cut off or refused is finished by another.
func (n *Node) Leave(ctx context.Context, o LeaveOptions) error {
	if err := n.Machine.Check(); err != nil {
		return err
	}
	rec, err := readRecord(n.Host.Store)
	if err != nil {
		if !o.Force {
			return err
		}
		rec = n.guessRecord()
	}
	if rec == nil {
		return n.leaveUnjoined(ctx, o)
	}
	l := &leaving{Node: n, options: o, record: rec}
	return l.run(ctx)
}

// leaveUnjoined is for a host that no join knows of, such as one whose agent runs with a kubeconfig
// of `seedbed seed add-node`: its ledger is put back all the same.
func (n *Node) leaveUnjoined(ctx context.Context, o LeaveOptions) error {
	_, err := n.Host.Store.Read(ledgerFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) && !o.Force {
		n.Say("this host has not joined: there is nothing to leave")
		return n.removeStateFolder()
	}
	l := &leaving{Node: n, options: o, record: &record{Forgotten: true, KubeletHadIdentity: true}}
	if err := l.run(ctx); err != nil {
		return err
	}
	n.Say("this host had not joined with `seedbed join`: if it has a NodeState, an administrator removes it, and before it the registration that `seedbed seed add-node` made: kubectl delete configmap -n %s %s; kubectl delete nodestate NAME", v1alpha1.Namespace, v1alpha1.RegistrationName("NAME"))
	return nil
}

// leaving is one leave under way.
type leaving struct {
	*Node
	options LeaveOptions
	record  *record
}

func (l *leaving) run(ctx context.Context) error {
	api, err := l.reach(ctx)
	if err != nil {
		return err
	}
	if err := l.stop(ctx); err != nil {
		return err
	}
	release, err := l.Machine.Lock()
	if err != nil {
		return err
	}
	if err := errors.Join(l.giveUp(ctx, api), release()); err != nil {
		return err
	}
	l.Say("this host has left")
	return nil
}

// reach asks for the NodeState before anything is changed. It returns nil when there is none to
// delete, or when it is left to an administrator.
func (l *leaving) reach(ctx context.Context) (client.Client, error) {
	if l.record.Forgotten {
		return nil, nil
	}
	api, err := l.asAgent(l.record.Server)
	if err == nil {
		var node *v1alpha1.NodeState
		if node, err = l.look(ctx, api); err == nil && node == nil {
			l.Say("NodeState %s is gone already", l.record.Node)
			return nil, nil
		}
	}
	switch {
	case err == nil:
		return api, nil
	case l.options.Force:
		l.sayStays(err)
		return nil, nil
	case apierrors.IsForbidden(err):
		return nil, because(err, fmt.Sprintf("have an administrator look with kubectl get nodestate %[1]s; where there is none, or after kubectl delete nodestate %[1]s, run `seedbed leave --force`", l.record.Node),
			"%s does not let this node see its NodeState; nothing was changed", l.record.Server)
	}
	return nil, because(err, fmt.Sprintf("run leave again when it does; or run `seedbed leave --force`, and have an administrator run: kubectl delete nodestate %s", l.record.Node),
		"%s does not answer this node, so that its NodeState would stay; nothing was changed", l.record.Server)
}

// look returns nil when the NodeState is gone, which a node that has deleted it may not see any more.
func (l *leaving) look(ctx context.Context, api client.Client) (*v1alpha1.NodeState, error) {
	node, err := l.granted(ctx, api, l.record.Node)
	if l.record.Deleting && apierrors.IsForbidden(err) {
		return nil, nil
	}
	return node, err
}

func (l *leaving) sayStays(err error) {
	l.Say("NodeState %s stays (%v); an administrator removes it: kubectl delete nodestate %s", l.record.Node, err, l.record.Node)
}

// stop also keeps the agent from starting at the next boot, before or after this is over.
func (l *leaving) stop(ctx context.Context) error {
	_, found, err := l.Host.Files.Read(unitPath)
	if err != nil || !found {
		return err
	}
	if err := l.stopAgent(ctx); err != nil {
		return err
	}
	l.Say("stopped %s", resolve.UnitAgent)
	unit, err := l.Host.Units.Get(ctx, resolve.UnitAgent)
	if err != nil || unit.Enablement != state.Enabled {
		return err
	}
	return l.Host.Units.SetEnablement(ctx, resolve.UnitAgent, state.Disabled)
}

func (l *leaving) giveUp(ctx context.Context, api client.Client) error {
	if !l.options.Keep {
		if err := l.putBack(ctx); err != nil {
			return err
		}
	}
	if err := l.forget(ctx, api); err != nil {
		return err
	}
	if err := l.removeUnit(ctx); err != nil {
		return err
	}
	return l.removeState(ctx)
}

// forget deletes the NodeState and notes that down: the right to do so ends with it.
func (l *leaving) forget(ctx context.Context, api client.Client) error {
	if api == nil {
		return nil
	}
	err := l.remove(ctx, api)
	switch {
	case err == nil:
		l.Say("deleted NodeState %s", l.record.Node)
	case l.options.Force:
		l.sayStays(err)
	default:
		return because(cause(err), "run leave again, or `seedbed leave --force`, and have an administrator run: kubectl delete nodestate "+l.record.Node,
			"NodeState %s could not be deleted; all else on this host was put back", l.record.Node)
	}
	l.record.Forgotten = true
	return l.record.write(l.Host.Store)
}

func (l *leaving) remove(ctx context.Context, api client.Client) error {
	node, err := l.look(ctx, api)
	if err != nil || node == nil {
		return err
	}
	l.record.Deleting = true
	if err := l.record.write(l.Host.Store); err != nil {
		return err
	}
	err = client.IgnoreNotFound(api.Delete(ctx, node))
	if apierrors.IsForbidden(err) {
		l.record.Deleting = false
		err = errors.Join(err, l.record.write(l.Host.Store))
	}
	if registration := node.Annotations[v1alpha1.RegistrationAnnotation]; err == nil && registration != "" {
		l.Say("node %[1]s is registered with its seed, which makes NodeState %[1]s again; an administrator removes both, in this order: "+
			"kubectl delete configmap -n %[2]s %[3]s; kubectl delete nodestate %[1]s", l.record.Node, v1alpha1.Namespace, registration)
	}
	return err
}

func (l *leaving) removeUnit(ctx context.Context) error {
	unit, found, err := l.Host.Files.Read(unitPath)
	if err != nil || !found || !bytes.HasPrefix(unit.Content, []byte(unitMark)) {
		return err
	}
	if err := l.Host.Files.Remove(unitPath); err != nil {
		return err
	}
	return errors.Join(l.Host.Files.Sync(), l.Host.Units.DaemonReload(ctx))
}

// kept by a leave that keeps the host: what the components go on with, and what another leave needs
// to put the host back later.
var kept = []string{recordFile, ledgerFile, priorsFolder, path.Base(resolve.PathClientPKI), path.Base(resolve.PathLastLease)}

// removeState takes the state away, the record with it.
func (l *leaving) removeState(ctx context.Context) error {
	if l.options.Keep {
		return l.removeAgent()
	}
	if err := l.putProgramBack(ctx); err != nil {
		if !l.options.Force {
			return err
		}
		l.Say("%s is not put back: %s", resolve.PathSeedbed, oneLine(err))
	}
	return l.removeAllState()
}

// removeAllState takes the record last, by which a removal that was cut off is gone on with.
func (n *Node) removeAllState() error {
	if err := n.Machine.RemoveState(recordFile); err != nil {
		return err
	}
	if err := n.Host.Store.Remove(recordFile); err != nil {
		return err
	}
	return n.removeStateFolder()
}

// removeStateFolder is also for what is left when even that was cut off.
func (n *Node) removeStateFolder() error {
	_, found, err := n.Host.Files.Read(stateFolder)
	if err != nil || !found {
		return err
	}
	return errors.Join(n.Host.Files.RemoveDir(stateFolder), n.Host.Files.Sync())
}

// removeAgent takes away what is the agent's alone.
func (l *leaving) removeAgent() error {
	l.record.Joined, l.record.Kept, l.record.Forgotten = false, true, true
	if err := l.record.write(l.Host.Store); err != nil {
		return err
	}
	for _, name := range []string{resolve.PathAgentClient, resolve.PathAgentKubeconfig} {
		if err := l.Host.Files.Remove(name); err != nil {
			return err
		}
	}
	l.Say("the components go on as they are; nobody renews the certificates of flannel and kube-proxy in %s any more", resolve.PathClientPKI)
	return errors.Join(l.Host.Files.Sync(), l.Machine.RemoveState(kept...))
}
