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
	book.Saw(map[string]state.Unit{unitName: f.Unit(unitName)})
	if len(book.tries) != 0 {
		t.Errorf("a unit that stays up left %v", book.tries)
	}
}

// down is one, for a unit that was found as it is.
func down(u state.Unit, inputs map[string]string) plan.Plan {
	p := one(inputs)
	p.Steps[0].Before = string(u.Activity)
	return p
}

// Faults 19 and 22: the start job of a simple service is done before its process has done anything.
func TestF019AUnitThatDiesAfterItsStartIsStartedWithAPauseThatDoubles(t *testing.T) {
	for _, end := range []state.Activity{state.Failed, state.Inactive} {
		t.Run("it ends "+string(end), func(t *testing.T) {
			f := machine()
			book := bookOf(t, f)
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			inputs := map[string]string{"a": "1"}
			pass := func(at time.Duration, inputs map[string]string) error {
				t.Helper()
				unit := f.Unit(unitName)
				book.Saw(map[string]state.Unit{unitName: unit})
				if unit.Activity == state.Active {
					return nil
				}
				results, err := Apply(t.Context(), f.Host(), book, down(unit, inputs), now.Add(at), nil)
				if err != nil {
					t.Fatal(err)
				}
				return results.Err()
			}
			set := func(as state.Activity, up time.Duration) {
				f.SetUnit(unitName, state.Unit{Activity: as, Uptime: up})
			}
			const life = time.Second
			var began time.Duration
			var last error
			for at := time.Duration(0); at < time.Minute; at += 100 * time.Millisecond {
				if f.Unit(unitName).Activity == state.Active && at-began >= life {
					set(end, 0)
				}
				before := len(f.Jobs(unitName))
				if err := pass(at, inputs); err != nil {
					last = err
				}
				if len(f.Jobs(unitName)) > before {
					began = at
					set(state.Active, life/2) // as each look finds it
				}
			}
			if got := len(f.Jobs(unitName)); got != 6 { // at 0, 1, 3, 7, 15 and 31 s
				t.Errorf("%d starts in a minute, want 6", got)
			}
			if last == nil || !strings.Contains(last.Error(), "ended soon after it was started: systemctl status "+unitName) {
				t.Errorf("meanwhile it says %v", last)
			}
			if err := pass(time.Minute, map[string]string{"a": "2"}); err != nil {
				t.Errorf("a start that reads something new has to wait: %v", err)
			}
			set(end, 0)
			if err := pass(time.Minute, map[string]string{"a": "2"}); err == nil {
				t.Error("a unit that died at once was started at once")
			}
			set(state.Active, staysUp)
			if err := pass(time.Minute, map[string]string{"a": "2"}); err != nil {
				t.Error(err)
			}
			set(end, 0)
			if err := pass(time.Minute, map[string]string{"a": "2"}); err != nil {
				t.Errorf("a unit that somebody mended and started, and that stayed up, has to wait when it stops: %v", err)
			}
		})
	}
}

func TestAUnitThatThePlanItselfStopsIsStartedWithoutAPause(t *testing.T) {
	f := machine()
	book := bookOf(t, f)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 5 {
		results, err := Apply(t.Context(), f.Host(), book, down(state.Unit{Activity: state.Active}, map[string]string{"a": "1"}), now, nil)
		if err != nil || results.Err() != nil {
			t.Fatalf("start %d: %v, %v", i, err, results.Err())
		}
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
