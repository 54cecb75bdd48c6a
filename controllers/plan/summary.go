package plan

import (
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

// Disturbance is what a plan costs one resource.
type Disturbance struct {
	Target     state.Ref        `json:"target"`
	Disruption state.Disruption `json:"disruption"`
	// Later is true for what waits for somebody else first, or for what this plan does.
	Later bool `json:"later,omitempty"`
}

// Disturbances are all that the plan disturbs, each target once now and once later, with the most that
// it costs it: what costs most first, else in the order of the steps. What cannot be taken disturbs
// nothing.
func (p Plan) Disturbances() []Disturbance {
	var all []Disturbance
	for i, d := range p.destinies() {
		s := &p.Steps[i]
		if d.fate == stuck {
			continue
		}
		for _, one := range append([]Disturbance{{Target: s.Target, Disruption: s.Disruption}}, s.Also...) {
			one.Later = d.fate == waits
			all = merge(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b Disturbance) int { return int(b.Disruption - a.Disruption) })
	return all
}

func merge(all []Disturbance, one Disturbance) []Disturbance {
	if one.Disruption == state.None {
		return all
	}
	i := slices.IndexFunc(all, func(d Disturbance) bool { return d.Target == one.Target && d.Later == one.Later })
	switch {
	case i < 0:
		return append(all, one)
	case one.Disruption > all[i].Disruption:
		all[i] = one
	}
	return all
}

// Disruption is the most that the plan costs, what waits included: it is taken when its time has come.
func (p Plan) Disruption() state.Disruption {
	if all := p.Disturbances(); len(all) > 0 {
		return all[0].Disruption
	}
	return state.None
}

// Summary counts the steps and names what is disturbed.
func (p Plan) Summary() string {
	if len(p.Steps) == 0 {
		return "Nothing to do."
	}
	parts := append([]string{Count(len(p.Steps), "step")}, p.counts()...)
	disturbances := p.Disturbances()
	if len(disturbances) == 0 {
		parts = append(parts, "nothing is reloaded or restarted")
	}
	for _, later := range []bool{false, true} {
		for d := state.Reboot; d > state.None; d-- {
			if names := namesOf(disturbances, d, later); names != "" {
				parts = append(parts, names)
			}
		}
	}
	return strings.Join(parts, "; ") + "."
}

// counts are those of units that start, and of steps that are not taken.
func (p Plan) counts() []string {
	started, waiting, blocked := 0, 0, 0
	for i, d := range p.destinies() {
		switch s := &p.Steps[i]; {
		case d.fate == waits:
			waiting++
		case d.fate == stuck:
			blocked++
		case s.Action == Start && s.Target.Kind == state.KindUnit && s.Disruption == state.None:
			started++
		}
	}
	var parts []string
	if started > 0 {
		parts = append(parts, Count(started, "unit")+" started")
	}
	if waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting", waiting))
	}
	if blocked > 0 {
		parts = append(parts, fmt.Sprintf("%d blocked", blocked))
	}
	return parts
}

// namesOf is "Restart: kubelet.service, kube-proxy.service", or nothing.
func namesOf(all []Disturbance, d state.Disruption, later bool) string {
	var names []string
	for _, one := range all {
		if one.Disruption == d && one.Later == later {
			names = append(names, one.name())
		}
	}
	if len(names) == 0 {
		return ""
	}
	when := ""
	if later {
		when = "later "
	}
	return fmt.Sprintf("%s%s: %s", when, d, strings.Join(names, ", "))
}

// name is what is disturbed, as a user calls it.
func (d Disturbance) name() string {
	switch d.Target.Kind {
	case state.KindContainers:
		return "all containers"
	case state.KindPackage:
		return d.Target.String()
	}
	return d.Target.Name
}
