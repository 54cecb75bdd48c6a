package apply

import (
	"context"
	"errors"
	"strings"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// ask asks the programs that read the step's files. The error is the first refusal; unchecked joins
// what had no opinion, which stops nothing: a program that is not there or does not run cannot have
// its configuration taken away either.
func (r *runner) ask(ctx context.Context, s *plan.Step) (unchecked, err error) {
	if r.host.Checker == nil {
		return nil, nil
	}
	var unjudged []error
	for i := range s.Candidates {
		c := &s.Candidates[i]
		for _, check := range c.File.Checks {
			err := r.judge(ctx, c, check)
			if _, none := errors.AsType[*host.UnjudgedError](err); none {
				unjudged = append(unjudged, err)
				continue
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return errors.Join(unjudged...), nil
}

// judge asks each question once: a unit's file and its configuration are judged together, and a
// restart comes after what it reads.
func (r *runner) judge(ctx context.Context, c *plan.Candidate, check state.Check) error {
	content := c.File.Content
	if check.Content != nil {
		content = check.Content
	}
	question := strings.Join(append([]string{check.Program, state.Hash(content)}, check.Args...), "\x00")
	err, known := r.judged[question]
	if !known {
		err = host.Judge(ctx, r.host.Checker, c.Path, c.File, check)
		r.judged[question] = err
	}
	if refused, ok := errors.AsType[*host.RefusedError](err); ok {
		// Each file that it keeps from being written is named.
		mine := *refused
		mine.Path = c.Path
		return &mine
	}
	return err
}

// Refused are the refusals among the results.
func (r Results) Refused() []*host.RefusedError {
	var refused []*host.RefusedError
	for i := range r {
		if e, ok := errors.AsType[*host.RefusedError](r[i].Err); ok && r[i].Outcome == Failed {
			refused = append(refused, e)
		}
	}
	return refused
}
