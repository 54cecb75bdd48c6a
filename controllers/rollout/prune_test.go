package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func numbered(n int) []Revision {
	var revisions []Revision
	for i := 1; i <= n; i++ {
		revisions = append(revisions, Revision{Name: fmt.Sprintf("workers-%02d", i), Number: int64(i)})
	}
	return revisions
}

func TestPrune(t *testing.T) {
	at := func(name, assigned, reported string) *v1alpha1.NodeState {
		n := node(name, assignedTo(v1alpha1.NodeStateSpec{Config: "workers", Revision: assigned}))
		n.Status.Revision = reported
		return n
	}
	tests := []struct {
		reason    string
		revisions []Revision
		nodes     []*v1alpha1.NodeState
		newest    string
		want      []string
	}{
		{"nothing stored", nil, nil, "", nil},
		{"no more than the history", numbered(10), nil, "", nil},
		{"the newest is kept besides", numbered(11), nil, "workers-11", nil},
		{"the oldest go first", numbered(13), nil, "workers-13", []string{"workers-01", "workers-02"}},
		{"what a node is assigned stays", numbered(13), []*v1alpha1.NodeState{at("a", "workers-01", "")}, "workers-13", []string{"workers-02"}},
		{"what a node is at stays", numbered(13), []*v1alpha1.NodeState{at("a", "workers-13", "workers-02")}, "workers-13", []string{"workers-01"}},
		{"an old revision that is the newest again stays", numbered(12), nil, "workers-01", []string{"workers-02"}},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Prune(tt.revisions, tt.nodes, tt.newest)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPruneNeverTakesWhatIsInUseAndIsDoneAtOnce(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		revisions := numbered(r.IntN(40))
		var nodes []*v1alpha1.NodeState
		used := map[string]bool{}
		pick := func() string {
			if len(revisions) == 0 {
				return ""
			}
			name := revisions[r.IntN(len(revisions))].Name
			used[name] = true
			return name
		}
		for i := range r.IntN(6) {
			n := node(fmt.Sprint("node-", i))
			n.Spec.Revision, n.Status.Revision = pick(), pick()
			nodes = append(nodes, n)
		}
		newest := pick()
		pruned := Prune(revisions, nodes, newest)
		rest := slices.DeleteFunc(slices.Clone(revisions), func(r Revision) bool { return slices.Contains(pruned, r.Name) })
		for _, name := range pruned {
			if used[name] {
				t.Fatalf("seed %d: pruned %s, which is in use", seed, name)
			}
		}
		if again := Prune(rest, nodes, newest); len(again) > 0 {
			t.Fatalf("seed %d: a second time prunes %v", seed, again)
		}
		if idle := len(rest) - len(used); idle > History {
			t.Fatalf("seed %d: %d idle revisions are left", seed, idle)
		}
	}
}
