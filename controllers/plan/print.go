package plan

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"seedbed.dev/seedbed/controllers/state"
)

// String is the dry run, the log and the golden file: a summary, then a line for each step with
// its sign (+ new, ~ changed, - put back or stopped, ? looked at, ! blocked), target, action, cost and reason.
func (p Plan) String() string {
	var out strings.Builder
	out.WriteString(p.Summary())
	out.WriteString("\n")
	w := tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	for i := range p.Steps {
		s := &p.Steps[i]
		fmt.Fprintf(w, "  %s %s\t%s\t%s\n", s.sign(), s.Target, s.does(), s.why())
	}
	_ = w.Flush() // a strings.Builder does not fail
	return out.String()
}

// Summary counts the steps and names the units that are disturbed.
func (p Plan) Summary() string {
	if len(p.Steps) == 0 {
		return "Nothing to do."
	}
	disturbed := map[state.Disruption][]string{}
	started, blocked := 0, 0
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case s.Blocked != "":
			blocked++
		case s.Disruption > state.None:
			disturbed[s.Disruption] = append(disturbed[s.Disruption], s.disturbs())
		case s.Action == Start && s.Target.Kind == state.KindUnit:
			started++
		}
	}
	parts := []string{Count(len(p.Steps), "step")}
	if started > 0 {
		parts = append(parts, Count(started, "unit")+" started")
	}
	if blocked > 0 {
		parts = append(parts, fmt.Sprintf("%d blocked", blocked))
	}
	for d := state.Reboot; d > state.None; d-- {
		if units := disturbed[d]; len(units) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", d, strings.Join(units, ", ")))
		}
	}
	if len(disturbed) == 0 {
		parts = append(parts, "nothing is reloaded or restarted")
	}
	return strings.Join(parts, "; ") + "."
}

func (s *Step) disturbs() string {
	if s.Target.Kind == state.KindContainers {
		return "all containers"
	}
	return s.Target.Name
}

func (s *Step) sign() string {
	switch {
	case s.Blocked != "":
		return "!"
	case s.Action == Check:
		return "?"
	case s.Action == Restore, s.Action == Stop, s.Action == Disable, s.Action == Delete, s.Action == Remove:
		return "-"
	case s.Target.Kind == state.KindSystemd:
		return "~"
	case s.Before == "" || s.Before == "absent" || s.Action == Start || s.Action == Load || s.Action == Enable:
		return "+"
	}
	return "~"
}

func (s *Step) does() string {
	switch s.Action {
	case Write, Restore:
		return fmt.Sprintf("%s (%s)", s.Action, s.After)
	case Delete:
		return fmt.Sprintf("%s, for docker to make it anew with %s", s.Action, s.After)
	case Set, Install:
		return fmt.Sprintf("%s %s", s.Action, s.After)
	}
	return string(s.Action)
}

func (s *Step) why() string {
	if s.Blocked != "" && s.Waits {
		return "WAITS: " + s.Blocked
	}
	if s.Blocked != "" {
		return "BLOCKED: " + s.Blocked
	}
	if s.Disruption != state.None {
		return fmt.Sprintf("%s [%s]", s.Reason, s.Disruption)
	}
	return s.Reason
}

// Count says how many of something there are, in English.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
