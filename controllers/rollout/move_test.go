package rollout

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func TestNodesWithLeasesAreNotMovedToAnEtcdWithoutAny(t *testing.T) {
	const a, b, c = "https://a:2379", "https://b:2379", "https://c:2379"
	at := func(endpoints ...v1alpha1.EtcdEndpoint) v1alpha1.NetworkConfigSpec {
		return v1alpha1.NetworkConfigSpec{SubnetManager: &v1alpha1.SubnetManager{Etcd: &v1alpha1.EtcdSubnetManager{Endpoints: endpoints}}}
	}
	under := func(spec v1alpha1.NetworkConfigSpec, leased ...string) []NetworkInForce {
		return []NetworkInForce{{Nodes: []string{"node-a", "node-b"}, Leased: leased, Spec: spec}}
	}
	looked := func(leases int32, endpoints ...string) v1alpha1.NetworkConfigStatus {
		return v1alpha1.NetworkConfigStatus{Published: &v1alpha1.PublishedNetwork{Endpoints: endpoints}, Leases: &v1alpha1.LeaseStatus{Count: leases}}
	}
	accepted := at(b)
	accepted.AllowDisruptiveChange = true
	for _, tc := range []struct {
		reason        string
		want          v1alpha1.NetworkConfigSpec
		status        v1alpha1.NetworkConfigStatus
		inForce       []NetworkInForce
		refused, wait string
	}{
		{"a new NetworkConfig with an etcd that has none of the leases", at(b), looked(0, b), under(at(a), "node-b", "node-a"), "from https://a:2379 to https://b:2379, an etcd without leases, under node-a, node-b: nodes keep what they have", ""},
		{"one that was not looked at", at(b), v1alpha1.NetworkConfigStatus{}, under(at(a), "node-a"), "", "was not looked at yet"},
		{"one whose endpoints were changed since", at(b), looked(3, c), under(at(a), "node-a"), "", "was not looked at yet"},
		{"other endpoints of the etcd that has the leases", at(b), looked(2, b), under(at(a), "node-a"), "", ""},
		{"endpoints of which one is the same", at(b, a), looked(0, a, b), under(at(a), "node-a"), "", ""},
		{"the same etcd, which lost its data", at(a), looked(0, a), under(at(a), "node-a"), "", ""},
		{"nodes that never got a lease: the endpoints were wrong", at(b), looked(0, b), under(at(a)), "", ""},
		{"accepted", accepted, looked(0, b), under(at(a), "node-a"), "", ""},
		{"no etcd before, which is another change", at(b), looked(0, b), under(v1alpha1.NetworkConfigSpec{}, "node-a"), "", ""},
		{"no etcd any more, which is too", v1alpha1.NetworkConfigSpec{}, v1alpha1.NetworkConfigStatus{}, under(at(a), "node-a"), "", ""},
		{"nobody has a network yet", at(b), v1alpha1.NetworkConfigStatus{}, nil, "", ""},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			n := &v1alpha1.NetworkConfig{Spec: tc.want, Status: tc.status}
			n.Name = "default"
			refused, wait := NetworkMove(n, tc.inForce)
			said := ""
			if refused != nil {
				said = refused.Message
			}
			if (said == "") != (tc.refused == "") || !strings.Contains(said, tc.refused) || (wait == "") != (tc.wait == "") || !strings.Contains(wait, tc.wait) {
				t.Errorf("refused %q, waits %q", said, wait)
			}
		})
	}
}
