package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// summary is what is known when the run is over.
type summary struct {
	passed, failed, skipped int
	skips                   []skip
	failures                []string
}

// String prints failures and reasons of skips, then the counts alone on the last line.
func (s summary) String() string {
	var b strings.Builder
	if len(s.failures) > 0 {
		b.WriteString("\nFailed:\n")
		for _, name := range s.failures {
			fmt.Fprintf(&b, "  %s\n", name)
		}
	}
	if len(s.skips) > 0 {
		b.WriteString("\nSkipped, and why:\n")
		byReason := map[string][]string{}
		for _, one := range s.skips {
			byReason[one.reason] = append(byReason[one.reason], one.name)
		}
		for _, reason := range slices.Sorted(maps.Keys(byReason)) {
			fmt.Fprintf(&b, "  %s\n", reason)
			for _, name := range byReason[reason] {
				fmt.Fprintf(&b, "    %s\n", name)
			}
		}
	}
	fmt.Fprintf(&b, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return b.String()
}

func (s summary) exitStatus() int {
	switch {
	case s.failed > 0:
		return 1
	case s.passed == 0:
		return 2
	}
	return 0
}
