package nodeobject

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
)

// ErrExhausted is returned by PodCIDR when every share of the network is taken.
var ErrExhausted = errors.New("every share is taken")

// PodCIDR chooses a node's share of network: the first of length bits that overlaps nothing taken,
// beginning at a place that follows from the node's name. So a node that leaves and joins again is
// likely to get its old share back, and a share that was given up is not at once somebody else's,
// while routes to it may still exist. Network and taken ranges are IPv4; others are left out.
func PodCIDR(node string, network netip.Prefix, length int, taken []netip.Prefix) (netip.Prefix, error) {
	if !network.IsValid() || !network.Addr().Is4() || length <= network.Bits() || length > 30 {
		return netip.Prefix{}, fmt.Errorf("no share of /%d in %s", length, network)
	}
	network = network.Masked()
	shares := uint64(1) << (length - network.Bits())
	used := occupied(network, length, taken)
	h := fnv.New32a()
	_, _ = h.Write([]byte(node)) // never fails
	start := uint64(h.Sum32()) % shares
	share, ok := firstFree(used, start, shares)
	if !ok {
		share, ok = firstFree(used, 0, start)
	}
	if !ok {
		return netip.Prefix{}, fmt.Errorf("%s in shares of /%d: %w", network, length, ErrExhausted)
	}
	return netip.PrefixFrom(address(base(network)+share<<(32-length)), length), nil
}

// span is a range of shares, both ends included.
type span struct{ first, last uint64 }

// occupied are the shares that the taken ranges overlap, in order.
func occupied(network netip.Prefix, length int, taken []netip.Prefix) []span {
	var used []span
	for _, t := range taken {
		if !t.IsValid() || !t.Addr().Is4() || !t.Overlaps(network) {
			continue
		}
		if t.Bits() <= network.Bits() {
			return []span{{0, 1<<(length-network.Bits()) - 1}}
		}
		first := (base(t.Masked()) - base(network)) >> (32 - length)
		last := (base(t.Masked()) + 1<<(32-t.Bits()) - 1 - base(network)) >> (32 - length)
		used = append(used, span{first, last})
	}
	slices.SortFunc(used, func(a, b span) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last)) })
	return used
}

// firstFree is the lowest share from start up to, and without, end that no span holds.
func firstFree(used []span, start, end uint64) (uint64, bool) {
	for _, s := range used {
		if s.first > start {
			break
		}
		start = max(start, s.last+1)
	}
	return start, start < end
}

func base(p netip.Prefix) uint64 {
	a := p.Addr().As4()
	return uint64(binary.BigEndian.Uint32(a[:]))
}

func address(n uint64) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(n))
	return netip.AddrFrom4(a)
}
