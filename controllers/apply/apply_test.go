package apply_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

func outcome(results apply.Results, action plan.Action, target string) apply.Outcome {
	for _, r := range results {
		if r.Step.Action == action && r.Step.Target.Name == target {
			return r.Outcome
		}
	}
	return "no such step"
}

func TestFailedStepStopsItsDependantsAndNoOthers(t *testing.T) {
	f := machine()
	full := errors.New("no space left on device")
	f.FailWhen(func(c hosttest.Call) error {
		if c.Op == "files.Write" && strings.HasPrefix(c.Args, dropIn) {
			return full
		}
		return nil
	})
	_, results, err := pass(t, f, version(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		action  plan.Action
		target  string
		outcome apply.Outcome
	}{
		{plan.Write, dropIn, apply.Failed},
		{plan.Write, config, apply.Done},
		{plan.Set, "net.ipv4.ip_forward", apply.Done},
		{plan.Enable, docker, apply.Skipped},
		{plan.Restart, docker, apply.Skipped},
		{plan.Enable, kubelet, apply.Done},
		{plan.Start, kubelet, apply.Skipped}, // after docker in the chain
	} {
		if got := outcome(results, want.action, want.target); got != want.outcome {
			t.Errorf("%s %s: %s, want %s", want.action, want.target, got, want.outcome)
		}
	}
	if got := results.Err(); !errors.Is(got, full) {
		t.Errorf("the cause is lost: %v", got)
	}
	if starts(f, docker) != 0 {
		t.Error("docker was restarted without its drop-in")
	}
}

func TestUnitThatFailsToStartIsReportedAndOwed(t *testing.T) {
	f := machine()
	f.RefuseUnit(docker, "failed")
	_, results, err := pass(t, f, version(1))
	if err != nil {
		t.Fatal(err)
	}
	if got := outcome(results, plan.Restart, docker); got != apply.Failed {
		t.Errorf("restart of a unit that will not start: %s", got)
	}
	f.RefuseUnit(docker, "")
	settle(t, f, version(1))
	if got := f.Unit(docker).Activity; got != state.Active {
		t.Errorf("docker is %s after the cause was lifted", got)
	}
}

func TestOriginalIsOnDiskBeforeTheFirstChange(t *testing.T) {
	f := machine()
	settleOnce := f.Host()
	book, err := apply.Open(settleOnce.Store)
	if err != nil {
		t.Fatal(err)
	}
	desired := version(1)
	p := plan.New(desired, host.Observe(context.Background(), settleOnce, desired, book.Ledger()), book.Ledger())
	if _, err := apply.Apply(context.Background(), settleOnce, book, p, now, nil); err != nil {
		t.Fatal(err)
	}
	journal := f.Journal()
	original := state.Hash([]byte(`{"mine": true}`))
	kept := slices.IndexFunc(journal, func(c string) bool { return strings.Contains(c, "priors/"+original) })
	ledger := slices.IndexFunc(journal, func(c string) bool { return strings.Contains(c, "ledger.json") })
	changed := slices.IndexFunc(journal, func(c string) bool { return !strings.HasPrefix(c, "store.") })
	if kept < 0 || kept > changed || ledger < 0 || ledger > changed {
		t.Errorf("the first change came before the original was kept:\n%s", strings.Join(journal, "\n"))
	}
}

func TestNothingIsTouchedWithoutALedger(t *testing.T) {
	f := machine()
	before := f.Dump()
	f.FailWhen(func(c hosttest.Call) error {
		if c.Op == "store.Write" {
			return fs.ErrPermission
		}
		return nil
	})
	if _, _, err := pass(t, f, version(1)); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("got %v, want the ledger's error", err)
	}
	if f.Dump() != before {
		t.Error("the host was changed although what was there before could not be recorded")
	}
}

func TestDriftIsCountedAcrossRestartsOfTheAgent(t *testing.T) {
	f := machine()
	settle(t, f, version(1))
	for i := range 3 {
		f = f.Restart()
		f.Put(daemon, file("oops", ""))
		settle(t, f, version(1))
		book, err := apply.Open(f.Host().Store)
		if err != nil {
			t.Fatal(err)
		}
		if got := book.Ledger(); got.Corrected != int64(i+1) || got.LastCorrected.What.Name != daemon {
			t.Errorf("after %d corrections the ledger has %d, last %+v", i+1, got.Corrected, got.LastCorrected)
		}
	}
	if got := starts(f, docker); got != 1 {
		t.Errorf("docker was started %d times; repairing a file it has not read again restarts nothing", got)
	}
}

func TestCancelledApplyStopsBetweenSteps(t *testing.T) {
	f := machine()
	h := f.Host()
	book, err := apply.Open(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("the agent is stopping")
	desired := version(1)
	p := plan.New(desired, host.Observe(ctx, h, desired, book.Ledger()), book.Ledger())
	results, err := apply.Apply(ctx, h, book, p, now, func(r apply.Result) {
		if r.Step.Target.Name == config {
			cancel(stop)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := outcome(results, plan.Restart, docker); got != apply.Skipped {
		t.Errorf("restart after the agent was stopped: %s", got)
	}
	settle(t, f.Restart(), desired)
}

func TestLedgerOfANewerReleaseIsRefused(t *testing.T) {
	f := hosttest.New()
	f.PutStore("ledger.json", []byte(`{"version": 99, "owned": {}}`))
	var newer *apply.NewerLedgerError
	if _, err := apply.Open(f.Host().Store); !errors.As(err, &newer) || newer.Version != 99 {
		t.Errorf("got %v", err)
	}
}

func TestDamagedLedgerIsSetAsideAndRebuilt(t *testing.T) {
	for name, content := range map[string]string{"zeroed": strings.Repeat("\x00", 64), "torn": `{"version": 1, "ow`, "empty": ""} {
		f := machine()
		settle(t, f, version(1))
		f.PutStore("ledger.json", []byte(content))
		runs := starts(f, docker)
		book, err := apply.Open(f.Host().Store)
		if err != nil || book.Rebuilt == "" {
			t.Fatalf("%s: %v, rebuilt %q", name, err, book.Rebuilt)
		}
		if !slices.Contains(f.StoreNames(), "ledger.json.damaged") {
			t.Errorf("%s: the damaged ledger was not kept for inspection", name)
		}
		settle(t, f, version(1))
		if starts(f, docker) != runs {
			t.Errorf("%s: docker was restarted although its files are as desired", name)
		}
	}
}
