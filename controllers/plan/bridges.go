package plan

import (
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
			b.plan.Blind = b.plan.Blind || b.unseen(name, want)
		}
	}
}

// unseen is true if something could not be looked at by which a bridge has to be made anew, or not.
func (b *builder) unseen(name string, want *state.Bridge) bool {
	return slices.ContainsFunc([]state.Ref{
		linkRef(name),
		{Kind: state.KindFile, Name: want.Lease},
		{Kind: state.KindUnit, Name: want.Giver},
		{Kind: state.KindUnit, Name: want.Maker},
	}, func(ref state.Ref) bool { return has(b.observed.Unknown, ref) })
}

func (b *builder) bridge(name string, want *state.Bridge) {
	is := chain.LookAt(name, want, b.observed)
	down := false
	if is.LeaseErr == nil && !has(b.observed.Unknown, linkRef(name)) {
		down = is.Fault != "" && b.takeDown(name, want, is)
		if is.Stale && b.settled(want.Giver) && (down || !running(b.observed.Units[want.Maker])) {
			b.rewriteOptions(want, down)
		}
	}
	b.finish(name, want, is, down)
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
	if !has(b.desired.Units, want.Giver) {
		return false
	}
	maker := b.observed.Units[want.Maker]
	link := Step{
		Action: Delete, Target: linkRef(name), Before: "as it is", After: is.After(), Disruption: state.Recreate,
		Reason: fmt.Sprintf("%s (%s)", is.Fault, is.Rule), Unowned: true,
	}
	r := b.recreation(name, want, b.planOf(name, want, link))
	if !b.settled(want.Giver) || maker.Activity == state.Activating {
		b.ask(want, r, link.Reason)
		return false
	}
	if maker.Activity != state.Active && (!b.begun(r.Plan) || len(b.observed.Links[name].Ports) > 0) {
		return false // only a docker that runs says what runs, and can stop it
	}
	link.Blocked, link.Waits = b.obstacle(want, r, link.Reason)
	if link.Blocked != "" {
		if link.Waits {
			link.Also = b.toStop(want)
		}
		b.add(link)
		return false
	}
	b.plan.Recreation = r
	b.addStops(want, append(b.stopsFor(want, r, "to make "+name+" anew"), link))
	return true
}

// addStops adds steps of which each needs those before it, and the first all that it takes to start again
// what they stop.
func (b *builder) addStops(want *state.Bridge, steps []Step) {
	before := b.startNeeds(want)
	for _, unit := range append([]string{want.Maker}, want.Users...) {
		steps[0].Candidates = append(steps[0].Candidates, b.reads(unit, b.desired.Units[unit])...)
	}
	for _, s := range steps {
		b.add(s, before...)
		before = append(before, s.Target)
	}
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
