package forecast

import (
	"net/netip"
	"slices"
	"testing"

	"seedbed.dev/seedbed/controllers/state"
)

func TestSharesOfANetworkAreItsSecondAndItsLast(t *testing.T) {
	for _, c := range []struct {
		bridge state.Bridge
		want   []string
	}{
		{state.Bridge{Network: "172.30.0.0/16", Length: 24}, []string{"172.30.1.0/24", "172.30.255.0/24"}},
		{state.Bridge{Network: "172.30.0.0/16"}, []string{"172.30.1.0/24", "172.30.255.0/24"}},
		{state.Bridge{Network: "10.0.0.0/8", Length: 30}, []string{"10.0.0.4/30", "10.255.255.252/30"}},
		{state.Bridge{Network: "172.30.0.0/26", Length: 28}, []string{"172.30.0.16/28", "172.30.0.48/28"}},
		{state.Bridge{Network: "fd00::/48"}, nil},
	} {
		var got []string
		for _, p := range shares(&c.bridge) {
			got = append(got, p.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.bridge, got, c.want)
		}
	}
}

func TestALeaseFromAfarIsOneThatCannotStayIfThereIsOne(t *testing.T) {
	bridge := func(network string) state.Host {
		h := state.New()
		h.Links["docker0"] = state.Link{Bridge: &state.Bridge{Lease: "/lease", Options: "/options", Maker: "docker.service", Network: network, Length: 24}}
		return h
	}
	for next, want := range map[string]string{
		"172.30.0.0/16":   "172.30.255.1/24",
		"172.30.0.0/17":   "172.30.255.1/24", // out of it
		"172.30.128.0/17": "172.30.1.1/24",   // out of it
		"172.16.0.0/12":   "172.30.255.1/24",
	} {
		observe, _ := FromAfar(bridge("172.30.0.0/16"), netip.Prefix{})
		if got := observe(bridge(next)).Links["docker0"].Addresses[0]; got != want {
			t.Errorf("next %s: docker0 has %s, want %s", next, got, want)
		}
		observe, _ = FromAfar(bridge("172.30.0.0/16"), netip.MustParsePrefix("172.30.7.0/24"))
		if got := observe(bridge(next)).Links["docker0"].Addresses[0]; got != "172.30.7.1/24" {
			t.Errorf("next %s: a share that is known is not taken: %s", next, got)
		}
	}
}
