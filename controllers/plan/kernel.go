package plan

import (
	"fmt"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

func (b *builder) modules() {
	for _, name := range state.SortedKeys(b.desired.Modules) {
		ref := state.Ref{Kind: state.KindModule, Name: name}
		if has(b.observed.Modules, name) {
			b.confirm(ref, loaded)
			continue
		}
		b.add(Step{
			Action: Load, Target: ref,
			Before: "not loaded", After: loaded, Reason: "not loaded",
		})
	}
	// A module that is no longer wanted stays loaded: others may use it by now, and the kernel
	// does not say. It is only not loaded at the next boot.
}

func (b *builder) sysctls() {
	for _, name := range state.SortedKeys(b.desired.Sysctls) {
		ref := state.Ref{Kind: state.KindSysctl, Name: name}
		value, present := b.observed.Sysctls[name]
		if !present && b.ofLinkToCome(name) {
			continue
		}
		b.setValue(ref, value, present, b.desired.Sysctls[name])
	}
	for _, name := range b.removed(state.KindSysctl, func(n string) bool { return has(b.desired.Sysctls, n) }) {
		ref := state.Ref{Kind: state.KindSysctl, Name: name}
		value, present := b.observed.Sysctls[name]
		b.restoreValue(ref, value, present)
	}
}

// ofLinkToCome is true for settings of a link that is made later, with the values of "default". A dot in
// its name is written as a slash (sysctl.d(5)).
func (b *builder) ofLinkToCome(sysctl string) bool {
	parts := strings.Split(sysctl, ".")
	return len(parts) == 5 && has(b.desired.Links, strings.ReplaceAll(parts[3], "/", "."))
}

func (b *builder) chains() {
	for _, name := range state.SortedKeys(b.desired.Chains) {
		ref := state.Ref{Kind: state.KindChain, Name: name}
		chain, present := b.observed.Chains[name]
		b.setValue(ref, chain.Policy, present, b.desired.Chains[name].Policy)
	}
	for _, name := range b.removed(state.KindChain, func(n string) bool { return has(b.desired.Chains, n) }) {
		ref := state.Ref{Kind: state.KindChain, Name: name}
		chain, present := b.observed.Chains[name]
		b.restoreValue(ref, chain.Policy, present)
	}
}

func (b *builder) setValue(ref state.Ref, value string, present bool, want string) {
	if present && value == want {
		b.confirm(ref, want)
		return
	}
	s := Step{Action: Set, Target: ref, Before: value, After: want, Reason: "not set", Drift: b.drifted(ref, want)}
	if present {
		s.Reason = fmt.Sprintf("is %s", value)
	}
	if s.Drift {
		s.Reason += ", changed by somebody else"
	}
	b.add(s)
}

// restoreValue puts a value back; one that was not there before cannot be unset and is left.
func (b *builder) restoreValue(ref state.Ref, value string, present bool) {
	prior := b.prior(ref)
	if prior.Absent || !present || value == prior.Value {
		return
	}
	b.add(Step{
		Action: Set, Target: ref, Before: value, After: prior.Value, Prior: prior, Gives: true,
		Reason: putBack,
	})
}
