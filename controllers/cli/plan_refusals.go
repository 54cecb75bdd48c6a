package cli

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/rollout"
)

// verdict is what the manager says of a NodeConfig.
type verdict struct {
	// refused is why it gives the wanted revision to no node.
	refused []string
	// held is why it does not give it to those nodes yet whose share of the network is outside it.
	held string
}

// verdictOn is made once for each NodeConfig.
func (p *fleetPlanner) verdictOn(w wanted) verdict {
	v, known := p.verdicts[w.config.Name]
	if known {
		return v
	}
	for _, why := range []string{p.networkRefused(w), p.secretsRefused(w)} {
		if why != "" {
			v.refused = append(v.refused, "the manager will refuse it: "+why)
		}
	}
	if p.otherEtcd(w) {
		v.refused = append(v.refused, "the manager looks into the other etcd first, and refuses it unless the nodes' leases are there")
	}
	var outside []*corev1.Node
	for _, n := range p.nodes {
		if object := p.objects[n.Name]; object != nil && p.selection.Governor[n.Name] == w.config.Name && rollout.Outside(w.network.Spec, object) {
			outside = append(outside, object)
		}
	}
	if trouble := rollout.PodCIDRTrouble(w.network.Spec, outside, nil); trouble != nil {
		v.held = "the manager holds it back: " + trouble.Message
	}
	p.verdicts[w.config.Name] = v
	return v
}

// said is what of it concerns one node.
func (p *fleetPlanner) said(node *v1alpha1.NodeState, w wanted) []string {
	v := p.verdictOn(w)
	notes := slices.Clone(v.refused)
	if object := p.objects[node.Name]; object != nil && node.Spec.Revision != w.name && rollout.Outside(w.network.Spec, object) {
		notes = append(notes, v.held)
	}
	return notes
}

// networkRefused is why the manager gives the wanted network to no node of the NodeConfig, or "": it
// compares with the networks of all of them.
func (p *fleetPlanner) networkRefused(w wanted) string {
	return rollout.NetworkChange(w.network.Name, w.network.Spec, p.inForce(w))
}

// otherEtcd is true when nodes with leases are to go to another etcd. What is there is not looked at here.
func (p *fleetPlanner) otherEtcd(w wanted) bool {
	refused, waits := rollout.NetworkMove(&w.network, p.inForce(w))
	return refused != nil || waits != ""
}

// inForce are the networks that the nodes of the NodeConfig have.
func (p *fleetPlanner) inForce(w wanted) []rollout.NetworkInForce {
	governed := slices.DeleteFunc(slices.Clone(p.nodes), func(n *v1alpha1.NodeState) bool {
		return p.selection.Governor[n.Name] != w.config.Name
	})
	var all []rollout.NetworkInForce
	for name, f := range rollout.AssignedNetworks(governed) {
		if old := p.revisions[name]; old.trouble == "" {
			f.Spec = old.Network
			all = append(all, f)
		}
	}
	return all
}

// secretsRefused is the same for Secrets that are neither in the cluster nor in a file.
func (p *fleetPlanner) secretsRefused(w wanted) string {
	absent := slices.DeleteFunc(w.revision.SecretNames(), func(name string) bool { return !p.absent(name) })
	if len(absent) == 0 {
		return ""
	}
	return v1alpha1.ReasonSecretNotFound + ": no Secret " + strings.Join(absent, ", ") + " in namespace " + v1alpha1.Namespace + ", and in no file: create it, or refer to another one"
}

func (p *fleetPlanner) absent(secret string) bool {
	return p.secrets[secret] == nil && !p.unreadable[secret] && !given(p.given, secret)
}

func given(values secretContents, secret string) bool {
	for ref := range values {
		if ref.Name == secret {
			return true
		}
	}
	return false
}

// unread are the Secrets of which a key is neither readable nor in a file.
func (p *fleetPlanner) unread(rev revision.Revision) []string {
	var names []string
	for _, ref := range rev.SecretKeys() {
		if _, known := p.given[ref]; !known && p.unreadable[ref.Name] {
			names = append(names, ref.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// secretsNow are the contents that a revision will be given: the cluster's, and over them those of files.
// A Secret of which nothing is known has placeholders, so that it does not differ; one that is known
// and has not the key keeps the node from being brought there, as it will.
func (p *fleetPlanner) secretsNow(rev revision.Revision) resolve.Secrets {
	values := secretContents{}
	for _, s := range p.secrets {
		if s != nil {
			addSecret(values, s)
		}
	}
	maps.Copy(values, p.given)
	unknown := slices.DeleteFunc(rev.SecretNames(), func(name string) bool { return !p.unreadable[name] && !p.absent(name) })
	return resolve.NewSecrets(values).WithPlaceholdersOf(unknown)
}

// secretsAt are those that are still as they were pinned. For all others there are placeholders, so that
// one that changed differs.
func (p *fleetPlanner) secretsAt(pins []v1alpha1.PinnedSecret) resolve.Secrets {
	values := secretContents{}
	for name, s := range p.secrets {
		if s != nil && slices.Contains(pins, v1alpha1.PinnedSecret{Name: name, UID: s.UID, ResourceVersion: s.ResourceVersion}) {
			addSecret(values, s)
		}
	}
	return resolve.NewSecrets(values).WithPlaceholders()
}
