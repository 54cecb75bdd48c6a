package plan

import "seedbed.dev/seedbed/controllers/state"

// loses is true if the engine that starts is not the one that the containers have: with another data-root
// or storage driver it does not know those that run. live-restore would leave them to nobody, beside those
// that the kubelet starts in their place.
func (b *builder) loses(name string, want state.Unit) bool { return want.Loses(b.started[name].Inputs) }

// startWithout turns the restart of an engine into its start after who starts containers, the containers
// and the engine were stopped, with the permit that a restart takes which ends them. Where nobody says what
// runs it stays a restart, after the step that it returns: a look that none does.
func (b *builder) startWithout(s *Step, want, unit state.Unit) []Step {
	ref := containersRef(s.Target.Name)
	stops := &state.Bridge{Maker: s.Target.Name, Socket: want.Engine.Socket, Users: want.Engine.Users}
	if s.Blocked == "" {
		s.Blocked, s.Waits = b.unstartable(stops)
	}
	b.end(s, want, unit)
	s.Also = b.toStop(stops)
	switch {
	case s.Blocked != "":
		return nil
	case has(b.observed.Unknown, ref):
		return []Step{{Action: Check, Target: ref, After: NoneRuns, Reason: "none may run that was not stopped", Unowned: true}}
	}
	steps := b.stopsFor(stops, b.plan.Recreation, "for a change of "+s.Target.Name+" that no container outlives")
	steps[0].Also = []Disturbance{{Target: s.Target, Disruption: s.Disruption}} // named first, as while it waits
	b.addStops(stops, steps)
	s.Action, s.Candidates = Start, nil
	return nil
}
