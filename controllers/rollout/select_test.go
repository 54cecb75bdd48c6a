package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func TestSelectGivesEachNodeOneGovernor(t *testing.T) {
	broken := metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "role", Operator: "Like"}}}
	worker := func(options ...func(*v1alpha1.NodeState)) *v1alpha1.NodeState {
		return node("node-a", append(options, labelled("role", "worker"))...)
	}
	tests := []struct {
		reason   string
		configs  []*v1alpha1.NodeConfig
		node     *v1alpha1.NodeState
		governor string
		tied     []string
		invalid  []string
	}{
		{"no NodeConfig at all", nil, worker(), "", nil, nil},
		{"one that matches", []*v1alpha1.NodeConfig{nodeConfig("workers", 0, role("worker"))}, worker(), "workers", nil, nil},
		{"one that does not", []*v1alpha1.NodeConfig{nodeConfig("masters", 0, role("master"))}, worker(), "", nil, nil},
		{"an empty selector matches everything", []*v1alpha1.NodeConfig{nodeConfig("all", 0, metav1.LabelSelector{})}, worker(), "all", nil, nil},
		{
			"the higher priority wins, negative ones too",
			[]*v1alpha1.NodeConfig{nodeConfig("all", -5, metav1.LabelSelector{}), nodeConfig("workers", -1, role("worker"))},
			worker(), "workers", nil, nil,
		},
		{
			"a higher priority that does not match does not count",
			[]*v1alpha1.NodeConfig{nodeConfig("masters", 9, role("master")), nodeConfig("workers", 0, role("worker"))},
			worker(), "workers", nil, nil,
		},
		{
			"equal priorities are a tie, whatever the node has",
			[]*v1alpha1.NodeConfig{nodeConfig("b", 3, role("worker")), nodeConfig("a", 3, metav1.LabelSelector{}), nodeConfig("c", 0, role("worker"))},
			worker(assignedTo(v1alpha1.NodeStateSpec{Config: "a", Revision: "a-1"})), "",
			[]string{"a", "b"},
			nil,
		},
		{
			"a tie below the highest is none",
			[]*v1alpha1.NodeConfig{nodeConfig("b", 3, role("worker")), nodeConfig("a", 3, role("worker")), nodeConfig("c", 4, role("worker"))},
			worker(), "c", nil, nil,
		},
		{
			"a selector that cannot be read keeps the node it has from a lower priority",
			[]*v1alpha1.NodeConfig{nodeConfig("workers", 1, broken), nodeConfig("all", 0, metav1.LabelSelector{})},
			worker(assignedTo(oldSpec)), "workers", nil,
			[]string{"workers"},
		},
		{
			"a selector that cannot be read takes no other node",
			[]*v1alpha1.NodeConfig{nodeConfig("workers", 1, broken), nodeConfig("all", 0, metav1.LabelSelector{})},
			worker(), "all", nil,
			[]string{"workers"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			s := Select(tt.configs, []*v1alpha1.NodeState{tt.node})
			if got := s.Governor["node-a"]; got != tt.governor {
				t.Errorf("governor: got %q, want %q", got, tt.governor)
			}
			if diff := cmp.Diff(tt.tied, s.Tied["node-a"]); diff != "" {
				t.Errorf("tied (-want +got):\n%s", diff)
			}
			for _, name := range tt.invalid {
				if s.Invalid[name] == nil {
					t.Errorf("NodeConfig %s: want its selector refused", name)
				}
			}
			if len(s.Invalid) != len(tt.invalid) {
				t.Errorf("invalid: got %v, want %v", s.Invalid, tt.invalid)
			}
		})
	}
}

func TestConflictNamesAllParties(t *testing.T) {
	configs := []*v1alpha1.NodeConfig{
		nodeConfig("c", 1, role("worker")), nodeConfig("a", 1, role("worker")), nodeConfig("b", 1, metav1.LabelSelector{}),
	}
	nodes := []*v1alpha1.NodeState{
		node("node-b", labelled("role", "worker")), node("node-a", labelled("role", "worker")), node("node-m", labelled("role", "master")),
	}
	got := Select(configs, nodes).Conflicts("b")
	want := []Conflict{{Node: "node-a", Others: []string{"a", "c"}}, {Node: "node-b", Others: []string{"a", "c"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLeftAreNodesThatNothingSelectsAnyMore(t *testing.T) {
	configs := []*v1alpha1.NodeConfig{nodeConfig("workers", 0, role("worker")), nodeConfig("other", 0, role("other")), nodeConfig("tie", 0, role("tie")), nodeConfig("tie2", 0, role("tie"))}
	nodes := []*v1alpha1.NodeState{
		node("governed", labelled("role", "worker"), assignedTo(oldSpec)),
		node("left", assignedTo(oldSpec)),
		node("taken-over", labelled("role", "other"), assignedTo(oldSpec)),
		node("tied", labelled("role", "tie"), assignedTo(oldSpec)),
		node("never-assigned"),
	}
	if diff := cmp.Diff([]string{"left"}, Select(configs, nodes).Left("workers", nodes)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSelectDoesNotDependOnOrder(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		configs, nodes := randomConfigs(r), randomNodes(r)
		want := Select(configs, nodes)
		r.Shuffle(len(configs), func(i, j int) { configs[i], configs[j] = configs[j], configs[i] })
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		got := Select(configs, nodes)
		if diff := cmp.Diff(want.Governor, got.Governor); diff != "" {
			t.Fatalf("seed %d: governor (-want +got):\n%s", seed, diff)
		}
		if diff := cmp.Diff(want.Tied, got.Tied); diff != "" {
			t.Fatalf("seed %d: tied (-want +got):\n%s", seed, diff)
		}
	}
}

func TestEveryNodeHasAGovernorOrATieOrNothing(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		configs, nodes := randomConfigs(r), randomNodes(r)
		s := Select(configs, nodes)
		for _, n := range nodes {
			governor, tied := s.Governor[n.Name], s.Tied[n.Name]
			if governor != "" && tied != nil {
				t.Fatalf("seed %d: %s has governor %s and tie %v", seed, n.Name, governor, tied)
			}
			if len(tied) == 1 || !slices.IsSorted(tied) {
				t.Fatalf("seed %d: %s: tie %v", seed, n.Name, tied)
			}
			for _, c := range configs {
				selects, _ := metav1.LabelSelectorAsSelector(&c.Spec.NodeSelector)
				if governor != "" && c.Name != governor && selects.Matches(labels.Set(n.Labels)) && c.Spec.Priority >= priorityOf(configs, governor) {
					t.Fatalf("seed %d: %s is governed by %s, though %s selects it with priority %d", seed, n.Name, governor, c.Name, c.Spec.Priority)
				}
			}
		}
	}
}

func randomConfigs(r *rand.Rand) []*v1alpha1.NodeConfig {
	var configs []*v1alpha1.NodeConfig
	for i := range r.IntN(6) {
		selector := metav1.LabelSelector{}
		if r.IntN(3) > 0 {
			selector = role(fmt.Sprint("r", r.IntN(3)))
		}
		configs = append(configs, nodeConfig(fmt.Sprint("config-", i), r.Int32N(3), selector))
	}
	return configs
}

func randomNodes(r *rand.Rand) []*v1alpha1.NodeState {
	var nodes []*v1alpha1.NodeState
	for i := range r.IntN(12) {
		nodes = append(nodes, node(fmt.Sprintf("node-%02d", i), labelled("role", fmt.Sprint("r", r.IntN(4)))))
	}
	return nodes
}

func priorityOf(configs []*v1alpha1.NodeConfig, name string) int32 {
	i := slices.IndexFunc(configs, func(c *v1alpha1.NodeConfig) bool { return c.Name == name })
	return configs[i].Spec.Priority
}
