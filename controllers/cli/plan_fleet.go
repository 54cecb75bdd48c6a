package cli

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/forecast"
	"seedbed.dev/seedbed/controllers/nodeobject"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/rollout"
	"seedbed.dev/seedbed/controllers/state"
)

// fleetPlanner says what will become of the nodes of a cluster, by what was read of it.
type fleetPlanner struct {
	configs  []v1alpha1.NodeConfig
	networks map[string]v1alpha1.NetworkConfig
	// nodes are all, and selection says who governs them.
	nodes     []*v1alpha1.NodeState
	selection rollout.Selection
	// objects are the Node objects by name.
	objects map[string]*corev1.Node
	// revisions that nodes are at or assigned, by name.
	revisions map[string]storedRevision
	// secrets by name; nil for those that are not there, or unreadable. given are those of files.
	secrets    map[string]*corev1.Secret
	unreadable map[string]bool
	given      secretContents
	// verdicts are on NodeConfigs, by name.
	verdicts map[string]verdict
}

// wanted is what a node is to be.
type wanted struct {
	config   *v1alpha1.NodeConfig
	network  v1alpha1.NetworkConfig
	revision revision.Revision
	name     string
}

// want is the revision that will be cut for a node.
func (p *fleetPlanner) want(node *v1alpha1.NodeState) (wanted, error) {
	config, err := governor(p.selection, p.configs, node)
	if err != nil {
		return wanted{}, err
	}
	network, ok := p.networks[config.Spec.NetworkRef.Name]
	if !ok {
		return wanted{}, fmt.Errorf("NodeConfig %s: networkRef.name %s: there is no such NetworkConfig, neither in the cluster nor in the files", config.Name, config.Spec.NetworkRef.Name)
	}
	w := wanted{config: config, network: network, revision: revision.New(config.Spec, network.Spec)}
	_, w.name, err = w.revision.Encode(config.Name)
	return w, err
}

// plan is that of one node. A node that will stay as it is has a note that says why.
func (p *fleetPlanner) plan(node *v1alpha1.NodeState) nodePlan {
	view := nodePlan{Nodes: []string{node.Name}, From: node.Status.Revision}
	w, err := p.want(node)
	if err != nil {
		return view.noting("it stays as it is: " + err.Error())
	}
	view.To = w.name
	if node.Status.Facts == nil {
		return view.noting("its agent has not reported what the machine is, so that nothing can be planned")
	}
	base := p.baseline(node)
	told, err := forecast.New(forecast.Input{Observe: base.observe, Ledger: base.ledger, Node: input(node, w.revision, p.secretsNow(w.revision))})
	if err != nil {
		return view.noting("it cannot be brought there, and stays as it is: " + oneLine(err))
	}
	view.planBody = bodyOf(told)
	view.NodeObject = p.nodeObject(node, w.revision)
	return view.noting(base.notes...).noting(p.notes(node, w)...)
}

func usesEtcd(rev revision.Revision) bool {
	return rev.Network.SubnetManager != nil && rev.Network.SubnetManager.Etcd != nil
}

// nodeObject is what the manager changes of the Node object.
func (p *fleetPlanner) nodeObject(node *v1alpha1.NodeState, rev revision.Revision) []string {
	object := p.objects[node.Name]
	if object == nil {
		return nil
	}
	owned, _ := nodeobject.ParseOwned(node.Annotations[controllers.AnnotationOwned])
	patch := nodeobject.Declare(rev.Node.Node).Reconcile(object, owned)
	var changes []string
	for _, key := range state.SortedKeys(patch.Labels) {
		if value := patch.Labels[key]; value != nil {
			changes = append(changes, fmt.Sprintf("label %s=%s is set", key, *value))
		} else {
			changes = append(changes, fmt.Sprintf("label %s is taken off", key))
		}
	}
	if patch.Taints == nil {
		return changes
	}
	for _, t := range *patch.Taints {
		if !slices.Contains(object.Spec.Taints, t) {
			changes = append(changes, fmt.Sprintf("taint %s is put on%s", t.ToString(), evicting(t)))
		}
	}
	for _, t := range object.Spec.Taints {
		if !slices.ContainsFunc(*patch.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&t) }) {
			changes = append(changes, fmt.Sprintf("taint %s is taken off", t.ToString()))
		}
	}
	return changes
}

func evicting(t corev1.Taint) string {
	if t.Effect == corev1.TaintEffectNoExecute {
		return ", which evicts pods that do not tolerate it"
	}
	return ""
}

// notes are what else a user has to know.
func (p *fleetPlanner) notes(node *v1alpha1.NodeState, w wanted) []string {
	notes := p.said(node, w)
	if old, ok := p.revisions[node.Status.Revision]; ok && old.trouble == "" && old.Network.PodCIDR != w.revision.Network.PodCIDR && usesEtcd(old.Revision) {
		notes = append(notes, "flannel's etcd is not asked for the node's subnet: this takes it for one that the change moves, if there is one")
	}
	if r := w.config.Spec.Rollout; r != nil && r.Paused {
		notes = append(notes, "rollout.paused is true: nothing is handed out until it is false")
	}
	for _, name := range p.unread(w.revision) {
		notes = append(notes, fmt.Sprintf("Secret %s cannot be read: a change of it is not in this plan", name))
	}
	return notes
}

// errNoNodes is the end of a plan for nobody.
var errNoNodes = errors.New("no node has joined this cluster yet: plan with --facts")
