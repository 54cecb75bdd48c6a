package forecast

import (
	"fmt"
	"net/netip"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// FromAfar looks at a node through what its agent reports: that it is at held. subnet is the node's
// share of the pod network; without one it is taken to be a share that cannot stay, if the network
// changes so that any cannot. Which containers run is not known.
func FromAfar(held state.Host, subnet netip.Prefix) (observe func(desired state.Host) state.Host, ledger state.Ledger) {
	_, ledger = plan.Converged(held)
	return func(desired state.Host) state.Host {
		observed, _ := plan.Converged(held)
		for name, link := range held.Links {
			if old, next := link.Bridge, desired.Links[name].Bridge; old != nil && next != nil {
				lay(observed, name, old, next, subnet)
			}
		}
		return observed
	}, ledger
}

// lay puts a lease on the host, and the bridge that docker made of it.
func lay(host state.Host, name string, old, next *state.Bridge, subnet netip.Prefix) {
	host.Unknown[state.Ref{Kind: state.KindContainers, Name: old.Maker}] = "it is not asked from here"
	candidates := []netip.Prefix{subnet}
	if !subnet.IsValid() {
		candidates = shares(old)
	}
	for _, share := range candidates {
		lease, err := leaseOf(old, next, share)
		if err != nil {
			continue
		}
		host.Files[old.Lease] = state.File{Content: subnetEnv(lease)}
		host.Files[old.Options] = state.File{Content: lease.EnvFile()}
		link := host.Links[name]
		link.Addresses, link.MTU = []string{lease.Bridge.String()}, lease.MTU
		host.Links[name] = link
		if chain.LookAt(name, next, host).Moves != "" {
			return
		}
	}
}

// leaseOf is a share as flannel gives it out. Without an MTU that is known it is the next one's.
func leaseOf(old, next *state.Bridge, share netip.Prefix) (dockeropts.Lease, error) {
	network, err := netip.ParsePrefix(old.Network)
	if err != nil {
		return dockeropts.Lease{}, fmt.Errorf("network %q: %w", old.Network, err)
	}
	const least = 1280
	lease := dockeropts.Lease{Network: network, Bridge: netip.PrefixFrom(share.Masked().Addr().Next(), share.Bits()), MTU: max(old.MTU, least)}
	if old.MTU == 0 {
		lease.MTU = max(next.MTU, least)
	}
	_, err = dockeropts.Parse(subnetEnv(lease))
	return lease, err
}

// subnetEnv is the lease as flannel writes it.
func subnetEnv(l dockeropts.Lease) []byte {
	return fmt.Appendf(nil, "FLANNEL_NETWORK=%s\nFLANNEL_SUBNET=%s\nFLANNEL_MTU=%d\nFLANNEL_IPMASQ=%t\n", l.Network, l.Bridge, l.MTU, l.Masquerade)
}

// shares are the second and the last share of a network: a range that has both has all that flannel
// gives out.
func shares(b *state.Bridge) []netip.Prefix {
	network, err := netip.ParsePrefix(b.Network)
	if err != nil || !network.Addr().Is4() {
		return nil
	}
	const usual = 24
	length := b.Length
	if length == 0 {
		length = max(usual, network.Bits())
	}
	base := network.Addr().As4()
	first := uint32(base[0])<<24 | uint32(base[1])<<16 | uint32(base[2])<<8 | uint32(base[3])
	at := func(offset uint32) netip.Prefix {
		n := first + offset
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), length)
	}
	size := uint32(1) << (32 - length)
	return []netip.Prefix{at(size), at(uint32(1)<<(32-network.Bits()) - size)}
}
