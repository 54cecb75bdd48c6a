package nodeobject

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func prefixes(cidrs ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, c := range cidrs {
		out = append(out, netip.MustParsePrefix(c))
	}
	return out
}

func TestPodCIDR(t *testing.T) {
	tests := []struct {
		reason  string
		network string
		length  int
		taken   []netip.Prefix
		want    string // "" is exhausted
	}{
		{"the only share", "10.0.0.0/23", 24, prefixes("10.0.0.0/24"), "10.0.1.0/24"},
		{"the only share before the node's place", "10.0.0.0/23", 24, prefixes("10.0.1.0/24"), "10.0.0.0/24"},
		{"none", "10.0.0.0/23", 24, prefixes("10.0.0.0/24", "10.0.1.0/24"), ""},
		{"one range holds the whole network", "10.0.0.0/23", 24, prefixes("10.0.0.0/8"), ""},
		{"a range as large as the network", "10.0.0.0/23", 24, prefixes("10.0.0.0/23"), ""},
		{"a longer range takes the share that it is in", "10.0.0.0/23", 24, prefixes("10.0.0.128/28", "10.0.0.0/28"), "10.0.1.0/24"},
		{"a shorter range takes all the shares that are in it", "10.0.0.0/22", 24, prefixes("10.0.0.0/23", "10.0.3.0/24"), "10.0.2.0/24"},
		{"with host bits", "10.0.0.0/23", 24, prefixes("10.0.1.7/24"), "10.0.0.0/24"},
		{"other networks take nothing", "10.0.0.0/23", 24, prefixes("10.0.0.0/24", "10.0.2.0/24", "9.255.255.0/24", "fd00::/64"), "10.0.1.0/24"},
		{"the end of the address space", "255.255.254.0/23", 24, prefixes("255.255.254.0/24"), "255.255.255.0/24"},
		{"the smallest shares", "10.0.0.0/29", 30, prefixes("10.0.0.4/30"), "10.0.0.0/30"},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			got, err := PodCIDR("node-a", netip.MustParsePrefix(tt.network), tt.length, tt.taken)
			switch {
			case tt.want == "" && !errors.Is(err, ErrExhausted):
				t.Errorf("got %s, %v", got, err)
			case tt.want != "" && (err != nil || got.String() != tt.want):
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestPodCIDRRefusesWhatIsNoNetwork(t *testing.T) {
	for _, bad := range []struct {
		network netip.Prefix
		length  int
	}{
		{netip.Prefix{}, 24},
		{netip.MustParsePrefix("fd00::/48"), 64},
		{netip.MustParsePrefix("10.0.0.0/16"), 16},
		{netip.MustParsePrefix("10.0.0.0/16"), 31},
		{netip.MustParsePrefix("10.0.0.0/16"), 0},
	} {
		if got, err := PodCIDR("a", bad.network, bad.length, nil); err == nil || errors.Is(err, ErrExhausted) {
			t.Errorf("%s /%d: %s, %v", bad.network, bad.length, got, err)
		}
	}
}

func TestANodeThatJoinsAgainGetsItsShareBack(t *testing.T) {
	network := netip.MustParsePrefix("172.30.0.0/16")
	first, err := PodCIDR("node-a", network, 24, nil)
	if err != nil {
		t.Fatal(err)
	}
	var taken []netip.Prefix
	for i := range 20 {
		share, err := PodCIDR(fmt.Sprint("node-", i), network, 24, append(taken, first))
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, share)
	}
	if again, err := PodCIDR("node-a", network, 24, taken); again != first || err != nil {
		t.Errorf("%s, then %s, %v", first, again, err)
	}
}

// fill gives out shares until none is left, and fails when one overlaps another or leaves the
// network, or when the space ran out too early.
func fill(t *testing.T, network netip.Prefix, length int, taken []netip.Prefix) {
	t.Helper()
	blocked := map[netip.Prefix]bool{}
	for i := range 1 << (length - network.Bits()) {
		share := netip.PrefixFrom(address(base(network)+uint64(i)<<(32-length)), length)
		for _, p := range taken {
			blocked[share] = blocked[share] || p.Masked().Overlaps(share)
		}
	}
	free := 1 << (length - network.Bits())
	for _, b := range blocked {
		if b {
			free--
		}
	}
	for i := range free {
		share, err := PodCIDR(fmt.Sprint("node-", i), network, length, taken)
		if err != nil {
			t.Fatalf("%d of %d free in %s with %v: %v", i, free, network, taken, err)
		}
		if share.Bits() != length || share != share.Masked() || !network.Contains(share.Addr()) {
			t.Fatalf("%s is no share of /%d of %s", share, length, network)
		}
		for _, p := range taken {
			if p.Overlaps(share) {
				t.Fatalf("%s overlaps %s", share, p)
			}
		}
		taken = append(taken, share)
	}
	if share, err := PodCIDR("one-more", network, length, taken); !errors.Is(err, ErrExhausted) {
		t.Fatalf("%s, %v, though nothing is free", share, err)
	}
}

func randomPrefix(r *rand.Rand, near netip.Prefix) netip.Prefix {
	n := base(near)&^0xfff + r.Uint64N(1<<13) - 1<<11
	return netip.PrefixFrom(address(n&0xffffffff), 18+r.IntN(15))
}

func TestSharesNeverOverlapAndAllAreGivenOut(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		network := netip.PrefixFrom(address(r.Uint64N(1<<32)), 16+r.IntN(10)).Masked()
		length := min(network.Bits()+1+r.IntN(7), 30)
		var taken []netip.Prefix
		for range r.IntN(12) {
			taken = append(taken, randomPrefix(r, network))
		}
		fill(t, network, length, taken)
	}
}

func FuzzPodCIDR(f *testing.F) {
	f.Add("node-a", uint32(0xac1e0000), 16, 24, uint32(0xac1e0100), 24)
	f.Add("", uint32(0xfffffff0), 28, 30, uint32(0), 0)
	f.Fuzz(func(t *testing.T, node string, network uint32, bits, length int, other uint32, otherBits int) {
		n := netip.PrefixFrom(address(uint64(network)), bits)
		o := netip.PrefixFrom(address(uint64(other)), otherBits)
		got, err := PodCIDR(node, n, length, []netip.Prefix{o})
		if err != nil {
			return
		}
		if got != got.Masked() || got.Bits() != length || !n.Contains(got.Addr()) || o.IsValid() && o.Overlaps(got) {
			t.Errorf("%s of %s with %s taken", got, n, o)
		}
	})
}

func BenchmarkPodCIDR(b *testing.B) {
	network := netip.MustParsePrefix("10.0.0.0/8")
	var taken []netip.Prefix
	for i := range 5000 {
		share, err := PodCIDR(fmt.Sprint("node-", i), network, 24, taken)
		if err != nil {
			b.Fatal(err)
		}
		taken = append(taken, share)
	}
	for b.Loop() {
		if _, err := PodCIDR("one-more", network, 24, taken); err != nil {
			b.Fatal(err)
		}
	}
}
