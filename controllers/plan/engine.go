package plan

import (
	"fmt"
	"maps"
	"slices"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

// What containers are checked for before their engine is restarted.
const (
	// GoOn without it: it has live-restore.
	GoOn = "go on without their engine"
	// OnRecord are those that end with it, for them to be started again.
	OnRecord = "on record, to be started again"
	// NoneRuns that could end with it.
	NoneRuns = "none"
)

// spare adds the restart of a unit. One that runs containers takes them along, unless both the engine
// that stops and the one that starts have live-restore: it is reloaded first, if that turns it on, or else
// waits for the manager's permit. So it does where another engine starts than the containers have, and it
// starts once none runs. Where a bridge of its is about to be made anew it waits for that. An
// engine that is still starting, or whose host does not run, is not asked and restarted as any other unit.
func (b *builder) spare(s Step, want, unit state.Unit) {
	ref := containersRef(s.Target.Name)
	unknown := has(b.observed.Unknown, ref)
	var first []Step
	s.Disruption = min(s.Disruption, state.Restart) // more only where containers run
	switch bridge := b.nextBridge(s.Target.Name); {
	case want.Engine == nil, unit.Engine == nil && !unknown:
	case bridge != "" && s.Blocked == "":
		s.Blocked, s.Waits = "it follows with "+bridge+", for which it is started anew", true
	case b.goOn(s.Target.Name, want, unit):
		if !unit.Engine.LiveRestore {
			first = b.wake(s, want)
		}
		s.Reason += "; containers go on, with live-restore"
	case len(b.observed.Containers) == 0 && !unknown:
		first = []Step{{Action: Check, Target: ref, After: NoneRuns, Reason: "none may run, since it would end", Unowned: true}}
		s.Reason += "; no container runs"
	case b.loses(s.Target.Name, want):
		first = b.startWithout(&s, want, unit)
	default:
		b.end(&s, want, unit)
		first = []Step{{Action: Check, Target: ref, After: OnRecord, Reason: "those that end and are not Kubernetes' go on record", Unowned: true}}
	}
	needs := b.unitNeeds(s.Target.Name, want)
	if s.Blocked == "" {
		for _, f := range first {
			b.add(f, append(needs, s.Target)...)
		}
	}
	b.add(s, append(needs, ref)...)
}

// goOn is true if no container ends: live-restore is on, or a reload turns it on.
func (b *builder) goOn(name string, want, unit state.Unit) bool {
	switch {
	case unit.Engine == nil || !want.Engine.LiveRestore || b.loses(name, want):
		return false
	case unit.Engine.LiveRestore:
		return true
	case len(b.observed.Containers) == 0 && !has(b.observed.Unknown, containersRef(name)):
		return false
	}
	read := b.started[name].Inputs
	return slices.ContainsFunc(want.Inputs, func(in state.Input) bool { return in.Disruption == state.Reload && read[in.Name] != in.Hash })
}

// wake is a reload, by which an engine turns live-restore on, and a look whether it did: dockerd refuses
// the whole file when a flag of its command line is in it as well, and says so in its journal only.
func (b *builder) wake(restart Step, want state.Unit) []Step {
	read := map[string]string{}
	maps.Copy(read, b.started[restart.Target.Name].Inputs)
	for _, in := range want.Inputs {
		if in.Disruption == state.Reload {
			read[in.Name] = in.Hash
		}
	}
	reload := restart
	reload.Action, reload.Disruption, reload.Inputs = Reload, state.Reload, read
	reload.Reason = "turns live-restore on, for containers to go on while it is restarted"
	return []Step{reload, {
		Action: Check, Target: containersRef(restart.Target.Name), After: GoOn, Unowned: true,
		Reason: "that they go on; otherwise the restart waits for a permit",
	}}
}

// end lets a restart that ends containers wait for the manager's permit. With it, or where nobody could
// give one, those go on record that nobody else starts again.
func (b *builder) end(s *Step, want, unit state.Unit) {
	name := s.Target.Name
	ref := containersRef(name)
	serves, ends := b.serves(want.Engine.Users), b.ends(name, want, unit)
	s.Disruption, s.Also = state.Recreate, []Disturbance{{Target: ref, Disruption: state.Recreate}}
	r := &state.Recreation{Maker: name, Plan: restartHash(s), Containers: b.toResume()}
	r.Permitted = b.permit == r.Plan || !serves || b.begun(r.Plan) && b.ledger.Recreated.Permitted
	if b.plan.Asks == nil && serves && (s.Blocked == "" || s.Waits) {
		b.plan.Asks = &Ask{Plan: r.Plan, Disruption: state.Recreate, Message: fmt.Sprintf("%s: %s; restarting it %s", name, s.Reason, ends)}
	}
	switch {
	case s.Blocked != "":
	case unit.Engine == nil:
		s.Blocked = "which containers run is unknown: " + b.observed.Unknown[ref]
	case b.plan.Asks != nil && b.plan.Asks.Plan != r.Plan:
		s.Blocked, s.Waits = fmt.Sprintf("it waits, as what comes before it does, for the manager's permit %s; it %s", b.plan.Asks.Plan, ends), true
	case !r.Permitted:
		s.Blocked, s.Waits = fmt.Sprintf("it waits for the manager's permit %s; it %s", r.Plan, ends), true
	default:
		s.Reason += "; it " + ends
		b.plan.Recreation = r
	}
}

// ends says how many containers a restart ends, and why.
func (b *builder) ends(name string, want, unit state.Unit) string {
	ends := "ends " + Count(len(b.observed.Containers), "container")
	if has(b.observed.Unknown, containersRef(name)) {
		ends = "ends all containers"
	}
	switch {
	case b.loses(name, want):
		return ends + ", since none outlives such a change"
	case !want.Engine.LiveRestore:
		return ends + ", since docker.liveRestore is false"
	case unit.Engine == nil:
		return ends + ", unless docker has live-restore"
	}
	return fmt.Sprintf("%s, since docker runs without live-restore and no reload turned it on: journalctl -u %s says why", ends, name)
}

// nextBridge is a bridge of the engine's that is made anew once its lease has changed.
func (b *builder) nextBridge(maker string) string {
	for _, name := range state.SortedKeys(b.desired.Links) {
		want := b.desired.Links[name].Bridge
		if want != nil && want.Maker == maker && !has(b.observed.Unknown, linkRef(name)) && b.moves(want, chain.LookAt(name, want, b.observed)) != "" {
			return name
		}
	}
	return ""
}

// serves is true if pods of the cluster may run: a unit that starts them runs, or was started by Seedbed
// before. Of another host, one that joins, nobody could evict anything.
func (b *builder) serves(users []string) bool {
	for _, name := range users {
		if has(b.started, name) || running(b.observed.Units[name]) {
			return true
		}
	}
	for _, c := range b.observed.Containers {
		if c.Kubernetes {
			return true
		}
	}
	return false
}

// restartHash names a restart by all that the unit then reads.
func restartHash(s *Step) string {
	var read []byte
	for _, name := range state.SortedKeys(s.Inputs) {
		read = fmt.Appendf(read, "%s %s\n", name, s.Inputs[name])
	}
	return hashOf(Step{Action: s.Action, Target: s.Target, After: state.Hash(read)})
}
