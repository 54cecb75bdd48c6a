package resolve

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// flagSet is what is known of a program's command line.
type flagSet struct {
	// owned flags, by name without dashes, and the field of the API that sets each.
	owned map[string]string
	// short names of owned flags.
	short map[string]string
	// switches among the owned flags: they take no separate value.
	switches []string
	// removed flags and the release that removed them.
	removed map[string]removal
	// singleDash is true for Go's flag package, where -name and --name are the same.
	singleDash bool
}

// removal is the end of a flag.
type removal struct{ in, instead string }

var argument = regexp.MustCompile(`^--([a-zA-Z0-9][a-zA-Z0-9_-]*)(=|$)`)

// extraArgs checks a user's additional flags.
func (r *resolver) extraArgs(field string, args []v1alpha1.Argument, set flagSet, v *version.Version) []string {
	var checked []string
	for i, a := range args {
		at, word := fmt.Sprintf("%s[%d]", field, i), string(a)
		if !r.text(at, word) {
			continue
		}
		match := argument.FindStringSubmatch(word)
		if match == nil {
			r.invalid(at, word, "not a flag in one word: write --name or --name=value")
			continue
		}
		name := strings.ReplaceAll(match[1], "_", "-")
		if by, owned := set.owned[name]; owned {
			r.invalid(at, word, "Seedbed sets --%s from %s: set it there, and remove it here", name, by)
			continue
		}
		if gone, ok := set.removed[name]; ok && v != nil && !below(v, gone.in) {
			r.add(v1alpha1.ReasonVersionUnsupported, at, word, "--%s was removed in %s: %s", name, gone.in, gone.instead)
			continue
		}
		if name == "version" || name == "help" {
			r.invalid(at, word, "makes the program print and exit: remove it")
			continue
		}
		checked = append(checked, word)
	}
	return checked
}

// packageArgs returns what stays of the arguments of a package's unit. The rule, in the docs under
// "packages": a flag that Seedbed sets is dropped with its value, so that no setting has two
// owners (SB015); a word that comes from an environment file is dropped, since what it holds
// cannot be checked (SB024), and text that only systemd can fill in is refused; all else stays.
func (r *resolver) packageArgs(name v1alpha1.ComponentName, set flagSet) []string {
	if _, downloaded := r.binaryOf(name); downloaded {
		return nil
	}
	field := factsField(name) + ".execStart"
	var words []string
	for _, c := range r.in.Facts.Components {
		if c.Name != name || c.Source != v1alpha1.SourcePackage {
			continue
		}
		if len(c.ExecStart) == 0 {
			r.add(v1alpha1.ReasonUnitMissing, field, "", "the package's unit has no ExecStart to build on: reinstall the package, or remove it so that Seedbed writes the whole unit")
			return nil
		}
		words = c.ExecStart[1:]
	}
	var kept []string
	for i := 0; i < len(words); i++ {
		word := words[i]
		if !r.text(fmt.Sprintf("%s[%d]", field, i+1), word) || environmentWord.MatchString(word) {
			continue
		}
		if strings.Contains(strings.ReplaceAll(word, "$$", ""), "$") {
			r.invalid(fmt.Sprintf("%s[%d]", field, i+1), word, "takes part of its text from an environment file, which cannot be checked: give the package's unit a drop-in without it")
			continue
		}
		if strings.Contains(strings.ReplaceAll(word, "%%", ""), "%") {
			r.invalid(fmt.Sprintf("%s[%d]", field, i+1), word, "has a specifier, which only systemd expands: give the package's unit a drop-in with the text itself, and %%%% for a percent sign")
			continue
		}
		owned, takesNext := set.match(word)
		if owned {
			if takesNext {
				i++
			}
			continue
		}
		kept = append(kept, literal.Replace(word))
	}
	return kept
}

// literal undoes the escapes of a command line of systemd's (systemd.service(5)).
var literal = strings.NewReplacer("$$", "$", "%%", "%")

var environmentWord = regexp.MustCompile(`^\$(\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)$`)

// match says whether a word is an owned flag, and whether the next word is its value.
func (s flagSet) match(word string) (owned, takesNext bool) {
	dashes := len(word) - len(strings.TrimLeft(word, "-"))
	name, _, hasValue := strings.Cut(word[dashes:], "=")
	if dashes == 0 || dashes > 2 || name == "" {
		return false, false
	}
	if dashes == 1 && !s.singleDash {
		long, ok := s.short[name[:1]]
		if !ok {
			return false, false
		}
		hasValue = hasValue || len(name) > 1
		name = long
	}
	name = strings.ReplaceAll(name, "_", "-")
	if _, owned = s.owned[name]; !owned {
		return false, false
	}
	return true, !hasValue && !slices.Contains(s.switches, name)
}
