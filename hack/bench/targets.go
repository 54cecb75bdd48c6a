package main

import "strconv"

// target is what the design promises of one value of one benchmark.
type target struct {
	what      string
	benchmark string // name without "Benchmark", sub-benchmarks with their slash
	unit      string // as given to b.ReportMetric, or one of go test's own
	atMost    float64
}

func (t target) limit() string { return "≤ " + strconv.FormatFloat(t.atMost, 'g', -1, 64) }

// targets are for the reference host: 1,000 files, 50 units, 100 sysctls.
var targets = []target{
	{what: "pass with nothing to do", benchmark: "PassWithNothingToDo", unit: "p50-ms", atMost: 100},
	{what: "its writes", benchmark: "PassWithNothingToDo", unit: "writes/op", atMost: 0},
	{what: "its fsyncs", benchmark: "PassWithNothingToDo", unit: "fsyncs/op", atMost: 0},
	{what: "first apply of 100 files, durable", benchmark: "FirstApplyOf100Files", unit: "p50-ms", atMost: 500},
	{what: "drift of a file, seen", benchmark: "DriftOfAFile", unit: "seen-p99-ms", atMost: 1000},
	{what: "drift of a file, repaired", benchmark: "DriftOfAFile", unit: "repaired-p99-ms", atMost: 2000},
	{what: "memory of an idle agent", benchmark: "AgentMemory", unit: "rss-MiB", atMost: 40},
	{what: "memory of the manager", benchmark: "ManagerMemory", unit: "rss-MiB", atMost: 150},
}
