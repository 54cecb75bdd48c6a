package rollout

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

// SharesNodes is true for a network whose shares are the podCIDR of the Nodes (subnet manager
// Kubernetes, the default), with the network's range and the length of a share.
func SharesNodes(n v1alpha1.NetworkConfigSpec) (network netip.Prefix, length int, ok bool) {
	if m := n.SubnetManager; m != nil && m.Type != nil && *m.Type != v1alpha1.SubnetManagerKubernetes {
		return netip.Prefix{}, 0, false
	}
	network, err := netip.ParsePrefix(n.PodCIDR)
	return network, int(subnetLength(n)), err == nil
}

// ShareOf is the network of which a Node is given its share: that of its assigned revision, or of what is
// wanted next the part that both have, since a share can never be changed. ok is false where they have
// none in common: then it is given one once the next is assigned.
func ShareOf(assigned v1alpha1.NetworkConfigSpec, next *v1alpha1.NetworkConfigSpec) (network netip.Prefix, length int, ok bool) {
	network, length, ok = SharesNodes(assigned)
	if !ok || next == nil || !next.AllowDisruptiveChange { // else it is refused, see NetworkChange
		return network, length, ok
	}
	wanted, wantedLength, shared := SharesNodes(*next)
	switch {
	case !shared:
		return network, length, true
	case !wanted.Overlaps(network):
		return netip.Prefix{}, 0, false
	case wanted.Bits() > network.Bits():
		return wanted, wantedLength, true
	}
	return network, length, true
}

// Outside is true for a Node whose share is no part of the network, so that flanneld ends there again and
// again (flannel, pkg/subnet/kube, AcquireLease). The API lets nobody change it.
func Outside(spec v1alpha1.NetworkConfigSpec, node *corev1.Node) bool {
	network, _, ok := SharesNodes(spec)
	if !ok || node.Spec.PodCIDR == "" {
		return false
	}
	share, err := netip.ParsePrefix(node.Spec.PodCIDR)
	return err != nil || !share.Addr().Is4() || share.Bits() < network.Bits() || !network.Contains(share.Addr())
}

// PodCIDRTrouble says which of the nodes' shares of the pod network cannot be used, or cannot be
// given: nil is all well. nodes are the governed ones that have a Node, taken the shares of all.
func PodCIDRTrouble(spec v1alpha1.NetworkConfigSpec, nodes []*corev1.Node, taken []netip.Prefix) *Stall {
	network, length, ok := SharesNodes(spec)
	if !ok {
		return nil
	}
	var without, outside []string
	for _, n := range nodes {
		switch {
		case n.Spec.PodCIDR == "":
			without = append(without, n.Name)
		case Outside(spec, n):
			outside = append(outside, n.Name)
		}
	}
	slices.Sort(without)
	slices.Sort(outside)
	if len(outside) > 0 {
		return &Stall{v1alpha1.ReasonPodCIDROutside, fmt.Sprintf("spec.podCIDR of Node %s is outside podCIDR %s of the network, with which flanneld would not start, and the API lets nobody change it: "+
			"it keeps what it has; drain and delete the Node, and it is made anew with a share of the network", list(outside), network)}
	}
	if len(without) > 0 {
		if _, err := nodeobject.PodCIDR(without[0], network, length, taken); err != nil {
			return &Stall{v1alpha1.ReasonPodCIDRExhausted, fmt.Sprintf("no podCIDR is left for Node %s: %s: "+
				"delete Nodes that are no more, or set allowDisruptiveChange with a longer podSubnetLength or a wider podCIDR", list(without), err)}
		}
	}
	return nil
}

// Shares are the podCIDRs of Nodes.
func Shares(nodes []*corev1.Node) []netip.Prefix {
	var shares []netip.Prefix
	for _, n := range nodes {
		cidrs := n.Spec.PodCIDRs
		if len(cidrs) == 0 {
			cidrs = []string{n.Spec.PodCIDR}
		}
		for _, cidr := range cidrs {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				shares = append(shares, p)
			}
		}
	}
	return shares
}
