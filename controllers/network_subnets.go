package controllers

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/leases"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/rollout"
)

// publicIPAnnotation on a Node is the address that flannel there speaks over (flannel,
// pkg/subnet/kube/annotations.go).
const publicIPAnnotation = "flannel.alpha.coreos.com/public-ip"

// subnets fills in which leases there are, and with the subnet manager Etcd publishes the network.
func (r *NetworkConfigReconciler) subnets(ctx context.Context, p *networkPass) error {
	network, etcd, err := resolve.NetworkOf(p.network.Spec, resolve.Placeholders())
	if err != nil {
		// Nodes say so as well; with etcd, what was published stays.
		if usesEtcd(&p.network.Spec) {
			p.keep()
			p.publication(&rollout.Publication{Trouble: &rollout.Stall{Reason: v1alpha1.ReasonInvalid, Message: oneLine(err)}})
		}
		return nil
	}
	wanted := leases.Network{Range: network.PodCIDR, Length: network.PodSubnetLength}
	if etcd != nil {
		return r.inEtcd(ctx, p, network, etcd)
	}
	r.etcd.Forget(p.network.Name)
	r.tenants.forget(p.network.Name)
	held, err := r.ofNodes(ctx, p, wanted)
	if err != nil {
		return err
	}
	p.view.Leases = p.fleet().Judge(wanted, held)
	return nil
}

func usesEtcd(n *v1alpha1.NetworkConfigSpec) bool {
	return n.SubnetManager != nil && n.SubnetManager.Etcd != nil
}

// keep takes over what the status said before of what cannot be looked at now.
func (p *networkPass) keep() {
	p.view.Leases, p.view.Network = p.network.Status.Leases, p.network.Status.Published
}

// fleet are the machines that leases may belong to, with the addresses that their agents reported.
func (p *networkPass) fleet() leases.Fleet {
	nodes := make([]leases.Node, 0, len(p.nodes))
	for i := range p.nodes {
		state := &p.nodes[i]
		node := leases.NodeOf(state)
		if p.members[state.Name] && state.Status.Facts != nil {
			node.Chosen, _ = resolve.NodeIP(p.network.Spec.Interface, *state.Status.Facts)
		}
		nodes = append(nodes, node)
	}
	return leases.NewFleet(nodes)
}

// ofNodes are the subnets of Nodes, with the Kubernetes subnet manager: those of the network's own
// nodes, and what machines that Seedbed does not know have of its range.
func (r *NetworkConfigReconciler) ofNodes(ctx context.Context, p *networkPass, network leases.Network) ([]leases.Lease, error) {
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list Nodes: %w", err)
	}
	known := make(map[string]bool, len(p.nodes))
	for i := range p.nodes {
		known[p.nodes[i].Name] = true
	}
	var held []leases.Lease
	for i := range nodes.Items {
		node := &nodes.Items[i]
		subnet, err := netip.ParsePrefix(node.Spec.PodCIDR)
		if err != nil || !subnet.Addr().Is4() {
			continue
		}
		if !p.members[node.Name] && (known[node.Name] || !subnet.Overlaps(network.Range)) {
			continue
		}
		lease := leases.Lease{Subnet: subnet, Node: node.Name}
		if ip, err := netip.ParseAddr(node.Annotations[publicIPAnnotation]); err == nil {
			lease.PublicIP = ip
		}
		held = append(held, lease)
	}
	return held, nil
}
