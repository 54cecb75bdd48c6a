package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
	"seedbed.dev/seedbed/controllers/rollout"
)

// fleet is what one pass over a NodeConfig sees. The NodeStates and revisions are shared with the
// cache: they are replaced, never changed.
type fleet struct {
	// config is nil when the NodeConfig is gone or going.
	config *v1alpha1.NodeConfig
	// nodes are all NodeStates; governed are those that config governs, by name.
	nodes, governed []*v1alpha1.NodeState
	// assigned are those that config assigned last, by name.
	assigned []*v1alpha1.NodeState
	// objects are the Nodes by name, evidence what follows from them.
	objects   map[string]*corev1.Node
	evidence  map[string]rollout.Evidence
	selection rollout.Selection
	// network is what the NodeConfig refers to; nil before it was read, or without one.
	network *v1alpha1.NetworkConfigSpec
	// revisions of config by name.
	revisions map[string]*appsv1.ControllerRevision
}

func observeFleet(ctx context.Context, c client.Reader, name string) (*fleet, error) {
	var configs v1alpha1.NodeConfigList
	if err := c.List(ctx, &configs); err != nil {
		return nil, fmt.Errorf("list NodeConfigs: %w", err)
	}
	// Not copied: this is thousands of objects at every pass of a large fleet.
	var nodes v1alpha1.NodeStateList
	if err := c.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list NodeStates: %w", err)
	}
	var revisions appsv1.ControllerRevisionList
	if err := c.List(ctx, &revisions, client.UnsafeDisableDeepCopy,
		client.InNamespace(v1alpha1.Namespace), client.MatchingLabels{NodeConfigLabel: name}); err != nil {
		return nil, fmt.Errorf("list ControllerRevisions of NodeConfig %s: %w", name, err)
	}
	f := &fleet{revisions: make(map[string]*appsv1.ControllerRevision, len(revisions.Items))}
	for i := range revisions.Items {
		f.revisions[revisions.Items[i].Name] = &revisions.Items[i]
	}
	for i := range nodes.Items {
		if nodes.Items[i].DeletionTimestamp.IsZero() {
			f.nodes = append(f.nodes, &nodes.Items[i])
		}
	}
	var live []*v1alpha1.NodeConfig
	for i := range configs.Items {
		config := &configs.Items[i]
		if !config.DeletionTimestamp.IsZero() {
			continue
		}
		live = append(live, config)
		if config.Name == name {
			f.config = config
		}
	}
	f.selection = rollout.Select(live, f.nodes)
	f.governed = f.selection.Governed(name, f.nodes)
	f.assigned = slices.DeleteFunc(slices.Clone(f.nodes), func(n *v1alpha1.NodeState) bool { return n.Spec.Config != name })
	if err := f.observeObjects(ctx, c); err != nil {
		return nil, err
	}
	return f, nil
}

// observeObjects adds the Nodes.
func (f *fleet) observeObjects(ctx context.Context, c client.Reader) error {
	objects, err := listNodes(ctx, c)
	if err != nil {
		return err
	}
	f.objects = make(map[string]*corev1.Node, len(objects))
	f.evidence = make(map[string]rollout.Evidence, len(objects))
	for _, object := range objects {
		f.observeObject(object)
	}
	return nil
}

// observeObject adds a Node, or puts one that was written in place of the one that was read.
func (f *fleet) observeObject(object *corev1.Node) {
	f.objects[object.Name] = object
	f.evidence[object.Name] = rollout.Evidence{
		Down: nodeobject.Down(object), Drain: nodeobject.DrainOf(object),
		Outside: f.network != nil && rollout.Outside(*f.network, object),
	}
}

// observeNetwork adds the network that the NodeConfig refers to, and judges the Nodes' shares by it.
func (f *fleet) observeNetwork(network *v1alpha1.NetworkConfigSpec) {
	f.network = network
	for _, object := range f.objects {
		f.observeObject(object)
	}
}

// newest is the name of the revision that was cut last, or "".
func (f *fleet) newest() string {
	name, number := "", int64(0)
	for n, r := range f.revisions {
		if name == "" || r.Revision > number || (r.Revision == number && n > name) {
			name, number = n, r.Revision
		}
	}
	return name
}

func (f *fleet) stored() []rollout.Revision {
	out := make([]rollout.Revision, 0, len(f.revisions))
	for name, r := range f.revisions {
		out = append(out, rollout.Revision{Name: name, Number: r.Revision})
	}
	return out
}

// replace puts a node that was written in place of the one that was read.
func (f *fleet) replace(node *v1alpha1.NodeState) {
	for _, nodes := range [][]*v1alpha1.NodeState{f.nodes, f.governed, f.assigned} {
		for i := range nodes {
			if nodes[i].Name == node.Name {
				nodes[i] = node
			}
		}
	}
}

// view is what the status is computed from. held says why there is no target, or is nil.
func (f *fleet) view(held error, target *v1alpha1.NodeStateSpec) rollout.View {
	v := rollout.View{
		Generation: f.config.Generation,
		Nodes:      f.governed,
		Evidence:   f.evidence,
		Revision:   f.newest(),
		Target:     target,
		Paused:     f.config.Spec.Rollout != nil && f.config.Spec.Rollout.Paused,
		Conflicts:  f.selection.Conflicts(f.config.Name),
		Left:       f.selection.Left(f.config.Name, f.nodes),
	}
	if f.network != nil {
		v.PodCIDR = f.podCIDRTrouble(*f.network)
	}
	if stall, ok := errors.AsType[*StallError](held); ok {
		v.Stall, v.Target = &stall.Stall, nil
	}
	if wait, ok := errors.AsType[*WaitError](held); ok {
		v.Waits, v.Target = wait.Message, nil
	}
	return v
}
