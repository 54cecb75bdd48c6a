package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers/cli"
)

// prompts and what may come before the program on a line.
var lead = regexp.MustCompile(`^(?:[a-z-]+[$#] |[$#] |sudo |ssh \S+ |\./|bin/)+`)

// commands are the command lines of a page that start seedbed, each on one line.
func (p page) commands(program string) []string {
	var found []string
	for _, b := range p.blocks {
		for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
			line = lead.ReplaceAllString(strings.TrimSpace(line), "")
			if strings.HasPrefix(line, program+" ") {
				found = append(found, line)
			}
		}
	}
	for _, quoted := range code.FindAllString(p.prose, -1) {
		if line := lead.ReplaceAllString(strings.Trim(quoted, "`"), ""); strings.HasPrefix(line, program+" ") {
			found = append(found, line)
		}
	}
	return found
}

func TestEveryCommandAndFlagOfThePagesIsThere(t *testing.T) {
	checked := 0
	for _, p := range pages(t) {
		for _, line := range p.commands("seedbed") {
			checked++
			if problem := unknown(line); problem != "" {
				t.Errorf("%s: %s: %s", p.path, line, problem)
			}
		}
	}
	if checked < 50 {
		t.Errorf("found %d commands only", checked)
	}
}

// unknown is what a command line has that seedbed has not.
func unknown(line string) string {
	line, _, _ = strings.Cut(line, " #")
	words := strings.Fields(line)[1:]
	c, rest, err := cli.NewRoot().Find(words)
	if err != nil {
		return err.Error()
	}
	// What is left may be operands, but not of a command that is there for its subcommands.
	if len(rest) > 0 && c.HasSubCommands() && c.Name() != "seed" && !strings.HasPrefix(rest[0], "-") {
		return "no command " + rest[0]
	}
	for _, word := range rest {
		name, _, _ := strings.Cut(strings.Trim(word, "[]()'\""), "=")
		switch {
		case word == "|" || word == "<" || word == ">":
			return ""
		case strings.HasPrefix(name, "--"):
			if !hasFlag(c, name[2:]) {
				return "no flag " + name
			}
		case len(name) == 2 && name[0] == '-':
			if c.Flags().ShorthandLookup(name[1:]) == nil {
				return "no flag " + name
			}
		}
	}
	return ""
}

func hasFlag(c *cobra.Command, name string) bool {
	return c.Flags().Lookup(name) != nil || name == "help"
}

func TestEveryMakeTargetOfThePagesIsThere(t *testing.T) {
	makefile, err := os.ReadFile(top + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, line := range p.commands("make") {
			for _, word := range strings.Fields(line)[1:] {
				if strings.ContainsAny(word, "=#'") {
					break
				}
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(word) + `:`).Match(makefile) {
					t.Errorf("%s: %s: no target %s", p.path, line, word)
				}
			}
		}
	}
}
