package chain

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/state"
)

// Bridge is a bridge compared with flannel's lease.
type Bridge struct {
	// Lease is what flannel gave; LeaseErr why there is none.
	Lease    dockeropts.Lease
	LeaseErr error
	// Rule and Fault say why the bridge has to be made anew; both empty when it has not.
	Rule, Fault string
	// Stale is true if the options that docker starts with are not those of the lease.
	Stale bool
	// Old says why the lease does not count for now; empty when it does.
	Old string
	// Moves says why flannel has to give another lease once it reads its network anew, or why no first
	// lease can be what the bridge has; empty when it can stay.
	Moves string
	// Outside is true if the lease is no part of the wanted network.
	Outside bool
}

var errNoLease = errors.New("flannel has written no lease")

// LookAt compares the bridge that want describes with the observed host.
func LookAt(name string, want *state.Bridge, seen state.Host) Bridge {
	var b Bridge
	b.Lease, b.LeaseErr = lease(want, seen)
	if b.LeaseErr != nil {
		b.Moves = strays(want, seen.Links[name])
		return b
	}
	b.Moves, b.Outside = moves(want, b.Lease), outside(want, b.Lease)
	options, present := seen.Files[want.Options]
	b.Stale = !present || string(options.Content) != string(b.Lease.EnvFile())
	if giver := seen.Units[want.Giver]; giver.Activity != state.Active {
		b.Old = want.Giver + " does not run, so its lease may be an old one"
	}
	link, there := seen.Links[name]
	switch wrong := mtuFault(link, b.Lease.MTU, present && b.Stale); {
	case !there:
		if seen.Units[want.Maker].Activity == state.Active {
			b.Rule, b.Fault = "SB001", "it is gone, and "+want.Maker+" runs"
		}
	case !slices.Contains(link.Addresses, b.Lease.Bridge.String()):
		b.Rule, b.Fault = "SB001", fmt.Sprintf("it has %s, and flannel's lease is %s", addresses(link), b.Lease.Bridge)
	case wrong != "":
		b.Rule, b.Fault = "SB026", fmt.Sprintf("%s, and flannel's lease has MTU %d", wrong, b.Lease.MTU)
	}
	return b
}

func lease(want *state.Bridge, seen state.Host) (dockeropts.Lease, error) {
	if why, unknown := seen.Unknown[state.Ref{Kind: state.KindFile, Name: want.Lease}]; unknown {
		return dockeropts.Lease{}, errors.New(why)
	}
	file, present := seen.Files[want.Lease]
	if !present {
		return dockeropts.Lease{}, errNoLease
	}
	return dockeropts.Parse(file.Content)
}

func outside(want *state.Bridge, lease dockeropts.Lease) bool {
	network, err := netip.ParsePrefix(want.Network)
	subnet := lease.Bridge.Masked()
	return err == nil && (subnet.Bits() < network.Bits() || !network.Contains(subnet.Addr()))
}

// moves compares a lease with the network that is wanted, as flannel does with a lease that it had
// (flannel, pkg/subnet/etcd, isSubnetConfigCompat; the first subnet is never given out).
func moves(want *state.Bridge, lease dockeropts.Lease) string {
	network, err := netip.ParsePrefix(want.Network)
	subnet := lease.Bridge.Masked()
	switch {
	case err == nil && !network.Overlaps(lease.Network):
		return fmt.Sprintf("podCIDR %s becomes %s", lease.Network, network)
	case err == nil && !network.Contains(subnet.Addr()):
		return fmt.Sprintf("podCIDR %s becomes %s, without subnet %s", lease.Network, network, subnet)
	case want.Length != 0 && subnet.Bits() != want.Length:
		return fmt.Sprintf("subnets of /%d become /%d", subnet.Bits(), want.Length)
	case err == nil && want.Length != 0 && subnet.Addr() == network.Addr():
		return fmt.Sprintf("subnet %s is the first of podCIDR %s, which flannel gives to nobody", subnet, network)
	case want.MTU != 0 && lease.MTU != want.MTU:
		return fmt.Sprintf("MTU %d becomes %d", lease.MTU, want.MTU)
	}
	return ""
}

// OtherManager says why the lease may be another one after the next start of the giver, which was started
// with the inputs read: subnet managers do not know of each other's leases. That flannel finds the subnet
// there too nobody can tell before. It is empty where the manager stays, or is not known: it is on the
// command line, so that a unit file that was read has to differ; of one that somebody else started less
// may be on record than it read.
func OtherManager(want *state.Bridge, giver state.Unit, read map[string]string) string {
	wanted, other := giver.Reads(), false
	for name, hash := range read {
		other = other || state.IsUnitFile(name) && wanted[name] != hash
	}
	switch _, byNode := read[want.ByNode]; {
	case want.ByNode == "" || !other:
	case want.Length == 0 && !byNode:
		return "the subnet comes from the Node instead of from etcd"
	case want.Length != 0 && byNode:
		return "the subnet comes from etcd instead of from the Node"
	}
	return ""
}

// strays is why no lease of the network is what the bridge has: docker has made it without flannel.
func strays(want *state.Bridge, link state.Link) string {
	network, err := netip.ParsePrefix(want.Network)
	inside := func(address string) bool {
		p, err := netip.ParsePrefix(address)
		return err != nil || network.Contains(p.Addr())
	}
	if err != nil || len(link.Addresses) == 0 || slices.ContainsFunc(link.Addresses, inside) {
		return ""
	}
	return fmt.Sprintf("it has %s, and podCIDR is %s", addresses(link), network)
}

// mtuFault looks at a bridge without ports only if docker was started with other options: before
// docker 26 it has the kernel's MTU until the first container (moby#46849), which harms nobody.
func mtuFault(link state.Link, mtu int, otherOptions bool) string {
	for _, name := range state.SortedKeys(link.Ports) {
		if got := link.Ports[name].MTU; got != mtu {
			return fmt.Sprintf("its port %s has MTU %d", name, got)
		}
	}
	if link.MTU != mtu && (len(link.Ports) > 0 || otherOptions) {
		return fmt.Sprintf("it has MTU %d", link.MTU)
	}
	return ""
}

func addresses(link state.Link) string {
	if len(link.Addresses) == 0 {
		return "no address"
	}
	return strings.Join(link.Addresses, " and ")
}

// Anew is true when the bridge has to be made anew and the lease for it counts.
func (b Bridge) Anew() bool { return b.LeaseErr == nil && b.Fault != "" && b.Old == "" }

// KeptByNode is true if the lease is outside the wanted network and is the Node's podCIDR, which nobody
// can change: with that Node flanneld does not start.
func (b Bridge) KeptByNode(want *state.Bridge) bool { return b.Outside && want.Length == 0 }

// After is what the bridge becomes, for a plan.
func (b Bridge) After() string { return fmt.Sprintf("%s, MTU %d", b.Lease.Bridge, b.Lease.MTU) }
