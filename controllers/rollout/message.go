package rollout

import (
	"fmt"
	"strings"
	"unicode"
)

// shown is how many names a message lists. A status is bounded; the NodeStates have the detail.
const shown = 3

// list writes sorted names, at most shown of them: "node-a, node-b and 4 more".
func list(names []string) string {
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// maxQuote bounds what is repeated of a message that a node wrote, in runes.
const maxQuote = 200

// quote makes one printable line of bounded length out of a message that came from a node, which
// may be hostile.
func quote(s string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
	if len(runes) > maxQuote {
		return string(runes[:maxQuote]) + "…"
	}
	return string(runes)
}
