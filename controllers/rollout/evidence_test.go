package rollout

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func TestStatusSaysWhatTheClusterKnows(t *testing.T) {
	blocked := draining(planA)
	blocked.Drain.Blocked = "pod web/web-0: The disruption budget web needs 2 healthy pods and has 2 currently"
	asksForRepair := node("node-a", assignedTo(newSpec), acknowledging, prepared, ready, asking(planA))
	tests := []struct {
		reason string
		view   View
		counts v1alpha1.NodeCounts
		ready  string
	}{
		{
			"an agent that says Ready, and a kubelet that says nothing",
			View{
				Nodes:    []*v1alpha1.NodeState{healthy("node-a", newSpec), healthy("node-b", newSpec)},
				Evidence: map[string]Evidence{"node-a": {Down: "NodeStatusUnknown: Kubelet stopped posting node status."}},
			},
			v1alpha1.NodeCounts{Matched: 2, Updated: 2, Prepared: 2, Ready: 1, Unavailable: 1},
			"False Waiting: 1 of 2 nodes ready; kubelet not ready node-a (NodeStatusUnknown: Kubelet stopped posting node status.)",
		},
		{
			"an agent that says more is quoted, and not its kubelet",
			View{
				Nodes:    []*v1alpha1.NodeState{node("node-a", assignedTo(newSpec), func(n *v1alpha1.NodeState) { n.Status.ObservedGeneration = n.Generation }, stalled)},
				Evidence: map[string]Evidence{"node-a": {Down: "NodeStatusUnknown: silent"}},
			},
			v1alpha1.NodeCounts{Matched: 1, Unavailable: 1, Failed: 1},
			"False NodesFailed: 0 of 1 node ready; failed node-a (ComponentMissing: no dockerd  [31mon this host)",
		},
		{
			"drains for a new revision",
			View{
				Nodes:    []*v1alpha1.NodeState{assignedAndAsking("node-a"), assignedAndAsking("node-b"), healthy("node-c", newSpec)},
				Evidence: map[string]Evidence{"node-a": draining(planA)},
			},
			v1alpha1.NodeCounts{Matched: 3, Updated: 1, Prepared: 1, Ready: 1, Unavailable: 2, Draining: 1},
			"False Progressing: 1 of 3 nodes ready; draining node-a; waiting for a drain node-b",
		},
		{
			"a repair that asks",
			View{Nodes: []*v1alpha1.NodeState{asksForRepair}},
			v1alpha1.NodeCounts{Matched: 1, Updated: 1, Prepared: 1, Ready: 1},
			"False Progressing: 1 of 1 node ready; waiting for a drain node-a",
		},
		{
			"a repair that asks while paused",
			View{Nodes: []*v1alpha1.NodeState{asksForRepair}, Paused: true},
			v1alpha1.NodeCounts{Matched: 1, Updated: 1, Prepared: 1, Ready: 1},
			"False Paused: 1 of 1 node ready; paused, not drained: node-a",
		},
		{
			"a pod that does not go",
			View{Nodes: []*v1alpha1.NodeState{assignedAndAsking("node-a")}, Evidence: map[string]Evidence{"node-a": blocked}},
			v1alpha1.NodeCounts{Matched: 1, Unavailable: 1, Draining: 1},
			"False DrainBlocked: 0 of 1 node ready; draining node-a; drain blocked node-a (pod web/web-0: The disruption budget web needs 2 healthy pods and has 2 currently)",
		},
		{
			"a drain that was given up",
			View{Nodes: []*v1alpha1.NodeState{assignedAndAsking("node-a")}, Evidence: map[string]Evidence{"node-a": givenUp(time.Minute)}},
			v1alpha1.NodeCounts{Matched: 1, Unavailable: 1},
			"False DrainBlocked: 0 of 1 node ready; waiting for a drain node-a; drain blocked node-a (pod a/b)",
		},
		{
			"nodes that keep what they have are not waited for",
			View{
				Nodes:    []*v1alpha1.NodeState{healthy("node-a", oldSpec), healthy("node-b", oldSpec), node("node-c", assignedTo(newSpec))},
				Evidence: map[string]Evidence{"node-a": {Outside: true}}, PodCIDR: &Stall{v1alpha1.ReasonPodCIDROutside, "node-a is outside"},
			},
			v1alpha1.NodeCounts{Matched: 3, Prepared: 2, Ready: 2, Unavailable: 1},
			"False PodCIDROutside: 2 of 3 nodes ready; node-a is outside; updating node-c; waiting node-b",
		},
		{
			"a pod network without room",
			View{Nodes: []*v1alpha1.NodeState{healthy("node-a", newSpec)}, PodCIDR: &Stall{v1alpha1.ReasonPodCIDRExhausted, "none left"}},
			v1alpha1.NodeCounts{Matched: 1, Updated: 1, Prepared: 1, Ready: 1},
			"False PodCIDRExhausted: 1 of 1 node ready; none left",
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			tt.view.Target = &newSpec
			got := Status(tt.view)
			if diff := cmp.Diff(tt.counts, got.Nodes); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			conditions := brief(got.Conditions)
			if diff := cmp.Diff(tt.ready, conditions[v1alpha1.ConditionReady]); diff != "" {
				t.Errorf("Ready (-want +got):\n%s", diff)
			}
			if tt.view.PodCIDR != nil && !strings.HasPrefix(conditions[v1alpha1.ConditionStalled], "True "+tt.view.PodCIDR.Reason) {
				t.Errorf("%v", conditions)
			}
		})
	}
}

func TestPodCIDRTrouble(t *testing.T) {
	object := func(name, cidr string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: cidr}}
	}
	length, etcd, kubernetes := int32(25), v1alpha1.SubnetManagerEtcd, v1alpha1.SubnetManagerKubernetes
	network := v1alpha1.NetworkConfigSpec{PodCIDR: "172.30.0.0/24", PodSubnetLength: &length, SubnetManager: &v1alpha1.SubnetManager{Type: &kubernetes}}
	etcdNetwork := network
	etcdNetwork.SubnetManager = &v1alpha1.SubnetManager{Type: &etcd}
	full := []*corev1.Node{object("a", "172.30.0.0/25"), object("b", "172.30.0.128/25")}
	tests := []struct {
		reason      string
		network     v1alpha1.NetworkConfigSpec
		nodes, rest []*corev1.Node
		want        string
		message     []string
	}{
		{"all have theirs", network, full, nil, "", nil},
		{"one has none yet, and one is free", network, []*corev1.Node{object("c", "")}, full[:1], "", nil},
		{
			"one has none, and none is free", network, slices.Concat(full, []*corev1.Node{object("c", ""), object("d", "")}), nil,
			v1alpha1.ReasonPodCIDRExhausted,
			[]string{"Node c, d", "172.30.0.0/24 in shares of /25", "podSubnetLength"},
		},
		{
			"Nodes that are not ours take shares, too", network,
			[]*corev1.Node{object("c", "")},
			full,
			v1alpha1.ReasonPodCIDRExhausted, nil,
		},
		{
			"of another network", network,
			[]*corev1.Node{object("a", "10.0.1.0/24")},
			nil,
			v1alpha1.ReasonPodCIDROutside,
			[]string{"Node a", "172.30.0.0/24", "delete the Node"},
		},
		{"larger than the network", network, []*corev1.Node{object("a", "172.30.0.0/16")}, nil, v1alpha1.ReasonPodCIDROutside, nil},
		{"of another family", network, []*corev1.Node{object("a", "fd00::/64")}, nil, v1alpha1.ReasonPodCIDROutside, nil},
		{"flannel's etcd has the subnets", etcdNetwork, []*corev1.Node{object("a", "10.0.1.0/24"), object("b", "")}, nil, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			got := PodCIDRTrouble(tt.network, tt.nodes, Shares(slices.Concat(tt.rest, tt.nodes)))
			if got == nil {
				got = &Stall{}
			}
			if got.Reason != tt.want {
				t.Errorf("%+v, want %q", got, tt.want)
			}
			for _, part := range tt.message {
				if !strings.Contains(got.Message, part) {
					t.Errorf("%q does not say %q", got.Message, part)
				}
			}
		})
	}
	if n, length, ok := SharesNodes(v1alpha1.NetworkConfigSpec{PodCIDR: "172.30.0.0/16"}); n != netip.MustParsePrefix("172.30.0.0/16") || length != 24 || !ok {
		t.Errorf("the defaults: %s /%d %t", n, length, ok)
	}
}

func TestANodeOutsideTheNetworkIsGivenNothingAndHoldsNobodyUp(t *testing.T) {
	outside := map[string]Evidence{"a": {Outside: true}}
	down := map[string]Evidence{"a": {Outside: true, Down: "NodeStatusUnknown"}}
	for _, tt := range []struct {
		reason       string
		a            *v1alpha1.NodeState
		evidence     map[string]Evidence
		now, waiting []string
	}{
		{"a healthy one takes no slot", healthy("a", oldSpec), outside, []string{"b"}, []string{"c"}},
		{"nor one that has nothing to lose", node("a"), outside, []string{"b"}, []string{"c"}},
		{"one that is down takes one, as any does", healthy("a", oldSpec), down, nil, []string{"b", "c"}},
		{"and is not mended by it", node("a", assignedTo(oldSpec), acknowledging, notReady), outside, nil, []string{"b", "c"}},
		{"one that has the target is a node as others", node("a", assignedTo(newSpec)), outside, nil, []string{"b", "c"}},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			got := Assign(Input{Nodes: []*v1alpha1.NodeState{tt.a, healthy("b", oldSpec), healthy("c", oldSpec)}, Evidence: tt.evidence, Target: newSpec})
			if diff := cmp.Diff(tt.now, names(got.Now)) + cmp.Diff(tt.waiting, got.Waiting); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestShareOfTheNetworkThatAnotherOneFollows(t *testing.T) {
	etcd := v1alpha1.SubnetManagerEtcd
	next := func(podCIDR string, length int32, change ...func(*v1alpha1.NetworkConfigSpec)) *v1alpha1.NetworkConfigSpec {
		n := &v1alpha1.NetworkConfigSpec{PodCIDR: podCIDR, PodSubnetLength: &length, AllowDisruptiveChange: true}
		for _, c := range change {
			c(n)
		}
		return n
	}
	for _, tt := range []struct {
		reason string
		next   *v1alpha1.NetworkConfigSpec
		want   string
	}{
		{"nothing governs the node", nil, "172.30.0.0/16 24 true"},
		{"the same", next("172.30.0.0/16", 24), "172.30.0.0/16 24 true"},
		{"a wider one has what this one has", next("172.16.0.0/12", 25), "172.30.0.0/16 24 true"},
		{"of a narrower one the share is good in both", next("172.30.128.0/17", 25), "172.30.128.0/17 25 true"},
		{"in none that have nothing in common", next("172.31.0.0/16", 24), "invalid Prefix 0 false"},
		{"one that will be refused does not count", next("172.31.0.0/16", 24, func(n *v1alpha1.NetworkConfigSpec) { n.AllowDisruptiveChange = false }), "172.30.0.0/16 24 true"},
		{"in the next flannel's etcd gives them", next("172.31.0.0/16", 24, func(n *v1alpha1.NetworkConfigSpec) {
			n.SubnetManager = &v1alpha1.SubnetManager{Type: &etcd}
		}), "172.30.0.0/16 24 true"},
	} {
		network, length, ok := ShareOf(v1alpha1.NetworkConfigSpec{PodCIDR: "172.30.0.0/16"}, tt.next)
		if got := fmt.Sprint(network, length, ok); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.reason, got, tt.want)
		}
	}
}
