package leases

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var guide = Network{Range: netip.MustParsePrefix("172.30.0.0/16"), Length: 24}

func lease(subnet, publicIP string) Lease {
	l := Lease{Subnet: netip.MustParsePrefix(subnet)}
	if publicIP != "" {
		l.PublicIP = netip.MustParseAddr(publicIP)
	}
	return l
}

func on(node string, l Lease) Lease { l.Node = node; return l }

func reserved(l Lease) Lease { l.Reserved = true; return l }

func machine(name, chosen string, addresses ...string) Node {
	n := Node{Name: name}
	for _, a := range addresses {
		n.Addresses = append(n.Addresses, netip.MustParseAddr(a))
	}
	if chosen != "" {
		n.Chosen = netip.MustParseAddr(chosen)
	}
	return n
}

func TestParse(t *testing.T) {
	const attributes = `{"PublicIP":"10.64.3.8","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}`
	for _, tc := range []struct{ reason, name, value, want string }{
		{"as flannel writes it", "172.30.38.0-24", attributes, "172.30.38.0/24 at 10.64.3.8"},
		{"with IPv6 besides", "172.30.38.0-24&fc00:-64", attributes, "172.30.38.0/24 at 10.64.3.8"},
		{"not a subnet", "config", attributes, ""},
		{"no length", "172.30.38.0", attributes, ""},
		{"a length of 33", "172.30.38.0-33", attributes, ""},
		{"a negative length", "172.30.38.0--1", attributes, ""},
		{"IPv6 alone", "fc00:-64", attributes, ""},
		{"no JSON", "172.30.38.0-24", "10.64.3.8", ""},
		{"no address", "172.30.38.0-24", `{"PublicIP":"node-a"}`, ""},
		{"no public IP", "172.30.38.0-24", `{}`, "172.30.38.0/24 at invalid IP"},
	} {
		l, err := Parse(tc.name, []byte(tc.value))
		got := ""
		if err == nil {
			got = fmt.Sprintf("%s at %s", l.Subnet, l.PublicIP)
		}
		if got != tc.want {
			t.Errorf("%s: got %q, %v; want %q", tc.reason, got, err, tc.want)
		}
	}
}

func TestJudge(t *testing.T) {
	a, b := machine("node-a", "10.64.3.8", "10.64.3.8", "120.92.8.115"), machine("node-b", "10.64.3.86", "10.64.3.86")
	for _, tc := range []struct {
		reason string
		leases []Lease
		nodes  []Node
		want   []string // subnet, reason, a part of the message
	}{
		{"nobody has one", nil, []Node{a, b}, nil},
		{"one for each node", []Lease{lease("172.30.38.0/24", "10.64.3.8"), lease("172.30.39.0/24", "10.64.3.86")}, []Node{a, b}, nil},
		{"of another network", []Lease{lease("172.31.38.0/24", "10.64.3.8")}, []Node{a}, []string{"172.31.38.0/24 OutsideNetwork not in podCIDR 172.30.0.0/16"}},
		{"larger than the network", []Lease{lease("172.0.0.0/8", "10.64.3.8")}, []Node{a}, []string{"172.0.0.0/8 OutsideNetwork"}},
		{"of another length", []Lease{lease("172.30.38.0/25", "10.64.3.8")}, []Node{a}, []string{"172.30.38.0/25 WrongLength podSubnetLength is 24"}},
		{
			"two for one address",
			[]Lease{lease("172.30.38.0/24", "10.64.3.8"), lease("172.30.39.0/24", "10.64.3.8")},
			[]Node{a},
			[]string{"172.30.38.0/24 DuplicatePublicIP 2 leases are at 10.64.3.8", "172.30.39.0/24 DuplicatePublicIP"},
		},
		{
			"one in the other",
			[]Lease{lease("172.30.38.128/25", "10.64.3.8"), lease("172.30.38.0/24", "10.64.3.86"), lease("172.30.38.0/25", "10.64.3.9")},
			[]Node{a, b},
			[]string{"172.30.38.0/24 Overlap has addresses of 172.30.38.0/25", "172.30.38.0/25 Overlap has addresses of 172.30.38.0/24", "172.30.38.128/25 Overlap has addresses of 172.30.38.0/24"},
		},
		{
			"SB007: over the public interface",
			[]Lease{lease("172.30.38.0/24", "120.92.8.115")},
			[]Node{a},
			[]string{"172.30.38.0/24 WrongInterface node node-a speaks over 120.92.8.115, and interface chooses 10.64.3.8"},
		},
		{"nothing is known of the interface", []Lease{lease("172.30.38.0/24", "120.92.8.115")}, []Node{machine("node-a", "", "120.92.8.115")}, nil},
		{
			"SB009: of no node",
			[]Lease{lease("172.30.38.0/24", "10.64.3.99")},
			[]Node{a},
			[]string{"172.30.38.0/24 NoNode no node that Seedbed knows has the address 10.64.3.99"},
		},
		{"reserved for a machine to be", []Lease{reserved(lease("172.30.38.0/24", "10.64.3.99"))}, []Node{a}, nil},
		{"a Node's that has no NodeState", []Lease{on("node-x", lease("172.30.38.0/24", "10.64.3.99"))}, []Node{a}, nil},
		{"a Node's without flannel yet", []Lease{on("node-a", lease("172.30.38.0/24", ""))}, []Node{a}, nil},
		{"two Nodes without flannel yet", []Lease{on("node-a", lease("172.30.38.0/24", "")), on("node-b", lease("172.30.39.0/24", ""))}, []Node{a, b}, nil},
		{
			"SB007 on a Node",
			[]Lease{on("node-a", lease("172.30.38.0/24", "120.92.8.115"))},
			[]Node{a},
			[]string{"172.30.38.0/24 WrongInterface"},
		},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			status := NewFleet(tc.nodes).Judge(guide, tc.leases)
			if int(status.Count) != len(tc.leases) || int(status.Conflicts) != len(tc.want) || len(status.First) != len(tc.want) {
				t.Fatalf("got %+v, want %d leases and %q", status, len(tc.leases), tc.want)
			}
			for i, c := range status.First {
				if got := fmt.Sprintf("%s %s %s", c.Subnet, c.Reason, c.Message); !strings.HasPrefix(got, tc.want[i]) {
					t.Errorf("got %q, want %q", got, tc.want[i])
				}
			}
		})
	}
}

func TestEqualLeasesInAnyOrderAreJudgedAlike(t *testing.T) {
	var all []Lease
	var nodes []Node
	for i := range 40 {
		all = append(all, lease(fmt.Sprintf("172.30.%d.0/%d", i%30, 24+i%2), fmt.Sprintf("10.64.3.%d", i%25)))
		nodes = append(nodes, machine(fmt.Sprint("node-", i), "", fmt.Sprintf("10.64.3.%d", i)))
	}
	want := NewFleet(nodes).Judge(guide, all)
	if want.Conflicts < 10 || len(want.First) != shown {
		t.Fatalf("%+v is no test", want)
	}
	for seed := range 20 {
		r := rand.New(rand.NewPCG(1, uint64(seed)))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		if diff := cmp.Diff(want, NewFleet(nodes).Judge(guide, all)); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestOnlyAnAddressOfOneNodeHasAnOwner(t *testing.T) {
	a, b := machine("node-a", "", "10.64.3.8"), machine("node-b", "", "10.64.3.86", "10.64.3.8")
	l := lease("172.30.38.0/24", "10.64.3.8")
	if owner, ok := NewFleet([]Node{a}).Owner(l); owner != "node-a" || !ok {
		t.Errorf("got %q", owner)
	}
	if owner, ok := NewFleet([]Node{a, b}).Owner(l); ok {
		t.Errorf("two nodes report the address, and %s is the owner", owner)
	}
	if owner, ok := NewFleet([]Node{{Name: "node-c"}}).Owner(lease("172.30.38.0/24", "")); ok {
		t.Errorf("a lease at no address is %s's", owner)
	}
}

func TestOnlyTheVeryLeaseOfANodeThatIsGoneIsReleased(t *testing.T) {
	was := lease("172.30.38.0/24", "10.64.3.8")
	left := Departure{Node: "node-a", Lease: was}
	for _, tc := range []struct {
		reason string
		held   Lease
		nodes  []Node
		want   bool
	}{
		{"it has left", was, []Node{machine("node-b", "", "10.64.3.86")}, true},
		{"it is back", was, []Node{machine("node-a", "")}, false},
		{"another machine took its address", was, []Node{machine("node-c", "", "10.64.3.8")}, false},
		{"another machine got the subnet", lease("172.30.38.0/24", "10.64.3.86"), nil, false},
		{"another subnet at its address", lease("172.30.39.0/24", "10.64.3.8"), nil, false},
		{"made into a reservation", reserved(was), nil, false},
	} {
		if got := NewFleet(tc.nodes).Release(left, tc.held); got != tc.want {
			t.Errorf("%s: released: %t", tc.reason, got)
		}
	}
}

func TestNodeOfReadsTheAddressesThatAnAgentReported(t *testing.T) {
	s := &v1alpha1.NodeState{}
	s.Name = "node-a"
	if got := NodeOf(s); got.Name != "node-a" || got.Addresses != nil {
		t.Errorf("without facts: %+v", got)
	}
	s.Status.Facts = &v1alpha1.Facts{Interfaces: []v1alpha1.InterfaceFacts{
		{Name: "lo", Addresses: []string{"127.0.0.1/8"}}, {Name: "eth4", Addresses: []string{"10.64.3.8/26", "nonsense"}},
	}}
	if diff := cmp.Diff(machine("node-a", "", "10.64.3.8"), NodeOf(s), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}
