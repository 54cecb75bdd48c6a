package rollout

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Stall is why a NodeConfig cannot go on until a user changes something.
type Stall struct {
	// Reason is one of the API's reasons.
	Reason string
	// Message names the field or object, the value and the cure.
	Message string
}

// View is what a NodeConfig's status is computed from, after this pass's assignments.
type View struct {
	// Generation of the NodeConfig that was looked at.
	Generation int64
	// Nodes that it governs.
	Nodes []*v1alpha1.NodeState
	// Evidence of them by name, apart from what their agents say.
	Evidence map[string]Evidence
	// PodCIDR is what is wrong with the nodes' shares of the pod network, or nil.
	PodCIDR *Stall
	// Revision is the newest one that was cut, also while stalled; "" before the first.
	Revision string
	// Target is what the nodes are to be assigned; nil while Stall is set.
	Target *v1alpha1.NodeStateSpec
	Stall  *Stall
	// Waits is what the newest revision waits for to be cut, or ""; Target is nil then.
	Waits  string
	Paused bool
	// Conflicts are nodes it would govern but for a tie.
	Conflicts []Conflict
	// Left are nodes it assigned once and that nothing selects any more.
	Left []string
}

// Status rolls the nodes up. Conditions carry no transition time: whoever stores them sets it when
// a status changes. Reconciling, Stalled and Conflicted are there only while they are true, and
// Reconciling and Stalled are never there together.
func Status(v View) v1alpha1.NodeConfigStatus {
	t := v.tally()
	reason, message := v.verdict(t)
	conditions := []metav1.Condition{v.prepared(t, reason, message)}
	add := func(kind string, status metav1.ConditionStatus, reason, message string) {
		conditions = append(conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: v.Generation,
		})
	}
	ready := metav1.ConditionFalse
	if reason == v1alpha1.ReasonSucceeded {
		ready = metav1.ConditionTrue
	}
	add(v1alpha1.ConditionReady, ready, reason, message)
	if len(v.Conflicts) > 0 {
		add(v1alpha1.ConditionConflicted, metav1.ConditionTrue, v1alpha1.ReasonPriorityConflict, v.conflict())
	}
	if stall := v.stall(t); stall != nil {
		add(v1alpha1.ConditionStalled, metav1.ConditionTrue, stall.Reason, stall.Message)
	} else if reason == v1alpha1.ReasonProgressing || reason == v1alpha1.ReasonNodesFailed || reason == v1alpha1.ReasonDrainBlocked {
		add(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing, message)
	}
	slices.SortFunc(conditions, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	return v1alpha1.NodeConfigStatus{
		ObservedGeneration: v.Generation, Revision: v.Revision, Nodes: t.counts, Conditions: conditions,
	}
}

// verdict is the reason and message of Ready: what matters most to whoever reads one line.
func (v View) verdict(t tally) (reason, message string) {
	switch {
	case v.Stall != nil:
		return v.Stall.Reason, v.Stall.Message
	case v.Waits != "":
		return v1alpha1.ReasonProgressing, v.Waits
	case len(v.Conflicts) > 0:
		return v1alpha1.ReasonPriorityConflict, t.summary("ready", t.counts.Ready, v.conflict())
	case v.PodCIDR != nil:
		return v.PodCIDR.Reason, t.summary("ready", t.counts.Ready, v.details(t)...)
	case len(v.Nodes) == 0:
		return v1alpha1.ReasonNoNodes, strings.Join(append([]string{"no NodeState matches nodeSelector"}, v.left()...), "; ")
	}
	reason = v1alpha1.ReasonSucceeded
	switch {
	case len(t.failed) > 0:
		reason = v1alpha1.ReasonNodesFailed
	case len(t.blocked) > 0:
		reason = v1alpha1.ReasonDrainBlocked
	case v.Paused && len(t.waiting)+len(t.asking) > 0 && len(t.updating)+len(t.draining) == 0:
		reason = v1alpha1.ReasonPaused
	case len(t.waiting)+len(t.updating)+len(t.draining)+len(t.asking) > 0:
		reason = v1alpha1.ReasonProgressing
	case len(t.notReady)+len(t.silent) > 0:
		reason = v1alpha1.ReasonWaiting
	case len(t.offline) > 0:
		reason = v1alpha1.ReasonOfflineRoot
	}
	return reason, t.summary("ready", t.counts.Ready, v.details(t)...)
}

// prepared is True when every governed node is at the newest revision and Prepared there; when it
// is not, its reason is Ready's, except for what only running hosts can lack.
func (v View) prepared(t tally, reason, message string) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionPrepared, Status: metav1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: v.Generation,
	}
	if v.Stall != nil || v.Waits != "" || len(v.Conflicts) > 0 || len(v.Nodes) == 0 {
		return c
	}
	c.Message = t.summary("prepared", t.counts.Prepared, v.progress(t)...)
	switch reason {
	case v1alpha1.ReasonOfflineRoot, v1alpha1.ReasonWaiting, v1alpha1.ReasonSucceeded:
		c.Reason = v1alpha1.ReasonWaiting
	}
	if int(min(t.counts.Prepared, t.counts.Updated)) == len(v.Nodes) {
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
	}
	return c
}

// stall is why work cannot go on: the NodeConfig's own trouble first, then its nodes'.
func (v View) stall(t tally) *Stall {
	switch {
	case v.Stall != nil:
		return v.Stall
	case len(v.Conflicts) > 0:
		return &Stall{Reason: v1alpha1.ReasonPriorityConflict, Message: v.conflict()}
	case v.PodCIDR != nil:
		return v.PodCIDR
	case len(t.stalled) > 0:
		return &Stall{Reason: v1alpha1.ReasonNodesFailed, Message: t.failure()}
	}
	return nil
}

func (v View) conflict() string {
	var nodes, others []string
	for _, c := range v.Conflicts {
		nodes = append(nodes, c.Node)
		others = append(others, c.Others...)
	}
	slices.Sort(others)
	others = slices.Compact(others)
	return fmt.Sprintf("%s (%s) also selected with the same priority by NodeConfig %s: kept as they are; "+
		"give one of the NodeConfigs a higher priority, or make the selectors exclude each other",
		plural(len(nodes), "node"), list(nodes), list(others))
}

// progress says who is on the way.
func (v View) progress(t tally) []string {
	var parts []string
	if v.PodCIDR != nil {
		parts = append(parts, v.PodCIDR.Message)
	}
	if len(t.failed) > 0 {
		parts = append(parts, t.failure())
	}
	if len(t.updating) > 0 {
		parts = append(parts, "updating "+list(t.updating))
	}
	parts = append(parts, v.drains(t)...)
	if len(t.waiting) > 0 {
		word := "waiting "
		if v.Paused {
			word = "paused, not updated: "
		}
		parts = append(parts, word+list(t.waiting))
	}
	return parts
}

// drains says who is drained, who waits for that, and what stands in the way.
func (v View) drains(t tally) []string {
	var parts []string
	if len(t.draining) > 0 {
		parts = append(parts, "draining "+list(t.draining))
	}
	if len(t.asking) > 0 {
		word := "waiting for a drain "
		if v.Paused {
			word = "paused, not drained: "
		}
		parts = append(parts, word+list(t.asking))
	}
	if len(t.blocked) > 0 {
		parts = append(parts, fmt.Sprintf("drain blocked %s (%s)", list(t.blocked), t.block))
	}
	return parts
}

// details is progress, and who is there and not ready.
func (v View) details(t tally) []string {
	parts := v.progress(t)
	if len(t.notReady) > 0 {
		parts = append(parts, "not ready "+list(t.notReady))
	}
	if len(t.silent) > 0 {
		parts = append(parts, fmt.Sprintf("kubelet not ready %s (%s)", list(t.silent), t.silence))
	}
	if n := len(t.offline); n > 0 {
		verb := "do"
		if n == 1 {
			verb = "does"
		}
		parts = append(parts, fmt.Sprintf("%s %s not run", plural(n, "prepared host root"), verb))
	}
	return append(parts, v.left()...)
}

func (v View) left() []string {
	if len(v.Left) == 0 {
		return nil
	}
	return []string{"no longer selected and kept as assigned: " + list(v.Left)}
}
