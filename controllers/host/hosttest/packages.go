package hosttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

var _ host.Packages = fakePackages{}

// Brings is what a package puts on the host.
type Brings struct {
	// Files by path. A unit among them is enabled and started, as by the package's scripts; a start
	// whose ConditionPathExists= is not met does nothing.
	Files map[string]state.File
	// Quiet scripts start and restart nothing.
	Quiet bool
	// Component is what the facts say once it is installed.
	Component *v1alpha1.ComponentFacts
	// Conflicts names packages that it cannot be installed beside.
	Conflicts []string
}

// packages is the package manager's memory.
type packages struct {
	available map[string]map[string]Brings
	installed map[string]installed
	lockedBy  string
}

type installed struct {
	state.Package
	brings Brings
}

func newPackages() packages {
	return packages{available: map[string]map[string]Brings{}, installed: map[string]installed{}}
}

// AddPackage puts a version of a package into a repository of the host.
func (f *Fake) AddPackage(name, version string, b Brings) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.world.packages.available[name] == nil {
		f.world.packages.available[name] = map[string]Brings{}
	}
	f.world.packages.available[name][version] = b
}

// SetPackage installs a package behind the agent's back, held or broken if p says so.
func (f *Fake) SetPackage(name string, p state.Package) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.install(name, p, f.world.packages.available[name][p.Version])
	f.world.onDisk = maps.Clone(f.world.files)
}

// RemovePackage removes a package behind the agent's back.
func (f *Fake) RemovePackage(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.uninstall(name)
	f.world.onDisk = maps.Clone(f.world.files)
}

// LockPackages gives the package manager's lock to somebody else; "" gives it back.
func (f *Fake) LockPackages(who string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.packages.lockedBy = who
}

// Package returns what is installed.
func (f *Fake) Package(name string) (state.Package, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.world.packages.installed[name]
	return p.Package, ok
}

func (w *world) install(name string, p state.Package, b Brings) {
	w.unpack(name, !b.Quiet)
	w.packages.installed[name] = installed{Package: p, brings: b}
	for _, at := range state.SortedKeys(b.Files) {
		w.files.makeParents(at)
		w.files[at] = stored(rooted(b.Files[at]))
	}
	if b.Component != nil {
		w.facts.Components = append(w.facts.Components, *b.Component)
	}
	w.reload()
	for _, at := range state.SortedKeys(b.Files) {
		unit := path.Base(at)
		if b.Quiet || !slices.Contains(unitFolders, path.Dir(at)) || w.conditionFails(unit) {
			continue
		}
		w.start(unit)
		w.started(unit)
		w.units[unit].enabled = true
	}
}

func rooted(file state.File) state.File {
	file.Owner, file.Group = "root", "root"
	if file.Mode == 0 {
		file.Mode = 0o644
	}
	return file
}

func (w *world) uninstall(name string) { w.unpack(name, true) }

// unpack takes a package's files away, and stops its units if its scripts do.
func (w *world) unpack(name string, stops bool) {
	was := w.packages.installed[name]
	delete(w.packages.installed, name)
	for at := range was.brings.Files {
		delete(w.files, at)
		if u := w.units[path.Base(at)]; stops && u != nil && slices.Contains(unitFolders, path.Dir(at)) {
			if u.activity == state.Active {
				w.stopped(path.Base(at))
			}
			u.activity, u.enabled = state.Inactive, false
		}
	}
	if c := was.brings.Component; c != nil {
		w.facts.Components = slices.DeleteFunc(w.facts.Components, func(o v1alpha1.ComponentFacts) bool { return o.Name == c.Name })
	}
}

// conditionFails looks at the triggering conditions of a unit, one of which must be met.
func (w *world) conditionFails(name string) bool {
	definition, _ := w.definition(name)
	conditions, met := 0, false
	for line := range strings.Lines(definition) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "ConditionPathExists=|"); ok {
			_, there := w.files[p]
			conditions, met = conditions+1, met || there
		}
	}
	return conditions > 0 && !met
}

type fakePackages struct{ fake *Fake }

func (p fakePackages) Get(_ context.Context, name string) (got state.Package, found bool, err error) {
	if err := host.CheckPackage(name); err != nil {
		return state.Package{}, false, err
	}
	err = p.fake.read(func(w *world) error {
		var i installed
		i, found = w.packages.installed[name]
		got = i.Package
		return nil
	})
	return got, found, err
}

func (p fakePackages) Busy() (who string, err error) {
	err = p.fake.read(func(w *world) error {
		who = w.packages.lockedBy
		return nil
	})
	return who, err
}

func (p fakePackages) Change(_ context.Context, t host.Transaction) error {
	if err := host.CheckTransaction(t); err != nil {
		return err
	}
	var args []string
	for _, name := range t.Remove {
		args = append(args, "-"+name)
	}
	for _, name := range state.SortedKeys(t.Install) {
		args = append(args, "+"+name+"="+t.Install[name])
	}
	for _, name := range t.Hold {
		args = append(args, "!"+name)
	}
	return p.fake.change("packages.Change", strings.Join(args, " "), func(w *world) error {
		if err := w.packages.refusal(t); err != nil {
			return &host.UntouchedError{Err: err}
		}
		w.transact(t)
		return nil
	})
}

// refusal is why nothing of the transaction is made.
func (p packages) refusal(t host.Transaction) error {
	if p.lockedBy != "" {
		return refuse(v1alpha1.ReasonPackageManagerBusy, "packages: %s", p.lockedBy)
	}
	for _, name := range state.SortedKeys(p.installed) {
		if p.installed[name].Broken != "" && !t.Resume {
			return refuse(v1alpha1.ReasonPackageManagerInterrupted, "package %s: is %s", name, p.installed[name].Broken)
		}
		_, change := t.Install[name]
		if p.installed[name].Held && (change || slices.Contains(t.Remove, name)) && !slices.Contains(t.Unhold, name) {
			return refuse(v1alpha1.ReasonPackageHeld, "package %s: is held", name)
		}
	}
	if err := p.unavailable(t); err != nil {
		return err
	}
	for _, name := range t.Hold {
		_, there := p.installed[name]
		if _, comes := t.Install[name]; !there && !comes {
			return errors.New("package " + name + ": cannot be held: it is not installed")
		}
	}
	return nil
}

// unavailable is why the versions cannot be installed.
func (p packages) unavailable(t host.Transaction) error {
	for _, name := range state.SortedKeys(t.Install) {
		b, ok := p.available[name][p.version(name, t.Install[name])]
		if !ok {
			return refuse(v1alpha1.ReasonPackageNotAvailable, "package %s: no version %q", name, t.Install[name])
		}
		for _, other := range b.Conflicts {
			_, there := p.installed[other]
			if _, comes := t.Install[other]; comes || (there && !slices.Contains(t.Remove, other)) {
				return refuse(v1alpha1.ReasonPackageConflict, "package %s: conflicts with %s", name, other)
			}
		}
	}
	return nil
}

func refuse(reason, format string, args ...any) error {
	return &host.Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// version is the one asked for, or the newest.
func (p packages) version(name, asked string) string {
	if names := state.SortedKeys(p.available[name]); asked == "" && len(names) > 0 {
		return names[len(names)-1]
	}
	return asked
}

func (w *world) transact(t host.Transaction) {
	for name, i := range w.packages.installed {
		i.Broken = ""
		i.Held = i.Held && !slices.Contains(t.Unhold, name)
		w.packages.installed[name] = i
	}
	for _, name := range t.Remove {
		w.uninstall(name)
	}
	for _, name := range state.SortedKeys(t.Install) {
		version := w.packages.version(name, t.Install[name])
		w.install(name, state.Package{Version: version}, w.packages.available[name][version])
	}
	for _, name := range t.Hold {
		i := w.packages.installed[name]
		i.Held = true
		w.packages.installed[name] = i
	}
	w.onDisk = maps.Clone(w.files)
}
