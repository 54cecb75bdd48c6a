package linux

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// dnfTransaction is what a transaction was to change, by name and architecture: packages as
// name-[epoch:]version-release.architecture.
type dnfTransaction struct{ comes, goes map[string]string }

// mend finishes what a transaction of ours was cut off in, after what can be installed has been. rpm
// knows a package from before the last of its scripts has run, and the one whose place it takes until
// the last of that one's has: what came is installed again, and where there are two, the newer stays.
// It is true when something was changed.
func (d *dnf) mend(ctx context.Context, cut dnfTransaction) (changed bool, err error) {
	there, err := d.all(ctx)
	if err != nil {
		return false, err
	}
	var twice, again []string
	for _, key := range slices.Sorted(maps.Keys(cut.comes)) {
		switch {
		case !there[cut.comes[key]]:
		case there[cut.goes[key]]:
			twice = append(twice, cut.goes[key])
		default:
			again = append(again, cut.comes[key])
		}
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), changeTimeout, errors.New("packages: not done after "+changeTimeout.String()))
	defer cancel()
	if len(twice) > 0 {
		if _, err := d.dnf(ctx, "remove", "--duplicates"); err != nil {
			return true, packageError(v1alpha1.ReasonPackageManagerInterrupted, "packages: %s: still there beside what replaced it: run dnf remove --duplicates: %w", strings.Join(twice, ", "), err)
		}
	}
	if len(again) > 0 {
		if _, err := d.dnf(ctx, append([]string{"reinstall", "--"}, again...)...); err != nil {
			return true, packageError(v1alpha1.ReasonPackageManagerInterrupted, "packages: %s: its scripts may not have run: run dnf reinstall %[1]s: %w", strings.Join(again, " "), err)
		}
	}
	return len(twice)+len(again) > 0, nil
}

// cutOff is dnf's last transaction when it was not seen to end: its packages have marks then. It is
// empty otherwise, and on a host whose dnf has made none yet.
func (d *dnf) cutOff(ctx context.Context) (dnfTransaction, error) {
	cut := dnfTransaction{comes: map[string]string{}, goes: map[string]string{}}
	last, err := d.lastTransaction(ctx)
	if err != nil || last == "" {
		return cut, err
	}
	out, err := d.dnf(ctx, "history", "info", last)
	if err != nil {
		return cut, err
	}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "**" {
			continue
		}
		switch words[1] {
		case "Install", "Dep-Install", "Upgrade", "Downgrade", "Reinstall":
			cut.comes[keyOf(words[2])] = words[2]
		case "Upgraded", "Downgraded", "Obsoleted":
			cut.goes[keyOf(words[2])] = words[2]
		}
	}
	return cut, nil
}

// lastTransaction is the number of dnf's last transaction: the list has a row for each, the last one
// first, whose first column it is. It is empty where there was none, for which "last" is an error.
func (d *dnf) lastTransaction(ctx context.Context) (string, error) {
	out, err := d.dnf(ctx, "history", "list")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		number, _, _ := strings.Cut(line, "|")
		if number = strings.TrimSpace(number); number != "" && strings.Trim(number, "0123456789") == "" {
			return number, nil
		}
	}
	return "", nil
}

// keyOf is the name and the architecture of name-[epoch:]version-release.architecture.
func keyOf(p string) string {
	dot := strings.LastIndexByte(p, '.')
	release := strings.LastIndexByte(p[:max(dot, 0)], '-')
	version := strings.LastIndexByte(p[:max(release, 0)], '-')
	if version < 0 {
		return p
	}
	return p[:version] + p[dot:]
}

// all are the packages that rpm knows.
func (d *dnf) all(ctx context.Context) (map[string]bool, error) {
	const format = `%{NAME}-%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}.%{ARCH}\n`
	out, _, err := d.database.rpm(ctx, "--query", "--all", "--queryformat", format)
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(out) {
		all[strings.TrimSpace(line)] = true
	}
	return all, nil
}
