package plan

import (
	"fmt"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

func binaryRef(path string) state.Ref { return state.Ref{Kind: state.KindBinary, Name: path} }

func (b *builder) claimBinary(path string) {
	seen, present := b.observed.Binaries[path]
	if seen.Type == state.Directory || seen.Type == state.Special {
		return // its step is blocked; it cannot be put back, so it is not taken
	}
	c := Claim{Prior: state.Prior{Absent: true}}
	if present {
		c.Prior = state.Prior{
			Blob: seen.SHA256, Mode: seen.Mode, Owner: seen.Owner, Group: seen.Group, Type: seen.Type, Target: seen.Target,
		}
		if want := b.desired.Binaries[path]; seen.Digest() == want.Digest() {
			c.Applied = want.Digest()
			c.Verified = &state.Verified{SHA256: seen.SHA256, Identity: seen.Identity}
		}
	}
	b.take(binaryRef(path), c)
}

func (b *builder) binaries() {
	for _, path := range state.SortedKeys(b.desired.Binaries) {
		b.fetch(path)
	}
}

func (b *builder) fetch(path string) {
	ref, want := binaryRef(path), b.desired.Binaries[path]
	seen, present := b.observed.Binaries[path]
	if present && seen.Digest() == want.Digest() {
		b.confirm(ref, want.Digest())
		b.noteVerified(ref, seen)
		return
	}
	s := Step{
		Action: Write, Target: ref, Binary: &want, Before: "absent", After: want.Describe(),
		Reason: binaryReason(seen, present, want), Drift: b.drifted(ref, want.Digest()),
	}
	if present {
		s.Before = seen.Describe()
	}
	if s.Drift {
		s.Reason += " by somebody else"
	}
	if seen.Type == state.Directory || seen.Type == state.Special {
		s.Blocked = fmt.Sprintf("a %s is at this path: move it away, or take the path out of the NodeConfig", seen.Type)
	}
	b.add(s)
}

// noteVerified notes what the content looked like when it was last hashed, so that it is not hashed at
// each pass.
func (b *builder) noteVerified(ref state.Ref, seen state.Binary) {
	now := state.Verified{SHA256: seen.SHA256, Identity: seen.Identity}
	owned, ok := b.ledger.Owned[ref]
	if !ok || seen.Identity == "" || (owned.Verified != nil && *owned.Verified == now) {
		return
	}
	if b.plan.Verified == nil {
		b.plan.Verified = map[state.Ref]state.Verified{}
	}
	b.plan.Verified[ref] = now
}

func binaryReason(seen state.Binary, present bool, want state.Binary) string {
	if !present {
		return "missing"
	}
	if seen.Type != want.Type {
		return "not a regular file"
	}
	var changed []string
	if seen.SHA256 != want.SHA256 {
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

// restoreBinaries puts back what was at the paths, after the units that ran from them. A program
// that a unit still runs from stays, and stays Seedbed's.
func (b *builder) restoreBinaries() {
	for _, path := range b.removed(state.KindBinary, b.keepsBinary) {
		ref := binaryRef(path)
		prior := b.prior(ref)
		seen, present := b.observed.Binaries[path]
		if present && seen.Digest() == prior.Digest() || !present && prior.Absent {
			continue
		}
		s := Step{Action: Restore, Target: ref, Prior: prior, Gives: true, Before: "absent", After: "absent", Reason: "no longer configured; was not there before"}
		if !prior.Absent {
			s.After = fmt.Sprintf("%04o %s:%s, as before Seedbed", prior.Mode, prior.Owner, prior.Group)
			s.Reason = putBack
		}
		if present {
			s.Before = seen.Describe()
		}
		b.add(s, b.unitsGoing()...)
	}
}

// keepsBinary is true for a path that is configured, or that a unit runs from.
func (b *builder) keepsBinary(path string) bool {
	if has(b.desired.Binaries, path) {
		return true
	}
	for _, u := range b.desired.Units {
		if u.Program == path {
			return true
		}
	}
	return false
}
