package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// offlineUnits is host.Units of a host root without a running systemd: enablement is real, by the
// links that `systemctl --root=DIR enable` makes; what units do is recorded.
type offlineUnits struct {
	tree   *tree
	files  *files
	record *offlineRecord
}

// Get implements host.Units. Invocation counts the recorded starts.
func (u *offlineUnits) Get(_ context.Context, name string) (state.Unit, error) {
	found, exists, err := u.find(name)
	if err != nil {
		return state.Unit{}, err
	}
	if !exists {
		return state.Unit{Missing: true}, nil
	}
	observed := state.Unit{Activity: state.Inactive}
	u.record.mu.Lock()
	if recorded, ok := u.record.data.Units[name]; ok {
		observed.Activity = recorded.Activity
		if recorded.Runs > 0 {
			observed.Invocation = fmt.Sprintf("%032x", recorded.Runs)
		}
	}
	u.record.mu.Unlock()
	if observed.Enablement, err = u.enablement(name, found); err != nil {
		return state.Unit{}, fmt.Errorf("unit %s: %w", name, err)
	}
	return observed, nil
}

func (u *offlineUnits) find(name string) (install, bool, error) {
	if err := host.CheckUnit(name); err != nil {
		return install{}, false, err
	}
	found, exists, err := findInstall(u.files, name)
	if err != nil {
		return install{}, false, fmt.Errorf("unit %s: %w", name, err)
	}
	return found, exists, nil
}

func (u *offlineUnits) enablement(name string, found install) (state.Enablement, error) {
	if found.masked {
		return state.Masked, nil
	}
	links, err := u.existingLinks(name, found)
	switch {
	case err != nil:
		return "", err
	case len(links) > 0:
		return state.Enabled, nil
	case found.empty():
		return state.Static, nil
	}
	return state.Disabled, nil
}

// existingLinks are the links by which the unit is enabled, whoever made them: below any unit's
// .wants, .requires or .upholds folder, and its aliases.
func (u *offlineUnits) existingLinks(name string, found install) ([]string, error) {
	candidates := map[string]bool{}
	for _, alias := range found.aliases {
		candidates[path.Join(adminUnits, alias)] = true
	}
	folder, err := u.tree.folder(adminUnits)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := entries(folder)
	if err := errors.Join(err, cause(folder.Close())); err != nil {
		return nil, fmt.Errorf("folder %s: %w", adminUnits, err)
	}
	for _, entry := range names {
		switch path.Ext(entry) {
		case ".wants", ".requires", ".upholds":
			candidates[path.Join(adminUnits, entry, name)] = true
		}
	}
	var links []string
	for _, p := range state.SortedKeys(candidates) {
		file, found, err := u.files.Read(p)
		if err != nil {
			return nil, err
		}
		if found && file.Type == state.Symlink {
			links = append(links, p)
		}
	}
	return links, nil
}

// SetEnablement implements host.Units. Enabling a unit that it names in Also= too is systemd's way.
func (u *offlineUnits) SetEnablement(_ context.Context, name string, e state.Enablement) error {
	found, exists, err := u.find(name)
	switch {
	case err != nil:
		return err
	case !exists:
		return fmt.Errorf("unit %s: cannot be %s: %w", name, e, errNoUnit)
	case found.masked:
		return fmt.Errorf("unit %s: cannot be %s: %w", name, e, errMasked)
	}
	switch e {
	case state.Enabled:
		err = u.enable(name, found)
	case state.Disabled:
		err = u.disable(name, found)
	default:
		err = fmt.Errorf("unit %s: enablement %q cannot be set: want enabled or disabled", name, e)
	}
	return errors.Join(err, u.files.Sync())
}

func (u *offlineUnits) enable(name string, found install) error {
	if found.empty() && len(found.also) == 0 {
		return fmt.Errorf("unit %s: cannot be enabled: %w", name, errStatic)
	}
	var errs []error
	all := u.withAlso(name, found, &errs)
	for _, unit := range state.SortedKeys(all) {
		for _, p := range all[unit].links(unit) {
			errs = append(errs, u.link(p, all[unit].path))
		}
	}
	return errors.Join(errs...)
}

// withAlso returns the unit and those it names in Also=, and in turn theirs.
func (u *offlineUnits) withAlso(name string, found install, errs *[]error) map[string]install {
	all := map[string]install{name: found}
	for pending := found.also; len(pending) > 0; pending = pending[1:] {
		also := pending[0]
		if _, seen := all[also]; seen {
			continue
		}
		one, exists, err := u.find(also)
		if err != nil || !exists || one.masked {
			*errs = append(*errs, err)
			continue
		}
		all[also] = one
		pending = append(pending, one.also...)
	}
	return all
}

// link makes one enablement link. A link that leads elsewhere belongs to another unit.
func (u *offlineUnits) link(p, target string) error {
	there, found, err := u.files.Read(p)
	switch {
	case err != nil:
		return err
	case found && there.Type == state.Symlink && path.Base(there.Target) == path.Base(target):
		return nil
	case found:
		return fmt.Errorf("file %s: exists and is not a link to %s; remove it to have the unit enabled", p, target)
	}
	_, err = u.files.Write(p, state.File{Type: state.Symlink, Target: target, Owner: root, Group: root})
	return err
}

func (u *offlineUnits) disable(name string, found install) error {
	if found.empty() && len(found.also) == 0 {
		return fmt.Errorf("unit %s: cannot be disabled: %w", name, errStatic)
	}
	var errs []error
	all := u.withAlso(name, found, &errs)
	for _, unit := range state.SortedKeys(all) {
		links, err := u.existingLinks(unit, all[unit])
		errs = append(errs, err)
		for _, p := range links {
			errs = append(errs, u.files.Remove(p))
			if dir := path.Dir(p); dir != adminUnits {
				errs = append(errs, u.files.RemoveDir(dir))
			}
		}
	}
	return errors.Join(errs...)
}

// Do implements host.Units: the job is recorded and deferred.
func (u *offlineUnits) Do(_ context.Context, name string, verb host.Verb) error {
	found, exists, err := u.find(name)
	switch {
	case err != nil:
		return err
	case !exists:
		return fmt.Errorf("unit %s: %s: %w", name, verb, errNoUnit)
	case found.masked && verb != host.Stop:
		return fmt.Errorf("unit %s: %s: %w", name, verb, errMasked)
	}
	return u.record.change(func(d *offlineData) {
		unit := d.Units[name]
		switch verb {
		case host.Stop:
			unit.Activity = state.Inactive
		case host.Restart:
			unit.Activity = state.Active
			unit.Runs++
		case host.Start:
			if unit.Activity != state.Active {
				unit.Runs++
			}
			unit.Activity = state.Active
		}
		d.Units[name] = unit
	})
}

// DaemonReload implements host.Units: systemd reads the unit files when the host boots.
func (u *offlineUnits) DaemonReload(context.Context) error { return host.ErrDeferred }

var (
	errNoUnit = errors.New("the host has no such unit; install the package or render the unit that brings it")
	errMasked = errors.New("the unit is masked; `systemctl unmask` allows it again")
	errStatic = errors.New("the unit has no [Install] section; enable the unit that wants it instead")
)
