package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

// unitsInOrder sorts by the chain of components, then by name.
func (b *builder) unitsInOrder() []string {
	names := state.SortedKeys(b.desired.Units)
	slices.SortStableFunc(names, func(x, y string) int {
		return cmp.Compare(b.desired.Units[x].Component.Rank(), b.desired.Units[y].Component.Rank())
	})
	return names
}

// stopRemoved stops and disables units that are no longer configured and were not there before,
// while their unit files are still in place.
func (b *builder) stopRemoved() {
	for _, name := range b.removedUnits() {
		ref := state.Ref{Kind: state.KindUnit, Name: name}
		unit := b.observed.Units[name]
		if has(b.observed.Unknown, ref) {
			b.add(Step{Action: Restore, Target: ref, Reason: putBack, Gives: true})
			continue
		}
		if !b.prior(ref).Absent || unit.Missing {
			continue
		}
		const reason = "no longer configured; was not there before"
		if running(unit) {
			b.add(Step{
				Action: Stop, Target: ref, Before: string(unit.Activity), After: string(state.Inactive),
				Reason: reason, Disruption: state.Restart, Gives: true,
			})
		}
		if unit.Enablement == state.Enabled {
			b.add(Step{
				Action: Disable, Target: ref, Before: string(unit.Enablement), After: string(state.Disabled),
				Reason: reason, Gives: true,
			})
		}
	}
}

func (b *builder) removedUnits() []string {
	return b.removed(state.KindUnit, func(n string) bool { return has(b.desired.Units, n) })
}

func (b *builder) enablement() {
	for _, name := range b.unitsInOrder() {
		want := b.desired.Units[name]
		b.setEnablement(name, want.Enablement, Step{Reason: "not " + string(want.Enablement)})
	}
	for _, name := range b.removedUnits() {
		prior := b.prior(state.Ref{Kind: state.KindUnit, Name: name})
		if !prior.Absent {
			b.setEnablement(name, prior.Enablement, Step{Reason: putBack, Gives: true})
		}
	}
}

const putBack = "no longer configured; put back as it was"

// setEnablement fills in the step and adds it, if one is needed.
func (b *builder) setEnablement(name string, want state.Enablement, s Step) {
	if want != state.Enabled && want != state.Disabled {
		return
	}
	ref := state.Ref{Kind: state.KindUnit, Name: name}
	unit := b.observed.Units[name]
	if unit.Enablement == want || (want == state.Disabled && unit.Enablement == state.EnablementUnmanaged) {
		return
	}
	s.Action = Enable
	if want == state.Disabled {
		s.Action = Disable
	}
	s.Target, s.Before, s.After = ref, string(unit.Enablement), string(want)
	s.Blocked, s.Waits = b.unitBlocked(name, unit), b.busyWith(name)
	if unit.Enablement == state.Static && s.Blocked == "" {
		s.Blocked = "the unit has no [Install] section, so it can be neither enabled nor disabled"
	}
	b.add(s, b.unitFiles(name)...)
}

// unitBlocked says why nothing can be done with a unit.
func (b *builder) unitBlocked(name string, unit state.Unit) string {
	if unit.Enablement == state.Masked {
		return fmt.Sprintf("the unit is masked: run systemctl unmask %s if Seedbed may run it", name)
	}
	if b.busyWith(name) {
		return "it is a package's, and " + b.observed.Busy
	}
	if unit.Missing && !has(b.desired.Files, state.UnitFolder+name) {
		return fmt.Sprintf("systemd knows no unit %s: install the package that brings it, or give its contents", name)
	}
	return ""
}

// busyWith is true while the package manager may have stopped the unit on purpose: nothing is wrong
// then, and it is left alone until the package manager is done.
func (b *builder) busyWith(name string) bool {
	return b.observed.Busy != "" && !has(b.desired.Files, state.UnitFolder+name)
}

// unitFiles are the unit's own file and drop-ins, and systemd's reload of them.
func (b *builder) unitFiles(name string) []state.Ref {
	refs := []state.Ref{systemd}
	for _, path := range state.SortedKeys(b.desired.Files) {
		if path == state.UnitFolder+name || strings.HasPrefix(path, state.UnitFolder+name+".d/") {
			refs = append(refs, state.Ref{Kind: state.KindFile, Name: path})
		}
	}
	return refs
}

func (b *builder) units() {
	for _, name := range b.unitsInOrder() {
		want, unit := b.desired.Units[name], b.observed.Units[name]
		switch want.Activity {
		case state.Active:
			b.checks(name)
			b.unread(name, want, unit)
			b.run(name, want, unit)
		case state.Inactive:
			b.stop(name, unit)
		}
	}
	for _, name := range b.removedUnits() {
		b.restoreActivity(name)
	}
}

func (b *builder) run(name string, want, unit state.Unit) {
	s := Step{
		Target: state.Ref{Kind: state.KindUnit, Name: name}, Before: string(unit.Activity), After: string(state.Active),
		Inputs: want.Reads(), Invocation: unit.Invocation,
		Blocked: b.unitBlocked(name, unit), Waits: b.busyWith(name),
	}
	why, stopped := b.stopped[name]
	if running(unit) && !stopped {
		s.Disruption, s.Reason = b.owed(name, want)
		switch s.Disruption {
		case state.None:
			b.forgetPending(name)
			if unit.Activity == state.Activating {
				// What comes after it in the chain waits; nothing is done to the unit itself.
				s.Action, s.Reason, s.Inputs = Start, "still starting", nil
				s.Blocked, s.Waits = "it is still starting: systemctl status "+name+" says what it waits for", true
				break
			}
			return
		case state.Reload:
			s.Action = Reload
		default:
			s.Action, s.Candidates = Restart, b.reads(name, want)
		}
	} else {
		s.Action, s.Reason = Start, cmp.Or(why, "not running")
		_, known := b.started[name]
		s.Drift = known && b.started[name].Pending == nil && unit.Activity == state.Inactive &&
			unit.Invocation != "" && // it has run in this boot, so somebody stopped it
			!b.ledger.Recreated.UnderWay() // and not this agent, killed before it was started again
		if unit.Activity == state.Failed {
			s.Reason = "failed"
		}
	}
	if s.Blocked == "" {
		s.Blocked, s.Waits = b.awaits(want)
	}
	if s.Action == Restart {
		if b.drainsFirst(name, &s) {
			b.held = append(b.held, s)
			return
		}
		b.spare(s, want, unit)
		return
	}
	b.add(s, b.unitNeeds(name, want)...)
}

// reads are the files with checks that a unit starts with. They are in place, but the program may be
// another one than the one that accepted them, and the one that runs still does.
func (b *builder) reads(name string, want state.Unit) []Candidate {
	var read []Candidate
	for _, ref := range b.unitReads(name, want) {
		if f := b.desired.Files[ref.Name]; ref.Kind == state.KindFile && len(f.Checks) > 0 {
			read = append(read, Candidate{Path: ref.Name, File: f})
		}
	}
	return read
}

// awaits says which file of somebody else's keeps the unit from being started, and whether it will come.
func (b *builder) awaits(want state.Unit) (blocked string, waits bool) {
	for _, path := range want.Awaits {
		if why, unknown := b.observed.Unknown[state.Ref{Kind: state.KindFile, Name: path}]; unknown {
			return fmt.Sprintf("it waits for %s, which cannot be looked at: %s", path, why), false
		}
		if !b.observed.Awaited[path] {
			return fmt.Sprintf("it waits for %s, which is not there yet", path), true
		}
	}
	return "", false
}

// forgetPending drops a start that was asked for and is not wanted any more.
func (b *builder) forgetPending(name string) {
	if s := b.started[name]; s.Pending != nil {
		b.correct(name, state.Started{Inputs: s.Inputs, Invocation: s.Invocation})
	}
}

// unitReads are the unit's files, systemd's reload of them, and the files of its inputs.
func (b *builder) unitReads(name string, want state.Unit) []state.Ref {
	refs := b.unitFiles(name)
	for _, in := range want.Inputs {
		if ref := (state.Ref{Kind: state.KindFile, Name: in.Path}); in.Path != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref, binaryRef(in.Path))
		}
	}
	return refs
}

// unitNeeds: the files the unit reads, systemd's reload, what it names itself, and the units
// before it in the chain. A user's own units wait for no component.
func (b *builder) unitNeeds(name string, want state.Unit) []state.Ref {
	needs := slices.Concat(b.unitReads(name, want), want.Needs, b.bridgesOf(name))
	if want.Component == state.ComponentUser {
		return needs
	}
	for _, other := range b.unitsInOrder() {
		if b.desired.Units[other].Component.Rank() < want.Component.Rank() {
			needs = append(needs, state.Ref{Kind: state.KindUnit, Name: other})
		}
	}
	return needs
}

func (b *builder) stop(name string, unit state.Unit) {
	if !running(unit) {
		return
	}
	b.add(Step{
		Action: Stop, Target: state.Ref{Kind: state.KindUnit, Name: name},
		Before: string(unit.Activity), After: string(state.Inactive),
		Reason: "is to be stopped", Disruption: state.Restart,
	})
}

// restoreActivity gives a unit that was there before Seedbed its own configuration back: what ran
// is restarted when its files were put back, what did not run is stopped.
func (b *builder) restoreActivity(name string) {
	ref := state.Ref{Kind: state.KindUnit, Name: name}
	prior, unit := b.prior(ref), b.observed.Units[name]
	if prior.Absent || unit.Missing {
		return
	}
	s := Step{
		Target: ref, Before: string(unit.Activity), After: string(prior.Activity),
		Reason: putBack, Disruption: state.Restart, Gives: true,
	}
	wasRunning := prior.Activity == state.Active || prior.Activity == state.Activating
	switch {
	case wasRunning && !running(unit):
		s.Action, s.Disruption = Start, state.None
	case wasRunning && b.runsOnOurs(name):
		// Recorded like any restart: it has then read nothing of ours, and is not owed another.
		s.Action, s.Inputs, s.Invocation = Restart, map[string]string{}, unit.Invocation
	case !wasRunning && running(unit):
		s.Action = Stop
	default:
		return
	}
	b.add(s, systemd)
}

// runsOnOurs is true when the unit was started with files of ours that differ from those before.
// It goes by the ledger, not by this plan's steps: a crash may have come after them.
func (b *builder) runsOnOurs(name string) bool {
	read := b.started[name].Inputs
	for ref, owned := range b.ledger.Owned {
		if (ref.Kind == state.KindFile || ref.Kind == state.KindBinary) && owned.Applied != owned.Prior.Digest() && reads(read, ref.Name) {
			return true
		}
	}
	return false
}

// reads looks into the names of inputs, which are paths, some with a word in brackets after them.
func reads(inputs map[string]string, path string) bool {
	for input := range inputs {
		if input == path || strings.HasPrefix(input, path+" ") {
			return true
		}
	}
	return false
}
