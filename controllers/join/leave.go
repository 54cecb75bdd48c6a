package join

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// ledgerFile and priorsFolder are the agent's record of what was there before Seedbed (package apply).
const (
	ledgerFile   = "ledger.json"
	priorsFolder = "priors"
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
	if err != nil && !o.Force {
		return err
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
	n.Say("this host had not joined with `seedbed join`: if it has a NodeState, an administrator removes it with kubectl delete nodestate NAME")
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
		node, away := nodeState(ctx, api, l.record.Node)
		if away == nil && node == nil {
			l.Say("NodeState %s is gone already, or this node may not read it any more", l.record.Node)
			return nil, nil
		}
		err = away
	}
	if err == nil {
		return api, nil
	}
	if !l.options.Force {
		return nil, because(err, fmt.Sprintf("run leave again when it does; or run `seedbed leave --force`, and have an administrator run: kubectl delete nodestate %s", l.record.Node),
			"%s does not answer this node, so that its NodeState would stay; nothing was changed", l.record.Server)
	}
	l.sayLeft(err)
	return nil, nil
}

func (l *leaving) sayLeft(err error) {
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
	return l.removeState()
}

func (l *leaving) putBack(ctx context.Context) error {
	err := l.endPods(ctx, l.record.KubeletHadIdentity)
	if err == nil || l.options.Force {
		err = errors.Join(err, l.restoreAll(ctx, l.record.KubeletHadIdentity))
	}
	switch {
	case err == nil:
		l.Say("put the host back as it was before Seedbed")
	case l.options.Force:
		l.Say("not all was put back: %s", oneLine(err))
	default:
		return because(err, "cure that and run leave again; `seedbed leave --force` goes on without it",
			"not all could be put back, and the agent is stopped and disabled")
	}
	return nil
}

// restoreAll is restore, and what the kubelet has obtained since.
func (n *Node) restoreAll(ctx context.Context, kubeletHadIdentity bool) error {
	folders := n.folders()
	err := n.restore(ctx)
	if kubeletHadIdentity {
		return err
	}
	return errors.Join(err,
		n.Machine.RemoveMatching(kubeletPKI+"kubelet-client-*.pem"),
		n.Machine.RemoveMatching(kubeletPKI+"kubelet-server-*.pem"),
		n.Host.Files.Remove(resolve.PathKubeletKubeconfig),
		n.removeEmpty(folders))
}

// stateFolder is the agent's (linux.StateDir).
var stateFolder = path.Dir(resolve.PathAgentKubeconfig)

const kubeletPKI = "/var/lib/kubelet/pki/"

// folders are those that Seedbed made, innermost first.
func (n *Node) folders() []string {
	ledger, err := apply.Peek(n.Host.Store)
	if err != nil {
		return nil
	}
	dirs := slices.Clone(ledger.Directories)
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) })
	return dirs
}

func (n *Node) removeEmpty(folders []string) error {
	errs := []error{n.Host.Files.RemoveDir(kubeletPKI[:len(kubeletPKI)-1])}
	for _, dir := range folders {
		errs = append(errs, n.Host.Files.RemoveDir(dir))
	}
	return errors.Join(append(errs, n.Host.Files.Sync())...)
}

// maxPasses bounds the passes of a removal; the second finds nothing to do.
const maxPasses = 3

// restore brings the host to what it was before Seedbed, as the ledger has it.
func (n *Node) restore(ctx context.Context) error {
	book, err := apply.Open(n.Host.Store)
	if err != nil {
		return err
	}
	for range maxPasses {
		nothing := state.New()
		p := plan.New(nothing, host.Observe(ctx, n.Host, nothing, book.Ledger()), book.Ledger())
		if p.Empty() {
			return nil
		}
		results, err := apply.Apply(ctx, n.Host, book, p, n.Now(), nil)
		if err := errors.Join(err, results.Err()); err != nil {
			return err
		}
	}
	return errors.New("somebody changes the host back")
}

// forget deletes the NodeState and notes that down: the right to do so ends with it.
func (l *leaving) forget(ctx context.Context, api client.Client) error {
	if api == nil {
		return nil
	}
	node, err := nodeState(ctx, api, l.record.Node)
	if err == nil && node != nil {
		err = client.IgnoreNotFound(api.Delete(ctx, node))
	}
	switch {
	case err == nil:
		l.Say("deleted NodeState %s", l.record.Node)
	case l.options.Force:
		l.sayLeft(err)
	default:
		return because(cause(err), "run leave again, or `seedbed leave --force`, and have an administrator run: kubectl delete nodestate "+l.record.Node,
			"NodeState %s could not be deleted; all else on this host was put back", l.record.Node)
	}
	l.record.Forgotten = true
	return l.record.write(l.Host.Store)
}

func (l *leaving) removeUnit(ctx context.Context) error {
	_, found, err := l.Host.Files.Read(unitPath)
	if err != nil || !found || l.record.Server == "" {
		return err // a unit that no join wrote is not ours
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
func (l *leaving) removeState() error {
	if l.options.Keep {
		return l.removeAgent()
	}
	if l.record.ProgramInstalled {
		if err := l.Host.Files.Remove(resolve.PathSeedbed); err != nil {
			return err
		}
	}
	if err := l.Host.Files.Sync(); err != nil {
		return err
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
