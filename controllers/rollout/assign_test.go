package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func TestAssign(t *testing.T) {
	pinned := func(spec v1alpha1.NodeStateSpec, version string) v1alpha1.NodeStateSpec {
		spec.Secrets = []v1alpha1.PinnedSecret{{Name: "ca", UID: "1", ResourceVersion: version}}
		return spec
	}
	stale := func(n *v1alpha1.NodeState) { n.Status.ObservedGeneration = 1 }
	tests := []struct {
		reason  string
		nodes   []*v1alpha1.NodeState
		target  v1alpha1.NodeStateSpec
		rollout *v1alpha1.Rollout
		now     []string
		waiting []string
	}{
		{"nobody to assign to", nil, newSpec, nil, nil, nil},
		{
			"one at a time by default, by name",
			[]*v1alpha1.NodeState{healthy("c", oldSpec), healthy("a", oldSpec), healthy("b", oldSpec)},
			newSpec, nil,
			[]string{"a"},
			[]string{"b", "c"},
		},
		{
			"a node at the target is left alone",
			[]*v1alpha1.NodeState{healthy("a", newSpec), healthy("b", oldSpec)},
			newSpec, nil,
			[]string{"b"},
			nil,
		},
		{
			"a node that has not acknowledged takes the slot",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), ready), healthy("b", oldSpec)},
			newSpec, nil, nil,
			[]string{"b"},
		},
		{
			"acknowledged but not ready takes the slot",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, notReady), healthy("b", oldSpec)},
			newSpec, nil, nil,
			[]string{"b"},
		},
		{
			"an acknowledgement of an older spec counts as changing",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, ready, stale), healthy("b", oldSpec)},
			newSpec, nil, nil,
			[]string{"b"},
		},
		{
			"a ready condition that nobody has set is not ready",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging), healthy("b", oldSpec)},
			newSpec, nil, nil,
			[]string{"b"},
		},
		{
			"nodes never assigned anything take no slot and are all assigned at once",
			[]*v1alpha1.NodeState{node("new-1"), node("new-2"), node("changing", assignedTo(newSpec)), healthy("z", oldSpec)},
			newSpec, nil,
			[]string{"new-1", "new-2"},
			[]string{"z"},
		},
		{
			"host roots that do not run take no slot and are all assigned at once",
			[]*v1alpha1.NodeState{
				node("root-1", assignedTo(oldSpec), acknowledging, offline), node("root-2", assignedTo(oldSpec), offline), healthy("a", oldSpec), healthy("b", oldSpec),
			},
			newSpec, nil,
			[]string{"root-1", "root-2", "a"},
			[]string{"b"},
		},
		{
			"a host root that does not run makes no room",
			[]*v1alpha1.NodeState{node("root", assignedTo(newSpec), acknowledging, offline), node("a", assignedTo(newSpec)), healthy("b", oldSpec)},
			newSpec, nil, nil,
			[]string{"b"},
		},
		{
			"nodes that are broken already are moved first, all of them, and leave no slot for others",
			[]*v1alpha1.NodeState{
				healthy("a", oldSpec), node("y", assignedTo(oldSpec), acknowledging, notReady), node("z", assignedTo(oldSpec)),
			},
			newSpec, nil,
			[]string{"y", "z"},
			[]string{"a"},
		},
		{
			"a number of slots",
			[]*v1alpha1.NodeState{healthy("a", oldSpec), healthy("b", oldSpec), healthy("c", oldSpec), node("d", assignedTo(newSpec))},
			newSpec, atMost("3"),
			[]string{"a", "b"},
			[]string{"c"},
		},
		{
			"a percentage is rounded down",
			[]*v1alpha1.NodeState{healthy("a", oldSpec), healthy("b", oldSpec), healthy("c", oldSpec), healthy("d", oldSpec), healthy("e", oldSpec)},
			newSpec, atMost("50%"),
			[]string{"a", "b"},
			[]string{"c", "d", "e"},
		},
		{
			"and is at least one",
			[]*v1alpha1.NodeState{healthy("a", oldSpec), healthy("b", oldSpec), healthy("c", oldSpec)},
			newSpec, atMost("1%"),
			[]string{"a"},
			[]string{"b", "c"},
		},
		{
			"host roots and new nodes do not raise a percentage for those that run",
			[]*v1alpha1.NodeState{
				healthy("a", oldSpec), healthy("b", oldSpec), node("n1"), node("n2"),
				node("r1", assignedTo(newSpec), acknowledging, offline), node("r2", assignedTo(newSpec), acknowledging, offline),
			},
			newSpec, atMost("50%"),
			[]string{"n1", "n2", "a"},
			[]string{"b"},
		},
		{
			"paused keeps everyone where they are, new nodes and broken ones too",
			[]*v1alpha1.NodeState{healthy("a", oldSpec), node("new"), node("broken", assignedTo(oldSpec), acknowledging, notReady), healthy("done", newSpec)},
			newSpec, &v1alpha1.Rollout{Paused: true}, nil,
			[]string{"a", "broken", "new"},
		},
		{
			"a Secret's new version is a rollout",
			[]*v1alpha1.NodeState{healthy("a", pinned(newSpec, "1")), healthy("b", pinned(newSpec, "1"))},
			pinned(newSpec, "2"), nil,
			[]string{"a"},
			[]string{"b"},
		},
		{
			"a Secret's version that is not acknowledged takes the slot",
			[]*v1alpha1.NodeState{
				func() *v1alpha1.NodeState {
					n := healthy("a", pinned(newSpec, "2"))
					n.Status.Secrets = pinned(newSpec, "1").Secrets
					return n
				}(),
				healthy("b", pinned(newSpec, "1")),
			},
			pinned(newSpec, "2"), nil, nil,
			[]string{"b"},
		},
		{
			"a node that comes from another NodeConfig is a change like others",
			[]*v1alpha1.NodeState{healthy("a", v1alpha1.NodeStateSpec{Config: "other", Revision: "other-1"}), healthy("b", newSpec)},
			newSpec, nil,
			[]string{"a"},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			got := Assign(Input{Nodes: tt.nodes, Target: tt.target, Rollout: tt.rollout})
			var now []string
			for _, n := range got.Now {
				now = append(now, n.Name)
			}
			if diff := cmp.Diff(tt.now, now); diff != "" {
				t.Errorf("now (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.waiting, got.Waiting); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPinsCompareWithoutOrder(t *testing.T) {
	a := v1alpha1.NodeStateSpec{Secrets: []v1alpha1.PinnedSecret{{Name: "a", UID: "1"}, {Name: "b", UID: "2"}}}
	b := v1alpha1.NodeStateSpec{Secrets: []v1alpha1.PinnedSecret{{Name: "b", UID: "2"}, {Name: "a", UID: "1"}}}
	if !Same(a, b) {
		t.Error("the same pins in another order differ")
	}
	b.Secrets[0].ResourceVersion = "9"
	if Same(a, b) {
		t.Error("another resourceVersion does not differ")
	}
}

// step gives out assignments and reports, at random, what agents do with them.
func step(r *rand.Rand, nodes []*v1alpha1.NodeState, target v1alpha1.NodeStateSpec, rollout *v1alpha1.Rollout) {
	for _, n := range Assign(Input{Nodes: nodes, Target: target, Rollout: rollout}).Now {
		target.DeepCopyInto(&n.Spec)
		n.Generation++
	}
	for _, n := range nodes {
		if n.Spec.Revision == "" || r.IntN(3) == 0 {
			continue
		}
		isOffline := StandingOf(n) == Offline
		n.Status.Conditions = nil
		acknowledging(n)
		switch {
		case isOffline:
			offline(n)
		case r.IntN(4) == 0:
			notReady(n)
		default:
			ready(n)
		}
	}
}

func randomFleet(r *rand.Rand) []*v1alpha1.NodeState {
	var nodes []*v1alpha1.NodeState
	for i := range 1 + r.IntN(12) {
		name := fmt.Sprintf("node-%02d", i)
		switch r.IntN(6) {
		case 0:
			nodes = append(nodes, node(name))
		case 1:
			nodes = append(nodes, node(name, assignedTo(oldSpec), acknowledging, offline))
		case 2:
			nodes = append(nodes, node(name, assignedTo(oldSpec), acknowledging, notReady))
		default:
			nodes = append(nodes, healthy(name, oldSpec))
		}
	}
	return nodes
}

func randomRollout(r *rand.Rand) *v1alpha1.Rollout {
	return []*v1alpha1.Rollout{nil, atMost("1"), atMost("3"), atMost("30%"), atMost("100%")}[r.IntN(5)]
}

func unavailable(nodes []*v1alpha1.NodeState) int {
	count := 0
	for _, n := range nodes {
		if StandingOf(n).Unavailable() {
			count++
		}
	}
	return count
}

func slotted(nodes []*v1alpha1.NodeState) int {
	count := 0
	for _, n := range nodes {
		if s := StandingOf(n); s.Unavailable() || s == Available {
			count++
		}
	}
	return count
}

// The law that everything else rests on: whatever nodes do, handing out assignments takes no
// available node beyond the limit.
func TestAssignNeverTakesMoreThanMaxUnavailable(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		nodes, rollout := randomFleet(r), randomRollout(r)
		for pass := range 12 {
			target := newSpec
			target.Revision = fmt.Sprint("workers-", r.IntN(3)) // the user keeps changing their mind
			before, limit := unavailable(nodes), MaxUnavailable(rollout, slotted(nodes))
			now := Assign(Input{Nodes: nodes, Target: target, Rollout: rollout}).Now
			taken := 0
			for _, n := range now {
				if StandingOf(n) == Available {
					taken++
				}
			}
			if taken > 0 && before+taken > limit {
				t.Fatalf("seed %d pass %d: %d unavailable, %d taken, at most %d allowed", seed, pass, before, taken, limit)
			}
			step(r, nodes, target, rollout)
		}
	}
}

func TestAssignReachesEveryNodeOnceAllAreHealthy(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 4))
		nodes, rollout := randomFleet(r), randomRollout(r)
		for range 10 {
			step(r, nodes, newSpec, rollout)
		}
		for range len(nodes) + 1 {
			for _, n := range Assign(Input{Nodes: nodes, Target: newSpec, Rollout: rollout}).Now {
				newSpec.DeepCopyInto(&n.Spec)
				n.Generation++
			}
			for _, n := range nodes {
				if StandingOf(n) != Offline {
					n.Status.Conditions = nil
					ready(n)
				}
				acknowledging(n)
			}
		}
		for _, n := range nodes {
			if !Same(n.Spec, newSpec) {
				t.Fatalf("seed %d: %s is still at %s", seed, n.Name, n.Spec.Revision)
			}
		}
	}
}

func TestAssignDoesNotDependOnOrderAndChangesNothing(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		nodes, rollout := randomFleet(r), randomRollout(r)
		var before []*v1alpha1.NodeState
		for _, n := range nodes {
			before = append(before, n.DeepCopy())
		}
		want := Assign(Input{Nodes: nodes, Target: newSpec, Rollout: rollout})
		if diff := cmp.Diff(before, nodes); diff != "" {
			t.Fatalf("seed %d: Assign changed its input:\n%s", seed, diff)
		}
		shuffled := slices.Clone(nodes)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := cmp.Diff(want, Assign(Input{Nodes: shuffled, Target: newSpec, Rollout: rollout})); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func TestEveryNodeIsAssignedWaitingOrThere(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 6))
		nodes, rollout := randomFleet(r), randomRollout(r)
		got := Assign(Input{Nodes: nodes, Target: newSpec, Rollout: rollout})
		seen := len(got.Now) + len(got.Waiting)
		for _, n := range nodes {
			if Same(n.Spec, newSpec) {
				seen++
			}
		}
		if seen != len(nodes) {
			t.Fatalf("seed %d: %d of %d nodes accounted for", seed, seen, len(nodes))
		}
	}
}
