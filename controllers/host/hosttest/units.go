package hosttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

var _ host.Units = fakeUnits{}

// unit is what systemd remembers of one unit.
type unit struct {
	enabled, masked bool
	activity        state.Activity
	invocation      string
	// refuse is how its next starts end, empty for well.
	refuse string
	jobs   []Job
	// uptime of its run, 0 for an hour; restarts by systemd itself; its command line.
	uptime   time.Duration
	restarts int
	exec     []string
}

// Job is one job that systemd ran.
type Job struct {
	Unit string
	Verb host.Verb
	// Stale is true when the unit's files had changed and no daemon-reload had followed: the job ran
	// with what systemd had read before.
	Stale bool
	// Result is systemd's word: "done", or how it failed.
	Result string
}

// systemd is the service manager's memory.
type systemd struct {
	// loaded is the hash of each unit's files when systemd read them.
	loaded map[string]string
	runs   int
}

// unitFolders are where units are looked for, the first wins.
var unitFolders = []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// definition is the unit's file and drop-ins, as one text; false when there is no unit file.
func (w *world) definition(name string) (string, bool) {
	text, found := "", false
	for _, dir := range unitFolders {
		if file, ok := w.files[path.Join(dir, name)]; ok && !found {
			text, found = string(file.Content), true
		}
	}
	for _, dir := range unitFolders {
		for _, p := range state.SortedKeys(w.files) {
			if strings.HasPrefix(p, path.Join(dir, name)+".d/") && strings.HasSuffix(p, ".conf") {
				text += "\n" + string(w.files[p].Content)
			}
		}
	}
	return text, found
}

// load reads the unit's files as systemd does: when it hears of the unit for the first time.
func (w *world) load(name string) (definition string, stale, found bool) {
	definition, found = w.definition(name)
	if !found {
		return "", false, false
	}
	hash := state.Hash([]byte(definition))
	if _, ok := w.systemd.loaded[name]; !ok {
		w.systemd.loaded[name] = hash
	}
	if w.units[name] == nil {
		w.units[name] = &unit{activity: state.Inactive}
	}
	return definition, w.systemd.loaded[name] != hash, true
}

func (w *world) get(name string) state.Unit {
	definition, stale, found := w.load(name)
	if !found {
		return state.Unit{Missing: true}
	}
	u := w.units[name]
	observed := state.Unit{Activity: u.activity, Invocation: u.invocation, Enablement: state.Disabled, NeedsReload: stale}
	if u.activity == state.Active {
		observed.Uptime = cmp.Or(u.uptime, time.Hour)
	}
	observed.Restarts, observed.Exec = u.restarts, u.exec
	switch {
	case u.masked:
		observed.Enablement = state.Masked
	case !strings.Contains(definition, "[Install]"):
		observed.Enablement = state.Static
	case u.enabled:
		observed.Enablement = state.Enabled
	}
	return observed
}

// start gives the unit a new run.
func (w *world) start(name string) {
	if _, _, found := w.load(name); !found {
		return
	}
	w.systemd.runs++
	u := w.units[name]
	u.activity, u.invocation = state.Active, fmt.Sprintf("%032x", w.systemd.runs)
}

// unitNames are the units that have files or a memory.
func (w *world) unitNames() []string {
	var names []string
	for p, file := range w.files {
		if slices.Contains(unitFolders, path.Dir(p)) && file.Type == state.Regular {
			names = append(names, path.Base(p))
		}
	}
	return sortedUnion(names, slices.Collect(maps.Keys(w.units)))
}

// SetUnit sets what systemd says of a unit whose file is on the host, as an admin would have it.
func (f *Fake) SetUnit(name string, as state.Unit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.world
	if w.units[name] == nil {
		w.units[name] = &unit{}
	}
	u := w.units[name]
	u.enabled, u.masked = as.Enablement == state.Enabled, as.Enablement == state.Masked
	if as.Activity == state.Active {
		w.start(name)
		w.started(name)
	}
	if as.Activity != "" {
		u.activity = as.Activity
	}
	u.uptime, u.restarts, u.exec = as.Uptime, as.Restarts, as.Exec
}

// RefuseUnit makes starts and restarts of the unit end with the result, such as "failed"; "" lets
// them succeed again.
func (f *Fake) RefuseUnit(name, result string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.world.units[name] == nil {
		f.world.units[name] = &unit{activity: state.Inactive}
	}
	f.world.units[name].refuse = result
}

// Unit returns what systemd says of a unit.
func (f *Fake) Unit(name string) state.Unit {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.world.get(name)
}

// Jobs returns the jobs of one unit, over restarts of the process too.
func (f *Fake) Jobs(name string) []Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.world.units[name]; u != nil {
		return slices.Clone(u.jobs)
	}
	return nil
}

type fakeUnits struct{ fake *Fake }

func (p fakeUnits) Get(ctx context.Context, name string) (got state.Unit, err error) {
	if err := host.CheckUnit(name); err != nil {
		return state.Unit{}, err
	}
	err = p.fake.read(func(w *world) error {
		got = w.get(name)
		return ctx.Err()
	})
	return got, err
}

func (p fakeUnits) SetEnablement(_ context.Context, name string, e state.Enablement) error {
	return p.fake.change("units.SetEnablement", name+" "+string(e), func(w *world) error {
		switch is := w.get(name); {
		case is.Missing:
			return fmt.Errorf("unit %s: cannot be %s: no such unit", name, e)
		case is.Enablement == state.Masked, is.Enablement == state.Static:
			return fmt.Errorf("unit %s: cannot be %s: it is %s", name, e, is.Enablement)
		case e != state.Enabled && e != state.Disabled:
			return fmt.Errorf("unit %s: enablement %q cannot be set", name, e)
		}
		w.units[name].enabled = e == state.Enabled
		w.reload() // as systemctl does
		return nil
	})
}

func (p fakeUnits) Do(ctx context.Context, name string, verb host.Verb) error {
	if err := host.CheckUnit(name); err != nil {
		return err
	}
	return p.fake.change("units.Do", name+" "+string(verb), func(w *world) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, stale, found := w.load(name)
		if !found && verb == host.Stop {
			return nil
		}
		if !found {
			return fmt.Errorf("unit %s: %s: no such unit", name, verb)
		}
		u := w.units[name]
		if u.masked && verb != host.Stop {
			return fmt.Errorf("unit %s: %s: it is masked", name, verb)
		}
		result := w.job(name, u, verb)
		u.jobs = append(u.jobs, Job{Unit: name, Verb: verb, Stale: stale, Result: result})
		if result != "done" {
			return fmt.Errorf("unit %s: %s: %w", name, verb, errors.New("job ended as "+result))
		}
		return nil
	})
}

// job carries out a verb and returns systemd's result.
func (w *world) job(name string, u *unit, verb host.Verb) string {
	running := u.activity == state.Active
	switch verb {
	case host.Stop:
		u.activity = state.Inactive
		w.stopped(name)
	case host.Reload:
		if !running {
			return "failed"
		}
		w.reloaded(name)
	case host.Start, host.Restart:
		if verb == host.Start && running {
			return "done"
		}
		if running {
			w.stopped(name)
		}
		w.start(name)
		if u.refuse != "" {
			u.activity = state.Failed
			return u.refuse
		}
		w.started(name)
	}
	return "done"
}

func (p fakeUnits) DaemonReload(context.Context) error {
	return p.fake.change("units.DaemonReload", "", func(w *world) error {
		w.reload()
		return nil
	})
}

// reload reads the files of all units known so far.
func (w *world) reload() {
	for name := range w.systemd.loaded {
		if definition, found := w.definition(name); found {
			w.systemd.loaded[name] = state.Hash([]byte(definition))
		} else {
			delete(w.systemd.loaded, name)
		}
	}
}
