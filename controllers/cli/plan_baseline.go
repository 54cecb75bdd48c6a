package cli

import (
	"fmt"
	"net/netip"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/forecast"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/rollout"
	"seedbed.dev/seedbed/controllers/state"
)

// baseline is what a node is compared with.
type baseline struct {
	observe func(desired state.Host) state.Host
	ledger  state.Ledger
	// notes say how it may differ from the node.
	notes []string
}

// baseline is the host that the revision makes which the node is at. The machine may have changed so
// that this revision does not go with it any more, as when somebody updated a program by hand, and the
// next one does: its agent realises that without asking what was before. So whatever keeps the old one
// from being realised keeps nothing else from being planned.
func (p *fleetPlanner) baseline(node *v1alpha1.NodeState) baseline {
	at := node.Status.Revision
	if at == "" {
		return empty("it has not reported a revision yet: this compares with an empty host")
	}
	old := p.revisions[at]
	if old.trouble != "" {
		return unknown(at, old.trouble)
	}
	resolved, err := resolve.Resolve(input(node, old.Revision, p.secretsAt(node.Status.Secrets)))
	if err == nil && len(resolved.Missing) > 0 {
		err = resolved.Missing
	}
	if err != nil {
		return unknown(at, "does not go with what the machine is now: "+oneLine(err))
	}
	held, err := render.Render(resolved)
	if err != nil {
		return unknown(at, "does not go with what the machine is now: "+oneLine(err))
	}
	var b baseline
	b.observe, b.ledger = forecast.FromAfar(held, p.subnet(node.Name, old.Revision))
	if to := node.Spec.Revision; at != to {
		b.notes = []string{fmt.Sprintf("it is on its way from %s to %s: this compares with where it comes from", at, to)}
	}
	return b
}

// empty is an empty host.
func empty(note string) baseline {
	return baseline{observe: nothing, ledger: state.NewLedger(), notes: []string{note}}
}

// unknown is the same for a node on which something runs.
func unknown(at, why string) baseline {
	return empty(fmt.Sprintf("revision %s, which it is at, %s; so this compares with an empty host, "+
		"and does not show what is disturbed that runs there: seedbed plan --host-root / does, on the node", at, why))
}

// input is what a revision is resolved from. A node that reached one has a kubelet with a certificate.
func input(node *v1alpha1.NodeState, rev revision.Revision, secrets resolve.Secrets) resolve.Input {
	return resolve.Input{
		NodeName: node.Name, Revision: rev, Facts: *node.Status.Facts, Secrets: secrets,
		KubeletHasCertificate: node.Status.Revision != "",
	}
}

// subnet is the node's share of the pod network, as far as its Node says it: one that was made anew has
// that of the next network already.
func (p *fleetPlanner) subnet(node string, rev revision.Revision) netip.Prefix {
	if object := p.objects[node]; object != nil && !usesEtcd(rev) && !rollout.Outside(rev.Network, object) {
		subnet, _ := netip.ParsePrefix(object.Spec.PodCIDR) // without one it is not known
		return subnet
	}
	return netip.Prefix{}
}
