package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/plan"
)

func containsText(text, part string) bool { return strings.Contains(text, part) }

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Go randomises the order of maps, so planning many times is planning shuffled input.
func TestEqualInputGivesAnEqualPlan(t *testing.T) {
	o, l := converged()
	o.Files[daemon] = seen("x")
	first := plan.New(desired(), o, l).String()
	for range 200 {
		if again := plan.New(desired(), o, l).String(); again != first {
			t.Fatalf("the plan differs between runs:\n%s\n%s", first, again)
		}
	}
}
