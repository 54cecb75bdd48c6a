package linux

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Bounds of the API: a node with thousands of container interfaces reports no more than these.
const (
	maxInterfaces = 32
	maxAddresses  = 16
	maxRoutes     = 64
)

// containerPrefixes are names of interfaces that container networks make and remove all day.
var containerPrefixes = []string{"veth", "docker", "br-", "flannel", "cni", "cali", "lxc", "cilium", "kube-", "nodelocaldns", "dummy-kube"}

// link is what counts of a network interface.
type link struct {
	index int
	name  string
	kind  string
	// bridged is true for a port of a bridge.
	bridged   bool
	mtu       int
	loopback  bool
	addresses []string
}

// isHostLink: one end of a veth pair is a container's when it is a port of a bridge. Of a host that is
// itself a container's like (systemd-nspawn, LXC), it is the uplink.
func (l link) isHostLink() bool {
	if l.loopback || l.kind == "veth" && l.bridged {
		return false
	}
	return !slices.ContainsFunc(containerPrefixes, func(prefix string) bool { return strings.HasPrefix(l.name, prefix) })
}

// readNetwork asks the kernel for interfaces, addresses and the main table's IPv4 routes.
func readNetwork() ([]v1alpha1.InterfaceFacts, []v1alpha1.RouteFacts, error) {
	found, err := netlink.LinkList()
	if err != nil {
		return nil, nil, fmt.Errorf("network interfaces: %w", err)
	}
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, nil, fmt.Errorf("network addresses: %w", err)
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, nil, fmt.Errorf("network routes: %w", err)
	}
	var links []link
	for _, l := range found {
		attrs := l.Attrs()
		one := link{index: attrs.Index, name: attrs.Name, kind: l.Type(), bridged: attrs.MasterIndex != 0, mtu: attrs.MTU, loopback: attrs.Flags&net.FlagLoopback != 0}
		for _, a := range addresses {
			if a.LinkIndex == attrs.Index && !a.IP.IsLinkLocalUnicast() {
				one.addresses = append(one.addresses, a.IPNet.String())
			}
		}
		links = append(links, one)
	}
	return interfaceFacts(links), routeFacts(links, routes), nil
}

// interfaceFacts are sorted by name. When there are too many, those with addresses stay.
func interfaceFacts(links []link) []v1alpha1.InterfaceFacts {
	var hostLinks []link
	for _, l := range links {
		if l.isHostLink() {
			hostLinks = append(hostLinks, l)
		}
	}
	slices.SortFunc(hostLinks, func(a, b link) int {
		return cmp.Or(cmp.Compare(min(1, len(b.addresses)), min(1, len(a.addresses))), strings.Compare(a.name, b.name))
	})
	hostLinks = hostLinks[:min(len(hostLinks), maxInterfaces)]
	slices.SortFunc(hostLinks, func(a, b link) int { return strings.Compare(a.name, b.name) })
	var facts []v1alpha1.InterfaceFacts
	for _, l := range hostLinks {
		facts = append(facts, v1alpha1.InterfaceFacts{
			Name: l.name, MTU: int32(l.mtu), Addresses: l.addresses[:min(len(l.addresses), maxAddresses)],
		})
	}
	return facts
}

// routeFacts are the routes that leave by a host interface, sorted by destination and metric.
func routeFacts(links []link, routes []netlink.Route) []v1alpha1.RouteFacts {
	names := map[int]string{}
	for _, l := range links {
		if l.isHostLink() {
			names[l.index] = l.name
		}
	}
	var facts []v1alpha1.RouteFacts
	for _, r := range routes {
		// A route over several paths has no interface of its own; the first path's stands for it.
		index := r.LinkIndex
		if index == 0 && len(r.MultiPath) > 0 {
			index = r.MultiPath[0].LinkIndex
		}
		name, ok := names[index]
		if !ok {
			continue
		}
		destination := "0.0.0.0/0"
		if r.Dst != nil {
			destination = r.Dst.String()
		}
		facts = append(facts, v1alpha1.RouteFacts{Destination: destination, Interface: name, Metric: int32(r.Priority)})
	}
	slices.SortFunc(facts, func(a, b v1alpha1.RouteFacts) int {
		return cmp.Or(strings.Compare(a.Destination, b.Destination), cmp.Compare(a.Metric, b.Metric), strings.Compare(a.Interface, b.Interface))
	})
	return facts[:min(len(facts), maxRoutes)]
}
