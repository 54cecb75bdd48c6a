package apply

import (
	"context"
	"fmt"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// do carries out one step on the port of its kind, whose errors name the resource.
func (r *runner) do(ctx context.Context, s *plan.Step) error {
	switch s.Target.Kind {
	case state.KindFile:
		return r.file(s)
	case state.KindBinary:
		return r.binary(ctx, s)
	case state.KindUnit:
		return r.unit(ctx, s)
	case state.KindSystemd:
		return r.host.Units.DaemonReload(ctx)
	case state.KindSysctl:
		return r.host.Sysctls.Set(s.Target.Name, s.After)
	case state.KindModule:
		return r.host.Modules.Load(ctx, s.Target.Name)
	case state.KindLink:
		return r.link(ctx, s)
	case state.KindContainers:
		return r.containers(ctx, s)
	case state.KindChain:
		return r.host.Chains.SetPolicy(ctx, s.Target.Name, s.After)
	}
	return fmt.Errorf("%s: no port for this kind of resource", s.Target)
}

func (r *runner) file(s *plan.Step) error {
	r.unsynced = true
	if s.Action == plan.Restore {
		return r.restore(s)
	}
	dirs, err := r.host.Files.Write(s.Target.Name, *s.File)
	r.book.addDirectories(dirs)
	return err
}

// restore puts a file, link or absence back.
func (r *runner) restore(s *plan.Step) error {
	if s.Prior.Absent {
		return r.host.Files.Remove(s.Target.Name)
	}
	f := state.File{
		Mode: s.Prior.Mode, Owner: s.Prior.Owner, Group: s.Prior.Group,
		Type: s.Prior.Type, Target: s.Prior.Target,
	}
	if s.Prior.Blob != "" {
		content, err := r.book.original(s.Prior.Blob)
		if err != nil {
			return err
		}
		f.Content = content
	}
	dirs, err := r.host.Files.Write(s.Target.Name, f)
	r.book.addDirectories(dirs)
	return err
}

// JobTimeout bounds the wait for a job of systemd. The job goes on by itself; the next pass sees how
// the unit is. Longer than flanneld's 90 s, which is the longest start that ends by itself.
const JobTimeout = 2 * time.Minute

func (r *runner) unit(ctx context.Context, s *plan.Step) error {
	slow := fmt.Errorf("no result after %s; it goes on without being waited for", r.book.jobTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, r.book.jobTimeout, slow)
	defer cancel()
	units := r.host.Units
	name := s.Target.Name
	switch s.Action {
	case plan.Enable:
		return units.SetEnablement(ctx, name, state.Enabled)
	case plan.Disable:
		return units.SetEnablement(ctx, name, state.Disabled)
	case plan.Start:
		return units.Do(ctx, name, host.Start)
	case plan.Stop:
		return units.Do(ctx, name, host.Stop)
	case plan.Restart:
		return units.Do(ctx, name, host.Restart)
	case plan.Reload:
		return units.Do(ctx, name, host.Reload)
	}
	return fmt.Errorf("no job %q", s.Action)
}
