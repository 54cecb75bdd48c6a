package rollout

import (
	"cmp"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// History is how many revisions of a NodeConfig are kept besides those in use, to return to.
const History = 10

// Revision is a stored revision of one NodeConfig.
type Revision struct {
	Name string
	// Number counts up; the highest is the newest.
	Number int64
}

// Prune returns the names of the revisions of one NodeConfig that may be deleted, oldest first: all
// but those that a node is assigned or at, the one named newest, and the latest History of the rest.
func Prune(revisions []Revision, nodes []*v1alpha1.NodeState, newest string) []string {
	used := map[string]bool{newest: true}
	for _, n := range nodes {
		used[n.Spec.Revision], used[n.Status.Revision] = true, true
	}
	idle := slices.SortedFunc(slices.Values(revisions), func(a, b Revision) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Name, b.Name))
	})
	idle = slices.DeleteFunc(idle, func(r Revision) bool { return used[r.Name] })
	var prune []string
	for _, r := range idle[:max(len(idle)-History, 0)] {
		prune = append(prune, r.Name)
	}
	return prune
}
