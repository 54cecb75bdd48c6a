package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// dnfOptions: weak dependencies, as apt's recommendations, stay out, and nothing that nobody named is
// removed as no longer needed.
var dnfOptions = []string{
	"-y", "--setopt=install_weak_deps=False", "--setopt=clean_requirements_on_remove=False",
	"--setopt=skip_if_unavailable=False", "--setopt=timeout=30", "--setopt=retries=2",
}

// rpmLocks are held by rpm while it changes something, in the places of old and new releases.
var rpmLocks = []string{"/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock"}

// dnf is host.Packages on dnf 4 and rpm.
type dnf struct {
	// root is where the host's files are, "" for this machine; options are for a root.
	root     string
	options  []string
	database *rpmDatabase
	versions versionLocks
	locks    locks

	mu sync.Mutex
}

func newDnf(root string, options []string) *dnf {
	d := &dnf{root: root, options: options, database: newRpmDatabase(root), versions: newVersionLocks(root), locks: locks{wait: packageLockWait}}
	for _, p := range rpmLocks {
		d.locks.paths = append(d.locks.paths, filepath.Join(root, p))
	}
	return d
}

// Get implements host.Packages.
func (d *dnf) Get(ctx context.Context, name string) (state.Package, bool, error) {
	if err := host.CheckPackage(name); err != nil {
		return state.Package{}, false, err
	}
	version, installed, err := d.database.get(ctx, name)
	if err != nil || !installed {
		return state.Package{}, false, err
	}
	held, err := d.versions.holds(name, version)
	return state.Package{Version: version, Held: held}, true, err
}

// Busy implements host.Packages.
func (d *dnf) Busy() (string, error) { return d.locks.holder() }

// Change implements host.Packages.
func (d *dnf) Change(ctx context.Context, t host.Transaction) error {
	if err := host.CheckTransaction(t); err != nil {
		return untouched(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.versions.usable(t.Hold); err != nil {
		return untouched(err)
	}
	if err := d.locks.await(ctx); err != nil {
		return untouched(err)
	}
	before, err := d.versions.read()
	if err != nil {
		return untouched(err)
	}
	if err := d.versions.release(t.Unhold); err != nil {
		return err
	}
	if err := d.finish(ctx, t); err != nil {
		return errors.Join(err, d.versions.write(before))
	}
	return d.hold(ctx, t.Hold)
}

// finish makes the transaction, and finishes one that was cut off. Of two versions it may be the other
// one that stays then, so that the transaction is made once more.
func (d *dnf) finish(ctx context.Context, t host.Transaction) error {
	if !t.Resume {
		return d.transact(ctx, t)
	}
	cut, err := d.cutOff(ctx)
	if err != nil {
		return err
	}
	if err := d.transact(ctx, t); err != nil {
		return err
	}
	if changed, err := d.mend(ctx, cut); err != nil || !changed {
		return err
	}
	return d.transact(ctx, t)
}

func (d *dnf) hold(ctx context.Context, names []string) error {
	for _, name := range names {
		version, installed, err := d.database.get(ctx, name)
		if err != nil {
			return err
		}
		if !installed {
			return fmt.Errorf("package %s: cannot be held: it is not installed", name)
		}
		if err := d.versions.hold(name, version); err != nil {
			return err
		}
	}
	return nil
}

func (d *dnf) transact(ctx context.Context, t host.Transaction) error {
	remove, err := d.present(ctx, t.Remove)
	if err != nil || len(remove)+len(t.Install) == 0 {
		return untouched(err)
	}
	words, cleanUp, err := transactionWords(remove, t.Install)
	if err != nil {
		return untouched(err)
	}
	defer cleanUp()
	if err := d.prepare(ctx, remove, t.Install, words); err != nil {
		return untouched(err)
	}
	change, done := context.WithTimeoutCause(context.WithoutCancel(ctx), changeTimeout, errors.New("packages: not done after "+changeTimeout.String()))
	defer done()
	if _, err = d.dnf(change, words...); err != nil {
		return err
	}
	return verify(change, d, t)
}

// prepare does all that can fail before a package is changed.
func (d *dnf) prepare(ctx context.Context, remove []string, install map[string]string, words []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, errors.New("packages: not downloaded after "+fetchTimeout.String()))
	defer cancel()
	if err := d.removable(ctx, remove); err != nil {
		return err
	}
	if err := d.know(ctx, install); err != nil || len(install) == 0 {
		return err
	}
	if err := d.rehearse(ctx, remove, install, words); err != nil {
		return err
	}
	_, err := d.dnf(ctx, append([]string{"--downloadonly"}, words...)...)
	return err
}

// transactionWords are dnf's command. To remove and install in one transaction it wants a script
// (dnf(8), "shell"), in which names are as safe as in arguments: they have no blanks.
func transactionWords(remove []string, install map[string]string) (words []string, cleanUp func(), err error) {
	specs, none := specs(install), func() {}
	switch {
	case len(install) == 0:
		return append([]string{"remove", "--"}, remove...), none, nil
	case len(remove) == 0:
		return append([]string{"install", "--"}, specs...), none, nil
	}
	script, err := os.CreateTemp("", "seedbed-dnf-")
	if err != nil {
		return nil, nil, fmt.Errorf("packages: %w", err)
	}
	cleanUp = func() { _ = os.Remove(script.Name()) } // a file of a few words in the folder for such
	_, err = fmt.Fprintf(script, "remove %s\ninstall %s\nrun\n", strings.Join(remove, " "), strings.Join(specs, " "))
	if err = errors.Join(err, script.Close()); err != nil {
		cleanUp()
		return nil, nil, fmt.Errorf("packages: %w", err)
	}
	return []string{"shell", script.Name()}, cleanUp, nil
}

// specs are packages as dnf takes them: name-[epoch:]version-release.
func specs(install map[string]string) []string {
	var all []string
	for _, name := range state.SortedKeys(install) {
		word := name
		if version := install[name]; version != "" {
			word += "-" + version
		}
		all = append(all, word)
	}
	return all
}

// present are those of the packages that are installed.
func (d *dnf) present(ctx context.Context, names []string) ([]string, error) {
	var present []string
	for _, name := range names {
		_, installed, err := d.database.get(ctx, name)
		if err != nil {
			return nil, err
		}
		if installed {
			present = append(present, name)
		}
	}
	return present, nil
}

// removable refuses to remove what others need, which dnf would remove with it.
func (d *dnf) removable(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	_, stderr, err := d.database.rpm(ctx, append([]string{"--erase", "--test", "--"}, names...)...)
	if err == nil {
		return nil
	}
	var needed []string
	for line := range strings.Lines(stderr) {
		if strings.Contains(line, "is needed by") {
			needed = append(needed, strings.Join(strings.Fields(line), " "))
		}
	}
	if len(needed) == 0 {
		return fmt.Errorf("packages: remove %s: %w", strings.Join(names, ", "), err)
	}
	return packageError(v1alpha1.ReasonPackageConflict, "packages: %s: name it under packages.absent if it may go", strings.Join(needed[:min(len(needed), 3)], "; "))
}

// know refreshes our repositories when a version that is to be installed is not known.
func (d *dnf) know(ctx context.Context, install map[string]string) error {
	unknown, err := d.unknown(ctx, install)
	if err != nil || len(unknown) == 0 {
		return err
	}
	ours, err := ourRepositories(d.root, resolve.PathDnfRepos, ".repo")
	if err != nil {
		return err
	}
	args := []string{"--refresh"}
	for _, file := range ours {
		args = append(args, "--repo="+strings.TrimSuffix(filepath.Base(file), ".repo"))
	}
	if _, err := d.dnf(ctx, append(args, "makecache")...); err != nil {
		return err
	}
	if unknown, err = d.unknown(ctx, install); err != nil {
		return err
	}
	return notAvailable(unknown)
}

// unknown lists what no repository has.
func (d *dnf) unknown(ctx context.Context, install map[string]string) ([]string, error) {
	if len(install) == 0 {
		return nil, nil
	}
	out, err := d.dnf(ctx, append([]string{"repoquery", "--available", "--qf", "%{name} %{evr}", "--"}, state.SortedKeys(install)...)...)
	if err != nil {
		return nil, err
	}
	known := map[string][]string{}
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); len(words) == 2 {
			known[words[0]] = append(known[words[0]], strings.TrimPrefix(words[1], "0:"))
		}
	}
	return lacking(known, install), nil
}
