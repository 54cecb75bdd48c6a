package controllers

import (
	"context"
	"maps"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// realised is an assignment on a host.
type realised struct {
	desired state.Host
	// missing is why desired is only what has to be installed first.
	missing resolve.Errors
}

// steering is what a pass keeps the host at, and what it goes towards once its programs are there.
type steering struct {
	enforced, towards *Assignment
	// permit for a plan that disturbs containers.
	permit string
}

// install carries out the first half of a pass in which packages or binaries are not as desired:
// which programs there are, and in which version, decides what all else is to be. Then the facts are
// read again and the rest is resolved with them. It returns the assignment that is enforced from then.
func (p *Pipeline) install(ctx context.Context, pass *report.Pass, at steering) (*Assignment, apply.Results) {
	enforced := at.enforced
	first := plan.NewPermitted(pass.Desired.Installation(), pass.Observed, p.Book.Ledger(), at.permit)
	p.announce(pass, first)
	var results apply.Results
	results, pass.Err = apply.Apply(ctx, p.Host, p.Book, first, pass.Started, p.logStep)
	p.readFacts(ctx, pass)
	next, stall := p.realise(at.towards, pass.Facts)
	switch {
	case stall != nil:
		pass.Stall = stall
	case len(next.missing) == 0:
		pass.Desired, enforced = next.desired, at.towards
		pass.Enforced = enforced.Revision
	case results.Err() == nil && pass.Err == nil && results.Count(apply.Waiting) == 0:
		pass.Stall = stillMissing(next.missing, results)
	}
	return enforced, results
}

// aim fills in the desired host for want, and returns what is enforced and what towards.
func (p *Pipeline) aim(pass *report.Pass, want, held *Assignment, first realised) (enforced, towards *Assignment) {
	pass.Desired = first.desired
	if len(first.missing) == 0 || held == nil || held.sameAs(want) {
		return want, want
	}
	kept, stall := p.realise(held, pass.Facts)
	if stall != nil || len(kept.missing) > 0 {
		return want, want
	}
	pass.Desired = beside(kept.desired, first.desired)
	return held, want
}

// announce lets a status be written before something is begun that may take minutes. What the whole plan
// asks is asked on: taken back, it would end the drain that has begun for it.
func (p *Pipeline) announce(pass *report.Pass, first plan.Plan) {
	if p.Progress == nil || !first.Installs() {
		return
	}
	now := *pass
	now.Remaining, now.Finished = first, p.Now()
	now.Remaining.Asks, now.Remaining.Blind = pass.Plan.Asks, pass.Plan.Blind
	p.Progress(now)
}

// stillMissing is the stall of a revision whose packages and binaries are installed and do not bring
// what is needed.
func stillMissing(missing resolve.Errors, results apply.Results) *report.Stall {
	stall := stallOf(missing)
	if results.Count(apply.Deferred) > 0 {
		stall.Reason = v1alpha1.ReasonInstalling
		stall.Message += "; packages are installed when this host boots: name the components in the facts to prepare the rest now"
		return stall
	}
	stall.Message += "; its packages and binaries are installed and do not bring it"
	return stall
}

// beside is what the host is kept at while something is installed that the rest of its revision waits
// for: held, with the packages and binaries of the new one. It is partial: nothing is given up yet.
func beside(held, installation state.Host) state.Host {
	held.Partial = true
	held.Packages, held.Binaries = installation.Packages, maps.Clone(held.Binaries)
	maps.Copy(held.Binaries, installation.Binaries)
	held.Files = maps.Clone(held.Files)
	maps.Copy(held.Files, installation.Files)
	return held
}

// converge observes, plans, applies, and observes and plans once more to see whether it held. It
// returns the assignment that is enforced, which is towards once its programs are installed.
func (p *Pipeline) converge(ctx context.Context, pass *report.Pass, at steering) *Assignment {
	enforced := at.enforced
	pass.Plan = p.look(ctx, pass, at.permit)
	var first apply.Results
	if pass.Plan.Installs() || pass.Desired.Partial {
		before := enforced
		enforced, first = p.install(ctx, pass, at)
		if pass.Err == nil {
			pass.Err = p.keep(enforced, before) // the facts may be new as well
		}
		if pass.Err != nil {
			pass.Results, pass.Remaining.Asks = first, pass.Plan.Asks
			return enforced
		}
		pass.Plan = p.look(ctx, pass, at.permit)
	}
	// Also with an empty plan: a ledger that could not be written in an earlier pass is written now.
	pass.Results, pass.Err = apply.Rest(ctx, p.Host, p.Book, pass.Plan, apply.Half{Now: pass.Started, After: p.logStep, First: first})
	settled := pass.Plan.Empty() && len(first) == 0
	both(pass, first)
	if pass.Remaining = pass.Plan; !settled {
		pass.Remaining = p.look(ctx, pass, "")
	}
	return enforced
}

// both puts the halves of a pass together. What failed in the first is in the second again.
func both(pass *report.Pass, first apply.Results) {
	var done apply.Results
	var steps []plan.Step
	for i := range first {
		if r := &first[i]; r.Outcome == apply.Done || r.Outcome == apply.Deferred {
			done, steps = append(done, *r), append(steps, r.Step)
		}
	}
	pass.Results = append(done, pass.Results...)
	pass.Plan.Steps = append(steps, pass.Plan.Steps...)
}

// look observes the host and plans.
func (p *Pipeline) look(ctx context.Context, pass *report.Pass, permit string) plan.Plan {
	if p.Await != nil {
		p.Await(ctx, pass.Desired.AwaitedPaths())
	}
	p.watch(pass.Desired)
	pass.Observed = host.Observe(ctx, p.Host, pass.Desired, p.Book.Ledger())
	p.Book.Saw(pass.Observed.Units)
	return plan.NewPermitted(pass.Desired, pass.Observed, p.Book.Ledger(), permit)
}
