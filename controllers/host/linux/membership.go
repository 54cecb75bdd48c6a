package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/resolve"
)

// Membership is what joining and leaving a cluster needs of the machine this process runs on, beside
// host.Host (join.Machine).
type Membership struct{}

// systemdFolder is there while systemd is the system's manager (sd_booted(3)).
const systemdFolder = "/run/systemd/system"

// Check says why this process cannot join the machine to a cluster.
func (Membership) Check() error {
	if os.Geteuid() != 0 {
		return errors.New("this changes the system, and needs root: run it with sudo")
	}
	if _, err := os.Stat(systemdFolder); err != nil {
		return fmt.Errorf("this system is not run by systemd (%s: %w), which Seedbed needs: use a host that is, not a container", systemdFolder, cause(err))
	}
	return checkState(StateDir)
}

// seedMark is in a seed's data dir (seed.Layout.VersionFile).
const seedMark = "VERSION"

// checkState refuses to share the folder with a seed: both keep keys in pki.
func checkState(folder string) error {
	_, err := os.Lstat(path.Join(folder, seedMark))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return fmt.Errorf("%s is the data dir of a seed, and the agent's state has to be there: stop the seed, copy the folder elsewhere, start the seed there with --data-dir, and remove %s",
		folder, path.Join(folder, seedMark))
}

// HoldsState says whether a folder, by whatever path, is one that RemoveState empties.
func HoldsState(dir string) (bool, error) { return holdsState(StateDir, dir) }

func holdsState(state, dir string) (bool, error) {
	own, err := realPath(state)
	if err != nil {
		return false, err
	}
	asked, err := realPath(dir)
	return asked == own || path.Dir(asked) == own && slices.Contains(stateFolders, path.Base(asked)), err
}

// realPath is also for what does not exist yet.
func realPath(p string) (string, error) {
	if target, err := filepath.EvalSymlinks(p); err == nil {
		p = target
	}
	p, err := filepath.Abs(p)
	if err != nil {
		return "", fmt.Errorf("folder %s: %w", p, err)
	}
	return p, nil
}

// Lock takes the lock of the machine's agent.
func (Membership) Lock() (func() error, error) {
	lock, err := AcquireLock("/")
	if err != nil {
		return nil, err
	}
	return lock.Release, nil
}

// self is the running program, also after its file was replaced.
const self = "/proc/self/exe"

// HasProgram is true when p is the running program's file or one like it.
func (Membership) HasProgram(p string) (bool, error) { return sameProgram(self, p) }

// InstallProgram puts the running program at p.
func (Membership) InstallProgram(p string) (undo func() error, err error) {
	return installProgram(self, p)
}

// installProgram keeps the old program open, by which it can be put back: its file is there until it
// is closed, which is when this process ends.
func installProgram(from, to string) (undo func() error, err error) {
	link, notLink := os.Readlink(to)
	old, err := os.Open(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("install %s: %w", to, cause(err))
	}
	source, err := os.Open(from)
	if err == nil {
		err = errors.Join(copyProgram(source, to), source.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("install %s: %w", to, cause(err))
	}
	return func() error {
		switch {
		case notLink == nil:
			err = errors.Join(os.Remove(to), os.Symlink(link, to))
		case old == nil:
			err = os.Remove(to)
		default:
			err = errors.Join(copyProgram(old, to), old.Close())
		}
		if err != nil {
			return fmt.Errorf("put %s back: %w", to, cause(err))
		}
		return nil
	}, nil
}

// copyProgram is replace for a file that is too large to hold in memory.
func copyProgram(source *os.File, to string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	dir, err := os.OpenRoot(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	temp := newTempName()
	file, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(dir, temp))
		}
	}()
	_, err = io.Copy(file, source)
	if err == nil {
		err = errors.Join(file.Chmod(0o755), file.Sync())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := dir.Rename(temp, filepath.Base(to)); err != nil {
		return err
	}
	return syncFolder(dir)
}

// sameProgram compares what is at both paths; nothing at to is different.
func sameProgram(from, to string) (bool, error) {
	a, err := os.Open(from)
	if err != nil {
		return false, fmt.Errorf("program %s: %w", from, cause(err))
	}
	defer a.Close()
	b, err := os.Open(to)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("program %s: %w", to, cause(err))
	}
	defer b.Close()
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	if err := errors.Join(errA, errB); err != nil {
		return false, err
	}
	if os.SameFile(infoA, infoB) {
		return true, nil
	}
	if infoA.Size() != infoB.Size() || infoB.Mode().Perm()&0o555 != 0o555 {
		return false, nil
	}
	return sameContent(a, b)
}

func sameContent(a, b io.Reader) (bool, error) {
	const chunk = 1 << 20
	bufferA, bufferB := make([]byte, chunk), make([]byte, chunk)
	for {
		n, errA := io.ReadFull(a, bufferA)
		m, errB := io.ReadFull(b, bufferB)
		if string(bufferA[:n]) != string(bufferB[:m]) {
			return false, nil
		}
		for _, err := range []error{errA, errB} {
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				return true, nil
			case err != nil:
				return false, cause(err)
			}
		}
	}
}

// RemoveMatching removes the files, never folders, that match a pattern of path.Match.
func (Membership) RemoveMatching(pattern string) error {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("files %s: %w", pattern, err)
	}
	var errs []error
	for _, name := range names {
		if info, err := os.Lstat(name); err == nil && !info.IsDir() {
			errs = append(errs, os.Remove(name))
		}
	}
	return errors.Join(errs...)
}

// stateFolders are the agent's below StateDir. Folders of other names are somebody else's: the seed
// keeps its own there unless it is told otherwise, and a seed's machine may be a node, too.
var stateFolders = []string{clientPKI, "priors"}

var (
	clientPKI = path.Base(resolve.PathClientPKI)
	// clientKeys are the agent's below clientPKI. Another's key that somebody put beside them stays.
	clientKeys = []string{path.Base(resolve.PathAgentClient), path.Base(resolve.PathFlannelClient), path.Base(resolve.PathKubeProxyClient)}
)

// RemoveState removes the agent's state from StateDir but for keep.
func (Membership) RemoveState(keep ...string) error { return removeState(StateDir, keep) }

func removeState(folder string, keep []string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		switch {
		case slices.Contains(keep, entry.Name()), entry.IsDir() && !slices.Contains(stateFolders, entry.Name()):
		case entry.IsDir() && entry.Name() == clientPKI:
			errs = append(errs, removeKeys(name))
		default:
			errs = append(errs, os.RemoveAll(name))
		}
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

func removeKeys(folder string) error {
	entries, err := os.ReadDir(folder)
	errs := []error{err}
	for _, entry := range entries {
		if slices.Contains(clientKeys, entry.Name()) || strings.HasPrefix(entry.Name(), tempPrefix) {
			errs = append(errs, os.Remove(path.Join(folder, entry.Name())))
		}
	}
	if err := os.Remove(folder); !errors.Is(err, unix.ENOTEMPTY) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
