package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

// Ask is what a plan wants a permit for.
type Ask struct {
	// Plan is the hash of what it would do. It does not change while steps of it are taken.
	Plan string `json:"plan"`
	// Disruption it costs.
	Disruption state.Disruption `json:"disruption"`
	// Message says what for, for a user to read.
	Message string `json:"message"`
}

// bridges makes bridges anew whose address or MTU is not that of flannel's lease. dockerd changes
// nothing about its network while a container runs (moby, initNetworkController), so the containers
// are stopped, docker too, and the bridge is deleted; what follows is docker's ordinary start. A
// crash in between leaves less to do: each pass plans what is left.
func (b *builder) bridges() {
	for _, name := range state.SortedKeys(b.desired.Links) {
		if want := b.desired.Links[name].Bridge; want != nil && has(b.desired.Units, want.Maker) {
			b.bridge(name, want)
		}
	}
}

func (b *builder) bridge(name string, want *state.Bridge) {
	is := chain.LookAt(name, want, b.observed)
	down := false
	if is.LeaseErr == nil && b.settled(want.Giver) && !has(b.observed.Unknown, linkRef(name)) {
		down = is.Anew() && b.takeDown(name, want, is)
		if is.Stale && (down || !running(b.observed.Units[want.Maker])) {
			b.rewriteOptions(want, down)
		}
	}
	b.finish(name, want, is, down)
}

// finish goes on with a recreation that a crash cut off after the bridge was made, or that did not
// help: the containers are started either way.
func (b *builder) finish(name string, want *state.Bridge, is chain.Bridge, down bool) {
	r := b.ledger.Recreated
	if down || !r.UnderWay() || r.Link != name || has(b.observed.Unknown, linkRef(name)) {
		return
	}
	if is.Anew() && (len(r.Containers) == 0 || !b.futile(want, r.Plan)) {
		return
	}
	unfinished := *r
	b.plan.Recreation = &unfinished
}

// futile is true if docker has made the bridge for this very plan, and it was not as it was to be.
func (b *builder) futile(want *state.Bridge, plan string) bool {
	last := b.ledger.Recreated
	return last.UnderWay() && last.Plan == plan && last.Invocation != "" && last.Invocation == b.observed.Units[want.Maker].Invocation
}

// settled is true if the unit runs and is not about to be started again: what it wrote still counts
// after this plan.
func (b *builder) settled(name string) bool {
	want, wanted := b.desired.Units[name]
	if !wanted || b.observed.Units[name].Activity != state.Active {
		return false
	}
	owed, _ := b.owed(name, want)
	return owed < state.Restart
}

// takeDown adds the steps that end with the bridge deleted, and says whether they will be taken.
func (b *builder) takeDown(name string, want *state.Bridge, is chain.Bridge) bool {
	maker := b.observed.Units[want.Maker]
	link := Step{
		Action: Delete, Target: linkRef(name), Before: "as it is", After: is.After(), Disruption: state.Recreate,
		Reason: fmt.Sprintf("%s (%s)", is.Fault, is.Rule), Unowned: true,
	}
	if maker.Activity != state.Active && (running(maker) || len(b.observed.Links[name].Ports) > 0) {
		return false // only a docker that runs can stop its containers
	}
	recreation := &state.Recreation{Link: name, Maker: want.Maker, Plan: hashOf(link)}
	link.Blocked, link.Waits = b.obstacle(want, recreation, link.Reason)
	if link.Blocked != "" {
		b.add(link)
		return false
	}
	recreation.Containers = b.toResume()
	b.plan.Recreation = recreation
	before := b.startNeeds(want)
	steps := append(b.stopsFor(want, "to make "+name+" anew"), link)
	for _, unit := range append([]string{want.Maker}, want.Users...) {
		steps[0].Candidates = append(steps[0].Candidates, b.reads(unit, b.desired.Units[unit])...)
	}
	for _, s := range steps {
		b.add(s, before...)
		before = append(before, s.Target)
	}
	return true
}

// startNeeds are what docker and who starts containers need to be started again: without it they are
// not stopped.
func (b *builder) startNeeds(want *state.Bridge) []state.Ref {
	var refs []state.Ref
	for _, name := range append([]string{want.Maker}, want.Users...) {
		refs = append(refs, b.unitNeeds(name, b.desired.Units[name])...)
	}
	slices.SortFunc(refs, func(x, y state.Ref) int { return strings.Compare(x.String(), y.String()) })
	return slices.Compact(refs)
}

func linkRef(name string) state.Ref { return state.Ref{Kind: state.KindLink, Name: name} }

// hashOf names a plan by its most disruptive step: what is done on the way there depends on what is
// running just now.
func hashOf(s Step) string {
	const digits = 32
	return state.Hash([]byte(fmt.Sprintf("%s %s: %s", s.Action, s.Target, s.After)))[:digits]
}

// obstacle is why the bridge is left as it is for now. Running containers are stopped with a permit
// only, also when the API is away: the kubelet could not start them again without it.
func (b *builder) obstacle(want *state.Bridge, r *state.Recreation, reason string) (blocked string, waits bool) {
	if why, unknown := b.observed.Unknown[state.Ref{Kind: state.KindContainers, Name: want.Maker}]; unknown {
		return "which containers run is unknown: " + why, false
	}
	for _, name := range append([]string{want.Maker}, want.Users...) {
		if seen := b.observed.Units[name]; running(seen) {
			awaits, _ := b.awaits(b.desired.Units[name])
			if why := cmp.Or(b.unitBlocked(name, seen), awaits); why != "" {
				return name + " could not be started again: " + why, false
			}
		}
	}
	if b.futile(want, r.Plan) {
		return fmt.Sprintf("%s was started for this very lease and made it so: journalctl -u %s says why; another --bip or bridge on its command line would do it (SB015)", want.Maker, want.Maker), false
	}
	if len(b.observed.Containers) == 0 {
		return "", false
	}
	stops := Count(len(b.observed.Containers), "container")
	b.plan.Asks = &Ask{
		Plan: r.Plan, Disruption: state.Recreate,
		Message: fmt.Sprintf("%s: %s; making it anew stops %s", r.Link, reason, stops),
	}
	if b.permit == r.Plan || b.ledger.Recreated.UnderWay() {
		return "", false
	}
	return fmt.Sprintf("it waits for the manager's permit %s, since it stops %s", r.Plan, stops), true
}

// stopsFor are steps for the units and containers that end first: who starts containers, the containers, docker's
// socket, which would start it again, and docker.
func (b *builder) stopsFor(want *state.Bridge, reason string) []Step {
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
	for _, name := range want.Users {
		unit(name)
	}
	if n := len(b.observed.Containers); n > 0 {
		steps = append(steps, Step{
			Action: Stop, Target: state.Ref{Kind: state.KindContainers, Name: want.Maker}, Before: Count(n, "container"), After: "stopped",
			Reason: reason, Disruption: state.Recreate, Unowned: true,
		})
	}
	unit(want.Socket)
	unit(want.Maker)
	return steps
}

// toResume are containers that are stopped and that nobody else starts again.
func (b *builder) toResume() []string {
	var ids []string
	if r := b.ledger.Recreated; r.UnderWay() {
		ids = slices.Clone(r.Containers)
	}
	for _, id := range state.SortedKeys(b.observed.Containers) {
		if !b.observed.Containers[id].Kubernetes && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// rewriteOptions runs docker-opts again, which has ended long ago. docker does not run then, so it is
// not restarted with it.
func (b *builder) rewriteOptions(want *state.Bridge, down bool) {
	seen := b.observed.Units[want.Writer]
	if seen.Activity != state.Active || !has(b.desired.Units, want.Writer) {
		return
	}
	s := Step{
		Action: Restart, Target: state.Ref{Kind: state.KindUnit, Name: want.Writer}, Before: string(seen.Activity), After: string(state.Active),
		Reason: "its options are not those of flannel's lease",
	}
	if down {
		b.add(s, state.Ref{Kind: state.KindUnit, Name: want.Maker})
		return
	}
	b.add(s)
}

// bridgesOf are bridges that a unit has to wait for before it starts: the one it makes, and the one it
// starts containers on.
func (b *builder) bridgesOf(unit string) []state.Ref {
	var refs []state.Ref
	for _, name := range state.SortedKeys(b.desired.Links) {
		want := b.desired.Links[name].Bridge
		if want != nil && b.starts(unit) && (unit == want.Maker || slices.Contains(want.Users, unit)) {
			refs = append(refs, linkRef(name))
		}
	}
	return refs
}

// starts is true if the unit does not run, or does not any more when its own step comes.
func (b *builder) starts(unit string) bool {
	_, stopped := b.stopped[unit]
	return stopped || !running(b.observed.Units[unit])
}

// checks adds, before a unit that starts containers, a look at the bridges that they come up on: what
// they are after the steps before it is not known now.
func (b *builder) checks(unit string) {
	for _, name := range state.SortedKeys(b.desired.Links) {
		want := b.desired.Links[name].Bridge
		if want == nil || !slices.Contains(want.Users, unit) || !b.starts(unit) || has(b.observed.Unknown, linkRef(name)) {
			continue
		}
		b.check(name, want, "before "+unit+" starts containers on it")
	}
}

func (b *builder) check(name string, want *state.Bridge, reason string) {
	b.add(Step{
		Action: Check, Target: linkRef(name), After: "as flannel's lease has it", Reason: reason, Bridge: want, Unowned: true,
	}, state.Ref{Kind: state.KindUnit, Name: want.Maker})
}
