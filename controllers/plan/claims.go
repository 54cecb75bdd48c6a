package plan

import (
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

// settle corrects the records of units that run under another invocation than the one on record. One
// with a pending start was started by us, although a crash kept that from being recorded. One without
// was started by somebody else, a boot or a crash of its own, with the files as they were then.
func (b *builder) settle() {
	for _, name := range state.SortedKeys(b.ledger.Started) {
		s := b.ledger.Started[name]
		unit := b.observed.Units[name]
		if !running(unit) || unit.Invocation == "" {
			continue
		}
		switch {
		case s.Pending != nil && unit.Invocation != s.Pending.Invocation:
			b.correct(name, state.Started{Inputs: s.Pending.Inputs, Invocation: unit.Invocation})
		case s.Pending == nil && unit.Invocation != s.Invocation && has(b.desired.Units, name):
			b.correct(name, state.Started{Inputs: b.readByNow(name), Invocation: unit.Invocation})
		}
	}
}

// readByNow is what a unit that somebody else started can have read: the inputs whose files are as
// desired, and those that are being taken away only now. What is being put right, it has not read.
func (b *builder) readByNow(name string) map[string]string {
	inputs := map[string]string{}
	for input, hash := range b.ledger.Started[name].Inputs {
		path, _, _ := strings.Cut(input, " ")
		if _, present := b.observed.Files[path]; present && !has(b.desired.Files, path) {
			inputs[input] = hash
		}
	}
	for _, in := range b.desired.Units[name].Inputs {
		if b.inPlace(name, in.Path) {
			inputs[in.Name] = in.Hash
		} else if hash, known := b.keysByNow(in); known {
			inputs[in.Name] = hash
		}
	}
	return inputs
}

// keysByNow is the hash of an input's keys as the file has them now; not known of one that is no object.
func (b *builder) keysByNow(in state.Input) (hash string, known bool) {
	if in.Keys == nil || has(b.observed.Unknown, state.Ref{Kind: state.KindFile, Name: in.Path}) {
		return "", false
	}
	hash, err := state.HashKeys(b.observed.Files[in.Path].Content, in.Keys)
	return hash, err == nil
}

// inPlace is true for a path at which the unit has found what is desired. A program that is neither
// file nor binary of ours is a package's, and an input as it was found on the host.
func (b *builder) inPlace(unit, path string) bool {
	if want, ok := b.desired.Binaries[path]; ok {
		seen, present := b.observed.Binaries[path]
		return present && seen.Digest() == want.Digest()
	}
	want, ours := b.desired.Files[path]
	if !ours {
		return path != "" && path == b.desired.Units[unit].Program
	}
	seen, present := b.observed.Files[path]
	return present && seen.Digest() == want.Digest()
}

func (b *builder) correct(name string, s state.Started) {
	if b.plan.Started == nil {
		b.plan.Started = map[string]state.Started{}
	}
	if b.started == nil {
		b.started = map[string]state.Started{}
	}
	b.plan.Started[name] = s
	b.started[name] = s
}

// claim takes over desired resources that the ledger does not have, with what was there before.
func (b *builder) claim() {
	for _, name := range state.SortedKeys(b.desired.Packages) {
		b.claimPackage(name)
	}
	for _, path := range state.SortedKeys(b.desired.Binaries) {
		b.claimBinary(path)
	}
	for _, path := range state.SortedKeys(b.desired.Files) {
		b.claimFile(path)
	}
	for _, name := range state.SortedKeys(b.desired.Units) {
		b.claimUnit(name)
	}
	for _, name := range state.SortedKeys(b.desired.Sysctls) {
		value, ok := b.observed.Sysctls[name]
		b.claimValue(state.Ref{Kind: state.KindSysctl, Name: name}, value, ok, b.desired.Sysctls[name])
	}
	for _, name := range state.SortedKeys(b.desired.Modules) {
		c := Claim{Prior: state.Prior{Absent: true}}
		if has(b.observed.Modules, name) {
			c.Prior, c.Applied = state.Prior{}, loaded
		}
		b.take(state.Ref{Kind: state.KindModule, Name: name}, c)
	}
	for _, name := range state.SortedKeys(b.desired.Chains) {
		chain, ok := b.observed.Chains[name]
		b.claimValue(state.Ref{Kind: state.KindChain, Name: name}, chain.Policy, ok, b.desired.Chains[name].Policy)
	}
	for _, name := range state.SortedKeys(b.desired.Links) {
		if want := b.desired.Links[name].Promiscuous; want != nil {
			seen, present := b.observed.Links[name]
			b.claimValue(state.Ref{Kind: state.KindLink, Name: name}, mode(seen.Promiscuous), present, mode(want))
		}
	}
}

// loaded is the digest of a kernel module, which has no other state.
const loaded = "loaded"

func (b *builder) claimFile(path string) {
	seen, ok := b.observed.Files[path]
	if seen.Type == state.Directory || seen.Type == state.Special {
		return // its step is blocked; it cannot be put back, so it is not taken
	}
	c := Claim{Prior: state.Prior{Absent: true}}
	if ok {
		c.Prior = state.Prior{Mode: seen.Mode, Owner: seen.Owner, Group: seen.Group, Type: seen.Type, Target: seen.Target}
		if seen.Type == state.Regular {
			c.Prior.Blob, c.Content = state.Hash(seen.Content), seen.Content
		}
		if want := b.desired.Files[path]; seen.Digest() == want.Digest() {
			c.Applied = want.Digest()
		}
	}
	b.take(state.Ref{Kind: state.KindFile, Name: path}, c)
}

func (b *builder) claimValue(ref state.Ref, value string, present bool, want string) {
	c := Claim{Prior: state.Prior{Absent: !present, Value: value}}
	if present && value == want {
		c.Applied = want
	}
	b.take(ref, c)
}

// claimUnit also settles what a unit that runs already was started with. When every file it reads
// is as desired it is taken as it is; otherwise it is owed a restart, and that is on record before
// the first file is written.
func (b *builder) claimUnit(name string) {
	ref := state.Ref{Kind: state.KindUnit, Name: name}
	if _, owned := b.ledger.Owned[ref]; owned {
		return
	}
	unit := b.observed.Units[name]
	c := Claim{Prior: state.Prior{Absent: unit.Missing, Enablement: unit.Enablement, Activity: unit.Activity}}
	b.take(ref, c)
	if _, known := b.started[name]; known || !running(unit) {
		return
	}
	b.correct(name, state.Started{Inputs: b.readByNow(name), Invocation: unit.Invocation})
}

// take adds the claim unless the resource is owned already or its state is unknown.
func (b *builder) take(ref state.Ref, c Claim) {
	_, owned := b.ledger.Owned[ref]
	_, unknown := b.observed.Unknown[ref]
	if owned || unknown {
		return
	}
	c.Ref = ref
	b.plan.Claims = append(b.plan.Claims, c)
}

func running(u state.Unit) bool {
	return u.Activity == state.Active || u.Activity == state.Activating
}

// release lists what needs no step to be given up.
func (b *builder) release() {
	if b.desired.Partial {
		return
	}
	byName := map[string]state.Ref{}
	for ref := range b.ledger.Owned {
		if !b.wanted(ref) && !b.planned[ref] {
			byName[ref.String()] = ref
		}
	}
	for _, name := range state.SortedKeys(byName) {
		if has(b.observed.Unknown, byName[name]) {
			b.add(Step{Action: Restore, Target: byName[name], Reason: putBack, Gives: true})
			continue
		}
		b.plan.Released = append(b.plan.Released, byName[name])
	}
}

// wanted is true for what is desired, or stays Seedbed's though it is not.
func (b *builder) wanted(ref state.Ref) bool {
	switch ref.Kind {
	case state.KindFile:
		return has(b.desired.Files, ref.Name)
	case state.KindUnit:
		return has(b.desired.Units, ref.Name)
	case state.KindSysctl:
		return has(b.desired.Sysctls, ref.Name)
	case state.KindModule:
		return has(b.desired.Modules, ref.Name)
	case state.KindChain:
		return has(b.desired.Chains, ref.Name)
	case state.KindLink:
		return has(b.desired.Links, ref.Name)
	case state.KindPackage:
		return has(b.desired.Packages, ref.Name) || !b.leaving
	case state.KindBinary:
		return b.keepsBinary(ref.Name)
	}
	return false
}
