package chain_test

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

func TestALeaseMovesWhenFlannelCannotKeepIt(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		want   state.Bridge
		says   string
	}{
		"same":        {"nothing changes", state.Bridge{Network: "172.30.0.0/16", Length: 24, MTU: 1450}, ""},
		"unknown":     {"what is not known changes nothing", state.Bridge{Network: "172.30.0.0/16"}, ""},
		"wider":       {"the lease is in it", state.Bridge{Network: "172.16.0.0/12", Length: 24}, ""},
		"elsewhere":   {"the lease is not in it", state.Bridge{Network: "172.31.0.0/16"}, "podCIDR 172.30.0.0/16 becomes 172.31.0.0/16"},
		"half":        {"the lease is in the other half", state.Bridge{Network: "172.30.128.0/17"}, "becomes 172.30.128.0/17, without subnet 172.30.38.0/24"},
		"longer":      {"flannel gives out others", state.Bridge{Network: "172.30.0.0/16", Length: 25}, "subnets of /24 become /25"},
		"first share": {"flannel never gives out the first", state.Bridge{Network: "172.30.38.0/23", Length: 24}, "is the first of podCIDR"},
		"MTU":         {"docker0 takes no other", state.Bridge{Network: "172.30.0.0/16", MTU: 1500}, "MTU 1450 becomes 1500"},
	} {
		seen := state.New()
		seen.Files[subnetEnv] = state.File{Content: []byte(leaseText)}
		c.want.Lease = subnetEnv
		if got := chain.LookAt("docker0", &c.want, seen).Moves; (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %s: %q", name, c.reason, got)
		}
	}
}
