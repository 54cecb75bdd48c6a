package main

import (
	"strings"
	"testing"
)

const measured = `goos: linux
cpu: A Processor
BenchmarkPassWithNothingToDo-2   	     100	  12345678 ns/op	        12.50 p50-ms	         1.000 writes/op	    4096 B/op	      30 allocs/op
BenchmarkRender/guide-2          	       1	1500000000 ns/op
PASS
ok  	seedbed.dev/seedbed/x	2.1s
`

func TestTheTableShowsEachValueWithItsTarget(t *testing.T) {
	var out strings.Builder
	if status := run(strings.NewReader(measured), &out); status != 0 {
		t.Errorf("exit status %d, want 0: a missed target is no failure", status)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		rows[strings.Join(strings.Fields(line), " ")] = true
	}
	for row, reason := range map[string]string{
		"cpu: A Processor":                                    "values mean nothing without the machine",
		"PassWithNothingToDo 12.3 ms/op":                      "nanoseconds are for machines",
		"12.5 p50-ms ≤ 100 ok":                                "a target that was met",
		"1 writes/op ≤ 0 MISSED":                              "a target that was missed",
		"4 KiB/op":                                            "bytes are for machines",
		"Render/guide 1.5 s/op":                               "a sub-benchmark keeps its name",
		"its fsyncs: ≤ 0 fsyncs/op (PassWithNothingToDo)":     "a target that nothing measured",
		"memory of an idle agent: ≤ 40 rss-MiB (AgentMemory)": "a benchmark that did not run",
	} {
		if !rows[row] {
			t.Errorf("no row %q (%s) in:\n%s", row, reason, out.String())
		}
	}
}

func TestAFailedBenchmarkFails(t *testing.T) {
	for _, line := range []string{"--- FAIL: BenchmarkRender", "FAIL\tseedbed.dev/seedbed/x\t1s", "panic: boom"} {
		var out strings.Builder
		if status := run(strings.NewReader(line+"\n"), &out); status != 1 || !strings.Contains(out.String(), line) {
			t.Errorf("%q: exit status %d, want 1; output:\n%s", line, status, out.String())
		}
	}
}

func TestWhatIsNoResultIsNotReadAsOne(t *testing.T) {
	for _, line := range []string{"", "PASS", "BenchmarkRender", "BenchmarkRender-2", "BenchmarkRender some words here", "BenchmarkRender-2 10 x ns/op"} {
		if found, ok := parse(line); ok {
			t.Errorf("parse(%q) = %v, want nothing", line, found)
		}
	}
}
