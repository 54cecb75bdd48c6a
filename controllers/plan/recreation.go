package plan

import (
	"fmt"
	"slices"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

// recreation is what goes on record of the plan.
func (b *builder) recreation(name string, want *state.Bridge, plan string) *state.Recreation {
	r := &state.Recreation{Link: name, Maker: want.Maker, Plan: plan, Permitted: b.permit == plan || !b.serves(want.Users), Containers: b.toResume()}
	if b.begun(plan) {
		r.Permitted, r.Starts = r.Permitted || b.ledger.Recreated.Permitted, b.ledger.Recreated.Starts
	}
	return r
}

// begun is true if steps of this very plan may have been taken, and docker has not made the bridge yet.
func (b *builder) begun(plan string) bool {
	last := b.ledger.Recreated
	return last.UnderWay() && last.Plan == plan && last.Invocation == ""
}

// futile is true if docker has made the bridge for this very plan, and it was not as it was to be.
func (b *builder) futile(want *state.Bridge, plan string) bool {
	last := b.ledger.Recreated
	return last.UnderWay() && last.Plan == plan && last.Invocation != "" && last.Invocation == b.observed.Units[want.Maker].Invocation
}

// finish goes on with a recreation that a crash cut off after the bridge was made, or that did not
// help, and with containers that did not start at the first try: they are started either way.
func (b *builder) finish(name string, want *state.Bridge, is chain.Bridge, down bool) {
	r := b.ledger.Recreated
	if down || r == nil || r.Link != name || has(b.observed.Unknown, linkRef(name)) {
		return
	}
	if r.Done && len(r.Containers) == 0 || !r.Done && is.Anew() && (len(r.Containers) == 0 || !b.futile(want, r.Plan)) {
		return
	}
	unfinished := *r
	b.plan.Recreation = &unfinished
}

// ask asks for a permit if containers run, or may run. It asks also while something that passes is in
// the way: a question that is taken back ends the drain that has begun for it.
func (b *builder) ask(want *state.Bridge, r *state.Recreation, reason string) {
	if !b.serves(want.Users) {
		return
	}
	stops := Count(len(b.observed.Containers), "container")
	if len(b.observed.Containers) == 0 {
		down := b.observed.Units[r.Maker].Activity != state.Active && len(b.observed.Links[r.Link].Ports) > 0
		if !has(b.observed.Unknown, containersRef(r.Maker)) && b.observed.Units[r.Maker].Activity != state.Activating && !down {
			return
		}
		stops = "the containers that run"
	}
	b.plan.Asks = &Ask{
		Plan: r.Plan, Disruption: state.Recreate,
		Message: fmt.Sprintf("%s: %s; making it anew stops %s", r.Link, reason, stops),
	}
}

func containersRef(engine string) state.Ref {
	return state.Ref{Kind: state.KindContainers, Name: engine}
}

// obstacle is why the bridge is left as it is for now. Running containers are stopped with a permit
// only, also when the API is away: the kubelet could not start them again without it.
func (b *builder) obstacle(want *state.Bridge, r *state.Recreation, reason string) (blocked string, waits bool) {
	if why, unknown := b.observed.Unknown[containersRef(want.Maker)]; unknown {
		b.ask(want, r, reason)
		return "which containers run is unknown: " + why, false
	}
	if why, passes := b.unstartable(want); why != "" {
		if passes {
			b.ask(want, r, reason)
		}
		return why, passes
	}
	if b.futile(want, r.Plan) {
		return fmt.Sprintf("%s was started for this very lease and made it so: journalctl -u %s says why; another --bip or bridge on its command line would do it (SB015), or a container that somebody starts while it stops", want.Maker, want.Maker), false
	}
	if len(b.observed.Containers) == 0 {
		return "", false
	}
	b.ask(want, r, reason)
	if r.Permitted {
		return "", false
	}
	return fmt.Sprintf("it waits for the manager's permit %s, since it stops %s", r.Plan, Count(len(b.observed.Containers), "container")), true
}

// unstartable says which unit would not start again once it was stopped, and whether that passes.
func (b *builder) unstartable(want *state.Bridge) (blocked string, passes bool) {
	if b.observed.Units[want.Socket].Enablement == state.Masked && !has(b.desired.Files, state.UnitFolder+want.Maker) {
		return fmt.Sprintf("%s could not be started again: a package's unit needs %s, which is masked: run systemctl unmask %s", want.Maker, want.Socket, want.Socket), false
	}
	for _, name := range append([]string{want.Maker}, want.Users...) {
		seen := b.observed.Units[name]
		if !running(seen) {
			continue
		}
		why, passes := b.unitBlocked(name, seen), b.busyWith(name)
		if why == "" {
			why, passes = b.awaits(b.desired.Units[name])
		}
		if why != "" {
			return name + " could not be started again: " + why, passes
		}
	}
	return "", false
}

// stopsFor are steps for the units and containers that end first: who starts containers, the containers, docker's
// socket, which would start it again, and docker. Without a permit nothing is stopped if by then a
// container runs; with one, those that have come since are stopped as well.
func (b *builder) stopsFor(want *state.Bridge, r *state.Recreation, reason string) []Step {
	var steps []Step
	unit := func(name string) {
		seen := b.observed.Units[name]
		if !running(seen) {
			return
		}
		b.stopped[name] = "stopped " + reason
		steps = append(steps, Step{
			Action: Stop, Target: state.Ref{Kind: state.KindUnit, Name: name}, Before: string(seen.Activity), After: string(state.Inactive),
			Reason: reason, Disruption: state.Restart,
		})
	}
	runs, n := running(b.observed.Units[want.Maker]), len(b.observed.Containers)
	if runs && !r.Permitted {
		steps = append(steps, Step{
			Action: Check, Target: containersRef(want.Maker), After: NoneRuns, Reason: "none may run without a permit", Unowned: true,
		})
	}
	for _, name := range want.Users {
		unit(name)
	}
	if runs {
		stop := Step{
			Action: Stop, Target: containersRef(want.Maker), Before: Count(n, "container"), After: "stopped", Reason: reason, Unowned: true,
		}
		if n > 0 {
			stop.Disruption = state.Recreate
		}
		steps = append(steps, stop)
	}
	unit(want.Socket)
	unit(want.Maker)
	return steps
}

// toResume are containers that are stopped and that nobody else starts again.
func (b *builder) toResume() []string {
	ids := b.left()
	for _, id := range state.SortedKeys(b.observed.Containers) {
		if !b.observed.Containers[id].Kubernetes && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// left are those of a plan before that were stopped and do not run yet.
func (b *builder) left() []string {
	if r := b.ledger.Recreated; r != nil {
		return slices.Clone(r.Containers)
	}
	return nil
}
