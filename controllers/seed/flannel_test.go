package seed

import (
	"net/netip"
	"slices"
	"testing"

	"seedbed.dev/seedbed/controllers/seed/etcdauth"
)

// Who holds a certificate of flannel's is let into flannel's keys; nobody but kube-apiserver is root.
func TestOnlyTheAPIServerIsRootInEtcd(t *testing.T) {
	roles, users := etcdAccess(mustCheck(t, with(func(o *Options) { o.FlannelPrefixes = []string{"/b", "/a", "/b"} })))
	if len(roles) != 1 || roles[0].Name != "flannel" || !slices.Equal(roles[0].Prefixes, []string{"/a", "/b"}) {
		t.Errorf("roles %v", roles)
	}
	for _, u := range users {
		if (u.Role == etcdauth.Root) != (u.Name == "kube-apiserver") {
			t.Errorf("user %s has role %s", u.Name, u.Role)
		}
	}
	for _, c := range certificates(mustCheck(t, with(nil))) {
		if c.authority != etcdAuthority {
			continue
		}
		if name := c.spec.CommonName; name == etcdauth.Root || (name == "kube-apiserver") != (c.name == etcdClientPair) {
			t.Errorf("the pair %s has the name %s in etcd", c.name, name)
		}
	}
}

func TestEtcdIsOnLoopbackAloneUnlessNodesAreToReachIt(t *testing.T) {
	address := netip.MustParseAddr("10.64.3.7")
	for _, tc := range []struct {
		reason string
		change func(*Options)
		listen string
		named  bool
	}{
		{"a seed for nodes, flannel's subnets in Kubernetes", forNodes, "https://127.0.0.1:20001", false},
		{"flannel's subnets in etcd", func(o *Options) { forNodes(o); o.FlannelEtcdPort = 2379 }, "https://127.0.0.1:20001,https://10.64.3.7:2379", true},
		{"on all addresses", func(o *Options) {
			o.BindAddress, o.AdvertiseAddress, o.FlannelEtcdPort = "0.0.0.0", "10.64.3.7", 2379
		}, "https://127.0.0.1:20001,https://0.0.0.0:2379", true},
	} {
		s := mustCheck(t, with(tc.change))
		f := child(t, MakePlan(s, testPorts, testComponents), etcdName)
		if f["listen-client-urls"] != tc.listen || f["client-cert-auth"] != "true" {
			t.Errorf("%s: listens on %s, asks for certificates: %s", tc.reason, f["listen-client-urls"], f["client-cert-auth"])
		}
		if f["listen-peer-urls"] != "https://127.0.0.1:20002" {
			t.Errorf("%s: peers on %s", tc.reason, f["listen-peer-urls"])
		}
		for _, c := range certificates(s) {
			if c.name == etcdServerPair && slices.Contains(c.spec.IPs, address) != tc.named {
				t.Errorf("%s: etcd's certificate is for %v", tc.reason, c.spec.IPs)
			}
			if c.name == etcdPeerPair && slices.Contains(c.spec.IPs, address) {
				t.Errorf("%s: the peers' certificate is for %v", tc.reason, c.spec.IPs)
			}
		}
	}
}
