package main

import (
	"regexp"
	"strconv"
	"strings"
)

// result is one measured value of one benchmark.
type result struct {
	benchmark string // without "Benchmark" and the number of processors
	unit      string
	value     float64
}

var processors = regexp.MustCompile(`-\d+$`)

// parse reads a line such as "BenchmarkRender-2  100  1234 ns/op  12 B/op"; the number of rounds is
// left out. It returns false for any other line.
func parse(line string) ([]result, bool) {
	name, ok := strings.CutPrefix(line, "Benchmark")
	fields := strings.Fields(name)
	if !ok || len(fields) < 4 || len(fields)%2 != 0 {
		return nil, false
	}
	if _, err := strconv.Atoi(fields[1]); err != nil {
		return nil, false
	}
	name = processors.ReplaceAllString(fields[0], "")
	var results []result
	for i := 2; i < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return nil, false
		}
		results = append(results, result{benchmark: name, unit: fields[i+1], value: value})
	}
	return results, true
}

func isFailure(line string) bool {
	return strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "panic:")
}

// isContext is true for what says where and how it was measured, and for what a benchmark logs.
func isContext(line string) bool {
	return strings.HasPrefix(line, "cpu:") || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "--- ")
}
