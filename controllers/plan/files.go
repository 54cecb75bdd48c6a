package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

func (b *builder) files() {
	for _, path := range b.filesInOrder() {
		if !b.early[path] {
			b.writeFile(path)
		}
	}
	for _, path := range b.removed(state.KindFile, func(p string) bool { return has(b.desired.Files, p) }) {
		b.restoreFile(path)
	}
}

// filesInOrder sorts by the chain of components, then by path. Of a component, what a program checks
// comes last: it may name the others.
func (b *builder) filesInOrder() []string {
	paths := state.SortedKeys(b.desired.Files)
	slices.SortStableFunc(paths, func(x, y string) int {
		this, other := b.desired.Files[x], b.desired.Files[y]
		return cmp.Or(
			cmp.Compare(this.Component.Rank(), other.Component.Rank()),
			cmp.Compare(min(len(this.Checks), 1), min(len(other.Checks), 1)),
		)
	})
	return paths
}

func (b *builder) writeFile(path string) {
	want := b.desired.Files[path]
	ref := state.Ref{Kind: state.KindFile, Name: path}
	seen, present := b.observed.Files[path]
	if present && seen.Digest() == want.Digest() {
		b.confirm(ref, want.Digest())
		return
	}
	s := Step{
		Action: Write, Target: ref, After: want.Describe(), File: &want,
		Reason: fileReason(seen, present, want), Drift: b.drifted(ref, want.Digest()),
	}
	if present {
		s.Before, s.Old = seen.Describe(), &seen
	} else {
		s.Before = "absent"
	}
	if s.Drift {
		s.Reason += " by somebody else"
	}
	// What is put back to what was applied before was checked then.
	if len(want.Checks) > 0 && !s.Drift && !sameContent(seen, present, want) {
		s.Candidates = []Candidate{{Path: path, File: want}}
	}
	if seen.Type == state.Directory || seen.Type == state.Special {
		s.Blocked = fmt.Sprintf("a %s is at this path: move it away, or take the path out of the NodeConfig", seen.Type)
	}
	b.add(s)
}

func sameContent(seen state.File, present bool, want state.File) bool {
	return present && seen.Type == want.Type && bytes.Equal(seen.Content, want.Content)
}

func fileReason(seen state.File, present bool, want state.File) string {
	if !present {
		return "missing"
	}
	if seen.Type != want.Type {
		return "not a regular file"
	}
	var changed []string
	if !bytes.Equal(seen.Content, want.Content) {
		changed = append(changed, "content")
	}
	if seen.Mode != want.Mode {
		changed = append(changed, "mode")
	}
	if seen.Owner != want.Owner || seen.Group != want.Group {
		changed = append(changed, "owner")
	}
	return strings.Join(changed, " and ") + " changed"
}

func (b *builder) restoreFile(path string) {
	ref := state.Ref{Kind: state.KindFile, Name: path}
	prior := b.prior(ref)
	seen, present := b.observed.Files[path]
	if asBefore(seen, present, prior) {
		return
	}
	s := Step{Action: Restore, Target: ref, Prior: prior, Gives: true, Before: "absent", After: "absent", Reason: "no longer configured; was not there before"}
	if !prior.Absent {
		s.After = fmt.Sprintf("%04o %s:%s, as before Seedbed", prior.Mode, prior.Owner, prior.Group)
		s.Reason = putBack
	}
	if present {
		s.Before, s.Old = seen.Describe(), &seen
	}
	b.add(s, b.stops(path)...)
}

// asBefore compares a file with what was there before Seedbed.
func asBefore(seen state.File, present bool, prior *state.Prior) bool {
	if !present {
		return prior.Absent
	}
	return seen.Digest() == prior.Digest()
}

// stops is the unit that a unit file belongs to: its file stays until the unit has stopped.
func (b *builder) stops(path string) []state.Ref {
	if !state.IsUnitFile(path) {
		return nil
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(path, state.UnitFolder), "/")
	return []state.Ref{{Kind: state.KindUnit, Name: strings.TrimSuffix(name, ".d")}}
}

// daemonReload follows when a unit file has a step, and when an earlier pass was cut off between
// writing a unit file and the reload. It needs none of the files: one that could not be written
// must not keep systemd from the others.
func (b *builder) daemonReload() {
	written, again := 0, b.reloaded > 0
	for i := b.reloaded; i < len(b.plan.Steps); i++ {
		if t := b.plan.Steps[i].Target; t.Kind == state.KindFile && state.IsUnitFile(t.Name) {
			written++
		}
	}
	b.reloaded = len(b.plan.Steps)
	switch stale := b.staleUnits(); {
	case written > 0:
		b.add(Step{Action: Reload, Target: systemd, Reason: Count(written, "unit file") + " written or put back"})
	case len(stale) > 0 && !again:
		b.add(Step{Action: Reload, Target: systemd, Reason: "systemd has not read the files of " + strings.Join(stale, ", ")})
	}
}

// staleUnits are units whose files are in place and not as systemd knows them.
func (b *builder) staleUnits() []string {
	var stale []string
	for _, name := range slices.Concat(state.SortedKeys(b.desired.Units), b.removedUnits()) {
		unit := b.observed.Units[name]
		_, written := b.observed.Files[state.UnitFolder+name]
		if unit.NeedsReload || (unit.Missing && written) {
			stale = append(stale, name)
		}
	}
	return stale
}

var systemd = state.Ref{Kind: state.KindSystemd, Name: "manager"}
