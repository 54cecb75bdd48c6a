package chain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// Finding is one thing that is wrong with a component.
type Finding struct {
	Component state.Component
	// Reason is one of v1alpha1.Reason*.
	Reason string
	// Rule of docs/reference/problems.md, such as "SB001"; empty for none.
	Rule string
	// Message says what is wrong and what to do, without the rule.
	Message string
}

// String is the message with the rule after it.
func (f Finding) String() string {
	if f.Rule == "" {
		return f.Message
	}
	return f.Message + " (" + f.Rule + ")"
}

// Examine looks at a host that runs and returns what is wrong, in the order of the chain, and for each
// component what explains most first. None is a healthy node.
func Examine(desired, seen state.Host) []Finding {
	e := &examiner{desired: desired, seen: seen}
	for _, c := range state.Components {
		e.component = c
		e.commands()
		e.units()
		e.probes()
		switch c {
		case state.ComponentFlannel:
			e.lease()
			e.tunnels()
		case state.ComponentDocker:
			e.bridges()
			e.chains()
		}
	}
	return e.found
}

// UnitOf is the service of a component; a socket beside it does not count.
func UnitOf(desired state.Host, c state.Component) (string, bool) {
	for _, name := range state.SortedKeys(desired.Units) {
		if u := desired.Units[name]; u.Component == c && u.Activity == state.Active && strings.HasSuffix(name, ".service") {
			return name, true
		}
	}
	return "", false
}

type examiner struct {
	desired, seen state.Host
	component     state.Component
	found         []Finding
}

func (e *examiner) add(reason, rule, format string, args ...any) {
	e.found = append(e.found, Finding{e.component, reason, rule, fmt.Sprintf(format, args...)})
}

// own are the component's units that are to run.
func (e *examiner) own() []string {
	return slices.DeleteFunc(state.SortedKeys(e.desired.Units), func(name string) bool {
		u := e.desired.Units[name]
		return u.Component != e.component || u.Activity != state.Active
	})
}

// commands compares effective command lines: a drop-in of somebody else's may have replaced one.
func (e *examiner) commands() {
	for _, name := range e.own() {
		rule, command := e.desired.Units[name].Command, e.seen.Units[name].Exec
		if len(command) == 0 {
			continue
		}
		for _, word := range rule.Has {
			if !slices.Contains(command, word) {
				e.add(v1alpha1.ReasonCommandOverridden, "", "the command line of %s lacks %s: a drop-in replaces Seedbed's; systemctl cat %s shows it, remove it", name, word, name)
				break
			}
		}
		for _, word := range command[1:] {
			if key, bad := rule.HasNot[flagOf(word)]; bad {
				e.add(v1alpha1.ReasonDuplicateOption, "SB015", "%s has %s on its command line and key %s in daemon.json, with which dockerd does not start: take the flag out of the unit", name, word, key)
			}
		}
	}
}

// flagOf is the name of a flag; a short one is one letter, whatever follows it.
func flagOf(word string) string {
	if long, ok := strings.CutPrefix(word, "--"); ok {
		name, _, _ := strings.Cut(long, "=")
		return name
	}
	if len(word) > 1 && word[0] == '-' {
		return word[1:2]
	}
	return ""
}

// Stability of a unit: it has to stay up for stableAfter, twice as long after each time that systemd had
// to start it again, up to stableMost.
const (
	stableAfter = 5 * time.Second
	stableMost  = 30 * time.Second
)

func stable(u state.Unit) bool {
	need := stableMost
	if u.Restarts < 3 {
		need = min(stableAfter<<u.Restarts, stableMost)
	}
	return u.Uptime >= need
}

func (e *examiner) units() {
	for _, name := range e.own() {
		if why, unknown := e.seen.Unknown[state.Ref{Kind: state.KindUnit, Name: name}]; unknown {
			e.add(v1alpha1.ReasonUnitNotActive, "", "%s cannot be looked at: %s", name, why)
			continue
		}
		u := e.seen.Units[name]
		service := strings.HasSuffix(name, ".service")
		switch {
		case u.Missing:
			e.add(v1alpha1.ReasonUnitMissing, "", "systemd knows no unit %s: install the package that brings it", name)
		case u.Restarts > 0 && (u.Activity == state.Activating || u.Activity == state.Active && !stable(u)):
			e.add(v1alpha1.ReasonCrashLooping, "", "%s ends again and again%s: journalctl -u %s says why", name, result(u), name)
		case u.Activity == state.Activating:
			e.add(v1alpha1.ReasonStarting, "", "%s is starting; if it stays so, systemctl status %s says what it waits for", name, name)
		case u.Activity != state.Active:
			e.add(v1alpha1.ReasonUnitNotActive, "", "%s is %s%s: journalctl -u %s says why", name, u.Activity, result(u), name)
		case service && !stable(u):
			e.add(v1alpha1.ReasonStarting, "", "%s has just been started", name)
		}
	}
}

func result(u state.Unit) string {
	switch u.Result {
	case "", "success":
		return ""
	case "start-limit-hit":
		return " (systemd has given up starting it)"
	}
	return " (" + u.Result + ")"
}

// probes counts answers only of a component whose unit runs: of another the unit says it all.
func (e *examiner) probes() {
	unit, ok := UnitOf(e.desired, e.component)
	if !ok || e.seen.Units[unit].Activity != state.Active {
		return
	}
	for _, name := range state.SortedKeys(e.desired.Probes) {
		want := e.desired.Probes[name]
		answer, asked := e.seen.Probes[name]
		if want.Component != e.component || !asked {
			continue
		}
		if want.Kind == state.ProbeCertificate {
			e.certificate(unit, want, answer)
			continue
		}
		if answer.Failure != "" {
			e.add(v1alpha1.ReasonNotAnswering, "", "%s at %s%s: %s; journalctl -u %s may say why", name, want.Address, want.Path, answer.Failure, unit)
		}
	}
}

// certificate: a client's that is not there yet is no fault by itself, since there are other ways to
// identify a kubelet.
func (e *examiner) certificate(unit string, want, answer state.Probe) {
	if answer.Failure != "" && want.Cure != "" {
		e.add(v1alpha1.ReasonServingCertificate, "", "kubectl logs and exec fail: %s: %s; %s", want.Path, answer.Failure, want.Cure)
	}
	if answer.Failure == "" && answer.Answer != want.Want {
		e.add(v1alpha1.ReasonNodeNameMismatch, "SB022", "%s is for %q and the node is %q: remove %s and restart %s, which asks for one anew", want.Path, answer.Answer, want.Want, want.Path, unit)
	}
}
