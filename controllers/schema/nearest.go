package schema

import (
	"maps"
	"slices"
	"strings"
)

// nearest returns the known name that is at most two edits away from name;
// "" when there is none or more than one is as near.
func nearest[V any](name string, known map[string]V) string {
	best, least, tie := "", 3, false
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		d := distance(strings.ToLower(name), strings.ToLower(candidate))
		switch {
		case d < least:
			best, least, tie = candidate, d, false
		case d == least:
			tie = true
		}
	}
	if tie {
		return ""
	}
	return best
}

// distance is the number of single-character edits between two words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
