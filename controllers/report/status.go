package report

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/state"
)

// Status is the NodeState's status after the pass.
func Status(before v1alpha1.NodeStateStatus, p *Pass) v1alpha1.NodeStateStatus {
	s := *before.DeepCopy()
	s.ObservedGeneration = p.Generation
	if p.Facts != nil {
		s.Facts = p.Facts.DeepCopy()
	}
	if p.Agrees() {
		s.Revision, s.Secrets = p.Revision, slices.Clone(p.Secrets)
	}
	if next := applyStatus(before, p); p.Changed() || (p.failed() > 0 && !sameOutcome(s.Apply, next)) {
		s.Apply = next
	}
	s.Pending = pending(before.Pending, p)
	s.Drift = drift(p)
	s.Conditions = conditions(before.Conditions, p)
	return s
}

// sameOutcome is true for a retry that failed as the pass before: writing that anew would be a write
// a minute for each broken node.
func sameOutcome(a, b *v1alpha1.ApplyStatus) bool {
	if a == nil {
		return false
	}
	c := *b
	c.Started, c.Finished = a.Started, a.Finished
	return *a == c
}

// pending stays as long as the plan is the same, also while it is carried out and has not ended. A pass
// that could not see whether there is anything to ask takes no question back: that would end the drain
// which has begun for it.
func pending(before *v1alpha1.PendingPlan, p *Pass) *v1alpha1.PendingPlan {
	asks := p.Remaining.Asks
	switch {
	case asks == nil && (p.Err != nil || p.Remaining.Blind):
		return before.DeepCopy()
	case asks == nil:
		return nil
	}
	next := &v1alpha1.PendingPlan{
		Plan: v1alpha1.PlanHash(asks.Plan), Disruption: v1alpha1.DisruptionName(asks.Disruption.String()),
		Message: bounded(asks.Message, maxMessage), Since: metav1.NewTime(p.Finished).Rfc3339Copy(),
	}
	if before != nil && before.Plan == next.Plan {
		next.Since = before.Since
	}
	return next
}

func drift(p *Pass) *v1alpha1.DriftStatus {
	d := &v1alpha1.DriftStatus{Corrected: p.Corrected}
	if last := p.LastCorrected; last != nil {
		d.Last = &v1alpha1.DriftRecord{
			What: bounded(last.What.String(), maxWhat), When: metav1.NewTime(last.When).Rfc3339Copy(),
		}
	}
	return d
}

func applyStatus(before v1alpha1.NodeStateStatus, p *Pass) *v1alpha1.ApplyStatus {
	return &v1alpha1.ApplyStatus{
		Revision:   p.Enforced,
		Started:    metav1.NewTime(p.Started).Rfc3339Copy(),
		Finished:   metav1.NewTime(p.Finished).Rfc3339Copy(),
		Steps:      count(len(p.Results)),
		Changed:    count(p.Results.Count(apply.Done)),
		Deferred:   count(p.Results.Count(apply.Deferred)),
		Failed:     count(p.failed()),
		Disruption: v1alpha1.DisruptionName(Disruption(before, p).String()),
	}
}

// Disruption is the most that the way to the pass's revision and Secrets has cost. It may take several
// passes: for a permit, for a certificate, for a lease.
func Disruption(before v1alpha1.NodeStateStatus, p *Pass) state.Disruption {
	cost, last := p.Results.Disruption(), before.Apply
	if last == nil || p.Enforced != p.Revision || last.Revision != p.Revision || !goesOn(before, p) {
		return cost
	}
	earlier, err := state.ParseDisruption(string(last.Disruption))
	if err != nil {
		return cost // of a newer release
	}
	return max(cost, earlier)
}

// goesOn is true if the last pass with steps was on the same way. To other Secrets of one revision it was
// when it left the node unprepared; while the node was prepared, or has become unprepared since, it was on
// the way before.
func goesOn(before v1alpha1.NodeStateStatus, p *Pass) bool {
	if before.Revision != p.Revision {
		return true
	}
	prepared := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionPrepared)
	return !slices.Equal(before.Secrets, p.Secrets) && prepared != nil && prepared.Status == metav1.ConditionFalse &&
		!before.Apply.Finished.Before(&prepared.LastTransitionTime)
}

func count(n int) int32 { return int32(min(n, 1<<30)) } //nolint:gosec // bounded
