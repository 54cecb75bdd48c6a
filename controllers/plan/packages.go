package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

func packageRef(name string) state.Ref { return state.Ref{Kind: state.KindPackage, Name: name} }

func (b *builder) claimPackage(name string) {
	seen, installed := b.observed.Packages[name]
	c := Claim{Prior: state.Prior{Absent: !installed, Value: seen.Version, Held: seen.Held}}
	if want := b.desired.Packages[name]; seen.Meets(want, installed) {
		c.Applied = want.Digest()
	}
	b.take(packageRef(name), c)
}

// packages come before everything else, since they bring the programs that the rest is about; what
// is absent goes first. Their steps follow one another: apply makes one transaction of them.
func (b *builder) packages() {
	var steps []Step
	for _, name := range state.SortedKeys(b.desired.Packages) {
		if s, needed := b.packageStep(name); needed {
			steps = append(steps, s)
		}
	}
	if !b.leaving {
		for _, name := range b.removedPackages() {
			if s, needed := b.unhold(name); needed {
				steps = append(steps, s)
			}
		}
	}
	if !b.leaving {
		steps = append(steps, b.unfinished(len(steps))...)
	}
	order := []Action{Remove, Install, Finish, Hold, Unhold}
	slices.SortStableFunc(steps, func(x, y Step) int {
		return cmp.Compare(slices.Index(order, x.Action), slices.Index(order, y.Action))
	})
	first := b.spareScripts(steps)
	b.prerequisites(steps)
	if first != nil {
		b.add(*first)
	}
	for i := range steps {
		needs := steps[i].Package.Needs
		if first != nil {
			needs = append(slices.Clip(needs), first.Target)
		}
		b.add(steps[i], needs...)
	}
}

// unfinished is for a transaction that was begun and not seen to end, where nothing else is to be done
// with packages: those that it was about are as they are to be, or not wanted any more, but others
// that it brought along may not be whole. Any other step finishes it as well.
func (b *builder) unfinished(others int) []Step {
	if others > 0 {
		return nil
	}
	var steps []Step
	for _, name := range slices.Sorted(slices.Values(b.ledger.Installing)) {
		steps = append(steps, Step{
			Action: Finish, Target: packageRef(name), Package: &state.Package{}, Unowned: true,
			Before: cmp.Or(b.observed.Packages[name].Version, "absent"), Reason: "the package manager was cut off in it",
		})
	}
	return steps
}

// prerequisites writes, before the packages, the files that they need: those of their repositories,
// and what keeps systemd from starting a component that is not configured yet.
func (b *builder) prerequisites(steps []Step) {
	for i := range steps {
		for _, ref := range steps[i].Package.Needs {
			if has(b.desired.Files, ref.Name) && !b.early[ref.Name] {
				b.early[ref.Name] = true
				b.writeFile(ref.Name)
			}
		}
	}
	if len(b.plan.Steps) > 0 && len(b.early) > 0 {
		b.daemonReload()
	}
	for i := range steps {
		steps[i].Package.Needs = append(slices.Clip(steps[i].Package.Needs), systemd)
	}
}

func (b *builder) packageStep(name string) (Step, bool) {
	ref, want := packageRef(name), b.desired.Packages[name]
	seen, installed := b.observed.Packages[name]
	if seen.Meets(want, installed) && !has(b.observed.Unknown, ref) {
		b.confirm(ref, want.Digest())
		return Step{}, false
	}
	s := Step{
		Action: Install, Target: ref, Package: &want, Before: "absent", After: want.Digest(),
		Drift: b.drifted(ref, want.Digest()),
	}
	if installed {
		s.Before = seen.Digest()
	}
	switch {
	case want.Absent:
		s.Action, s.Reason, s.Disruption = Remove, "must be absent", state.Restart
	case !installed:
		s.Reason = "not installed"
	case seen.Broken != "":
		s.Reason = "is " + seen.Broken
	case want.Version != "" && want.Version != seen.Version:
		// The package's own scripts may restart what it brings.
		s.Reason, s.Disruption = "is "+seen.Version, state.Restart
	default:
		s.Action, s.Reason = Hold, "not held"
	}
	if s.Drift {
		s.Reason += ", changed by somebody else"
	}
	s.Unhold = seen.Held && s.Action != Hold
	s.Cause, s.Blocked = b.packageBlocked(name, seen, s.Action)
	return s, true
}

// packageBlocked says why a package must be left alone.
func (b *builder) packageBlocked(name string, seen state.Package, a Action) (cause, why string) {
	switch {
	case seen.Broken != "" && len(b.ledger.Installing) == 0:
		return v1alpha1.ReasonPackageManagerInterrupted,
			fmt.Sprintf("it is %s, and it was not Seedbed that was cut off: run dpkg --configure --pending, then apt-get install --fix-broken --reinstall %s", seen.Broken, name)
	case seen.Held && a != Hold && !b.holds(name):
		return v1alpha1.ReasonPackageHeld,
			fmt.Sprintf("somebody else holds it at %s: run apt-mark unhold %s (dnf versionlock delete), or ask for that version", seen.Version, name)
	}
	return "", ""
}

// holds is true for a package that Seedbed holds, as far as a crash lets it know.
func (b *builder) holds(name string) bool {
	return strings.HasSuffix(b.ledger.Owned[packageRef(name)].Applied, " held") || slices.Contains(b.ledger.Installing, name)
}

func (b *builder) removedPackages() []string {
	return b.removed(state.KindPackage, func(n string) bool { return has(b.desired.Packages, n) })
}

// unhold is all that happens to a package that is no longer in the list: to be removed it is named
// as absent. It stays in the ledger, so that leaving removes what Seedbed installed.
func (b *builder) unhold(name string) (Step, bool) {
	seen, installed := b.observed.Packages[name]
	if !installed || !seen.Held || b.prior(packageRef(name)).Held || !b.holds(name) {
		return Step{}, false
	}
	return Step{
		Action: Unhold, Target: packageRef(name), Package: &state.Package{Version: seen.Version}, Unhold: true,
		Before: seen.Digest(), After: seen.Version, Reason: "no longer configured; stays installed",
	}, true
}

// restorePackages is for leaving: what Seedbed installed goes again, after the units that need it.
// What was there in another version stays as it is, since that version may be nowhere any more.
func (b *builder) restorePackages() {
	if !b.leaving {
		return
	}
	steps := 0
	for _, name := range b.removedPackages() {
		ref, prior := packageRef(name), b.prior(packageRef(name))
		seen, installed := b.observed.Packages[name]
		s := Step{Target: ref, Package: &state.Package{Version: seen.Version, Held: prior.Held}, Gives: true, Before: seen.Digest()}
		switch {
		case prior.Absent && installed && b.installedByUs(name):
			s.Action, s.After, s.Disruption = Remove, "absent", state.Restart
			s.Reason = "no longer configured; was not there before"
			s.Package, s.Unhold = &state.Package{Absent: true}, seen.Held && b.holds(name)
		case !prior.Absent && installed && seen.Held != prior.Held:
			s.Action, s.After, s.Reason, s.Unhold = Unhold, s.Package.Digest(), putBack, true
			if prior.Held {
				s.Action, s.Unhold = Hold, false
			}
		default:
			continue
		}
		b.add(s, b.unitsGoing()...)
		steps++
	}
	for _, s := range b.unfinished(steps) {
		b.add(s)
	}
}

func (b *builder) installedByUs(name string) bool {
	applied := b.ledger.Owned[packageRef(name)].Applied
	return applied != "" && applied != state.Package{Absent: true}.Digest() || slices.Contains(b.ledger.Installing, name)
}

// unitsGoing are the units that are given up: what they run stays until they have stopped.
func (b *builder) unitsGoing() []state.Ref {
	var refs []state.Ref
	for _, name := range b.removedUnits() {
		refs = append(refs, state.Ref{Kind: state.KindUnit, Name: name})
	}
	return refs
}
