package linux

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// aptCommand is what apt-get's install command is asked for.
type aptCommand struct {
	// remove names packages, and install has versions by name, empty for any.
	remove  []string
	install map[string]string
	// mend is true when something is cut off. All that is in install is then unpacked, again where it
	// was before, and packages that those need and that never came are fetched.
	mend bool
}

func (c aptCommand) empty() bool { return !c.mend && len(c.remove)+len(c.install) == 0 }

// args are the arguments as apt-get takes them: name=version, and name- for one to be removed.
func (c aptCommand) args(options ...string) []string {
	args := slices.Clone(options)
	if c.mend {
		args = append(args, "--fix-broken", "--reinstall")
	}
	args = append(args, "install", "--")
	for _, name := range c.remove {
		args = append(args, name+"-")
	}
	for _, name := range state.SortedKeys(c.install) {
		word := name
		if version := c.install[name]; version != "" {
			word += "=" + version
		}
		args = append(args, word)
	}
	return args
}

// command is what the transaction comes to. What is not installed need not be removed, and apt may
// not even know it.
func (a *apt) command(t host.Transaction, cut map[string]dpkgPackage) (aptCommand, error) {
	c := aptCommand{install: t.Install, mend: len(cut) > 0}
	for _, name := range t.Remove {
		_, installed, err := a.database.get(name)
		if err != nil {
			return c, err
		}
		if installed {
			c.remove = append(c.remove, name)
		}
	}
	if !c.mend {
		return c, nil
	}
	var err error
	c.install, err = a.unpacked(t.Install, cut)
	for _, name := range state.SortedKeys(cut) {
		_, wanted := t.Install[name]
		switch {
		case wanted || slices.Contains(c.remove, name):
		case cut[name].going:
			c.remove = append(c.remove, name)
		case cut[name].unpack:
			// In the version that apt would choose, as it did the first time: the status has the one before.
			c.install[name] = ""
		}
	}
	return c, err
}

// unpacked are those of the packages that have to be unpacked. The others are what they are to be, or
// will be once they are configured, and it would run their scripts a second time.
func (a *apt) unpacked(install map[string]string, cut map[string]dpkgPackage) (map[string]string, error) {
	needed := map[string]string{}
	for name, version := range install {
		got, installed, err := a.database.get(name)
		if err != nil {
			return nil, err
		}
		if !installed || cut[name].unpack || cut[name].going || (version != "" && version != got.Version) {
			needed[name] = version
		}
	}
	return needed, nil
}

// mendWhole is for what apt cannot work out from the packages that are named: it does more for the host
// as a whole, such as to fetch what something needs that it was not told of. That it then fails on
// what has to be unpacked again means nothing yet. It returns what is left of the transaction, prepared.
func (a *apt) mendWhole(ctx context.Context, t host.Transaction, why error) (aptCommand, error) {
	whole := aptCommand{mend: true}
	if err := a.prepare(ctx, whole); err != nil {
		return whole, errors.Join(why, err)
	}
	failed := a.carryOut(ctx, whole)
	cut, err := a.database.unfinished()
	if err != nil {
		return whole, err
	}
	c, err := a.command(t, cut)
	if err == nil && !c.empty() {
		err = a.prepare(ctx, c)
	}
	if err != nil {
		return c, errors.Join(err, failed)
	}
	return c, nil
}

// unfinished are the packages that a transaction was cut off in. Somebody else's is an error, and
// left alone: who cut it off may know why. For one of ours dpkg first reads its journal, without which
// apt does nothing, and configures what it can; what depends on a package that has to be unpacked
// again has to wait for that, so that dpkg's failure means nothing yet.
func (a *apt) unfinished(ctx context.Context, t host.Transaction) (map[string]dpkgPackage, error) {
	if !t.Resume && len(t.Install)+len(t.Remove) == 0 {
		return nil, nil
	}
	if !t.Resume {
		cut, err := a.database.unfinished()
		if err != nil || len(cut) == 0 {
			return nil, untouched(err)
		}
		return nil, untouched(leftBehind(cut, ", and it was not Seedbed that was cut off"))
	}
	dpkg, err := find("dpkg")
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	pending, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), changeTimeout, errors.New("packages: not configured after "+changeTimeout.String()))
	defer cancel()
	args := slices.Concat(a.dpkgOptions, []string{"--force-confdef", "--force-confold", "--configure", "--pending"})
	_, _, failed := runAs(pending, quietly, dpkg, args...)
	cut, err := a.database.unfinished()
	if failed != nil && err == nil && len(cut) == 0 {
		err = packageError(v1alpha1.ReasonPackageManagerInterrupted, "packages: finish what was cut off: %w", failed)
	}
	return cut, err
}

// finished is nil when no package is left behind.
func (a *apt) finished() error {
	cut, err := a.database.unfinished()
	if err != nil || len(cut) == 0 {
		return err
	}
	return leftBehind(cut, " after the transaction")
}

// leftBehind names packages and what an administrator does about them.
func leftBehind(cut map[string]dpkgPackage, what string) error {
	const most = 3
	names := state.SortedKeys(cut)
	var are, again []string
	for _, name := range names {
		are = append(are, fmt.Sprintf("%s is %s", name, cut[name].Broken))
		if cut[name].unpack {
			again = append(again, name)
		}
	}
	cure := "run dpkg --configure --pending"
	if len(again) > 0 {
		cure += ", then apt-get install --fix-broken --reinstall " + strings.Join(again, " ")
	}
	if more := len(are) - most; more > 0 {
		are = append(are[:most], fmt.Sprintf("and %d more", more))
	}
	return packageError(v1alpha1.ReasonPackageManagerInterrupted, "packages: %s%s: %s", strings.Join(are, ", "), what, cure)
}
