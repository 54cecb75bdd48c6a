package leases

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Lease is a subnet that a machine has.
type Lease struct {
	Subnet netip.Prefix
	// PublicIP is where other nodes send the subnet's packets. Not valid: not known yet.
	PublicIP netip.Addr
	// Node is the name of the Node that has the subnet, with the Kubernetes subnet manager; else "".
	Node string
	// Reserved is true for a lease without an end, which an administrator made for a machine that may
	// be switched off (flannel, Documentation/reservations.md).
	Reserved bool
}

// Node is a machine that Seedbed knows.
type Node struct {
	Name string
	// Addresses that its agent reported.
	Addresses []netip.Addr
	// Chosen is the address that the network's interface chooses. Not valid: the node is not of this
	// network, or nothing can be said.
	Chosen netip.Addr
}

// Parse reads a lease from the last element of its key and its value, in flannel's format: as in
// 172.30.38.0-24 and {"PublicIP":"10.64.3.8",…}. A lease of IPv6 besides is read for its IPv4 part.
func Parse(name string, value []byte) (Lease, error) {
	v4, _, _ := strings.Cut(name, "&")
	address, length, _ := strings.Cut(v4, "-")
	addr, err := netip.ParseAddr(address)
	bits, lengthErr := strconv.Atoi(length)
	if err != nil || lengthErr != nil || !addr.Is4() || bits < 0 || bits > 32 {
		return Lease{}, fmt.Errorf("key %q is not address-length", name)
	}
	var attributes struct{ PublicIP netip.Addr }
	if err := json.Unmarshal(value, &attributes); err != nil {
		return Lease{}, fmt.Errorf("value of %s: %w", name, err)
	}
	return Lease{Subnet: netip.PrefixFrom(addr, bits), PublicIP: attributes.PublicIP}, nil
}

// Fleet are the machines that Seedbed knows, to be found by name and by address.
type Fleet struct {
	byName    map[string]Node
	byAddress map[netip.Addr][]string
}

// NewFleet indexes machines.
func NewFleet(nodes []Node) Fleet {
	f := Fleet{byName: make(map[string]Node, len(nodes)), byAddress: make(map[netip.Addr][]string, len(nodes))}
	for _, n := range nodes {
		f.byName[n.Name] = n
		for _, a := range n.Addresses {
			f.byAddress[a] = append(f.byAddress[a], n.Name)
		}
	}
	for _, names := range f.byAddress {
		slices.Sort(names)
	}
	return f
}

// Owner is the one node whose address a lease is at. An address of several nodes is nobody's.
func (f Fleet) Owner(l Lease) (string, bool) {
	owners := f.byAddress[l.PublicIP]
	if len(owners) != 1 {
		return "", false
	}
	return owners[0], true
}

// Owned counts the leases that are at an address of one node.
func (f Fleet) Owned(held []Lease) int {
	n := 0
	for _, l := range held {
		if _, ok := f.Owner(l); ok {
			n++
		}
	}
	return n
}

// Has says whether there is a machine of that name.
func (f Fleet) Has(name string) bool { _, ok := f.byName[name]; return ok }

// NodeOf is a NodeState as a Node, without Chosen. Addresses that are none are left out.
func NodeOf(s *v1alpha1.NodeState) Node {
	n := Node{Name: s.Name}
	if s.Status.Facts == nil {
		return n
	}
	for _, i := range s.Status.Facts.Interfaces {
		for _, a := range i.Addresses {
			if p, err := netip.ParsePrefix(a); err == nil && p.Addr().IsGlobalUnicast() {
				n.Addresses = append(n.Addresses, p.Addr())
			}
		}
	}
	return n
}

// Departure is a node that was deleted, with the lease that was its own while it was there.
type Departure struct {
	Node  string
	Lease Lease
}

// Release says whether a lease that is held now may go because of a departure: it is the very one
// that the node had, and nobody has taken its name or address since.
func (f Fleet) Release(d Departure, held Lease) bool {
	if held.Reserved || held.Subnet != d.Lease.Subnet || held.PublicIP != d.Lease.PublicIP || !held.PublicIP.IsValid() {
		return false
	}
	return !f.Has(d.Node) && len(f.byAddress[held.PublicIP]) == 0
}
