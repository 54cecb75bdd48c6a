package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

// spareScripts is for a transaction of packages whose scripts restart what runs containers. It waits for
// the manager's permit as a restart by Seedbed does, all of it, unless containers go on: where live-restore
// is on in the engine that runs, and the release changes by a patch only, over which alone docker's makers
// promise that (docs.docker.com/engine/daemon/live-restore, "Live restore during upgrades"). The step that
// it returns comes before the transaction; nil for none. What was begun and cut off is finished without a
// question, since its containers may have ended; what somebody has to mend first is not asked for.
func (b *builder) spareScripts(steps []Step) *Step {
	engine := b.scripted(steps)
	if engine == nil || slices.ContainsFunc(steps, func(s Step) bool { return s.Blocked != "" }) {
		return nil
	}
	unit, unknown := b.observed.Units[engine.Unit], b.unknownContainers(engine.Unit)
	switch {
	case unit.Engine == nil && unknown == "":
		return nil // it does not run, or its host does not
	case unit.Engine != nil && unit.Engine.LiveRestore && b.patches(steps):
		explain(steps, "containers go on, with live-restore")
		return nil
	case len(b.observed.Containers) == 0 && unknown == "":
		explain(steps, "no container runs")
		return &Step{Action: Check, Target: containersRef(engine.Unit), After: NoneRuns, Reason: "none may run, since it would end", Unowned: true}
	}
	return b.endByScripts(steps, engine)
}

// scripted is the engine that a transaction restarts; nil for none. Nobody knows of a package that cannot
// be looked at.
func (b *builder) scripted(steps []Step) *state.PackagedEngine {
	for name, want := range b.desired.Packages {
		b.plan.Blind = b.plan.Blind || want.Engine != nil && has(b.observed.Unknown, packageRef(name))
	}
	for i := range steps {
		if b.restartsEngine(&steps[i]) {
			return steps[i].Package.Engine
		}
	}
	return nil
}

// restartsEngine is false for a package that was not there, whose engine runs nothing yet.
func (b *builder) restartsEngine(s *Step) bool {
	changes := s.Action == Remove || s.Action == Install && has(b.observed.Packages, s.Target.Name)
	return changes && s.Package.Engine != nil && !slices.Contains(b.ledger.Installing, s.Target.Name)
}

// unknownContainers is why nobody can say which containers run; empty if somebody can.
func (b *builder) unknownContainers(engine string) string {
	unit := state.Ref{Kind: state.KindUnit, Name: engine}
	if b.observed.Units[engine].Activity == state.Activating {
		return engine + " is still starting"
	}
	return cmp.Or(b.observed.Unknown[containersRef(engine)], b.observed.Unknown[unit])
}

// endByScripts lets a transaction that ends containers wait for the manager's permit. With it, or where
// nobody could give one, those go on record that nobody else starts again. An engine that does not come up
// is replaced with a permit though nobody knows what runs: that may be its cure.
func (b *builder) endByScripts(steps []Step, engine *state.PackagedEngine) *Step {
	ref, unit, ends := containersRef(engine.Unit), b.observed.Units[engine.Unit], b.endedByScripts(engine.Unit)
	var what, names []string
	for i := range steps {
		if s := &steps[i]; b.restartsEngine(s) {
			what = append(what, fmt.Sprintf("%s %s: %s", s.Action, s.Target, s.After))
			names = append(names, fmt.Sprintf("%s %s becomes %s", s.Target, s.Before, s.After))
			s.Disruption, s.Also = state.Recreate, []Disturbance{{Target: ref, Disruption: state.Recreate}}
		}
	}
	serves := b.serves(engine.Users)
	r := &state.Recreation{
		Maker: engine.Unit, Containers: b.toResume(),
		Plan: hashOf(Step{Action: Install, Target: ref, After: strings.Join(what, "; ")}),
	}
	r.Permitted = b.permit == r.Plan || !serves
	if serves {
		b.plan.Asks = &Ask{Plan: r.Plan, Disruption: state.Recreate, Message: strings.Join(names, ", ") + "; it " + ends}
	}
	starting := unit.Activity == state.Activating
	switch {
	case unit.Engine == nil && !starting:
		hold(steps, "which containers run is unknown: "+b.unknownContainers(engine.Unit), false)
		return nil
	case !r.Permitted:
		hold(steps, fmt.Sprintf("it waits for the manager's permit %s; it %s", r.Plan, ends), true)
		return nil
	}
	explain(steps, "it "+ends)
	b.plan.Recreation = r
	if starting {
		return nil
	}
	return &Step{Action: Check, Target: ref, After: OnRecord, Reason: "those that end and are not Kubernetes' go on record", Unowned: true}
}

// endedByScripts says how many containers a transaction may end, and why.
func (b *builder) endedByScripts(name string) string {
	unit, ends := b.observed.Units[name], "ends "+Count(len(b.observed.Containers), "container")
	if b.unknownContainers(name) != "" {
		ends = "ends all containers"
	}
	switch {
	case unit.Engine == nil:
		return ends + ", unless docker has live-restore and the release changes by a patch only"
	case unit.Engine.LiveRestore:
		return ends + " or loses them, since live-restore is for patch releases only"
	}
	return ends + ", since docker runs without live-restore"
}

// hold blocks a transaction, which is made wholly or not at all.
func hold(steps []Step, why string, waits bool) {
	for i := range steps {
		steps[i].Blocked, steps[i].Waits = why, waits
	}
}

// explain says of the steps that restart containers' engine what becomes of them.
func explain(steps []Step, what string) {
	for i := range steps {
		if steps[i].Package.Engine != nil {
			steps[i].Reason += "; " + what
		}
	}
}

// patches is true if each engine stays in its series of releases.
func (b *builder) patches(steps []Step) bool {
	for i := range steps {
		s := &steps[i]
		if b.restartsEngine(s) && (s.Action == Remove || series(s.Package.Version) != series(b.observed.Packages[s.Target.Name].Version)) {
			return false
		}
	}
	return true
}

// series is 27.5 of 5:27.5.1-1.
func series(version string) string {
	const parts = 3
	numbers := strings.SplitN(state.Upstream(version), ".", parts)
	return strings.Join(numbers[:min(len(numbers), parts-1)], ".")
}
