package join

import (
	"context"
	"errors"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// program puts the running program where the units run it, and before that notes what was there.
func (j *joining) program(ctx context.Context, next *record) error {
	there, err := j.Machine.HasProgram(resolve.PathSeedbed)
	if err != nil || there {
		return err
	}
	if next.Program == nil {
		if next.Program, err = j.keepProgram(ctx); err != nil {
			return err
		}
		if err := next.write(j.Host.Store); err != nil {
			return err
		}
	}
	undo, err := j.Machine.InstallProgram(resolve.PathSeedbed)
	if err != nil {
		return err
	}
	j.undo.add("put the program back", func(context.Context) error { return undo() })
	j.Say("installed %s", resolve.PathSeedbed)
	return nil
}

// keepProgram keeps what is at the program's path until this host leaves.
func (j *joining) keepProgram(ctx context.Context) (*state.Prior, error) {
	seen, found, err := j.Host.Binaries.Get(ctx, resolve.PathSeedbed, nil)
	if err != nil || !found {
		return &state.Prior{Absent: true}, err
	}
	prior := &state.Prior{Blob: seen.SHA256, Mode: seen.Mode, Owner: seen.Owner, Group: seen.Group, Type: seen.Type, Target: seen.Target}
	switch seen.Type {
	case state.Regular:
		j.undo.add("forget the program before", func(context.Context) error {
			return j.Host.Store.Remove(priorsFolder + "/" + prior.Blob)
		})
		return prior, j.Host.Binaries.Keep(ctx, resolve.PathSeedbed, prior.Blob)
	case state.Symlink:
		return prior, nil
	}
	return nil, problemf("move it away and run join again", "a %s is at %s", seen.Type, resolve.PathSeedbed)
}

// putProgramBack notes that it has, since what was kept is removed before the record is.
func (l *leaving) putProgramBack(ctx context.Context) error {
	prior := l.record.Program
	if prior == nil {
		return nil
	}
	var err error
	switch {
	case prior.Absent:
		err = l.Host.Files.Remove(resolve.PathSeedbed)
	case prior.Type == state.Symlink:
		_, err = l.Host.Files.Write(resolve.PathSeedbed, state.File{Type: prior.Type, Target: prior.Target, Owner: prior.Owner, Group: prior.Group})
	default:
		_, err = l.Host.Binaries.Restore(ctx, resolve.PathSeedbed, *prior)
	}
	if err := errors.Join(err, l.Host.Files.Sync()); err != nil {
		return err
	}
	l.record.Program = nil
	return l.record.write(l.Host.Store)
}
