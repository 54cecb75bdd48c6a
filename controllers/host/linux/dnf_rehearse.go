package linux

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

// rehearse has dnf work the transaction out, and refuses one that would remove what nobody named: rpm
// erases what a new package says that it obsoletes. A script (dnf(8), "shell") ends well whatever
// becomes of it, so that what it would do is looked at as well.
func (d *dnf) rehearse(ctx context.Context, remove []string, install map[string]string, words []string) error {
	out, errOut, err := d.start(ctx, slices.Concat([]string{"--assumeno"}, words)...)
	worked := worksOut(out)
	if err != nil && !worked.known {
		return dnfError(err, errOut+"\n"+out)
	}
	if others := worked.foreign(remove); len(others) > 0 {
		return wouldGo(others)
	}
	missing, err := d.left(ctx, worked, remove, install)
	if err != nil || len(missing) == 0 {
		return err
	}
	return dnfError(fmt.Errorf("dnf would leave out %s", strings.Join(missing, ", ")), errOut+"\n"+out)
}

// left are the parts of a transaction that dnf would leave out.
func (d *dnf) left(ctx context.Context, w worked, remove []string, install map[string]string) ([]string, error) {
	var missing []string
	for _, name := range remove {
		if !slices.Contains(w.goes, name) {
			missing = append(missing, "the removal of "+name)
		}
	}
	for _, name := range state.SortedKeys(install) {
		got, installed, err := d.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(w.comes, name) && !got.Meets(state.Package{Version: install[name], Held: got.Held}, installed) {
			missing = append(missing, strings.TrimSpace(name+" "+install[name]))
		}
	}
	return missing, nil
}

// worked is a transaction as dnf has worked it out: names of packages.
type worked struct {
	// known is true when it has.
	known       bool
	comes, goes []string
}

// foreign are those that would go and are not to.
func (w worked) foreign(remove []string) []string {
	var others []string
	for _, name := range w.goes {
		if !slices.Contains(remove, name) && !slices.Contains(others, name) {
			others = append(others, name)
		}
	}
	return others
}

// worksOut reads dnf's table: headings without a blank before them, and below each a line for each
// package, with its name after one blank. Below a package that takes the place of others there are
// more lines: "replacing name.architecture version".
func worksOut(out string) worked {
	var w worked
	heading := ""
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case line[0] != ' ':
			heading = words[0]
			w.known = w.known || strings.HasPrefix(line, "Transaction Summary") || strings.HasPrefix(line, "Nothing to do.")
		case words[0] == "replacing" && len(words) == 3:
			w.goes = append(w.goes, words[1][:max(strings.LastIndexByte(words[1], '.'), 0)])
		case strings.HasPrefix(line, "  "): // what did not fit into the line before
		case strings.HasPrefix(heading, "Removing"):
			w.goes = append(w.goes, words[0])
		case slices.Contains([]string{"Installing", "Upgrading", "Downgrading", "Reinstalling"}, strings.TrimSuffix(heading, ":")):
			w.comes = append(w.comes, words[0])
		}
	}
	return w
}
