package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

func TestNothingIsTouchedHoweverOftenTheLedgerCannotBeWritten(t *testing.T) {
	f := machine()
	before := f.Dump()
	full := errors.New("no space left on device")
	f.FailWhen(func(c hosttest.Call) error {
		if c.Op == "store.Write" && strings.Contains(c.Args, "ledger.json") {
			return full
		}
		return nil
	})
	h := f.Host()
	book, err := apply.Open(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range 3 {
		p := plan.New(version(1), host.Observe(ctx, h, version(1), book.Ledger()), book.Ledger())
		if _, err := apply.Apply(ctx, h, book, p, now, nil); !errors.Is(err, full) {
			t.Errorf("pass %d: %v", i+1, err)
		}
		if f.Dump() != before {
			t.Fatalf("pass %d changed the host without a ledger on disk", i+1)
		}
	}
	f.FailWhen(nil)
	settle(t, f, version(1))
	settle(t, f.Restart(), state.New())
	if restored, _ := f.File(daemon); string(restored.Content) != `{"mine": true}` {
		t.Errorf("the user's file came back as %q", restored.Content)
	}
}

func TestUnitWhoseLastInputGoesAwayIsRestartedOnce(t *testing.T) {
	f := machine()
	desired := version(1)
	settle(t, f, desired)
	before := starts(f, docker)
	u := desired.Units[docker]
	u.Inputs = nil
	desired.Units[docker] = u
	delete(desired.Files, daemon)
	delete(desired.Files, dropIn)
	for range 5 {
		if _, results, err := pass(t, f, desired); err != nil || results.Err() != nil {
			t.Fatal(err, results.Err())
		}
	}
	if got := starts(f, docker) - before; got != 1 {
		t.Errorf("docker was restarted %d times for one change", got)
	}
}

func TestRemovalKilledAtAnyMomentReloadsSystemdBeforeItRestarts(t *testing.T) {
	for n := 1; ; n++ {
		f := machine()
		f.SetUnit(docker, state.Unit{Enablement: state.Enabled, Activity: state.Active}) // so nothing but daemon-reload reloads
		settle(t, f, version(1))
		f = f.Restart()
		f.KillAt(n, hosttest.After)
		_, _, _ = pass(t, f, state.New()) // dies
		if !f.Killed() {
			return
		}
		settle(t, f.Restart(), state.New())
		noStaleJobs(t, f)
	}
}

func TestPowerCutBetweenFileAndRestartRestartsNothingMore(t *testing.T) {
	for n := 1; ; n++ {
		f := machine()
		settle(t, f, version(1))
		f = f.Restart()
		f.KillAt(n, hosttest.After)
		_, _, _ = pass(t, f, version(2)) // dies
		if !f.Killed() {
			return
		}
		f = f.PowerCut()
		runs := starts(f, docker)
		booted, _ := f.File(daemon)
		settle(t, f, version(2))
		want := 1
		if string(booted.Content) == string(version(2).Files[daemon].Content) {
			want = 0 // docker booted with the new file
		}
		if got := starts(f, docker) - runs; got != want {
			t.Errorf("cut after call %d: docker was started %d times after the boot, want %d", n, got, want)
		}
	}
}

func TestDriftThatAUnitHasReadIsCuredWithARestart(t *testing.T) {
	f := machine()
	settle(t, f, version(1))
	f = f.Restart()
	f.Put(daemon, file(`{"bad": true}`, ""))
	if err := f.Host().Units.Do(context.Background(), docker, host.Restart); err != nil {
		t.Fatal(err)
	}
	runs := starts(f, docker)
	settle(t, f, version(1))
	if got := starts(f, docker) - runs; got != 1 {
		t.Errorf("docker was started %d times; it runs with the bad file until it is", got)
	}
}

func TestFolderInTheWayIsNotPutBackAsAFile(t *testing.T) {
	f := machine()
	f.Put(config, state.File{Type: state.Directory, Mode: 0o755, Owner: "root", Group: "root"})
	if _, results, err := pass(t, f, version(1)); err != nil || results.Err() == nil {
		t.Fatalf("a folder in the way was no failure: %v", err)
	}
	f.Delete(config)
	settle(t, f, version(1))
	settle(t, f, state.New())
	if left, ok := f.File(config); ok {
		t.Errorf("the removal made %s", left.Describe())
	}
}

func TestLedgerThatCouldNotBeWrittenIsWrittenByAPassWithNothingToDo(t *testing.T) {
	f := hosttest.New()
	desired := state.New()
	desired.Files[daemon] = file("{}", state.ComponentDocker)
	full := errors.New("no space left on device")
	writes := 0
	f.FailWhen(func(c hosttest.Call) error {
		if c.Op != "store.Write" {
			return nil
		}
		if writes++; writes > 1 { // after the file was written
			return full
		}
		return nil
	})
	h := f.Host()
	book, err := apply.Open(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	again := func() (plan.Plan, error) {
		p := plan.New(desired, host.Observe(ctx, h, desired, book.Ledger()), book.Ledger())
		_, err := apply.Apply(ctx, h, book, p, now, nil)
		return p, err
	}
	if _, err := again(); !errors.Is(err, full) {
		t.Fatalf("got %v, want the ledger's error", err)
	}
	if p, err := again(); !p.Empty() || !errors.Is(err, full) {
		t.Errorf("a ledger that still cannot be written is no error: %v\n%s", err, p)
	}
	f.FailWhen(nil)
	if p, err := again(); !p.Empty() || err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	onDisk, err := apply.Open(f.Restart().Host().Store)
	if err != nil {
		t.Fatal(err)
	}
	if got := onDisk.Ledger().Owned[state.Ref{Kind: state.KindFile, Name: daemon}].Applied; got == "" {
		t.Error("the ledger on disk does not know what was applied")
	}
}

func TestAFileThatSomebodyChangedIsReloadedAfterACrashToo(t *testing.T) {
	desired := version(1)
	u := desired.Units[docker]
	u.Inputs = append(u.Inputs, state.Input{Name: daemon + " (live keys)", Path: daemon, Hash: "live", Disruption: state.Reload})
	desired.Units[docker] = u
	drifted := func() *hosttest.Fake {
		f := machine()
		settle(t, f, desired)
		f.Put(daemon, file(`{"registry-mirrors": ["https://mine.example"]}`, ""))
		return f.Restart()
	}
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n++ {
			f := drifted()
			f.KillAt(n, when)
			_, _, _ = pass(t, f, desired) // dies
			if !f.Killed() {
				if n < 4 {
					t.Fatalf("only %d changing calls: nothing was tested", n-1)
				}
				break
			}
			f = f.Restart()
			settle(t, f, desired)
			jobs := f.Jobs(docker)
			if last := jobs[len(jobs)-1]; last.Verb != host.Reload {
				t.Errorf("killed at call %d (%v): the last job of docker is %s, so that it goes on with what somebody had written", n, when, last.Verb)
			}
		}
	}
}
