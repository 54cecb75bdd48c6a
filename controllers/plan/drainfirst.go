package plan

import (
	"cmp"
	"fmt"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

// drainsFirst says that the restart of a flanneld that runs waits for a permit: it would take another
// lease, and until docker0 is made anew for that no other node reaches the containers on it. So they
// leave first. A flanneld that does not run is started at once, and one whose bridge does not fit its
// lease any more is restarted at once: nothing is reached there that could be lost.
func (b *builder) drainsFirst(unit string, s *Step) bool {
	if b.observed.Units[unit].Activity != state.Active || s.Blocked != "" && !s.Waits {
		return false
	}
	for _, name := range state.SortedKeys(b.desired.Links) {
		want := b.desired.Links[name].Bridge
		if want == nil || want.Giver != unit {
			continue
		}
		why := b.cutsOff(name, want)
		if why == "" {
			continue
		}
		r := b.recreation(name, want, nextLease(name, want))
		b.ask(want, r, why)
		switch {
		case b.plan.Asks == nil || s.Blocked != "":
		case r.Permitted:
			r.Containers = b.left() // it stops none yet
			b.plan.Recreation = r
		default:
			s.Blocked, s.Waits = fmt.Sprintf("it waits for the manager's permit %s: with another lease the containers on %s are cut off until it is made anew", r.Plan, name), true
			return true
		}
	}
	return false
}

// nextLease names what a permit for flanneld's restart is for: the lease that it takes then is not known,
// and docker0 is made anew for that with the same permit. Paused or without the API, half of it is worse
// than all of it.
func nextLease(name string, want *state.Bridge) string {
	return hashOf(Step{Action: Delete, Target: linkRef(name), After: fmt.Sprintf("next lease of %s, length %d, MTU %d", want.Network, want.Length, want.MTU)})
}

// planOf names the recreation of a bridge: by the permit that flanneld took its lease with, or by the lease.
func (b *builder) planOf(name string, want *state.Bridge, link Step) string {
	if last := b.ledger.Recreated; last.UnderWay() && last.Plan == nextLease(name, want) {
		return last.Plan
	}
	return hashOf(link)
}

// cutsOff is why the next lease will not be the one that a bridge fits now; empty where it fits none, or
// nobody is reached on it. A docker that is down may have left its containers running.
func (b *builder) cutsOff(name string, want *state.Bridge) string {
	is := chain.LookAt(name, want, b.observed)
	if is.LeaseErr != nil || is.Fault != "" || has(b.observed.Unknown, linkRef(name)) || !b.reached(name, want) {
		return ""
	}
	return cmp.Or(is.Moves, b.otherManager(want))
}

func (b *builder) otherManager(want *state.Bridge) string {
	return chain.OtherManager(want, b.desired.Units[want.Giver], b.started[want.Giver].Inputs)
}

// reached is true if a bridge's maker runs, or was outlived by what is on it.
func (b *builder) reached(name string, want *state.Bridge) bool {
	return b.observed.Units[want.Maker].Activity == state.Active || len(b.observed.Links[name].Ports) > 0
}

// addHeld adds the restarts that wait for a drain. What comes after flanneld in the chain goes on
// meanwhile: a kubelet that does not run is started, or nothing could be evicted.
func (b *builder) addHeld() {
	for i := range b.held {
		name := b.held[i].Target.Name
		b.add(b.held[i], b.unitReads(name, b.desired.Units[name])...)
	}
}
