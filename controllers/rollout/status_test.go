package rollout

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// brief is a condition as a test writes it.
func brief(conditions []metav1.Condition) map[string]string {
	out := map[string]string{}
	for _, c := range conditions {
		out[c.Type] = fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
	}
	return out
}

func TestStatus(t *testing.T) {
	updating := node("node-b", assignedTo(newSpec))
	tests := []struct {
		reason string
		view   View
		counts v1alpha1.NodeCounts
		want   map[string]string
	}{
		{
			"all there",
			View{Nodes: []*v1alpha1.NodeState{healthy("node-a", newSpec), healthy("node-b", newSpec)}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 2, Updated: 2, Prepared: 2, Ready: 2},
			map[string]string{"Ready": "True Succeeded: 2 of 2 nodes ready", "Prepared": "True Succeeded: 2 of 2 nodes prepared"},
		},
		{
			"one on the way, one behind it that is ready where it is",
			View{Nodes: []*v1alpha1.NodeState{healthy("node-c", oldSpec), updating, healthy("node-a", newSpec)}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 3, Updated: 1, Prepared: 2, Ready: 2, Unavailable: 1},
			map[string]string{
				"Ready":       "False Progressing: 2 of 3 nodes ready; updating node-b; waiting node-c",
				"Prepared":    "False Progressing: 2 of 3 nodes prepared; updating node-b; waiting node-c",
				"Reconciling": "True Progressing: 2 of 3 nodes ready; updating node-b; waiting node-c",
			},
		},
		{
			"all ready where they are is not ready at what is wanted",
			View{Nodes: []*v1alpha1.NodeState{healthy("node-a", oldSpec)}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 1, Prepared: 1, Ready: 1},
			map[string]string{
				"Ready":       "False Progressing: 1 of 1 node ready; waiting node-a",
				"Prepared":    "False Progressing: 1 of 1 node prepared; waiting node-a",
				"Reconciling": "True Progressing: 1 of 1 node ready; waiting node-a",
			},
		},
		{
			"host roots that do not run are prepared and never ready",
			View{Nodes: []*v1alpha1.NodeState{
				node("node-a", assignedTo(newSpec), acknowledging, prepared, offline),
				node("node-b", assignedTo(newSpec), acknowledging, prepared, offline),
			}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 2, Updated: 2, Prepared: 2},
			map[string]string{
				"Ready":    "False OfflineRoot: 0 of 2 nodes ready: 2 prepared host roots do not run",
				"Prepared": "True Succeeded: 2 of 2 nodes prepared",
			},
		},
		{
			"there, and not ready",
			View{Nodes: []*v1alpha1.NodeState{node("node-a", assignedTo(newSpec), acknowledging, prepared, notReady), healthy("node-b", newSpec)}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 2, Updated: 2, Prepared: 2, Ready: 1, Unavailable: 1},
			map[string]string{
				"Ready":    "False Waiting: 1 of 2 nodes ready; not ready node-a",
				"Prepared": "True Succeeded: 2 of 2 nodes prepared",
			},
		},
		{
			"a stalled node stalls the NodeConfig and is quoted on one printable line",
			View{Nodes: []*v1alpha1.NodeState{node("node-a", assignedTo(newSpec), func(n *v1alpha1.NodeState) { n.Status.ObservedGeneration = n.Generation }, stalled), healthy("node-b", oldSpec)}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 2, Prepared: 1, Ready: 1, Unavailable: 1, Failed: 1},
			map[string]string{
				"Ready":    "False NodesFailed: 1 of 2 nodes ready; failed node-a (ComponentMissing: no dockerd  [31mon this host); waiting node-b",
				"Prepared": "False NodesFailed: 1 of 2 nodes prepared; failed node-a (ComponentMissing: no dockerd  [31mon this host); waiting node-b",
				"Stalled":  "True NodesFailed: failed node-a (ComponentMissing: no dockerd  [31mon this host)",
			},
		},
		{
			"a stall of the spec before this one is not this one's",
			View{Nodes: []*v1alpha1.NodeState{node("node-a", assignedTo(newSpec), stalled)}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 1, Unavailable: 1},
			map[string]string{
				"Ready":       "False Progressing: 0 of 1 node ready; updating node-a",
				"Prepared":    "False Progressing: 0 of 1 node prepared; updating node-a",
				"Reconciling": "True Progressing: 0 of 1 node ready; updating node-a",
			},
		},
		{
			"a failed step is tried again by the agent",
			View{Nodes: []*v1alpha1.NodeState{node("node-a", assignedTo(newSpec), notReady, func(n *v1alpha1.NodeState) {
				n.Status.ObservedGeneration, n.Status.Apply = n.Generation, &v1alpha1.ApplyStatus{Failed: 2}
			})}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 1, Unavailable: 1, Failed: 1},
			map[string]string{
				"Ready":       "False NodesFailed: 0 of 1 node ready; failed node-a (UnitNotActive: docker is down)",
				"Prepared":    "False NodesFailed: 0 of 1 node prepared; failed node-a (UnitNotActive: docker is down)",
				"Reconciling": "True Progressing: 0 of 1 node ready; failed node-a (UnitNotActive: docker is down)",
			},
		},
		{
			"a revision that failed and was taken back, which took no step, is history",
			View{Nodes: []*v1alpha1.NodeState{onceFailed(healthy("node-a", newSpec)), onceFailed(node("node-b", assignedTo(newSpec), acknowledging, prepared, offline))}, Target: &newSpec},
			v1alpha1.NodeCounts{Matched: 2, Updated: 2, Prepared: 2, Ready: 1},
			map[string]string{
				"Ready":    "False OfflineRoot: 1 of 2 nodes ready: 1 prepared host root does not run",
				"Prepared": "True Succeeded: 2 of 2 nodes prepared",
			},
		},
		{
			"paused",
			View{Nodes: []*v1alpha1.NodeState{healthy("node-a", newSpec), healthy("node-b", oldSpec)}, Target: &newSpec, Paused: true},
			v1alpha1.NodeCounts{Matched: 2, Updated: 1, Prepared: 2, Ready: 2},
			map[string]string{
				"Ready":    "False Paused: 2 of 2 nodes ready; paused, not updated: node-b",
				"Prepared": "False Paused: 2 of 2 nodes prepared; paused, not updated: node-b",
			},
		},
		{
			"the NodeConfig itself is stalled: nodes are counted at the last revision",
			View{
				Nodes: []*v1alpha1.NodeState{healthy("node-a", oldSpec)}, Revision: oldSpec.Revision,
				Stall: &Stall{Reason: v1alpha1.ReasonSecretNotFound, Message: "no Secret ca"},
			},
			v1alpha1.NodeCounts{Matched: 1, Updated: 1, Prepared: 1, Ready: 1},
			map[string]string{
				"Ready": "False SecretNotFound: no Secret ca", "Prepared": "False SecretNotFound: no Secret ca",
				"Stalled": "True SecretNotFound: no Secret ca",
			},
		},
		{
			"a stall before the first revision counts nobody as updated",
			View{Nodes: []*v1alpha1.NodeState{node("node-a", acknowledging, prepared, ready)}, Stall: &Stall{Reason: v1alpha1.ReasonNetworkNotFound, Message: "none"}},
			v1alpha1.NodeCounts{Matched: 1},
			map[string]string{"Ready": "False NetworkNotFound: none", "Prepared": "False NetworkNotFound: none", "Stalled": "True NetworkNotFound: none"},
		},
		{
			"selects nothing",
			View{Target: &newSpec, Left: []string{"node-a"}},
			v1alpha1.NodeCounts{},
			map[string]string{
				"Ready":    "False NoNodes: no NodeState matches nodeSelector; no longer selected and kept as assigned: node-a",
				"Prepared": "False NoNodes: no NodeState matches nodeSelector; no longer selected and kept as assigned: node-a",
			},
		},
		{
			"a node that left is reported beside the rest",
			View{Nodes: []*v1alpha1.NodeState{healthy("node-a", newSpec)}, Target: &newSpec, Left: []string{"node-b"}},
			v1alpha1.NodeCounts{Matched: 1, Updated: 1, Prepared: 1, Ready: 1},
			map[string]string{
				"Ready":    "True Succeeded: 1 of 1 node ready; no longer selected and kept as assigned: node-b",
				"Prepared": "True Succeeded: 1 of 1 node prepared",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			got := Status(tt.view)
			if diff := cmp.Diff(tt.counts, got.Nodes); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, brief(got.Conditions)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConflictIsShownWithItsCure(t *testing.T) {
	got := brief(Status(View{
		Nodes: []*v1alpha1.NodeState{healthy("node-a", newSpec)}, Target: &newSpec,
		Conflicts: []Conflict{{Node: "node-b", Others: []string{"other"}}, {Node: "node-c", Others: []string{"other"}}},
	}).Conditions)
	for _, kind := range []string{v1alpha1.ConditionConflicted, v1alpha1.ConditionStalled, v1alpha1.ConditionReady} {
		for _, part := range []string{"PriorityConflict", "2 nodes (node-b, node-c)", "NodeConfig other", "higher priority"} {
			if !strings.Contains(got[kind], part) {
				t.Errorf("%s %q does not say %q", kind, got[kind], part)
			}
		}
	}
}

func TestStatusKeepsToItsRulesWhateverTheFleet(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 8))
		nodes := randomFleet(r)
		view := View{Generation: 7, Nodes: nodes, Revision: newSpec.Revision, Target: &newSpec, Paused: r.IntN(3) == 0}
		for range r.IntN(6) {
			step(r, nodes, newSpec, randomRollout(r))
		}
		switch r.IntN(4) {
		case 0:
			view.Target, view.Stall = nil, &Stall{Reason: v1alpha1.ReasonInvalid, Message: "bad"}
		case 1:
			view.Conflicts = []Conflict{{Node: "x", Others: []string{"y"}}}
		case 2:
			stalled(nodes[0])
		}
		got := Status(view)
		is := func(kind string) bool { return meta.IsStatusConditionTrue(got.Conditions, kind) }
		has := func(kind string) bool { return meta.FindStatusCondition(got.Conditions, kind) != nil }
		if is("Reconciling") && is("Stalled") {
			t.Fatalf("seed %d: reconciling and stalled: %v", seed, brief(got.Conditions))
		}
		if is("Ready") && (has("Reconciling") || has("Stalled") || has("Conflicted") || got.Nodes.Ready != got.Nodes.Matched || got.Nodes.Updated != got.Nodes.Matched) {
			t.Fatalf("seed %d: ready, and yet %v %+v", seed, brief(got.Conditions), got.Nodes)
		}
		if !has("Ready") || !has("Prepared") {
			t.Fatalf("seed %d: no Ready or Prepared: %v", seed, brief(got.Conditions))
		}
		for _, c := range got.Conditions {
			if c.ObservedGeneration != 7 || !c.LastTransitionTime.IsZero() || c.Message == "" {
				t.Fatalf("seed %d: %+v", seed, c)
			}
			if (c.Type == "Reconciling" || c.Type == "Stalled" || c.Type == "Conflicted") && c.Status != metav1.ConditionTrue {
				t.Fatalf("seed %d: %s is there and not True", seed, c.Type)
			}
		}
		n := got.Nodes
		if n.Updated > n.Matched || n.Prepared > n.Matched || n.Ready > n.Matched || n.Unavailable > n.Matched || n.Failed > n.Matched {
			t.Fatalf("seed %d: %+v", seed, n)
		}
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		if diff := cmp.Diff(got, Status(view)); diff != "" {
			t.Fatalf("seed %d: another order gives another status:\n%s", seed, diff)
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	var nodes []*v1alpha1.NodeState
	for i := range 5000 {
		n := node(fmt.Sprintf("a-node-with-quite-a-long-name-%04d", i), assignedTo(newSpec), func(n *v1alpha1.NodeState) { n.Status.ObservedGeneration = n.Generation },
			with(v1alpha1.ConditionStalled, metav1.ConditionTrue, "Bad", strings.Repeat("\u202eé", 16000)))
		nodes = append(nodes, n)
	}
	for _, c := range Status(View{Nodes: nodes, Target: &newSpec}).Conditions {
		if len(c.Message) > 1000 || !utf8.ValidString(c.Message) || strings.ContainsRune(c.Message, '\u202e') {
			t.Errorf("%s: message of %d bytes: %.300s", c.Type, len(c.Message), c.Message)
		}
	}
}

func TestNetworkStatus(t *testing.T) {
	config := func(name string, generation int64, conditions ...metav1.Condition) *v1alpha1.NodeConfig {
		c := nodeConfig(name, 0, metav1.LabelSelector{})
		c.Generation, c.Status.ObservedGeneration, c.Status.Conditions = generation, 1, conditions
		return c
	}
	isReady := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}
	isRefused := metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNetworkChanged, Message: "podCIDR"}
	tests := []struct {
		reason string
		view   NetworkView
		want   map[string]string
	}{
		{"nobody uses it", NetworkView{}, map[string]string{"Ready": "False NoNodes: no NodeConfig refers to it"}},
		{
			"in force",
			NetworkView{NodeConfigs: []*v1alpha1.NodeConfig{config("a", 1, isReady)}, Nodes: 3},
			map[string]string{"Ready": "True Succeeded: in force on 3 nodes of 1 NodeConfig"},
		},
		{
			"a status that is older than its object is not believed",
			NetworkView{NodeConfigs: []*v1alpha1.NodeConfig{config("a", 2, isReady)}, Nodes: 3},
			map[string]string{"Ready": "False Progressing: NodeConfigs that are not ready: a"},
		},
		{
			"refused",
			NetworkView{NodeConfigs: []*v1alpha1.NodeConfig{config("b", 1, isReady), config("a", 1, isRefused)}, Nodes: 3},
			map[string]string{
				"Ready":   "False NetworkChangeRefused: NodeConfig a: podCIDR",
				"Stalled": "True NetworkChangeRefused: NodeConfig a: podCIDR",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			got := NetworkStatus(tt.view)
			if diff := cmp.Diff(tt.want, brief(got.Conditions)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if int(got.Nodes) != tt.view.Nodes || int(got.NodeConfigs) != len(tt.view.NodeConfigs) {
				t.Errorf("counts: %+v", got)
			}
		})
	}
}

// onceFailed is a node whose last pass with steps failed.
func onceFailed(n *v1alpha1.NodeState) *v1alpha1.NodeState {
	n.Status.Apply = &v1alpha1.ApplyStatus{Steps: 2, Failed: 2}
	return n
}
