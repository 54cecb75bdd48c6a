package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func lines(events ...event) string {
	var b strings.Builder
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

func one(action, test string) event { return event{Action: action, Package: "p", Test: test} }

func says(test, output string) event {
	return event{Action: "output", Package: "p", Test: test, Output: output}
}

const ginkgoReport = "\x1b[38;5;9m\x1b[1mFAIL!\x1b[0m -- \x1b[38;5;10m\x1b[1m7 Passed\x1b[0m | \x1b[38;5;9m\x1b[1m2 Failed\x1b[0m | 1 Flaked | \x1b[38;5;11m\x1b[1m1 Pending\x1b[0m | \x1b[38;5;14m\x1b[1m1 Skipped\x1b[0m\n"

func TestTheClosingLineCountsWhatRan(t *testing.T) {
	cases := map[string]struct {
		reason string
		input  string
		status int
		last   string
		says   []string
	}{
		"passed": {
			reason: "each test function counts",
			input:  lines(one("start", ""), one("run", "TestA"), one("pass", "TestA"), one("run", "TestB"), one("pass", "TestB"), one("pass", "")),
			last:   "2 passed, 0 failed, 0 skipped", says: []string{"ok    p  2 passed, 0 failed, 0 skipped"},
		},
		"subtests": {
			reason: "a parent is no test of its own, and a name may hold slashes",
			input: lines(one("run", "TestA"), one("run", "TestA/x"), one("pass", "TestA/x"), one("run", "TestA/y/z"), one("pass", "TestA/y/z"),
				one("pass", "TestA"), one("pass", "")),
			last: "2 passed, 0 failed, 0 skipped",
		},
		"failed subtest": {
			reason: "the parent failed only because its subtest did",
			input: lines(one("run", "TestA"), one("run", "TestA/x"), says("TestA/x", "    a_test.go:3: boom\n"), one("fail", "TestA/x"),
				one("run", "TestA/y"), one("pass", "TestA/y"), one("fail", "TestA"), one("fail", "")),
			status: 1, last: "1 passed, 1 failed, 0 skipped", says: []string{"--- FAIL p TestA/x", "boom", "Failed:\n  p TestA/x\n"},
		},
		"parent's own failure": {
			reason: "its subtests passed and it still failed",
			input:  lines(one("run", "TestA"), one("run", "TestA/x"), one("pass", "TestA/x"), one("fail", "TestA"), one("fail", "")),
			status: 1, last: "1 passed, 1 failed, 0 skipped",
		},
		"skipped": {
			reason: "a skip says why",
			input: lines(one("run", "TestA"), one("pass", "TestA"), one("run", "TestB"), says("TestB", "=== RUN   TestB\n"),
				says("TestB", "    b_test.go:7: needs root\n"), one("skip", "TestB"), one("pass", "")),
			last: "1 passed, 0 failed, 1 skipped", says: []string{"Skipped, and why:\n  needs root\n    p TestB\n"},
		},
		"no test files": {
			reason: "a package without tests is no skipped test",
			input:  lines(one("run", "TestA"), one("pass", "TestA"), one("pass", ""), event{Action: "skip", Package: "q"}),
			last:   "1 passed, 0 failed, 0 skipped",
		},
		"suite": {
			reason: "a Ginkgo suite is one test to go but many specs",
			input:  lines(one("run", "TestSuite"), says("TestSuite", ginkgoReport), one("fail", "TestSuite"), one("fail", "")),
			status: 1, last: "7 passed, 2 failed, 2 skipped", says: []string{"reason not shown: run the suite with -ginkgo.v", "pending"},
		},
		"suite with reasons": {
			reason: "with -ginkgo.v a suite says which specs were skipped and why",
			input: lines(one("run", "TestSuite"), says("TestSuite", "S [SKIPPED] [0.000 seconds]\n"), says("TestSuite", "a host loads a module\n"),
				says("TestSuite", "/x_test.go:9\n"), says("TestSuite", "\n"), says("TestSuite", "  [SKIPPED] not root\n"),
				says("TestSuite", "------------\n"), says("TestSuite", "P [PENDING]\n"), says("TestSuite", "a host reboots\n"),
				says("TestSuite", strings.Replace(ginkgoReport, "2 Failed", "0 Failed", 1)), one("pass", "TestSuite"), one("pass", "")),
			last: "7 passed, 0 failed, 2 skipped", says: []string{"  not root\n    p a host loads a module\n", "  pending\n    p a host reboots\n"},
		},
		"does not build": {
			reason: "no test of the package ran, so the package itself is the failure",
			input: lines(event{Action: "build-output", ImportPath: "p [p.test]", Output: "p/a.go:1: undefined: x\n"},
				event{Action: "build-fail", ImportPath: "p [p.test]"}, one("start", ""),
				event{Action: "fail", Package: "p", FailedBuild: "p [p.test]"}),
			status: 1, last: "0 passed, 1 failed, 0 skipped", says: []string{"undefined: x", "FAIL  p"},
		},
		"panic": {
			reason: "the test that a panic cut off has no result of its own",
			input:  lines(one("run", "TestA"), says("TestA", "panic: oh no\n"), one("fail", "")),
			status: 1, last: "0 passed, 1 failed, 0 skipped", says: []string{"CUT OFF TestA", "oh no"},
		},
		"killed": {
			reason: "a go command that died in the middle must not look like success",
			input:  lines(one("start", ""), one("run", "TestA"), one("pass", "TestA")),
			status: 1, last: "1 passed, 1 failed, 0 skipped", says: []string{"p (did not finish)"},
		},
		"nothing": {
			reason: "a run without a test proves nothing",
			input:  "", status: 2, last: "0 passed, 0 failed, 0 skipped",
		},
		"no event": {
			reason: "complaints of the go command are shown",
			input:  "go: cannot find main module\n", status: 2, last: "0 passed, 0 failed, 0 skipped", says: []string{"go: cannot find main module"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			status := run(strings.NewReader(tc.input), &out, false)
			all := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if diff := cmp.Diff([]any{tc.status, tc.last}, []any{status, all[len(all)-1]}); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, out.String())
			}
			for _, text := range tc.says {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%s: the output lacks %q:\n%s", tc.reason, text, out.String())
				}
			}
		})
	}
}

func TestALongOutputKeepsItsEnd(t *testing.T) {
	var o output
	for range 5 * maxKept / 10 {
		o.add("123456789\n")
	}
	o.add("the end")
	if len(o) > 2*maxKept || !strings.HasSuffix(string(o), "the end") {
		t.Errorf("%d bytes kept, want at most %d with the end among them", len(o), 2*maxKept)
	}
}

// The format belongs to the go command, so its own output is read too.
func TestItReadsWhatThisGoCommandPrints(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n",
		"m_test.go": `package m

import "testing"

func TestPass(t *testing.T) { t.Run("a", func(*testing.T) {}); t.Run("b", func(*testing.T) {}) }
func TestSkip(t *testing.T) { t.Skip("no root here") }
func TestFail(t *testing.T) { t.Error("wrong") }
`,
		"broken/b_test.go": "package broken\n\nvar _ = undefined\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "go", "test", "-json", "./...")
	command.Dir = folder
	command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	events, err := command.Output()
	if err == nil {
		t.Fatal("a failing test made go test succeed")
	}
	var out strings.Builder
	if status := run(strings.NewReader(string(events)), &out, false); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	for _, text := range []string{"wrong", "undefined: undefined", "  no root here\n    example.com/m TestSkip\n", "\n2 passed, 2 failed, 1 skipped\n"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the output lacks %q:\n%s", text, out.String())
		}
	}
}

func TestLiveOutputIsShownOnceAndWhenItComes(t *testing.T) {
	input := lines(one("run", "TestA"), says("TestA", "booting\n"), says("TestA", "    a_test.go:3: boom\n"), one("fail", "TestA"),
		says("", "FAIL\n"), one("fail", ""))
	var out strings.Builder
	if status := run(strings.NewReader(input), &out, true); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if n := strings.Count(out.String(), "boom"); n != 1 {
		t.Errorf("%q is shown %d times, want once:\n%s", "boom", n, out.String())
	}
	begin := newTally()
	begin.live = true
	if shown := begin.add(says("TestA", "booting\n")); shown != "booting\n" {
		t.Errorf("%q is shown when the test has only begun, want %q", shown, "booting\n")
	}
	if want := "\n0 passed, 1 failed, 0 skipped\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("the output ends with\n%s\nwant %q", out.String(), want)
	}
}
