package plan

import (
	"cmp"
	"fmt"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

// foresee adds, as a step that waits, a bridge that has to be made anew once its lease has changed. The
// steps for it are known only then: the pass after flanneld's start plans them.
func (b *builder) foresee(name string, want *state.Bridge) {
	if b.deletes(name) || has(b.observed.Unknown, linkRef(name)) || !running(b.observed.Units[want.Maker]) {
		return
	}
	is := chain.LookAt(name, want, b.observed)
	why := b.moves(want, is)
	if why == "" {
		return
	}
	s := Step{
		Action: Delete, Target: linkRef(name), Before: "as it is", After: "flannel's next lease", Disruption: state.Recreate,
		Reason: why, Blocked: fmt.Sprintf("it follows when %s has its next lease%s: %s", want.Giver, givenBy(want, is), why), Waits: true, Unowned: true,
		Also: b.toStop(want),
	}
	for _, also := range s.Also {
		if also.Target.Kind == state.KindContainers {
			s.Blocked += "; it stops all containers"
			if b.serves(want.Users) {
				s.Blocked += ", with the manager's permit"
			}
		}
	}
	b.add(s)
}

// givenBy says what the next lease takes beside a flanneld that starts.
func givenBy(want *state.Bridge, is chain.Bridge) string {
	if !is.KeptByNode(want) {
		return ""
	}
	return ", for which the Node has to be made anew with a spec.podCIDR in " + want.Network
}

// moves is why the bridge will not be as flannel's lease has it after this plan, as far as can be told.
// A flanneld that stays as it is keeps its lease. A docker without containers makes the bridge of its
// first lease right by itself.
func (b *builder) moves(want *state.Bridge, is chain.Bridge) string {
	if !has(b.desired.Units, want.Giver) || b.settled(want.Giver) || is.LeaseErr != nil && len(b.observed.Containers) == 0 {
		return ""
	}
	return cmp.Or(is.Moves, b.otherManager(want), is.Fault)
}

// toStop is what ends before a bridge is made anew: who starts containers, the containers, docker's
// socket and docker.
func (b *builder) toStop(want *state.Bridge) []Disturbance {
	var stops []Disturbance
	unit := func(name string) {
		if running(b.observed.Units[name]) {
			stops = append(stops, Disturbance{Target: state.Ref{Kind: state.KindUnit, Name: name}, Disruption: state.Restart})
		}
	}
	for _, name := range want.Users {
		unit(name)
	}
	if len(b.observed.Containers) > 0 || has(b.observed.Unknown, containersRef(want.Maker)) {
		stops = append(stops, Disturbance{Target: containersRef(want.Maker), Disruption: state.Recreate})
	}
	unit(want.Socket)
	unit(want.Maker)
	return stops
}
