package linux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	// packageLockWait bounds the wait for somebody else's work with packages; the next pass waits again.
	packageLockWait = 15 * time.Second
	lockPoll        = 200 * time.Millisecond
	// fetchTimeout bounds refreshing repositories and downloading packages.
	fetchTimeout = 15 * time.Minute
	// changeTimeout bounds a transaction once packages are being changed. Nothing shorter stops it: a
	// package manager that is killed leaves packages half-configured.
	changeTimeout = 30 * time.Minute
	// refreshAllEvery bounds how often the host's own repositories are refreshed.
	refreshAllEvery = time.Hour
)

// packageManager says which package manager a host has, by its database and its program.
func packageManager(t *tree) v1alpha1.PackageManager {
	for manager, paths := range map[v1alpha1.PackageManager][2]string{
		v1alpha1.PackageManagerApt: {dpkgStatus, "/usr/bin/apt-get"},
		v1alpha1.PackageManagerDnf: {"/etc/dnf", "/usr/bin/dnf"},
	} {
		_, database := statFollowing(t, paths[0])
		_, program := statFollowing(t, paths[1])
		if database == nil && program == nil && (manager == v1alpha1.PackageManagerApt || !hasApt(t)) {
			return manager
		}
	}
	return ""
}

// hasApt: a machine with both is one with dpkg that has dnf to build images with.
func hasApt(t *tree) bool {
	_, err := statFollowing(t, dpkgStatus)
	return err == nil
}

// newPackages returns the package manager of this machine.
func newPackages(t *tree) host.Packages {
	switch packageManager(t) {
	case v1alpha1.PackageManagerApt:
		return newApt("", nil)
	case v1alpha1.PackageManagerDnf:
		return newDnf("", nil)
	}
	return noPackages{}
}

// noPackages is a machine without a package manager.
type noPackages struct{}

// Get implements host.Packages.
func (noPackages) Get(context.Context, string) (state.Package, bool, error) {
	return state.Package{}, false, errNoManager
}

// Change implements host.Packages.
func (noPackages) Change(context.Context, host.Transaction) error { return errNoManager }

// Busy implements host.Packages.
func (noPackages) Busy() (string, error) { return "", nil }

var errNoManager = &host.Error{
	Reason: v1alpha1.ReasonPackageManagerMissing,
	Err:    errors.New("packages: this host has neither apt nor dnf: use binaries instead"),
}

// locks are the files whose lock a package manager holds while it works.
type locks struct {
	paths []string
	wait  time.Duration
}

// holder says who has one of the locks; empty when nobody has. A file that is not there, or that this
// user may not open, is not locked.
func (l locks) holder() (string, error) {
	for _, path := range l.paths {
		pid, err := lockedBy(path)
		if err != nil {
			return "", fmt.Errorf("lock %s: %w", path, cause(err))
		}
		if pid != 0 {
			return fmt.Sprintf("%s (pid %d) is at work with the host's packages", processName(pid), pid), nil
		}
	}
	return "", nil
}

// lockedBy asks the kernel who holds a POSIX record lock on the file (fcntl(2), F_GETLK), without
// taking it: a lock that is taken to see whether it is free makes others fail.
func lockedBy(path string) (pid int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	query := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_GETLK, &query); err != nil {
		return 0, err
	}
	if query.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(query.Pid), nil
}

// processName is the name of a process, for messages.
func processName(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "another process"
	}
	return strings.TrimSpace(string(name))
}

// await waits until nobody has a lock.
func (l locks) await(ctx context.Context) error {
	deadline := time.NewTimer(l.wait)
	defer deadline.Stop()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		who, err := l.holder()
		if err != nil || who == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return &host.Error{
				Reason: v1alpha1.ReasonPackageManagerBusy,
				Err:    fmt.Errorf("packages: %s; waited %s, and it is tried again", who, l.wait),
			}
		case <-poll.C:
		}
	}
}

// ourRepositories lists the files of the repositories that Seedbed wrote.
func ourRepositories(root, prefix, suffix string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, prefix) + "*" + suffix)
	if err != nil {
		return nil, fmt.Errorf("repositories: %w", err)
	}
	return found, nil
}

// verify looks whether the transaction was made: not every program that makes one says so when not.
func verify(ctx context.Context, p host.Packages, t host.Transaction) error {
	for _, name := range t.Remove {
		if _, installed, err := p.Get(ctx, name); err != nil || installed {
			return errors.Join(err, fmt.Errorf("package %s: is still installed after it was removed", name))
		}
	}
	for _, name := range state.SortedKeys(t.Install) {
		got, installed, err := p.Get(ctx, name)
		if err != nil {
			return err
		}
		if !got.Meets(state.Package{Version: t.Install[name], Held: got.Held}, installed) {
			return fmt.Errorf("package %s: is not installed as asked for after the transaction: version %q %s", name, got.Version, got.Broken)
		}
	}
	return nil
}

// lacking lists what is to be installed and is not among the versions that repositories have, which are
// known by package.
func lacking(known map[string][]string, install map[string]string) []string {
	const most = 3
	var unknown []string
	for _, name := range state.SortedKeys(install) {
		switch version, there := install[name], known[name]; {
		case len(there) == 0:
			unknown = append(unknown, strings.TrimSpace(name+" "+version))
		case version != "" && !slices.Contains(there, version):
			unknown = append(unknown, fmt.Sprintf("%s %s (there is %s)", name, version, strings.Join(there[:min(len(there), most)], ", ")))
		}
	}
	return unknown
}

// notAvailable is nil when nothing is unknown.
func notAvailable(unknown []string) error {
	if len(unknown) == 0 {
		return nil
	}
	return packageError(v1alpha1.ReasonPackageNotAvailable, "packages: no repository has %s: correct the version, or add a repository that has it", strings.Join(unknown, ", "))
}

// wouldGo refuses a transaction that would remove what nobody named.
func wouldGo(others []string) error {
	return packageError(v1alpha1.ReasonPackageConflict, "packages: %s would have to be removed for this: name it under packages.absent if it may go", strings.Join(others, ", "))
}

// untouched marks an error from before any package was changed; nil stays nil.
func untouched(err error) error {
	if err == nil {
		return nil
	}
	return &host.UntouchedError{Err: err}
}

func packageError(reason, format string, args ...any) error {
	return &host.Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// complaint is what a program says was wrong: its first lines that begin with the mark.
func complaint(output, mark string) string {
	const most = 3
	var lines []string
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), mark); ok && len(lines) < most {
			lines = append(lines, strings.TrimSpace(text))
		}
	}
	return strings.Join(lines, "; ")
}
