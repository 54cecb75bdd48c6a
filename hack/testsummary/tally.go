package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	Test        string
	Elapsed     float64
	Output      string
	ImportPath  string
	FailedBuild string
}

// maxKept bounds the output that is kept of one test or build, in bytes; the end is kept.
const maxKept = 1 << 20

// output is what a test or a build has printed lately.
type output []byte

func (o *output) add(text string) {
	*o = append(*o, text...)
	if len(*o) > 2*maxKept { // seldom, so that a long output is not copied for each line
		*o = append((*o)[:0], (*o)[len(*o)-maxKept:]...)
	}
}

// plain is the output without colours.
func (o *output) plain() string { return ansi.ReplaceAllString(string(*o), "") }

// tally counts the events of a run. It holds the output of a test only until the test has passed.
type tally struct {
	// live shows output as it comes.
	live     bool
	packages map[string]*testPackage
	builds   map[string]*output
	skips    []skip
	failures []string
	passed   int
	failed   int
	skipped  int
	broken   int
}

type testPackage struct {
	output  output
	running map[string]*test
	passed  int
	failed  int
	skipped int
}

type test struct {
	output    output
	parent    bool
	childFail bool
}

// skip is one test or spec that did not run.
type skip struct{ name, reason string }

func newTally() *tally {
	return &tally{packages: map[string]*testPackage{}, builds: map[string]*output{}}
}

// add takes one event and returns what to print now.
func (t *tally) add(e event) string {
	switch {
	case e.Action == "build-output":
		t.build(e.ImportPath).add(e.Output)
		return ""
	case e.Package == "":
		return ""
	case e.Test == "":
		return t.addPackage(e)
	}
	return t.addTest(e)
}

func (t *tally) addPackage(e event) string {
	p := t.pkg(e.Package)
	switch e.Action {
	case "output":
		p.output.add(e.Output)
		return t.now(e)
	case "skip":
		delete(t.packages, e.Package) // a package without test files
	case "pass":
		delete(t.packages, e.Package)
		return fmt.Sprintf("ok    %s  %s\n", e.Package, p.line(e.Elapsed))
	case "fail":
		delete(t.packages, e.Package)
		shown := ""
		if p.failed == 0 { // it did not build, panicked, ran out of time or exited
			t.failed++
			t.failures = append(t.failures, e.Package)
			shown = t.build(e.FailedBuild).plain()
			if !t.live {
				shown += p.unfinished() + p.output.plain()
			}
		}
		return fmt.Sprintf("%sFAIL  %s  %s\n", shown, e.Package, p.line(e.Elapsed))
	}
	return ""
}

func (t *tally) addTest(e event) string {
	p := t.pkg(e.Package)
	one := p.test(e.Test)
	if e.Action == "output" {
		one.output.add(e.Output)
		return t.now(e)
	}
	if e.Action != "pass" && e.Action != "fail" && e.Action != "skip" {
		return ""
	}
	delete(p.running, e.Test)
	parent := p.parentOf(e.Test)
	if e.Action == "fail" && parent != nil {
		parent.childFail = true
	}
	t.count(p, e, one)
	if e.Action != "fail" || t.live {
		return ""
	}
	return fmt.Sprintf("\n--- FAIL %s %s\n%s\n", e.Package, e.Test, one.output.plain())
}

// now is what of an output is shown at once.
func (t *tally) now(e event) string {
	if !t.live {
		return ""
	}
	return e.Output
}

// count adds a finished test: a suite by its specs, a parent only for a failure of its own.
func (t *tally) count(p *testPackage, e event, one *test) {
	name := e.Package + " " + e.Test
	passed, failed, skipped := 0, 0, 0
	specs, isSuite := readSuite(one.output.plain())
	switch {
	case isSuite:
		passed, failed, skipped = specs.passed, specs.failed, len(specs.skips)
		if e.Action == "fail" && failed == 0 {
			failed = 1
		}
		for _, s := range specs.skips {
			t.skips = append(t.skips, skip{name: e.Package + " " + s.name, reason: s.reason})
		}
	case e.Action == "skip":
		skipped = 1
		t.skips = append(t.skips, skip{name: name, reason: skipReason(one.output.plain())})
	case e.Action == "pass" && !one.parent:
		passed = 1
	case e.Action == "fail" && !one.childFail:
		failed = 1
	}
	if failed > 0 {
		t.failures = append(t.failures, name)
	}
	t.passed, t.failed, t.skipped = t.passed+passed, t.failed+failed, t.skipped+skipped
	p.passed, p.failed, p.skipped = p.passed+passed, p.failed+failed, p.skipped+skipped
}

// close ends the run: a package that began and never ended counts as failed.
func (t *tally) close() summary {
	for _, name := range slices.Sorted(maps.Keys(t.packages)) {
		t.failed++
		t.failures = append(t.failures, name+" (did not finish)")
	}
	return summary{
		passed: t.passed, failed: t.failed + t.broken, skipped: t.skipped,
		skips: t.skips, failures: t.failures,
	}
}

func (t *tally) pkg(name string) *testPackage {
	p, ok := t.packages[name]
	if !ok {
		p = &testPackage{running: map[string]*test{}}
		t.packages[name] = p
	}
	return p
}

func (t *tally) build(importPath string) *output {
	o, ok := t.builds[importPath]
	if !ok {
		o = &output{}
		t.builds[importPath] = o
	}
	return o
}

func (p *testPackage) test(name string) *test {
	one, ok := p.running[name]
	if !ok {
		one = &test{}
		p.running[name] = one
		if parent := p.parentOf(name); parent != nil {
			parent.parent = true
		}
	}
	return one
}

// parentOf returns the running test that name is a subtest of, or nil. A subtest's own name may
// hold slashes, so the nearest one that runs is meant.
func (p *testPackage) parentOf(name string) *test {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if parent, ok := p.running[name[:i]]; ok {
			return parent
		}
	}
	return nil
}

// unfinished is the output of the tests that a panic or a time limit cut off.
func (p *testPackage) unfinished() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.running)) {
		fmt.Fprintf(&b, "\n--- CUT OFF %s\n%s", name, p.running[name].output.plain())
	}
	return b.String()
}

func (p *testPackage) line(seconds float64) string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped (%.1fs)", p.passed, p.failed, p.skipped, seconds)
}
