package plan

import (
	"maps"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

// owed is the most disruptive way in which the running unit has to read something again, and why.
func (b *builder) owed(name string, want state.Unit) (state.Disruption, string) {
	read := b.started[name].Inputs
	worst := state.None
	var reasons []string
	wanted := map[string]bool{}
	for _, in := range want.Inputs {
		wanted[in.Name] = true
		if read[in.Name] != in.Hash {
			worst = max(worst, in.Disruption)
			reasons = append(reasons, in.Name+" changed")
		}
	}
	for _, gone := range state.SortedKeys(read) {
		if !wanted[gone] {
			worst = max(worst, state.Restart)
			reasons = append(reasons, gone+" is gone")
		}
	}
	slices.Sort(reasons)
	return worst, strings.Join(reasons, "; ")
}

// unread takes from the record of a running unit what it can be told to reload from files that are put
// right just now: who changed one may have told it to reload as well, and then it goes on with that. The
// record is durable before the file is written, so that the reload is owed after a crash too.
func (b *builder) unread(name string, want, unit state.Unit) {
	started := b.started[name]
	inputs := maps.Clone(started.Inputs)
	for _, in := range want.Inputs {
		if in.Disruption == state.Reload && inputs[in.Name] == in.Hash && b.rewritten(in.Path) {
			delete(inputs, in.Name)
		}
	}
	if running(unit) && len(inputs) < len(started.Inputs) {
		started.Inputs = inputs
		b.correct(name, started)
	}
}

// rewritten is true for a file whose content somebody else had changed and this plan puts right.
func (b *builder) rewritten(path string) bool {
	return slices.ContainsFunc(b.plan.Steps, func(s Step) bool {
		if s.Action != Write || !s.Drift || s.Blocked != "" || s.Target != (state.Ref{Kind: state.KindFile, Name: path}) {
			return false
		}
		seen, present := b.observed.Files[path]
		return !sameContent(seen, present, *s.File)
	})
}
