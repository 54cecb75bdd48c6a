package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// atOnce is how many containers are stopped or started at a time: each may take its whole grace
// period.
const atOnce = 8

var errNoPort = errors.New("this host has no such port")

// link deletes a link, sets its mode, or looks whether it is as flannel's lease has it.
func (r *runner) link(ctx context.Context, s *plan.Step) error {
	links, name := r.host.Links, s.Target.Name
	if links == nil {
		return fmt.Errorf("%s: %w", s.Target, errNoPort)
	}
	switch {
	case s.Action == plan.Delete:
		return links.Delete(name)
	case s.Action == plan.Check:
		return r.check(ctx, s)
	case s.After == plan.Promiscuous, s.After == plan.NotPromiscuous:
		return links.SetPromiscuous(name, s.After == plan.Promiscuous)
	case s.After == plan.Hairpin, s.After == plan.NoHairpin:
		return links.SetHairpin(name, s.After == plan.Hairpin)
	}
	return fmt.Errorf("%s: no mode %q", s.Target, s.After)
}

// check looks at the bridge again, as the steps before have left it.
func (r *runner) check(ctx context.Context, s *plan.Step) error {
	desired := state.New()
	desired.Links[s.Target.Name] = state.Link{Bridge: s.Bridge}
	seen := host.Observe(ctx, r.host, desired, state.NewLedger())
	if why, unknown := seen.Unknown[s.Target]; unknown {
		return errors.New(why)
	}
	is := chain.LookAt(s.Target.Name, s.Bridge, seen)
	switch {
	case is.LeaseErr != nil:
		return fmt.Errorf("%s: %s: %w (SB002)", s.Target, s.Bridge.Lease, is.LeaseErr)
	case is.Fault != "":
		return fmt.Errorf("%s: %s (%s)", s.Target, is.Fault, is.Rule)
	}
	return nil
}

// containers stops all containers that run by now, or starts those of the step.
func (r *runner) containers(ctx context.Context, s *plan.Step) error {
	engine := r.host.Containers
	if engine == nil {
		return fmt.Errorf("%s: %w", s.Target, errNoPort)
	}
	ids, do := s.Containers, engine.Start
	if s.Action == plan.Stop {
		running, err := engine.Running(ctx)
		if err != nil {
			return err
		}
		ids, do = state.SortedKeys(running), engine.Stop
	}
	errs := make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, id := range ids {
		group.Go(func() error {
			errs[i] = do(ctx, id)
			return nil
		})
	}
	_ = group.Wait() // none returns an error: each container is tried
	return errors.Join(errs...)
}

// recreate puts a recreation on record, so that it is finished after a crash.
func (b *Book) recreate(r *state.Recreation) {
	if r == nil {
		return
	}
	if is := b.ledger.Recreated; is == nil || is.Done || is.Plan != r.Plan || !slices.Equal(is.Containers, r.Containers) {
		b.ledger.Recreated, b.behind = r, true
	}
}

// recreated records how far the recreation has come. It is done only with the bridge as the lease has
// it, which a step of the plan has checked; until then the run of docker that made it is on record, so
// that one that did not help is not tried again and again.
func (r *runner) recreated(p plan.Plan) {
	if p.Recreation == nil {
		return
	}
	failed := func(ref state.Ref) bool {
		_, failed := r.failed[ref]
		return failed
	}
	is := *r.book.ledger.Recreated
	resumed := !failed(state.Ref{Kind: state.KindContainers, Name: is.Maker}) && !failed(state.Ref{Kind: state.KindUnit, Name: is.Maker})
	if resumed {
		is.Containers = nil
	}
	is.Done = resumed && !failed(state.Ref{Kind: state.KindLink, Name: is.Link})
	r.book.ledger.Recreated, r.book.behind = &is, true
}

// made notes which run of docker has made the bridge.
func (b *Book) made(unit, invocation string) {
	if is := b.ledger.Recreated; is.UnderWay() && is.Maker == unit {
		again := *is
		again.Invocation = invocation
		b.ledger.Recreated = &again
	}
}
