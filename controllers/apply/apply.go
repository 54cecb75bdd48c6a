package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// Outcome is what became of a step.
type Outcome string

const (
	// Done: the step was taken.
	Done Outcome = "Done"
	// Deferred: the step is recorded for when the host runs.
	Deferred Outcome = "Deferred"
	// Failed: the step was tried and did not succeed, or is blocked.
	Failed Outcome = "Failed"
	// Skipped: a step that this one needs failed.
	Skipped Outcome = "Skipped"
	// Waiting: the step, or one that it needs, waits for somebody else. It is no failure.
	Waiting Outcome = "Waiting"
)

// Result is what became of one step.
type Result struct {
	Step    plan.Step
	Outcome Outcome
	// Err names the resource and the cause; nil if Done or Deferred.
	Err error
	// Tried is true once the step was begun, whatever became of it.
	Tried bool
	// Unchecked says which program had no opinion of a file of this step, and why; nil when each
	// had one.
	Unchecked error
}

// Results of a plan's steps, in order.
type Results []Result

// Count returns how many steps had one of the outcomes.
func (r Results) Count(outcomes ...Outcome) int {
	n := 0
	for i := range r {
		if slices.Contains(outcomes, r[i].Outcome) {
			n++
		}
	}
	return n
}

// Err joins the errors of the steps that failed; those skipped because of them are left out.
func (r Results) Err() error {
	var errs []error
	for i := range r {
		if r[i].Outcome == Failed {
			errs = append(errs, r[i].Err)
		}
	}
	return errors.Join(errs...)
}

// Disruption is the most that any step cost that was taken, deferred or tried. One that waits, or was
// skipped, cost nothing.
func (r Results) Disruption() state.Disruption {
	d := state.None
	for i := range r {
		if r[i].Tried {
			d = max(d, r[i].Step.Disruption)
		}
	}
	return d
}

// Apply carries out the plan. The error is one of the ledger's: without a ledger on disk nothing
// is changed any further. Failures of single steps are in the results. now is the time of the pass,
// for the record of corrections. after, which may be nil, is called with each result as it comes.
func Apply(ctx context.Context, h host.Host, book *Book, p plan.Plan, now time.Time, after func(Result)) (Results, error) {
	return Rest(ctx, h, book, p, Half{Now: now, After: after})
}

// Half is one of the halves of a pass.
type Half struct {
	// Now and After are as for Apply.
	Now   time.Time
	After func(Result)
	// First has the results of the first half, in the second.
	First Results
}

// Rest is Apply for the second half of a pass: what failed in the first is not tried again, and has
// the same result.
func Rest(ctx context.Context, h host.Host, book *Book, p plan.Plan, half Half) (Results, error) {
	if p.Empty() && !book.behind {
		return nil, nil
	}
	if err := begin(ctx, h, book, p); err != nil {
		return nil, err
	}
	r := runner{host: h, book: book, now: half.Now, failed: map[state.Ref]Outcome{}, judged: map[string]error{}, tried: map[state.Ref]Result{}}
	for i := range half.First {
		if o := half.First[i].Outcome; o == Failed || o == Skipped {
			r.tried[half.First[i].Step.Target] = half.First[i]
		}
	}
	results := make(Results, 0, len(p.Steps))
	for steps := p.Steps; len(steps) > 0; {
		n := together(steps)
		taken, err := r.takeAll(ctx, steps[:n])
		if err != nil {
			return results, err
		}
		for _, res := range taken {
			results = append(results, res)
			if half.After != nil {
				half.After(res)
			}
		}
		steps = steps[n:]
	}
	return results, r.finish(p)
}

func (r *runner) takeAll(ctx context.Context, steps []plan.Step) (Results, error) {
	if results := r.again(steps); results != nil {
		return results, nil
	}
	if steps[0].Target.Kind == state.KindPackage {
		return r.transaction(ctx, steps)
	}
	res, err := r.take(ctx, steps[0])
	return Results{res}, err
}

// runner carries out one plan.
type runner struct {
	host host.Host
	book *Book
	now  time.Time
	// failed targets, or waiting ones.
	failed map[state.Ref]Outcome
	// unsynced is true while file changes may not be on disk.
	unsynced bool
	// tried are results of steps that failed in the first half of the pass.
	tried map[state.Ref]Result
	// given are resources that were put back. They stay in the ledger until all that the plan puts
	// back is done, since what a unit is owed is found by looking at its files' records.
	given []state.Ref
	// judged are the verdicts of this apply, by what was asked.
	judged map[string]error
	// resume is true when an earlier transaction of packages was not seen to end.
	resume bool
}

// take carries out one step. The error is fatal for the whole apply.
func (r *runner) take(ctx context.Context, s plan.Step) (Result, error) {
	if outcome, err := r.obstacle(ctx, &s); err != nil {
		return r.fail(s, outcome, err), nil
	}
	unchecked, err := r.ask(ctx, &s)
	if err != nil {
		return r.fail(s, Failed, err), nil
	}
	if err := r.prepare(&s); err != nil {
		return Result{}, err
	}
	err = r.do(ctx, &s)
	r.book.remember(&s, err, r.now)
	res := Result{Step: s, Outcome: Done, Tried: true, Unchecked: unchecked}
	switch {
	case errors.Is(err, host.ErrDeferred):
		res.Outcome = Deferred
	case err != nil:
		res = r.fail(s, Failed, err)
		res.Tried = true
		return res, nil
	}
	return res, r.record(ctx, &s)
}

// obstacle is why a step is not tried. What needs a step that waits, waits with it.
func (r *runner) obstacle(ctx context.Context, s *plan.Step) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Skipped, fmt.Errorf("%s: %w", s.Target, context.Cause(ctx))
	}
	waits := error(nil)
	for _, ref := range append([]state.Ref{s.Target}, s.Needs...) {
		outcome, failed := r.failed[ref]
		if !failed {
			continue
		}
		why := fmt.Errorf("%s: waits for %s", s.Target, ref)
		if outcome != Waiting {
			return Skipped, why
		}
		waits = why
	}
	switch {
	case waits != nil:
		return Waiting, waits
	case s.Blocked == "":
		return Failed, r.book.tooSoon(s, r.now)
	case s.Waits:
		return Waiting, blocked(s)
	}
	return Failed, blocked(s)
}

func (r *runner) fail(s plan.Step, o Outcome, err error) Result {
	r.failed[s.Target] = o
	return Result{Step: s, Outcome: o, Err: err}
}

// prepare makes durable what must be on disk before the step: the files a unit reads, and that
// the unit is about to be started.
func (r *runner) prepare(s *plan.Step) error {
	if s.Target.Kind != state.KindUnit && s.Target.Kind != state.KindSystemd {
		return nil
	}
	if err := r.sync(); err != nil {
		return err
	}
	if !starts(s) {
		return nil
	}
	was := r.book.ledger.Started[s.Target.Name]
	was.Pending = &state.Pending{Inputs: s.Inputs, Invocation: s.Invocation}
	r.book.started(s.Target.Name, was)
	return r.book.save()
}

// starts is true for steps after which the unit has read its inputs.
func starts(s *plan.Step) bool {
	if s.Target.Kind != state.KindUnit || s.Inputs == nil {
		return false
	}
	return s.Action == plan.Start || s.Action == plan.Restart || s.Action == plan.Reload
}

// record notes a step that was taken. A unit's start is durable at once, so that it is never
// repeated.
func (r *runner) record(ctx context.Context, s *plan.Step) error {
	if s.Drift {
		r.book.ledger.Corrected++
		r.book.ledger.LastCorrected = &state.Correction{What: s.Target, When: r.now}
	}
	switch {
	case starts(s):
		invocation := r.invocation(ctx, s.Target.Name)
		r.book.started(s.Target.Name, state.Started{Inputs: s.Inputs, Invocation: invocation})
		r.made(ctx, s.Target.Name, invocation)
		return r.book.save()
	case s.Target.Kind == state.KindUnit || s.Target.Kind == state.KindSystemd || s.Unowned:
		return nil
	case s.Gives:
		r.given = append(r.given, s.Target)
	case s.File != nil:
		r.book.applied(s.Target, s.File.Digest())
	case s.Binary != nil:
		r.book.applied(s.Target, s.Binary.Digest())
	default:
		r.book.applied(s.Target, s.After)
	}
	r.book.behind = true
	return nil
}

// invocation is the unit's run after its start. Not known, it is taken from the next observation.
func (r *runner) invocation(ctx context.Context, name string) string {
	unit, err := r.host.Units.Get(ctx, name)
	if err != nil {
		return ""
	}
	return unit.Invocation
}

func (r *runner) sync() error {
	if !r.unsynced {
		return nil
	}
	if err := r.host.Files.Sync(); err != nil {
		return fmt.Errorf("make files durable: %w", err)
	}
	r.unsynced = false
	return nil
}

// finish gives up what was put back, removes folders that were ours and are empty, and makes
// everything durable: files first, since the ledger must not be ahead of them.
func (r *runner) finish(p plan.Plan) error {
	given := r.giveUp(p)
	if slices.ContainsFunc(given, isPath) {
		if err := r.removeEmptyFolders(); err != nil {
			return err
		}
	}
	if err := r.sync(); err != nil {
		return err
	}
	r.recreated(p)
	originals := make([]string, len(given))
	for i, ref := range given {
		originals[i] = r.book.ledger.Owned[ref].Prior.Blob
		r.book.forget(ref)
	}
	if r.book.behind || len(given) > 0 {
		if err := r.book.save(); err != nil {
			return err
		}
	}
	return r.book.sweep(originals)
}

// giveUp lists what is not Seedbed's any more: what steps put back, units all of whose steps went
// well, and what needed no step. A resource with a failed step is kept.
func (r *runner) giveUp(p plan.Plan) []state.Ref {
	given := slices.Concat(r.given, p.Released)
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Gives && s.Target.Kind == state.KindUnit && !slices.Contains(given, s.Target) {
			given = append(given, s.Target)
		}
	}
	return slices.DeleteFunc(given, func(ref state.Ref) bool {
		_, failed := r.failed[ref]
		return failed
	})
}

// removeEmptyFolders removes folders that Seedbed made, innermost first.
func (r *runner) removeEmptyFolders() error {
	dirs := slices.Clone(r.book.ledger.Directories)
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) })
	for _, d := range dirs {
		if err := r.host.Files.RemoveDir(d); err != nil {
			return fmt.Errorf("folder %s: %w", d, err)
		}
	}
	r.unsynced = true
	r.book.ledger.Directories = slices.DeleteFunc(r.book.ledger.Directories, func(d string) bool {
		_, present, err := r.host.Files.Read(d)
		return err == nil && !present
	})
	return nil
}
