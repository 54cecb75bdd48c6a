package plan

import (
	"fmt"
	"slices"

	"seedbed.dev/seedbed/controllers/state"
)

// The modes of a link, as they are planned, recorded and set.
const (
	Promiscuous    = "promiscuous"
	NotPromiscuous = "not promiscuous"
	Hairpin        = "hairpin on every port"
	NoHairpin      = "hairpin on no port"
)

func mode(promiscuous *bool) string {
	if promiscuous != nil && *promiscuous {
		return Promiscuous
	}
	return NotPromiscuous
}

// links sets the modes of links that are there, or that a unit in this plan is about to make, and
// starts again the containers that were stopped. A mode counts as no drift: a link that was made anew
// never has it.
func (b *builder) links() {
	for _, name := range state.SortedKeys(b.desired.Links) {
		if has(b.observed.Unknown, linkRef(name)) {
			continue
		}
		want := b.desired.Links[name]
		seen, present := b.observed.Links[name]
		maker, made := b.makes(want.Bridge)
		if b.deletes(name) {
			b.verify(name, want.Bridge)
			seen, present = state.Link{}, false
		}
		if want.Promiscuous != nil && (present || made) {
			b.setPromiscuous(name, seen, present, mode(want.Promiscuous), maker)
		}
		if want.Hairpin != nil && present {
			b.setHairpin(name, seen, *want.Hairpin)
		}
	}
	for _, name := range b.removed(state.KindLink, func(n string) bool { return has(b.desired.Links, n) }) {
		seen, present := b.observed.Links[name]
		b.restoreValue(linkRef(name), mode(seen.Promiscuous), present)
	}
	b.resume()
	b.addHeld()
	for _, name := range state.SortedKeys(b.desired.Links) {
		if want := b.desired.Links[name].Bridge; want != nil {
			b.foresee(name, want)
		}
	}
}

// verify ends a recreation with a look at the bridge, unless one comes before the kubelet anyway.
func (b *builder) verify(name string, want *state.Bridge) {
	checked := slices.ContainsFunc(b.plan.Steps, func(s Step) bool { return s.Action == Check && s.Target == linkRef(name) })
	if want != nil && !checked {
		b.check(name, want, "was made anew")
	}
}

// makes is true if the plan starts the unit that makes the bridge.
func (b *builder) makes(want *state.Bridge) (maker state.Ref, made bool) {
	if want == nil {
		return state.Ref{}, false
	}
	_, stopped := b.stopped[want.Maker]
	maker = state.Ref{Kind: state.KindUnit, Name: want.Maker}
	return maker, b.planned[maker] && (stopped || !running(b.observed.Units[want.Maker]))
}

func (b *builder) deletes(name string) bool {
	for i := range b.plan.Steps {
		if s := &b.plan.Steps[i]; s.Target == linkRef(name) && s.Action == Delete && s.Blocked == "" {
			return true
		}
	}
	return false
}

func (b *builder) setPromiscuous(name string, seen state.Link, present bool, want string, maker state.Ref) {
	is := mode(seen.Promiscuous)
	if present && is == want {
		b.confirm(linkRef(name), want)
		return
	}
	s := Step{Action: Set, Target: linkRef(name), Before: is, After: want, Reason: "is " + is}
	if !present {
		s.Reason = "is made anew"
	}
	b.add(s, maker)
}

func (b *builder) setHairpin(name string, seen state.Link, want bool) {
	wrong := 0
	for _, port := range seen.Ports {
		if port.Hairpin != want {
			wrong++
		}
	}
	if wrong == 0 {
		return
	}
	s := Step{Action: Set, Target: linkRef(name), Before: NoHairpin, After: Hairpin, Reason: fmt.Sprintf("%s without it", Count(wrong, "port")), Unowned: true}
	if !want {
		s.Before, s.After, s.Reason = Hairpin, NoHairpin, fmt.Sprintf("%s with it", Count(wrong, "port"))
	}
	b.add(s)
}

// resume starts the containers that were stopped to make a bridge anew, or ended with docker, once docker
// runs. It goes on with a restart of docker that a crash cut off after it was done.
func (b *builder) resume() {
	if r := b.ledger.Recreated; b.plan.Recreation == nil && r != nil && r.Link == "" &&
		(len(r.Containers) > 0 || !r.Done && !b.planned[state.Ref{Kind: state.KindUnit, Name: r.Maker}]) {
		unfinished := *r
		b.plan.Recreation = &unfinished
	}
	r := b.plan.Recreation
	if r == nil || len(r.Containers) == 0 || !has(b.desired.Units, r.Maker) && !b.leaving {
		return // without its unit it is the first half of a pass: the second starts them
	}
	reason := "stopped to make " + r.Link + " anew"
	if r.Link == "" {
		reason = "ended with " + r.Maker + ", which was restarted"
	}
	b.add(Step{
		Action: Start, Target: containersRef(r.Maker), Before: "stopped", After: Count(len(r.Containers), "container") + " running",
		Reason: reason, Unowned: true,
	}, state.Ref{Kind: state.KindUnit, Name: r.Maker})
}
