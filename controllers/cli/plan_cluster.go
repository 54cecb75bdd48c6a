package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/schema"
)

// planTimeout bounds the reading of a cluster.
const planTimeout = time.Minute

// planCluster plans the nodes of a cluster, with the objects of the files in place of the cluster's.
func (in *offlineInput) planCluster(ctx context.Context, stdin io.Reader, kubeconfig string) ([]nodePlan, error) {
	if in.labels != "" || in.config != "" {
		return nil, errors.New("--labels and --config are for a plan with --facts: the nodes of a cluster have labels, and these choose their NodeConfig")
	}
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	server, err := connect(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%w; or plan without a cluster, with --facts", err)
	}
	objects, err := loadObjects(in.files, stdin)
	if err != nil {
		return nil, err
	}
	return in.planFleet(ctx, server, objects)
}

func (in *offlineInput) planFleet(ctx context.Context, server cluster, objects schema.Objects) ([]nodePlan, error) {
	fleet, err := server.fleet(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := in.chosen(fleet.NodeStates)
	if err != nil {
		return nil, err
	}
	p := newFleetPlanner(fleet, objects)
	if p.given, err = in.secretValues(objects.Secrets, nil); err != nil {
		return nil, err
	}
	if err := p.read(ctx, server, nodes); err != nil {
		return nil, err
	}
	plans := make([]nodePlan, 0, len(nodes))
	for i := range nodes {
		plans = append(plans, p.plan(&nodes[i]))
	}
	return together(plans), nil
}

// chosen is the node that was named, or each.
func (in *offlineInput) chosen(nodes []v1alpha1.NodeState) ([]v1alpha1.NodeState, error) {
	if in.nodeName == "" {
		if len(nodes) == 0 {
			return nil, errNoNodes
		}
		return nodes, nil
	}
	i := slices.IndexFunc(nodes, func(n v1alpha1.NodeState) bool { return n.Name == in.nodeName })
	if i < 0 {
		names := make([]string, len(nodes))
		for i := range nodes {
			names[i] = nodes[i].Name
		}
		return nil, fmt.Errorf("--node-name %s: there is no such NodeState; there are: %s", in.nodeName, some(names))
	}
	return nodes[i : i+1], nil
}

// newFleetPlanner puts the objects of files over those of the cluster.
func newFleetPlanner(f fleet, files schema.Objects) *fleetPlanner {
	p := &fleetPlanner{
		networks: map[string]v1alpha1.NetworkConfig{}, revisions: map[string]storedRevision{},
		secrets: map[string]*corev1.Secret{}, unreadable: map[string]bool{}, verdicts: map[string]verdict{},
	}
	p.configs = slices.DeleteFunc(f.NodeConfigs, func(c v1alpha1.NodeConfig) bool {
		return slices.ContainsFunc(files.NodeConfigs, func(o v1alpha1.NodeConfig) bool { return o.Name == c.Name })
	})
	p.configs = append(p.configs, files.NodeConfigs...)
	for _, list := range [][]v1alpha1.NetworkConfig{f.NetworkConfigs, files.NetworkConfigs} {
		for i := range list {
			p.networks[list[i].Name] = list[i]
		}
	}
	for i := range f.NodeStates {
		p.nodes = append(p.nodes, &f.NodeStates[i])
	}
	p.selection = selectionOf(p.configs, p.nodes...)
	return p
}

// read reads what the nodes are at and refer to, and the networks of all nodes that their NodeConfigs
// govern: the manager compares with each of these.
func (p *fleetPlanner) read(ctx context.Context, server cluster, nodes []v1alpha1.NodeState) error {
	var err error
	if p.objects, err = server.nodes(ctx); err != nil {
		return err
	}
	configs := map[string]bool{}
	for i := range nodes {
		if at := nodes[i].Status.Revision; at != "" {
			if err := p.readRevision(ctx, server, at); err != nil {
				return err
			}
			if rev := p.revisions[at]; rev.trouble == "" {
				if err := p.readSecrets(ctx, server, rev.Revision); err != nil {
					return err
				}
			}
		}
		w, err := p.want(&nodes[i])
		if err != nil || configs[w.config.Name] {
			continue // an error is said with the node
		}
		configs[w.config.Name] = true
		if err := p.readSecrets(ctx, server, w.revision); err != nil {
			return err
		}
	}
	return p.readInForce(ctx, server, configs)
}

// readInForce reads what the nodes that the NodeConfigs govern are assigned.
func (p *fleetPlanner) readInForce(ctx context.Context, server cluster, configs map[string]bool) error {
	for _, n := range p.nodes {
		if configs[p.selection.Governor[n.Name]] && n.Spec.Revision != "" {
			if err := p.readRevision(ctx, server, n.Spec.Revision); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *fleetPlanner) readRevision(ctx context.Context, server cluster, name string) error {
	if _, known := p.revisions[name]; known {
		return nil
	}
	rev, err := server.revision(ctx, name)
	if err != nil {
		return err
	}
	p.revisions[name] = rev
	return nil
}

func (p *fleetPlanner) readSecrets(ctx context.Context, server cluster, rev revision.Revision) error {
	for _, name := range rev.SecretNames() {
		if _, known := p.secrets[name]; known {
			continue
		}
		secret, readable, err := server.secret(ctx, name)
		if err != nil {
			return err
		}
		p.secrets[name], p.unreadable[name] = secret, !readable
	}
	return nil
}

// some names the first few.
func some(names []string) string {
	const few = 5
	if len(names) == 0 {
		return "none"
	}
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
