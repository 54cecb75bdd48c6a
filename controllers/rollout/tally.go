package rollout

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// tally is the nodes counted, and each of them that is not fully there in one list, by name.
type tally struct {
	counts  v1alpha1.NodeCounts
	failed  []string // could not take a step, or stalled
	stalled []string // cannot go on by themselves
	why     string   // the first failed node's own words

	updating, waiting, notReady, offline []string

	draining, asking []string // for a permit, or with one
	silent, blocked  []string // of which the kubelet is not ready, of which a pod does not go
	silence, block   string   // the first one's own words
}

// tally counts a node as ready or prepared that is so at what it is assigned, be that the newest
// revision or not, as a Deployment does: a rollout that goes well makes few nodes not ready.
func (v View) tally() tally {
	t := tally{counts: v1alpha1.NodeCounts{Matched: int32(len(v.Nodes))}}
	for _, n := range slices.SortedFunc(slices.Values(v.Nodes), byName) {
		e := v.Evidence[n.Name]
		standing, assigned := e.standing(n), v.assigned(n)
		if standing.Unavailable() {
			t.counts.Unavailable++
		}
		updated := assigned && Acknowledged(n)
		if updated {
			t.counts.Updated++
		}
		if Acknowledged(n) {
			t.counts.Prepared += count(n, v1alpha1.ConditionPrepared)
			t.counts.Ready += readyCount(n, e)
		}
		switch {
		case t.addFailed(n):
		case t.addDrain(n, e):
		case t.addSilent(n, e, standing):
		case !assigned && e.Outside: // what is said of the podCIDR names it
		case !assigned:
			t.waiting = append(t.waiting, n.Name)
		case !updated:
			t.updating = append(t.updating, n.Name)
		case standing == Offline:
			t.offline = append(t.offline, n.Name)
		case standing == NotReady:
			t.notReady = append(t.notReady, n.Name)
		}
	}
	return t
}

// assigned is true when the node's spec is what it is to be in the end. While stalled the Secrets'
// versions are not known; then the revision alone decides.
func (v View) assigned(n *v1alpha1.NodeState) bool {
	if v.Target != nil {
		return Same(n.Spec, *v.Target)
	}
	return n.Spec.Revision != "" && n.Spec.Revision == v.Revision
}

// readyCount goes by what the agent says, unless the kubelet's silence says otherwise.
func readyCount(n *v1alpha1.NodeState, e Evidence) int32 {
	if e.Down != "" {
		return 0
	}
	return count(n, v1alpha1.ConditionReady)
}

// addDrain notes a node that is drained, works under a permit, or asks for one.
func (t *tally) addDrain(n *v1alpha1.NodeState, e Evidence) bool {
	switch {
	case e.underWay(n):
		t.counts.Draining++
		t.draining = append(t.draining, n.Name)
	case asked(n) != "":
		t.asking = append(t.asking, n.Name)
	}
	if e.Drain != nil && e.Drain.Blocked != "" {
		if len(t.blocked) == 0 {
			t.block = quote(e.Drain.Blocked)
		}
		t.blocked = append(t.blocked, n.Name)
	}
	return e.underWay(n) || asked(n) != ""
}

// addSilent notes a node that is at what it is assigned, and whose kubelet is not ready.
func (t *tally) addSilent(n *v1alpha1.NodeState, e Evidence, standing Standing) bool {
	if standing != NotReady || e.Down == "" {
		return false
	}
	if len(t.silent) == 0 {
		t.silence = quote(e.Down)
	}
	t.silent = append(t.silent, n.Name)
	return true
}

func count(n *v1alpha1.NodeState, condition string) int32 {
	if meta.IsStatusConditionTrue(n.Status.Conditions, condition) {
		return 1
	}
	return 0
}

// addFailed notes a node that reports, of its present assignment, that it is stalled or that steps
// failed.
func (t *tally) addFailed(n *v1alpha1.NodeState) bool {
	if n.Spec.Revision == "" || n.Status.ObservedGeneration != n.Generation {
		return false
	}
	stalled := meta.FindStatusCondition(n.Status.Conditions, v1alpha1.ConditionStalled)
	isStalled := stalled != nil && stalled.Status == metav1.ConditionTrue
	if !isStalled && (n.Status.Apply == nil || n.Status.Apply.Failed == 0 || mended(n)) {
		return false
	}
	c := stalled
	if !isStalled {
		c = meta.FindStatusCondition(n.Status.Conditions, v1alpha1.ConditionReady)
	}
	if len(t.failed) == 0 && c != nil {
		t.why = fmt.Sprintf(" (%s: %s)", c.Reason, quote(c.Message))
	}
	t.failed = append(t.failed, n.Name)
	t.counts.Failed++
	if isStalled {
		t.stalled = append(t.stalled, n.Name)
	}
	return true
}

// mended is true for a node that is as it is to be. Its last pass with steps may have failed all the
// same: going back to what the host still is takes no step, and status.apply stays.
func mended(n *v1alpha1.NodeState) bool {
	switch StandingOf(n) {
	case Available:
		return true
	case Offline:
		return count(n, v1alpha1.ConditionPrepared) > 0
	}
	return false
}

// failure names the failed nodes with the first one's own words.
func (t tally) failure() string {
	if len(t.failed) == 1 {
		return "failed " + t.failed[0] + t.why
	}
	return fmt.Sprintf("failed %s%s, %s", t.failed[0], t.why, list(t.failed[1:]))
}

// summary is "2 of 3 nodes ready; updating node-b". The colon before the host roots that do not run
// reads as the reason, which they are when nothing else is said.
func (t tally) summary(word string, n int32, parts ...string) string {
	head := fmt.Sprintf("%d of %s %s", n, plural(int(t.counts.Matched), "node"), word)
	if len(parts) == 0 {
		return head
	}
	if len(parts) == 1 && len(t.offline) > 0 && word == "ready" {
		return head + ": " + parts[0]
	}
	return head + "; " + strings.Join(parts, "; ")
}
