package approve_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
)

func TestOthersAreWhomAdministratorsNameByOneAddress(t *testing.T) {
	config := func(url string) v1alpha1.NodeConfig {
		return v1alpha1.NodeConfig{Spec: v1alpha1.NodeConfigSpec{Kubernetes: v1alpha1.Kubernetes{APIServer: url}}}
	}
	node := func(name string, addresses ...string) v1alpha1.NodeState {
		n := v1alpha1.NodeState{Spec: v1alpha1.NodeStateSpec{Addresses: addresses}}
		n.Name = name
		n.Status.Facts = &v1alpha1.Facts{Interfaces: []v1alpha1.InterfaceFacts{{Name: "eth0", Addresses: []string{"10.64.3.99/26"}}}}
		return n
	}
	got := approve.Others("node-a",
		approve.Servers{Hosts: []string{"10.64.3.5", "fd00::5", "seed.example.com", "::ffff:10.64.3.6", ""}, Service: []string{"10.254.0.1", "fd00:2::1"}},
		[]v1alpha1.NodeConfig{config("https://10.64.3.7:6443"), config("https://[fd00::7]:6443"), config("https://seed.example.com:6443"), config("")},
		[]v1alpha1.NodeState{
			node("node-a", "10.64.3.8"), node("node-b", "10.64.3.9", "10.64.3.0/26"), node("node-c", "10.64.3.10/32", "::ffff:10.64.3.11"), node("node-d", "junk"),
		})
	want := map[netip.Addr]string{}
	for address, who := range map[string]string{
		"10.64.3.7": "the API server", "fd00::7": "the API server",
		"10.64.3.5": "the API server", "fd00::5": "the API server", "10.64.3.6": "the API server",
		"10.254.0.1": "the Service of the API server", "fd00:2::1": "the Service of the API server",
		"10.64.3.9": "node node-b", "10.64.3.10": "node node-c", "10.64.3.11": "node node-c",
	} {
		want[netip.MustParseAddr(address)] = who
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestServerNamesAreThoseThatANodeCouldHave(t *testing.T) {
	config := v1alpha1.NodeConfig{Spec: v1alpha1.NodeConfigSpec{Kubernetes: v1alpha1.Kubernetes{APIServer: "https://API-2.:6443"}}}
	got := approve.ServerNames(approve.Servers{Hosts: []string{"seed", "seed.example.com", "10.64.3.7", "fd00::7", ""}, Service: []string{"10.254.0.1"}},
		[]v1alpha1.NodeConfig{config, {}})
	if diff := cmp.Diff([]string{"kubernetes", "localhost", "seed", "api-2"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
