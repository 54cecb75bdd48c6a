package seed

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// with returns good options, changed.
func with(change func(*Options)) Options {
	o := Options{
		DataDir: "/data", BindAddress: DefaultBindAddress,
		ServiceRange: DefaultServiceRange, NodeMaskSize: DefaultNodeMaskSize,
	}
	if change != nil {
		change(&o)
	}
	return o
}

func mustCheck(t *testing.T, o Options) Settings {
	t.Helper()
	s, err := o.Check()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheckReturnsSettings(t *testing.T) {
	got := mustCheck(t, with(func(o *Options) {
		o.BindAddress, o.AdvertiseAddress, o.SecurePort = "0.0.0.0", "10.64.3.7", 6443
		o.ClusterRange, o.NodeMaskSize = "172.30.0.0/16", 24
		o.ExtraSANs = []string{"seed.example.com", "*.example.com", "192.0.2.1"}
	}))
	want := Settings{
		DataDir: "/data", Bind: netip.MustParseAddr("0.0.0.0"), Advertise: netip.MustParseAddr("10.64.3.7"), SecurePort: 6443,
		ServiceRange: netip.MustParsePrefix("10.254.0.0/16"), ClusterRange: netip.MustParsePrefix("172.30.0.0/16"), NodeMaskSize: 24,
		FlannelPrefixes: []string{"/coreos.com/network"},
		ExtraNames:      []string{"seed.example.com", "*.example.com"}, ExtraIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if got := got.ServiceIP().String(); got != "10.254.0.1" {
		t.Errorf("service IP %s", got)
	}
}

func TestCheckAcceptsWhatIsUnusualButRight(t *testing.T) {
	for reason, change := range map[string]func(*Options){
		"IPv6":                          func(o *Options) { o.BindAddress, o.ServiceRange = "fd00::7", "fd00:1::/112" },
		"IPv6 loopback":                 func(o *Options) { o.BindAddress, o.ServiceRange = "::1", "fd00:1::/112" },
		"advertise the bound address":   func(o *Options) { o.BindAddress, o.AdvertiseAddress = "10.64.3.7", "10.64.3.7" },
		"smallest service range":        func(o *Options) { o.ServiceRange = "10.254.0.0/29" },
		"largest service range":         func(o *Options) { o.ServiceRange = "10.240.0.0/12" },
		"several prefixes of flannel":   func(o *Options) { o.FlannelPrefixes = []string{"/registry-2/network", "/kube-centos/network"} },
		"one node with the whole range": func(o *Options) { o.ClusterRange, o.NodeMaskSize = "172.30.0.0/24", 24 },
	} {
		if _, err := with(change).Check(); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestCheckNamesFlagValueAndCure(t *testing.T) {
	for _, tc := range []struct {
		reason string
		change func(*Options)
		want   string
	}{
		{
			"no data dir", func(o *Options) { o.DataDir = "" },
			`--data-dir is empty: give a folder; example: --data-dir /var/lib/seedbed/seed`,
		},
		{
			"no prefix of keys", func(o *Options) { o.FlannelPrefixes = []string{"coreos.com/network"} },
			`--flannel-prefix "coreos.com/network": not a key prefix: start with /, use letters, digits, _ . -, and no trailing /; example: /coreos.com/network`,
		},
		{
			"a prefix that climbs", func(o *Options) { o.FlannelPrefixes = []string{"/a/../registry"} },
			`--flannel-prefix "/a/../registry": not a key prefix: start with /, use letters, digits, _ . -, and no trailing /; example: /coreos.com/network`,
		},
		{
			"a prefix of everything", func(o *Options) { o.FlannelPrefixes = []string{"/"} },
			`--flannel-prefix "/": not a key prefix: start with /, use letters, digits, _ . -, and no trailing /; example: /coreos.com/network`,
		},
		{
			"the API server's prefix", func(o *Options) { o.FlannelPrefixes = []string{"/a", "/registry/secrets"} },
			`--flannel-prefix /registry/secrets: kube-apiserver keeps the cluster there, with every Secret: choose one elsewhere; example: /coreos.com/network`,
		},
		{
			"no port for etcd", func(o *Options) { o.FlannelEtcdPort = 65536 },
			`--flannel-etcd-port 65536: not a port: give 1 to 65535, or 0 for none; example: 2379`,
		},
		{
			"one port for two", func(o *Options) { o.SecurePort, o.FlannelEtcdPort = 6443, 6443 },
			`--flannel-etcd-port 6443: is --secure-port as well: choose another; etcd's usual one is 2379`,
		},
		{
			"a name", func(o *Options) { o.BindAddress = "localhost" },
			`--bind-address "localhost": not an IP address of a machine: give one without a port; example: 10.64.3.7`,
		},
		{
			"a port with it", func(o *Options) { o.BindAddress = "10.64.3.7:6443" },
			`--bind-address "10.64.3.7:6443": not an IP address of a machine: give one without a port; example: 10.64.3.7`,
		},
		{
			"a zone", func(o *Options) { o.BindAddress = "fe80::1%eth0" },
			`--bind-address "fe80::1%eth0": not an IP address of a machine: give one without a port; example: 10.64.3.7`,
		},
		{
			"a group", func(o *Options) { o.BindAddress = "224.0.0.1" },
			`--bind-address "224.0.0.1": not an IP address of a machine: give one without a port; example: 10.64.3.7`,
		},
		{
			"SB017: all addresses, none to tell others", func(o *Options) { o.BindAddress = "0.0.0.0" },
			`--bind-address 0.0.0.0 needs --advertise-address: add the address that nodes and pods reach this machine by; example: --advertise-address 10.64.3.7`,
		},
		{
			"SB017: others told loopback", func(o *Options) { o.BindAddress, o.AdvertiseAddress = "0.0.0.0", "127.0.0.1" },
			`--advertise-address 127.0.0.1: not an address that another machine can use: give an address that other machines reach this one by; example: 10.64.3.7`,
		},
		{
			"others told all addresses", func(o *Options) { o.BindAddress, o.AdvertiseAddress = "0.0.0.0", "0.0.0.0" },
			`--advertise-address 0.0.0.0: not an address that another machine can use: give an address that other machines reach this one by; example: 10.64.3.7`,
		},
		{
			"SB017: others told what is not listened on", func(o *Options) { o.AdvertiseAddress = "10.64.3.7" },
			`--advertise-address 10.64.3.7: nothing listens there while --bind-address is 127.0.0.1: leave --advertise-address out, or bind all addresses with --bind-address 0.0.0.0`,
		},
		{
			"two families", func(o *Options) { o.BindAddress, o.AdvertiseAddress = "0.0.0.0", "fd00::1" },
			`--advertise-address fd00::1 and --bind-address 0.0.0.0 are of different families: give both as IPv4 or both as IPv6`,
		},
		{
			"port too high", func(o *Options) { o.SecurePort = 65536 },
			`--secure-port 65536: not a port: give 1 to 65535, or 0 for a free port`,
		},
		{
			"port below zero", func(o *Options) { o.SecurePort = -1 },
			`--secure-port -1: not a port: give 1 to 65535, or 0 for a free port`,
		},
		{
			"no CIDR", func(o *Options) { o.ServiceRange = "10.254.0.0" },
			`--service-cluster-ip-range "10.254.0.0": not a CIDR: give address/length; example: 10.254.0.0/16`,
		},
		{
			"host bits", func(o *Options) { o.ServiceRange = "10.254.0.1/16" },
			`--service-cluster-ip-range 10.254.0.1/16: has host bits: write 10.254.0.0/16`,
		},
		{
			"too large", func(o *Options) { o.ServiceRange = "10.0.0.0/8" },
			`--service-cluster-ip-range 10.0.0.0/8: too small or too large: give one of 8 to 1048576 addresses; example: 10.254.0.0/16`,
		},
		{
			"too small", func(o *Options) { o.ServiceRange = "10.254.0.0/30" },
			`--service-cluster-ip-range 10.254.0.0/30: too small or too large: give one of 8 to 1048576 addresses; example: 10.254.0.0/16`,
		},
		{
			"services of another family", func(o *Options) { o.ServiceRange = "fd00:1::/112" },
			`--service-cluster-ip-range fd00:1::/112 and the address 127.0.0.1 are of different families: give both as IPv4 or both as IPv6`,
		},
		{
			"services on top of this machine", func(o *Options) { o.BindAddress, o.ServiceRange = "10.64.3.7", "10.64.0.0/16" },
			`--service-cluster-ip-range 10.64.0.0/16: holds this machine's address 10.64.3.7: give a range that no machine's address is in`,
		},
		{
			"pods among services", func(o *Options) { o.ClusterRange = "10.254.128.0/17" },
			`--cluster-cidr 10.254.128.0/17 overlaps --service-cluster-ip-range 10.254.0.0/16: give ranges that share no address`,
		},
		{
			"services among pods", func(o *Options) { o.ClusterRange = "10.0.0.0/8" },
			`--cluster-cidr 10.0.0.0/8 overlaps --service-cluster-ip-range 10.254.0.0/16: give ranges that share no address`,
		},
		{
			"pods on top of this machine", func(o *Options) { o.BindAddress, o.ClusterRange = "172.30.3.7", "172.30.0.0/16" },
			`--cluster-cidr 172.30.0.0/16: holds this machine's address 172.30.3.7: give a range that no machine's address is in`,
		},
		{
			"share larger than the whole", func(o *Options) { o.ClusterRange, o.NodeMaskSize = "172.30.0.0/16", 15 },
			`--node-cidr-mask-size 15: does not divide --cluster-cidr 172.30.0.0/16: give one of 16 to 30`,
		},
		{
			"share of one address", func(o *Options) { o.ClusterRange, o.NodeMaskSize = "172.30.0.0/16", 32 },
			`--node-cidr-mask-size 32: does not divide --cluster-cidr 172.30.0.0/16: give one of 16 to 30`,
		},
		{
			"more nodes than controller-manager can", func(o *Options) { o.ClusterRange, o.NodeMaskSize = "172.0.0.0/10", 27 },
			`--node-cidr-mask-size 27: does not divide --cluster-cidr 172.0.0.0/10: give one of 10 to 26`,
		},
		{
			"no name", func(o *Options) { o.ExtraSANs = []string{"a b"} },
			`--tls-san "a b": neither an IP address nor a DNS name: give an IP address or a DNS name; example: seed.example.com`,
		},
	} {
		_, err := with(tc.change).Check()
		if _, ok := errors.AsType[*Problem](err); !ok {
			t.Errorf("%s: got %v", tc.reason, err)
			continue
		}
		if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
			t.Errorf("%s:\n%s", tc.reason, diff)
		}
	}
}

func TestSB017OnlyLoopbackIsWarnedOf(t *testing.T) {
	for address, warned := range map[string]bool{"127.0.0.1": true, "127.0.0.2": true, "10.64.3.7": false} {
		w := strings.Join(warnings(mustCheck(t, with(func(o *Options) { o.BindAddress = address }))), "\n")
		if got := strings.Contains(w, "SB017") && strings.Contains(w, address) && strings.Contains(w, "--bind-address"); got != warned {
			t.Errorf("%s: warnings %q", address, w)
		}
	}
}
