package plan

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"seedbed.dev/seedbed/controllers/state"
)

// String is the dry run, the log and the golden file: a summary, then a line for each step with
// its sign (+ new, ~ changed, - put back or stopped, ? looked at, ! not taken), target, action, cost and reason.
func (p Plan) String() string {
	var out strings.Builder
	out.WriteString(p.Summary())
	out.WriteString("\n")
	w := tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	for i, d := range p.destinies() {
		s := &p.Steps[i]
		fmt.Fprintf(w, "  %s %s\t%s\t%s\n", s.sign(d), s.Target, s.does(), s.why(d))
	}
	_ = w.Flush() // a strings.Builder does not fail
	return out.String()
}

func (s *Step) sign(d destiny) string {
	switch {
	case d.fate != taken:
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

// why is the reason with the cost, and why the step is not taken now.
func (s *Step) why(d destiny) string {
	why, word := s.Reason, "WAITS"
	if d.fate == stuck {
		word = "BLOCKED"
	}
	switch {
	case d.fate == taken:
	case s.Blocked != "":
		why = word + ": " + s.Blocked
	default:
		why = fmt.Sprintf("%s with %s: %s", word, d.with, s.Reason)
	}
	if d.fate == stuck {
		return why
	}
	if s.Disruption != state.None {
		why += fmt.Sprintf(" [%s]", s.Disruption)
	}
	return why
}

// Count says how many of something there are, in English.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
