package cli

import (
	"io"
	"strings"

	"seedbed.dev/seedbed/controllers/forecast"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// planView is a plan for a program.
type planView struct {
	Node     string `json:"node"`
	Revision string `json:"revision"`
	// Disruption is the most that any step costs, and Disturbs what each costs whom.
	Disruption state.Disruption   `json:"disruption"`
	Disturbs   []plan.Disturbance `json:"disturbs,omitempty"`
	// Assumes is what programs are taken to be that are installed first.
	Assumes []string `json:"assumes,omitempty"`
	// Missing is why the rest of the node can be planned only once this is installed.
	Missing []string `json:"missing,omitempty"`
	plan.Plan
}

func viewOfPlan(node offlineNode, told forecast.Forecast) planView {
	return planView{
		Node: node.name, Revision: node.revision, Disruption: told.Plan.Disruption(), Disturbs: told.Plan.Disturbances(),
		Assumes: told.Assumed, Missing: lines(told.Missing), Plan: told.Plan,
	}
}

func (v planView) print(w io.Writer) {
	say(w, "Node %s, revision %s\n", v.Node, v.Revision)
	v.printSteps(w)
}

func (v planView) printSteps(w io.Writer) {
	say(w, "%s", v.Plan)
	if v.Asks != nil {
		say(w, "The manager drains the node first, and permits it then: %s.\n", v.Asks.Message)
	}
	if len(v.Assumes) > 0 {
		say(w, "This takes what is installed first to be %s.\n", strings.Join(v.Assumes, ", "))
	}
	sayMissing(w, "", v.Missing)
}

// lines are errors as text.
func lines(errs resolve.Errors) []string {
	all := make([]string, len(errs))
	for i, e := range errs {
		all[i] = e.Error()
	}
	return all
}

// sayMissing tells a user that this is not all.
func sayMissing(w io.Writer, comment string, missing []string) {
	if len(missing) == 0 {
		return
	}
	say(w, "%sThe rest can be planned once this is installed; until then:\n", comment)
	for _, line := range missing {
		say(w, "%s  %s\n", comment, line)
	}
}
