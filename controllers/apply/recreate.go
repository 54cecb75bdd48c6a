package apply

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// atOnce is how many containers are stopped or started at a time: each may take its whole grace
// period.
const atOnce = 8

// reloadTakes is how long a reload of docker may take.
const reloadTakes = 5 * time.Second

const (
	// stopRounds is how often containers are stopped of which some come back, mostRefused how often the
	// start of one is tried, and mostStarts how often docker is started for one bridge.
	stopRounds, mostRefused, mostStarts = 3, 5, 3
)

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

// containers stops all containers, sees to it that none runs, or starts those on record.
func (r *runner) containers(ctx context.Context, s *plan.Step) error {
	engine := r.host.Containers
	if engine == nil {
		return fmt.Errorf("%s: %w", s.Target, errNoPort)
	}
	switch s.Action {
	case plan.Stop:
		return r.stopAll(ctx, engine)
	case plan.Check:
		switch s.After {
		case plan.GoOn:
			return goOn(ctx, engine)
		case plan.OnRecord:
			return r.onRecord(ctx, engine)
		}
		return noneRuns(ctx, engine)
	}
	return r.startAgain(ctx, engine)
}

// stopAll stops what runs, and what was started by somebody else while that took its time: docker,
// which keeps containers while it is restarted, would keep those as well, and its network with them.
func (r *runner) stopAll(ctx context.Context, engine host.Containers) error {
	for range stopRounds {
		running, err := engine.Running(ctx)
		if err != nil || len(running) == 0 {
			return err
		}
		if err := r.book.resumeLater(running); err != nil {
			return err
		}
		if err := StopContainers(ctx, engine, running); err != nil {
			return err
		}
	}
	if err := noneRuns(ctx, engine); err != nil {
		return fmt.Errorf("%w, however often it is stopped: stop who starts it", err)
	}
	return nil
}

// StopContainers stops these containers: the sandboxes of pods last, for the others of a pod have their
// network from it, and need that to end what they are at.
func StopContainers(ctx context.Context, engine host.Containers, running map[string]state.Container) error {
	ids := state.SortedKeys(running)
	var errs []error
	for _, sandboxes := range []bool{false, true} {
		wave := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return running[id].Sandbox != sandboxes })
		_, err := each(ctx, wave, engine.Stop)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// onRecord puts those on record as well that were started since the plan was made.
func (r *runner) onRecord(ctx context.Context, engine host.Containers) error {
	running, err := engine.Running(ctx)
	if err != nil {
		return err
	}
	return r.book.resumeLater(running)
}

// noneRuns fails with the names of containers that run.
func noneRuns(ctx context.Context, engine host.Containers) error {
	running, err := engine.Running(ctx)
	if err != nil || len(running) == 0 {
		return err
	}
	var names []string
	for _, id := range state.SortedKeys(running) {
		names = append(names, fmt.Sprintf("container %.12s (%s) runs by now", id, running[id].Name))
	}
	return errors.New(strings.Join(names, "; "))
}

var errEnds = errors.New("docker has not taken live-restore over by a reload, so a restart would end them: its journal says why, often a flag on its command line that daemon.json has as well (SB015)")

// goOn waits until the engine has live-restore: a reload is a signal, which takes its time.
func goOn(ctx context.Context, engine host.Containers) error {
	for deadline := time.Now().Add(reloadTakes); ; {
		lives, err := engine.LiveRestore(ctx)
		switch {
		case err != nil || lives:
			return err
		case time.Now().After(deadline):
			return errEnds
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(reloadTakes / 50):
		}
	}
}

// startAgain starts the containers on record. One that docker refuses again and again is left, and said
// so: the bridge is as it is to be, and its node need not wait.
func (r *runner) startAgain(ctx context.Context, engine host.Containers) error {
	is := *r.book.ledger.Recreated
	var err error
	is.Containers, err = each(ctx, is.Containers, engine.Start)
	switch {
	case ctx.Err() != nil:
		return err
	case err == nil:
		is.Refused = 0
	case is.Refused+1 < mostRefused:
		is.Refused++
	default:
		is.Containers, is.Refused = nil, 0
		err = fmt.Errorf("%w; not tried again", err)
	}
	r.book.ledger.Recreated, r.book.behind = &is, true
	return err
}

// each does the same with all containers, some at a time, and returns those with which it failed.
func each(ctx context.Context, ids []string, do func(context.Context, string) error) (failed []string, err error) {
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
	for i, id := range ids {
		if errs[i] != nil {
			failed = append(failed, id)
		}
	}
	return failed, errors.Join(errs...)
}

// recreate puts a recreation on record, so that it is finished after a crash.
func (b *Book) recreate(r *state.Recreation) {
	if r != nil && !reflect.DeepEqual(b.ledger.Recreated, r) {
		b.ledger.Recreated, b.behind = r, true
	}
}

// resumeLater puts the containers that nobody else starts again on record before they are stopped.
func (b *Book) resumeLater(running map[string]state.Container) error {
	again := *b.ledger.Recreated
	again.Containers = slices.Clone(again.Containers)
	for _, id := range state.SortedKeys(running) {
		if !running[id].Kubernetes && !slices.Contains(again.Containers, id) {
			again.Containers = append(again.Containers, id)
		}
	}
	if len(again.Containers) == len(b.ledger.Recreated.Containers) {
		return nil
	}
	b.ledger.Recreated = &again
	return b.save()
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
	is.Done = !failed(state.Ref{Kind: state.KindUnit, Name: is.Maker}) && !failed(state.Ref{Kind: state.KindLink, Name: is.Link})
	r.book.ledger.Recreated, r.book.behind = &is, true
}

// made notes which run of docker has made the bridge. docker leaves its network as it is beside
// containers that ran before it: then another start may help, within bounds, for those that run now
// may also be ones that it has started itself.
func (r *runner) made(ctx context.Context, unit, invocation string) {
	is := r.book.ledger.Recreated
	if !is.UnderWay() || is.Link == "" || is.Maker != unit || r.host.Containers == nil {
		return
	}
	again := *is
	again.Starts++
	if running, err := r.host.Containers.Running(ctx); again.Starts >= mostStarts || err == nil && len(running) == 0 {
		again.Invocation = invocation
	}
	r.book.ledger.Recreated = &again
}
