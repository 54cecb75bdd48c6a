package chain_test

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

func TestAnotherSubnetManagerGivesAnotherLease(t *testing.T) {
	const unit, kubeconfig = "/etc/systemd/system/flanneld.service", "/etc/kubernetes/flannel.kubeconfig"
	etcd, nodes := map[string]string{unit: "etcd"}, map[string]string{unit: "nodes", kubeconfig: "1"}
	for name, c := range map[string]struct {
		length     int
		unit       string
		read       map[string]string
		wantsOther bool
	}{
		"etcd stays":                           {24, "etcd", etcd, false},
		"etcd stays, with another log level":   {24, "etcd, v=4", etcd, false},
		"Nodes stay":                           {0, "nodes", nodes, false},
		"Nodes stay, with another log level":   {0, "nodes, v=4", nodes, false},
		"etcd to Nodes":                        {0, "nodes", etcd, true},
		"Nodes to etcd":                        {24, "etcd", nodes, true},
		"not by Seedbed":                       {24, "etcd", nil, false},
		"nor with Nodes":                       {0, "nodes", nil, false},
		"of what it read the program is known": {0, "nodes", map[string]string{"/usr/bin/flanneld": "1"}, false},
		"its kubeconfig is about to change":    {0, "nodes", map[string]string{unit: "nodes"}, false},
	} {
		giver := state.Unit{Inputs: []state.Input{{Name: unit, Path: unit, Hash: c.unit}}}
		got := chain.OtherManager(&state.Bridge{ByNode: kubeconfig, Length: c.length}, giver, c.read)
		if (got != "") != c.wantsOther {
			t.Errorf("%s: %q", name, got)
		}
	}
}

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
