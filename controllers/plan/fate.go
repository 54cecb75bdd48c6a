package plan

import "seedbed.dev/seedbed/controllers/state"

// fate is what apply will make of a step if nothing fails.
type fate int

const (
	taken fate = iota
	// waits for somebody else; it is taken in a later pass.
	waits
	// stuck until somebody changes something.
	stuck
)

// destiny is a step's fate, and the target that decides it: the step's own, or that of a step before it.
type destiny struct {
	fate fate
	with state.Ref
}

// destinies follow the rules by which apply passes over steps: what needs a step that is not taken is
// not taken either.
func (p Plan) destinies() []destiny {
	all := make([]destiny, len(p.Steps))
	ended := map[state.Ref]fate{}
	for i := range p.Steps {
		s := &p.Steps[i]
		d := destiny{with: s.Target}
		for _, ref := range append([]state.Ref{s.Target}, s.Needs...) {
			if f := ended[ref]; f > d.fate {
				d = destiny{f, ref}
			}
		}
		if d.fate == taken && s.Blocked != "" {
			d.fate = stuck
			if s.Waits {
				d.fate = waits
			}
		}
		if d.fate != taken {
			ended[s.Target] = max(d.fate, ended[s.Target])
		}
		all[i] = d
	}
	return all
}

func empty(h state.Host) bool {
	return !h.Partial && len(h.Files)+len(h.Units)+len(h.Sysctls)+len(h.Modules)+len(h.Chains)+len(h.Packages)+len(h.Binaries) == 0
}
