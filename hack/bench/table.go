package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// table prints results in the order they came, one row a value, then what no benchmark measured.
func table(results []result, targets []target) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nBENCHMARK\tVALUE\tUNIT\tTARGET\t")
	last := ""
	for _, r := range results {
		name := r.benchmark
		if name == last {
			name = ""
		}
		last = r.benchmark
		value, unit := human(r.value, r.unit)
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", name, value, unit, verdict(r, targets))
	}
	_ = w.Flush() // writes to memory
	if missing := unmeasured(results, targets); len(missing) > 0 {
		b.WriteString("\nNot measured in this run:\n")
		for _, t := range missing {
			fmt.Fprintf(&b, "  %s: %s %s (%s)\n", t.what, t.limit(), t.unit, t.benchmark)
		}
	}
	return b.String()
}

func verdict(r result, targets []target) string {
	i := slices.IndexFunc(targets, func(t target) bool { return t.benchmark == r.benchmark && t.unit == r.unit })
	switch {
	case i < 0:
		return ""
	case r.value <= targets[i].atMost:
		return targets[i].limit() + " ok"
	}
	return targets[i].limit() + " MISSED"
}

func unmeasured(results []result, targets []target) []target {
	return slices.DeleteFunc(slices.Clone(targets), func(t target) bool {
		return slices.ContainsFunc(results, func(r result) bool { return r.benchmark == t.benchmark && r.unit == t.unit })
	})
}

// human turns nanoseconds and bytes into the unit that a person would choose.
func human(value float64, unit string) (shown, shownUnit string) {
	if rest, ok := strings.CutPrefix(unit, "ns"); ok {
		value, unit = scale(value, rest, []string{"ns", "µs", "ms", "s"}, 1000)
	} else if rest, ok := strings.CutPrefix(unit, "B/"); ok {
		value, unit = scale(value, "/"+rest, []string{"B", "KiB", "MiB", "GiB"}, 1024)
	}
	if value == float64(int64(value)) {
		return strconv.FormatInt(int64(value), 10), unit
	}
	return strconv.FormatFloat(value, 'g', 3, 64), unit
}

func scale(value float64, rest string, units []string, step float64) (float64, string) {
	i := 0
	for value >= step && i+1 < len(units) {
		value /= step
		i++
	}
	return value, units[i] + rest
}
