package approve

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// apiServer is who the addresses of API servers belong to.
const apiServer = "the API server"

// Servers are where a cluster says that its API servers are.
type Servers struct {
	// Hosts are their addresses and names. Nobody looks names up.
	Hosts []string
	// Service are the addresses of the Service through which pods reach them.
	Service []string
}

// Others returns addresses that belong to somebody else than a node, and to whom: those of the API
// servers, whose certificates the same authority signs, also as NodeConfigs name them, and those that
// other NodeStates have by themselves and not within a range. What nodes report does not count.
func Others(node string, servers Servers, configs []v1alpha1.NodeConfig, nodes []v1alpha1.NodeState) map[netip.Addr]string {
	others := map[netip.Addr]string{}
	belongs := func(host, who string) {
		if ip, err := netip.ParseAddr(host); err == nil {
			others[ip.Unmap()] = who
		}
	}
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
	for _, ip := range servers.Service {
		belongs(ip, "the Service of the API server")
	}
	for _, host := range hosts(servers, configs) {
		belongs(host, apiServer)
	}
	return others
}

// hosts are the addresses and names at which nodes and others connect to API servers.
func hosts(servers Servers, configs []v1alpha1.NodeConfig) []string {
	all := slices.Clone(servers.Hosts)
	for i := range configs {
		if u, err := url.Parse(configs[i].Spec.Kubernetes.APIServer); err == nil {
			all = append(all, u.Hostname())
		}
	}
	return all
}

// ServerNames returns the names by which API servers are connected to and that a node could have, which
// are of one label. Two are in every API server's certificate: pods of the namespace default reach it
// as "kubernetes", and "localhost" is nobody's own.
func ServerNames(servers Servers, configs []v1alpha1.NodeConfig) []string {
	names := []string{"kubernetes", "localhost"}
	for _, host := range hosts(servers, configs) {
		if name := strings.TrimSuffix(strings.ToLower(host), "."); len(validation.IsDNS1123Label(name)) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// isServer is true for a node that has an API server's address by itself: it runs there.
func isServer(in Input, allowed []netip.Prefix) bool {
	return slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.IsSingleIP() && in.Others[p.Addr()] == apiServer })
}

// knowsServer is true when the address of an API server is among those of others.
func knowsServer(others map[netip.Addr]string) bool {
	for _, who := range others {
		if who == apiServer {
			return true
		}
	}
	return false
}
