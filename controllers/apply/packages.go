package apply

import (
	"context"
	"errors"
	"fmt"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// together is how many of the first steps are taken as one: steps of packages that follow one
// another are one transaction, so that one package can take another's place.
func together(steps []plan.Step) int {
	n := 1
	for n < len(steps) && steps[0].Target.Kind == state.KindPackage &&
		steps[n].Target.Kind == state.KindPackage && steps[n].Gives == steps[0].Gives {
		n++
	}
	return n
}

// again returns the results of steps one of which has failed in this pass already.
func (r *runner) again(steps []plan.Step) Results {
	var results Results
	for i := range steps {
		if was, ok := r.tried[steps[i].Target]; ok {
			again := r.fail(steps[i], was.Outcome, was.Err)
			again.Tried = was.Tried
			results = append(results, again)
		}
	}
	if results != nil && len(results) < len(steps) {
		return r.withTheRest(steps, results)
	}
	return results
}

// withTheRest adds the steps that go with those that failed.
func (r *runner) withTheRest(steps []plan.Step, failed Results) Results {
	for i := range steps {
		if _, ok := r.tried[steps[i].Target]; !ok {
			failed = append(failed, r.fail(steps[i], Skipped, fmt.Errorf("%s: goes with %s", steps[i].Target, failed[0].Step.Target)))
		}
	}
	return failed
}

// transaction takes all of the steps or none. The error is fatal for the whole apply.
func (r *runner) transaction(ctx context.Context, steps []plan.Step) (Results, error) {
	if results := r.obstacles(ctx, steps); results != nil {
		return results, nil
	}
	if err := r.beginTransaction(steps); err != nil {
		return nil, err
	}
	err := r.host.Packages.Change(ctx, r.transactionOf(steps))
	_, untouched := errors.AsType[*host.UntouchedError](err)
	if untouched && !r.resume {
		r.book.ledger.Installing, r.book.behind = nil, true
	}
	deferred := errors.Is(err, host.ErrDeferred)
	results := make(Results, 0, len(steps))
	for i := range steps {
		switch s := steps[i]; {
		case deferred:
			results = append(results, Result{Step: s, Outcome: Deferred})
		case err != nil && i == 0:
			results = append(results, r.fail(s, Failed, err))
		case err != nil:
			results = append(results, r.fail(s, Skipped, fmt.Errorf("%s: goes with %s", s.Target, steps[0].Target)))
		default:
			results = append(results, Result{Step: s, Outcome: Done})
		}
		results[i].Tried = !untouched
	}
	if err != nil && !deferred {
		return results, nil
	}
	return results, r.endTransaction(ctx, steps)
}

// obstacles are the results of steps that are not tried, because one of them cannot be.
func (r *runner) obstacles(ctx context.Context, steps []plan.Step) Results {
	results := make(Results, 0, len(steps))
	stopped := ""
	for i := range steps {
		s := &steps[i]
		outcome, err := r.obstacle(ctx, s)
		if err == nil {
			results = append(results, Result{Step: *s})
			continue
		}
		results = append(results, r.fail(*s, outcome, err))
		stopped = s.Target.String()
	}
	if stopped == "" {
		return nil
	}
	for i := range results {
		if results[i].Outcome == "" {
			results[i] = r.fail(steps[i], Skipped, fmt.Errorf("%s: goes with %s", steps[i].Target, stopped))
		}
	}
	return results
}

// beginTransaction puts on record, with the files that the packages need, that what the package
// manager is cut off in from now on is Seedbed's to finish.
func (r *runner) beginTransaction(steps []plan.Step) error {
	if err := r.sync(); err != nil {
		return err
	}
	r.resume = len(r.book.ledger.Installing) > 0
	for i := range steps {
		r.book.installing(steps[i].Target.Name)
	}
	return r.book.save()
}

func (r *runner) endTransaction(ctx context.Context, steps []plan.Step) error {
	r.book.ledger.Installing = nil
	for i := range steps {
		if err := r.record(ctx, &steps[i]); err != nil {
			return err
		}
	}
	return r.book.save()
}

func (r *runner) transactionOf(steps []plan.Step) host.Transaction {
	t := host.Transaction{Install: map[string]string{}, Resume: r.resume}
	for i := range steps {
		s := &steps[i]
		name := s.Target.Name
		switch s.Action {
		case plan.Remove:
			t.Remove = append(t.Remove, name)
		case plan.Install:
			t.Install[name] = s.Package.Version
		}
		if s.Unhold {
			t.Unhold = append(t.Unhold, name)
		}
		if s.Package.Held {
			t.Hold = append(t.Hold, name)
		}
	}
	return t
}

// binary carries out a step on a program.
func (r *runner) binary(ctx context.Context, s *plan.Step) error {
	r.unsynced = true
	if s.Action == plan.Restore {
		return r.restoreBinary(ctx, s)
	}
	dirs, identity, err := r.host.Binaries.Write(ctx, s.Target.Name, *s.Binary)
	r.book.addDirectories(dirs)
	if err == nil {
		r.book.verified(s.Target, state.Verified{SHA256: s.Binary.SHA256, Identity: identity})
	}
	return err
}

func (r *runner) restoreBinary(ctx context.Context, s *plan.Step) error {
	if s.Prior.Absent || s.Prior.Blob == "" {
		return r.restore(s) // nothing, or a symbolic link: as for a file
	}
	dirs, err := r.host.Binaries.Restore(ctx, s.Target.Name, *s.Prior)
	r.book.addDirectories(dirs)
	return err
}

// blocked is why a step cannot be taken, as an error.
func blocked(s *plan.Step) error {
	err := fmt.Errorf("%s: %s", s.Target, s.Blocked)
	if s.Cause == "" {
		return err
	}
	return &host.Error{Reason: s.Cause, Err: err}
}
