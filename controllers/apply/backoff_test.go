package apply

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

const unitName = "x.service"

// one is a plan that starts one unit.
func one(inputs map[string]string) plan.Plan {
	return plan.Plan{Steps: []plan.Step{{
		Action: plan.Start, Target: state.Ref{Kind: state.KindUnit, Name: unitName}, Inputs: inputs,
	}}}
}

func bookOf(t *testing.T, f *hosttest.Fake) *Book {
	t.Helper()
	book, err := Open(f.Host().Store)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func machine() *hosttest.Fake {
	f := hosttest.New()
	f.Put(state.UnitFolder+unitName, state.File{Content: []byte("[Service]\nExecStart=/bin/x\n[Install]\n"), Mode: 0o644, Owner: "root", Group: "root"})
	return f
}

// Fault 22: whatever wakes the agent, a unit that cannot run is not started in a storm.
func TestF022AUnitThatFailsIsStartedWithAPauseThatDoubles(t *testing.T) {
	f := machine()
	f.RefuseUnit(unitName, "failed")
	book := bookOf(t, f)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const passes = 600
	for i := range passes { // a pass every 100 ms for a minute
		results, err := Apply(t.Context(), f.Host(), book, one(map[string]string{"a": "1"}), now.Add(time.Duration(i)*100*time.Millisecond), nil)
		if err != nil || results.Err() == nil || !strings.Contains(results.Err().Error(), "failed") {
			t.Fatalf("pass %d: %v, %v; want the cause each time", i, err, results.Err())
		}
	}
	if got := len(f.Jobs(unitName)); got != 6 { // at 0, 1, 3, 7, 15 and 31 s
		t.Errorf("%d starts in a minute, want 6", got)
	}
	f.RefuseUnit(unitName, "")
	if results, err := Apply(t.Context(), f.Host(), book, one(map[string]string{"a": "2"}), now.Add(time.Minute), nil); err != nil || results.Err() != nil {
		t.Errorf("a start that reads something new has to wait: %v, %v", err, results.Err())
	}
	if len(book.failures) != 0 {
		t.Errorf("a start that went well left %v", book.failures)
	}
}

// hanging is a systemd whose jobs do not end.
type hanging struct{ host.Units }

func (hanging) Do(ctx context.Context, name string, _ host.Verb) error {
	<-ctx.Done()
	return errors.Join(errors.New("unit "+name), context.Cause(ctx))
}

// Fault 20: a unit that hangs in activating.
func TestF020AJobThatDoesNotEndIsWaitedForABoundedTime(t *testing.T) {
	f := machine()
	h := f.Host()
	h.Units = hanging{h.Units}
	book := bookOf(t, f)
	if book.jobTimeout != JobTimeout {
		t.Fatalf("the wait is bounded by %s, not %s", book.jobTimeout, JobTimeout)
	}
	book.jobTimeout = 50 * time.Millisecond
	began := time.Now()
	results, err := Apply(t.Context(), h, book, one(map[string]string{}), began, nil)
	if took := time.Since(began); err != nil || took > 5*time.Second {
		t.Fatalf("it took %s: %v", took, err)
	}
	if got := results.Err(); got == nil || !strings.Contains(got.Error(), "no result after 50ms; it goes on without being waited for") {
		t.Errorf("got %v", got)
	}
}
