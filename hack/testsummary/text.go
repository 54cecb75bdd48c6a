package main

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	ansi     = regexp.MustCompile("\x1b\\[[0-9;]*m")
	tSkip    = regexp.MustCompile(`^\s+\S+\.go:\d+: (.+)$`)
	suiteEnd = regexp.MustCompile(`-- (\d+) Passed \| (\d+) Failed \| (?:\d+ (?:Flaked|Repeated) \| )*(\d+) Pending \| (\d+) Skipped`)
)

// skipReason finds what was given to t.Skip in the output of a skipped test.
func skipReason(output string) string {
	reason := ""
	for line := range strings.Lines(output) {
		if m := tSkip.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			reason = m[1] // t.Skip is what ended the test, so the last one it is
		}
	}
	if reason == "" {
		return "no reason given"
	}
	return reason
}

type suite struct {
	passed, failed int
	skips          []skip
}

// readSuite reads the report of a Ginkgo suite. Which specs were skipped and why is in it only
// when the suite ran with -ginkgo.v; without, each is listed without a name.
func readSuite(output string) (suite, bool) {
	end := suiteEnd.FindStringSubmatch(output)
	if end == nil {
		return suite{}, false
	}
	s := suite{passed: number(end[1]), failed: number(end[2])}
	var skipped, pending []skip
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		switch {
		case i+1 == len(lines):
		case strings.HasPrefix(line, "S [SKIPPED]"):
			skipped = append(skipped, skip{name: lines[i+1], reason: specReason(lines[i+1:])})
		case strings.HasPrefix(line, "P [PENDING]"):
			pending = append(pending, skip{name: lines[i+1], reason: "pending"})
		}
	}
	s.skips = append(upTo(number(end[4]), skipped, "reason not shown: run the suite with -ginkgo.v"),
		upTo(number(end[3]), pending, "pending")...)
	return s, true
}

// specReason finds what was given to ginkgo.Skip, in the lines after a skipped spec's heading.
func specReason(lines []string) string {
	for _, line := range lines {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "[SKIPPED] ")
		switch {
		case strings.HasPrefix(line, "-----"):
			return "no reason given"
		case ok:
			return text
		}
	}
	return "no reason given"
}

// upTo makes found as long as the suite's own count n, which is the one to trust.
func upTo(n int, found []skip, reason string) []skip {
	found = found[:min(n, len(found))]
	for len(found) < n {
		found = append(found, skip{name: "a spec", reason: reason})
	}
	return found
}

// number reads digits that a regular expression has matched already.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
