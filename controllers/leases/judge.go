package leases

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// shown is how many conflicts a status has room for.
const shown = 8

// Network is what leases are to fit.
type Network struct {
	// Range is podCIDR.
	Range netip.Prefix
	// Length is podSubnetLength, with its default.
	Length int
}

// Judge counts the leases and says of each what is wrong with it, if anything is; of several things
// the one that does most harm.
func (f Fleet) Judge(network Network, all []Lease) *v1alpha1.LeaseStatus {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Lease) int {
		return cmp.Or(a.Subnet.Addr().Compare(b.Subnet.Addr()), cmp.Compare(a.Subnet.Bits(), b.Subnet.Bits()),
			a.PublicIP.Compare(b.PublicIP), cmp.Compare(a.Node, b.Node))
	})
	j := judge{network: network, fleet: f, byIP: byPublicIP(all), overlaps: overlaps(all)}
	status := &v1alpha1.LeaseStatus{Count: int32(len(all))}
	for i, l := range all {
		reason, message := j.verdict(i, l)
		if reason == "" {
			continue
		}
		status.Conflicts++
		if len(status.First) == shown {
			continue
		}
		conflict := v1alpha1.LeaseConflict{Subnet: l.Subnet.String(), Reason: reason, Message: message}
		if l.PublicIP.IsValid() {
			conflict.PublicIP = l.PublicIP.String()
		}
		status.First = append(status.First, conflict)
	}
	return status
}

type judge struct {
	network  Network
	fleet    Fleet
	byIP     map[netip.Addr][]Lease
	overlaps map[int]netip.Prefix
}

func (j judge) verdict(i int, l Lease) (v1alpha1.LeaseConflictReason, string) {
	other, overlaps := j.overlaps[i]
	switch {
	case l.Subnet.Bits() < j.network.Range.Bits() || !j.network.Range.Contains(l.Subnet.Addr()):
		return v1alpha1.LeaseOutsideNetwork, fmt.Sprintf("not in podCIDR %s: no other node has a route to it; restart flanneld there to get a new one", j.network.Range)
	case overlaps:
		return v1alpha1.LeaseOverlap, fmt.Sprintf("has addresses of %s: delete the lease whose node is gone, or restart flanneld on one of the two", other)
	case l.Subnet.Bits() != j.network.Length:
		return v1alpha1.LeaseWrongLength, fmt.Sprintf("podSubnetLength is %d: restart flanneld there to get a new one", j.network.Length)
	case len(j.byIP[l.PublicIP]) > 1:
		return v1alpha1.LeaseDuplicatePublicIP, fmt.Sprintf("%d leases are at %s: delete those that its node does not use", len(j.byIP[l.PublicIP]), l.PublicIP)
	}
	return j.place(l)
}

// place looks at whose the lease is. A Node's is its own; what nobody has to say an address of is
// not judged.
func (j judge) place(l Lease) (v1alpha1.LeaseConflictReason, string) {
	if !l.PublicIP.IsValid() {
		return "", ""
	}
	names := j.fleet.byAddress[l.PublicIP]
	if l.Node != "" {
		names = []string{l.Node}
	}
	for _, name := range names {
		if n := j.fleet.byName[name]; n.Chosen.IsValid() && n.Chosen != l.PublicIP {
			return v1alpha1.LeaseWrongInterface, fmt.Sprintf("node %s speaks over %s, and interface chooses %s: restart flanneld there with the arguments that it has now (SB007)", n.Name, l.PublicIP, n.Chosen)
		}
	}
	if len(names) > 0 || l.Reserved {
		return "", ""
	}
	return v1alpha1.LeaseNoNode, fmt.Sprintf("no node that Seedbed knows has the address %s: if its machine is gone, delete the lease, or let it expire (SB009)", l.PublicIP)
}

func byPublicIP(all []Lease) map[netip.Addr][]Lease {
	by := make(map[netip.Addr][]Lease, len(all))
	for _, l := range all {
		if l.PublicIP.IsValid() {
			by[l.PublicIP] = append(by[l.PublicIP], l)
		}
	}
	return by
}

// overlaps finds for each lease by its index another that shares addresses with it. Two ranges are
// apart or one is in the other, so in sorted order a lease overlaps with the last that no other
// contains, or with nobody before it.
func overlaps(sorted []Lease) map[int]netip.Prefix {
	found := map[int]netip.Prefix{}
	outer := 0
	for i := 1; i < len(sorted); i++ {
		if !sorted[outer].Subnet.Overlaps(sorted[i].Subnet) {
			outer = i
			continue
		}
		found[i] = sorted[outer].Subnet
		if _, ok := found[outer]; !ok {
			found[outer] = sorted[i].Subnet
		}
	}
	return found
}
