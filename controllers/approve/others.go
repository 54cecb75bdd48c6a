package approve

import (
	"net/netip"
	"net/url"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Others returns addresses that belong to somebody else than a node, and to whom: those of the API
// servers that NodeConfigs name, whose certificates the same authority signs, and those that other
// NodeStates have by themselves and not within a range. What nodes report does not count.
func Others(node string, configs []v1alpha1.NodeConfig, nodes []v1alpha1.NodeState) map[netip.Addr]string {
	others := map[netip.Addr]string{}
	for i := range nodes {
		if nodes[i].Name == node {
			continue
		}
		// What cannot be read gives its own node nothing either.
		prefixes, _ := ParseAddresses(nodes[i].Spec.Addresses)
		for _, p := range prefixes {
			if p.IsSingleIP() {
				others[p.Addr()] = "node " + nodes[i].Name
			}
		}
	}
	for i := range configs {
		u, err := url.Parse(configs[i].Spec.Kubernetes.APIServer)
		if err != nil {
			continue
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
			others[ip.Unmap()] = "the API server"
		}
	}
	return others
}
