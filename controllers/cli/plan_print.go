package cli

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/forecast"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// planBody is what a plan says.
type planBody struct {
	// Disruption is the most that any step costs, and Disturbs what each costs whom.
	Disruption state.Disruption   `json:"disruption"`
	Disturbs   []plan.Disturbance `json:"disturbs,omitempty"`
	// Assumes is what programs are taken to be that are installed first.
	Assumes []string `json:"assumes,omitempty"`
	// Missing is why the rest of the node can be planned only once this is installed.
	Missing []string `json:"missing,omitempty"`
	plan.Plan
}

func bodyOf(told forecast.Forecast) planBody {
	return planBody{
		Disruption: told.Plan.Disruption(), Disturbs: told.Plan.Disturbances(), Assumes: told.Assumed, Missing: lines(told.Missing), Plan: told.Plan,
	}
}

func (v planBody) print(w io.Writer) {
	say(w, "%s", v.Plan)
	if v.Asks != nil {
		say(w, "The manager drains the node first, and permits it then: %s.\n", v.Asks.Message)
	}
	if len(v.Assumes) > 0 {
		say(w, "This takes what is installed first to be %s.\n", strings.Join(v.Assumes, ", "))
	}
	sayMissing(w, "", v.Missing)
}

// planView is the plan of one node for a program.
type planView struct {
	Node     string `json:"node"`
	Revision string `json:"revision"`
	planBody
	// Notes are what else is to be known.
	Notes []string `json:"notes,omitempty"`
}

func planViewOf(node offlineNode, told forecast.Forecast) planView {
	view := planView{Node: node.name, Revision: node.revision, planBody: bodyOf(told)}
	if told.Held != "" {
		view.Notes = []string{told.Held}
	}
	return view
}

func (v planView) print(w io.Writer) {
	say(w, "Node %s, revision %s\n", v.Node, v.Revision)
	v.planBody.print(w)
	printNotes(w, v.Notes)
}

func printNotes(w io.Writer, notes []string) {
	for _, note := range notes {
		say(w, "Note: %s\n", printable(note))
	}
}

// nodePlan is that of the nodes of a cluster that have the same.
type nodePlan struct {
	Nodes []string `json:"nodes"`
	// From is the revision that they are at, and To the one that they will be given.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	planBody
	// NodeObject is what the manager changes of their Node objects.
	NodeObject []string `json:"nodeObject,omitempty"`
	// Notes are what else is to be known.
	Notes []string `json:"notes,omitempty"`
}

func (v nodePlan) noting(notes ...string) nodePlan {
	v.Notes = append(v.Notes, notes...)
	return v
}

func (v nodePlan) print(w io.Writer) {
	switch {
	case v.To == "":
		say(w, "%s, at %s\n", some(v.Nodes), orDash(v.From))
	case v.From == v.To:
		say(w, "%s, at %s and staying there\n", some(v.Nodes), v.From)
	default:
		say(w, "%s, from %s to %s\n", some(v.Nodes), orDash(v.From), v.To)
	}
	if len(v.Steps) > 0 || len(v.Notes) == 0 {
		v.planBody.print(w)
	}
	for _, change := range v.NodeObject {
		say(w, "Node object: %s\n", change)
	}
	printNotes(w, v.Notes)
}

// together puts nodes with the same plan together, those first that it costs most.
func together(plans []nodePlan) []nodePlan {
	var all []nodePlan
	at := map[string]int{}
	for _, p := range plans {
		alike := p
		alike.Nodes = nil
		raw, err := json.Marshal(alike)
		i, known := at[string(raw)]
		if err != nil || !known {
			at[string(raw)] = len(all)
			all = append(all, p)
			continue
		}
		all[i].Nodes = append(all[i].Nodes, p.Nodes...)
	}
	slices.SortStableFunc(all, func(a, b nodePlan) int {
		return cmp.Or(int(b.Disruption-a.Disruption), len(b.Steps)-len(a.Steps), strings.Compare(a.Nodes[0], b.Nodes[0]))
	})
	return all
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
