package linux

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// aptEnv keeps every tool that joins in from asking, and from restarting daemons: which units are
// restarted is the plan's to decide (needrestart(1), ucf(1), apt-listchanges(1)).
var aptEnv = append(slices.Clone(commandEnv),
	"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "UCF_FORCE_CONFFOLD=1",
	"APT_LISTCHANGES_FRONTEND=none", "APT_LISTBUGS_FRONTEND=none", "NEEDRESTART_SUSPEND=1")

// aptOptions: configuration files that were changed, by us or by an admin, stay, and nothing is asked;
// packages that nobody named stay out (recommendations) and stay in (autoremove).
var aptOptions = []string{
	"-y", "-q", "-o", "APT::Install-Recommends=false", "-o", "APT::Get::AutomaticRemove=false", "-o", "APT::Get::allow-downgrades=true",
	"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
	"-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=30", "-o", "APT::Update::Error-Mode=any",
	"-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30",
}

// apt is host.Packages on apt and dpkg.
type apt struct {
	// root is where the host's files are, "" for this machine; options name it to apt, and dpkgOptions
	// to dpkg.
	root                 string
	options, dpkgOptions []string
	database             *dpkgDatabase
	locks                locks

	mu sync.Mutex
	// refreshedAll is when the host's own repositories were last refreshed.
	refreshedAll time.Time
}

func newApt(root string, options []string) *apt {
	return &apt{
		root: root, options: options, database: newDpkgDatabase(root),
		locks: locks{
			paths: []string{filepath.Join(root, "/var/lib/dpkg/lock-frontend"), filepath.Join(root, "/var/lib/dpkg/lock")},
			wait:  packageLockWait,
		},
	}
}

// Get implements host.Packages.
func (a *apt) Get(_ context.Context, name string) (state.Package, bool, error) {
	if err := host.CheckPackage(name); err != nil {
		return state.Package{}, false, err
	}
	return a.database.get(name)
}

// Busy implements host.Packages.
func (a *apt) Busy() (string, error) { return a.locks.holder() }

// Change implements host.Packages.
func (a *apt) Change(ctx context.Context, t host.Transaction) error {
	if err := host.CheckTransaction(t); err != nil {
		return untouched(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.locks.await(ctx); err != nil {
		return untouched(err)
	}
	cut, err := a.unfinished(ctx, t)
	if err != nil {
		return err
	}
	if err := a.mark(ctx, "unhold", t.Unhold); err != nil {
		return err
	}
	if err := a.transact(ctx, t, cut); err != nil {
		if _, before := errors.AsType[*host.UntouchedError](err); before {
			// What was held goes on being held, as if nothing had been asked.
			return errors.Join(err, a.mark(context.WithoutCancel(ctx), "hold", t.Unhold))
		}
		return err
	}
	return a.mark(ctx, "hold", t.Hold)
}

// transact installs and removes, and finishes what is cut off.
func (a *apt) transact(ctx context.Context, t host.Transaction, cut map[string]dpkgPackage) error {
	c, err := a.command(t, cut)
	if err != nil || c.empty() {
		return untouched(err)
	}
	if err := a.prepare(ctx, c); err != nil && !c.mend {
		return untouched(err)
	} else if err != nil {
		if c, err = a.mendWhole(ctx, t, err); err != nil {
			return err
		}
	}
	if err := a.carryOut(ctx, c); err != nil {
		return err
	}
	if err := verify(ctx, a, t); err != nil {
		return err
	}
	return a.finished()
}

// carryOut has packages changed, which nothing stops any more.
func (a *apt) carryOut(ctx context.Context, c aptCommand) error {
	if c.empty() {
		return nil
	}
	ctx, done := context.WithTimeoutCause(context.WithoutCancel(ctx), changeTimeout, errors.New("packages: not done after "+changeTimeout.String()))
	defer done()
	_, err := a.get(ctx, c.args()...)
	return err
}

// prepare does all that can fail before a package is changed.
func (a *apt) prepare(ctx context.Context, c aptCommand) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, errors.New("packages: not downloaded after "+fetchTimeout.String()))
	defer cancel()
	if err := a.know(ctx, c.install); err != nil {
		return err
	}
	if err := a.rehearse(ctx, c); err != nil {
		return err
	}
	_, err := a.get(ctx, c.args("--download-only")...)
	return err
}

// know refreshes repositories when a version that is to be installed is not known: first ours, then,
// now and then, the host's own.
func (a *apt) know(ctx context.Context, install map[string]string) error {
	unknown, err := a.unknown(ctx, install)
	if err != nil || len(unknown) == 0 {
		return err
	}
	ours, err := ourRepositories(a.root, resolve.PathAptSources, ".sources")
	if err != nil {
		return err
	}
	for _, source := range ours {
		if err := a.refresh(ctx, "-o", "Dir::Etc::sourcelist="+source, "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0"); err != nil {
			return err
		}
	}
	if unknown, err = a.unknown(ctx, install); err != nil || len(unknown) == 0 {
		return err
	}
	if refreshed, err := a.refreshAll(ctx); err != nil || !refreshed {
		return errors.Join(err, notAvailable(unknown))
	}
	if unknown, err = a.unknown(ctx, install); err != nil {
		return err
	}
	return notAvailable(unknown)
}

func (a *apt) refresh(ctx context.Context, options ...string) error {
	_, err := a.get(ctx, append(options, "update")...)
	return err
}

// refreshAll is true when the repositories were refreshed. It is a last resort: a machine that was
// just installed has never read its own.
func (a *apt) refreshAll(ctx context.Context) (bool, error) {
	if !a.refreshedAll.IsZero() && time.Since(a.refreshedAll) < refreshAllEvery {
		return false, nil
	}
	a.refreshedAll = time.Now()
	return true, a.refresh(ctx)
}

// unknown lists what no repository has, as far as apt knows. madison prints a line for each version:
// "name | version | where from".
func (a *apt) unknown(ctx context.Context, install map[string]string) ([]string, error) {
	if len(install) == 0 {
		return nil, nil
	}
	out, err := a.cache(ctx, append([]string{"madison", "--"}, state.SortedKeys(install)...)...)
	if err != nil {
		return nil, err
	}
	known := map[string][]string{}
	for line := range strings.Lines(out) {
		if columns := strings.Split(line, "|"); len(columns) >= 2 {
			name := strings.TrimSpace(columns[0])
			known[name] = append(known[name], strings.TrimSpace(columns[1]))
		}
	}
	return lacking(known, install), nil
}

// rehearse has apt work the transaction out, and refuses one that would remove what nobody named. A
// failure may come from repositories of the host's that were never read.
func (a *apt) rehearse(ctx context.Context, c aptCommand) error {
	simulate := c.args("--simulate")
	out, err := a.get(ctx, simulate...)
	if err != nil {
		if refreshed, refreshErr := a.refreshAll(ctx); refreshErr != nil || !refreshed {
			return err
		}
		if out, err = a.get(ctx, simulate...); err != nil {
			return err
		}
	}
	var others []string
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 2 || (words[0] != "Remv" && words[0] != "Purg") {
			continue
		}
		if name, _, _ := strings.Cut(words[1], ":"); !slices.Contains(c.remove, name) {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		return wouldGo(others)
	}
	return nil
}
