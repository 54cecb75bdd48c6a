package join

import (
	"context"
	"errors"
	"path"
	"slices"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// ledgerFile and priorsFolder are the agent's record of what was there before Seedbed (package apply),
// assignmentFile is the assignment that it keeps for when the API server is away (AssignmentCache).
const (
	ledgerFile     = "ledger.json"
	priorsFolder   = "priors"
	assignmentFile = "assignment.json"
)

func (l *leaving) putBack(ctx context.Context) error {
	err := l.endPods(ctx, l.record)
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
