package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

const kubeletProgram = "/usr/bin/kubelet"

// checked gives a file the kubelet's check; its unit is judged with the configuration.
func checked(f state.File, config []byte) state.File {
	f.Checks = []state.Check{{
		Program: kubeletProgram, Args: []string{"--config=" + state.CheckCandidate},
		Content: config, Control: []byte("control"), Cure: "correct kubelet.config",
	}}
	return f
}

// judgeKubelet refuses odd versions from 3 on.
func judgeKubelet(t host.Trial) (host.Answer, error) {
	var n int
	if _, err := fmt.Sscanf(string(t.Content), "version: %d", &n); err == nil && n > 2 && n%2 == 1 {
		return host.Answer{Status: 1, Output: fmt.Sprintf("unknown version %d\n", n)}, nil
	}
	return host.Answer{}, nil
}

// asked wraps a judge and records what it was asked.
func asked(f *hosttest.Fake, judge func(host.Trial) (host.Answer, error)) *[]string {
	var questions []string
	f.Judge(kubeletProgram, func(t host.Trial) (host.Answer, error) {
		questions = append(questions, strings.TrimSpace(t.Path+" "+string(t.Content)))
		return judge(t)
	})
	return &questions
}

func TestF038ARefusedFileIsNotWrittenAndItsUnitNotTouched(t *testing.T) {
	f := machine()
	settle(t, f, version(1))
	before, starts1 := f.Dump(), starts(f, kubelet)
	f.ForgetJournal()
	var messages []string
	for range 3 {
		f = f.Restart()
		_, results, err := pass(t, f, version(3))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []struct {
			action  plan.Action
			target  string
			outcome apply.Outcome
		}{
			{plan.Write, config, apply.Failed},
			{plan.Restart, kubelet, apply.Skipped},
		} {
			if got := outcome(results, want.action, want.target); got != want.outcome {
				t.Errorf("%s %s: %s, want %s", want.action, want.target, got, want.outcome)
			}
		}
		refused, ok := errors.AsType[*host.RefusedError](results.Err())
		if !ok {
			t.Fatalf("results: %v; want a *host.RefusedError", results.Err())
		}
		messages = append(messages, refused.Error())
	}
	if want := "file " + config + ": /usr/bin/kubelet refuses it, so it was not written: unknown version 3: correct kubelet.config"; messages[0] != want {
		t.Errorf("message %q, want %q", messages[0], want)
	}
	if len(slices.Compact(messages)) != 1 {
		t.Errorf("the message changes from pass to pass: %q", messages)
	}
	if starts(f, kubelet) != starts1 {
		t.Error("the kubelet was restarted")
	}
	after := f.Dump()
	// daemon.json is another component's, and goes on.
	drop := func(s string) string {
		return strings.Join(slices.DeleteFunc(strings.Split(s, "\n"), func(l string) bool { return strings.Contains(l, daemon) }), "\n")
	}
	if diff := cmp.Diff(drop(before), drop(after)); diff != "" {
		t.Errorf("the host was changed (-before +after):\n%s", diff)
	}
	settle(t, f, version(4))
	if starts(f, kubelet) != starts1+1 {
		t.Errorf("the kubelet was started %d times after the cure, want once", starts(f, kubelet)-starts1)
	}
}

func TestARefusedFileIsRecordedAsWhatItIs(t *testing.T) {
	f := machine()
	settle(t, f, version(1))
	applied := func() string {
		book, err := apply.Open(f.Host().Store)
		if err != nil {
			t.Fatal(err)
		}
		return book.Ledger().Owned[state.Ref{Kind: state.KindFile, Name: config}].Applied
	}
	was := applied()
	if _, _, err := pass(t, f, version(3)); err != nil {
		t.Fatal(err)
	}
	if got := applied(); got != was {
		t.Errorf("the ledger has %s as applied, want %s", got, was)
	}
}

func TestAFirstFileThatIsRefusedLeavesNothing(t *testing.T) {
	f := machine()
	// What a kernel module brings stays, and so does docker0: only files are compared.
	files := func() string {
		return strings.Join(slices.DeleteFunc(strings.Split(f.Dump(), "\n"), func(l string) bool { return !strings.HasPrefix(l, "file ") }), "\n")
	}
	pristine := files()
	if _, results, err := pass(t, f, version(3)); err != nil || outcome(results, plan.Write, config) != apply.Failed {
		t.Fatalf("err %v, results %+v", err, results)
	}
	settle(t, f, state.New())
	if diff := cmp.Diff(pristine, files()); diff != "" {
		t.Errorf("after a removal (-pristine +now):\n%s", diff)
	}
}

func TestEachQuestionIsAskedOnceInAPass(t *testing.T) {
	f := machine()
	questions := asked(f, judgeKubelet)
	settle(t, f, version(1))
	// The unit and the configuration are one question; a start asks none.
	if want := []string{unit + " version: 1"}; !slices.Equal(*questions, want) && !slices.Equal(*questions, []string{config + " version: 1"}) {
		t.Errorf("first install asked %q", *questions)
	}
	*questions = nil
	settle(t, f, version(2))
	if want := []string{config + " version: 2"}; !slices.Equal(*questions, want) {
		t.Errorf("a change asked %q, want %q", *questions, want)
	}
}

func TestWhatIsPutBackOrOnlyGetsAnotherModeIsNotAskedAbout(t *testing.T) {
	f := machine()
	settle(t, f, version(1))
	questions := asked(f, judgeKubelet)
	f.Put(config, file("rubbish", ""))
	settle(t, f, version(1))
	chmod := version(1)
	c := chmod.Files[config]
	c.Mode = 0o600
	chmod.Files[config] = c
	settle(t, f, chmod)
	if len(*questions) != 0 {
		t.Errorf("asked %q", *questions)
	}
}

// A program that was exchanged may refuse what is in place: the one that runs goes on.
func TestARestartAsksTheProgramThatWillStart(t *testing.T) {
	f := machine()
	settle(t, f, version(1))
	started := starts(f, kubelet)
	f.Judge(kubeletProgram, func(t host.Trial) (host.Answer, error) {
		if string(t.Content) == "control" {
			return host.Answer{}, nil
		}
		return host.Answer{Status: 1, Output: "a field of yours was removed\n"}, nil
	})
	exchanged := version(1)
	u := exchanged.Units[kubelet]
	u.Inputs = append(u.Inputs, state.Input{Name: kubeletProgram, Hash: "another", Disruption: state.Restart})
	exchanged.Units[kubelet] = u
	_, results, err := pass(t, f, exchanged)
	if err != nil || outcome(results, plan.Restart, kubelet) != apply.Failed {
		t.Fatalf("err %v, restart %s; want it refused", err, outcome(results, plan.Restart, kubelet))
	}
	if starts(f, kubelet) != started {
		t.Error("the kubelet was restarted into a program that refuses its configuration")
	}
	book, err := apply.Open(f.Host().Store)
	if err != nil {
		t.Fatal(err)
	}
	if book.Ledger().Started[kubelet].Pending != nil {
		t.Error("a restart that was not tried is on record as under way")
	}
}

func TestWithoutAnOpinionTheFileIsWrittenAndItIsSaid(t *testing.T) {
	cases := map[string]struct {
		reason   string
		sabotage func(*hosttest.Fake)
	}{
		"Absent": {
			reason:   "a program that is not there cannot be started either",
			sabotage: func(f *hosttest.Fake) { f.RemoveProgram(kubeletProgram) },
		},
		"RefusesAll": {
			reason: "a program that refuses what is known to be good has no opinion",
			sabotage: func(f *hosttest.Fake) {
				f.Judge(kubeletProgram, func(host.Trial) (host.Answer, error) { return host.Answer{Status: 1}, nil })
			},
		},
		"Slow": {
			reason: "one that does not answer has none",
			sabotage: func(f *hosttest.Fake) {
				f.Judge(kubeletProgram, func(host.Trial) (host.Answer, error) { return host.Answer{}, context.DeadlineExceeded })
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := machine()
			tc.sabotage(f)
			_, results, err := pass(t, f, version(3))
			if err != nil || results.Err() != nil {
				t.Fatalf("%s: %v, %v", tc.reason, err, results.Err())
			}
			i := slices.IndexFunc(results, func(r apply.Result) bool { return r.Step.Target.Name == config })
			if results[i].Outcome != apply.Done || results[i].Unchecked == nil {
				t.Errorf("%s: outcome %s, unchecked %v", tc.reason, results[i].Outcome, results[i].Unchecked)
			}
		})
	}
}

func TestAHostThatDoesNotRunIsNotAsked(t *testing.T) {
	f := machine()
	questions := asked(f, judgeKubelet)
	h := f.Host()
	h.Checker = nil
	book, err := apply.Open(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	desired := version(3)
	p := plan.New(desired, host.Observe(t.Context(), h, desired, book.Ledger()), book.Ledger())
	results, err := apply.Apply(t.Context(), h, book, p, now, nil)
	if err != nil || results.Err() != nil || len(*questions) != 0 {
		t.Errorf("err %v, %v, asked %q", err, results.Err(), *questions)
	}
}
