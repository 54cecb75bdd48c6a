package report

import (
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// Pass is everything one pass over a host found and did.
type Pass struct {
	// Generation of the NodeState's spec that was acted on.
	Generation int64
	// Revision and Secrets are what the node is assigned; Revision is empty when nothing is.
	Revision string
	Secrets  []v1alpha1.PinnedSecret
	// Enforced is the revision the host was held to; another than Revision while that one cannot
	// be realised.
	Enforced string
	// Stall is why Revision cannot be realised until somebody changes something; nil when it can.
	Stall *Stall
	// Offline is true for a host root without a running system.
	Offline bool
	// Facts of the host; nil when they could not be read.
	Facts *v1alpha1.Facts
	// Incomplete is why the facts lack something; nil when they are all there.
	Incomplete error
	// Desired host, and the host as it was seen after the steps.
	Desired, Observed state.Host
	// Plan and the results of its steps.
	Plan    plan.Plan
	Results apply.Results
	// Remaining is the plan after the steps; empty when the host agrees.
	Remaining plan.Plan
	// Err is why the pass could not be finished, such as a ledger that cannot be written.
	Err error
	// Corrected and LastCorrected are the ledger's record of drift.
	Corrected     int64
	LastCorrected *state.Correction
	// Started and Finished bound the pass.
	Started, Finished time.Time
}

// Stall is a reason (one of v1alpha1.Reason*) and what the user has to do.
type Stall struct {
	Reason  string
	Message string
}

// Agrees is true when the host is what its assigned revision says, as far as it can be without
// running.
func (p *Pass) Agrees() bool {
	return p.Revision != "" && p.Stall == nil && p.Err == nil && !p.Desired.Partial && p.failed() == 0 && len(p.Remaining.Steps) == 0
}

// Waits is true when nothing failed and steps wait for somebody else: the manager's permit, a
// certificate, a unit that is still starting.
func (p *Pass) Waits() bool {
	return p.Err == nil && p.failed() == 0 && p.waiting() != nil
}

// waiting is the first step that waits; nil for none.
func (p *Pass) waiting() *plan.Step {
	for i := range p.Remaining.Steps {
		if s := &p.Remaining.Steps[i]; s.Waits {
			return s
		}
	}
	return nil
}

// Changed is true when a step was taken, or deferred.
func (p *Pass) Changed() bool { return p.Results.Count(apply.Done, apply.Deferred) > 0 }

// Corrections are the targets that somebody else had changed and this pass put right.
func (p *Pass) Corrections() []state.Ref {
	var refs []state.Ref
	for i := range p.Results {
		if r := &p.Results[i]; r.Step.Drift && (r.Outcome == apply.Done || r.Outcome == apply.Deferred) {
			refs = append(refs, r.Step.Target)
		}
	}
	return refs
}

// refused is true if a program did not accept a file that it is to read.
func (p *Pass) refused() bool { return len(p.Results.Refused()) > 0 }

func (p *Pass) failed() int { return p.Results.Count(apply.Failed, apply.Skipped) }
