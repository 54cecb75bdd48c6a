package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LockFile says which process acts on a host root. It is a path of that host.
const LockFile = "/run/seedbed/agent.lock"

// Lock is the right to act on a host root. The kernel takes it back when its process ends, however
// that happens, so a killed agent never blocks the next one.
type Lock struct{ file *os.File }

// LockedError says that another process holds the lock.
type LockedError struct {
	// Path of the lock file on this machine.
	Path string
	// PID of the holder; 0 when it has not written it yet.
	PID int
}

func (e *LockedError) Error() string {
	holder := "another agent"
	if e.PID != 0 {
		holder = fmt.Sprintf("another agent (pid %d)", e.PID)
	}
	return fmt.Sprintf("%s acts on this host: it holds %s; stop it first (on a node: systemctl stop seedbed-agent), or name another --host-root", holder, e.Path)
}

// AcquireLock takes the lock of the host root, and returns a *LockedError at once when another
// process has it.
func AcquireLock(hostRoot string) (acquired *Lock, err error) {
	tree, err := openTree(hostRoot)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	shown := path.Join(hostRoot, LockFile)
	file, err := openLock(tree)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", shown, err)
	}
	err = lock(file)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = &LockedError{Path: shown, PID: holder(file)}
	}
	if err != nil {
		return nil, errors.Join(err, cause(file.Close()))
	}
	return &Lock{file: file}, nil
}

// openLock opens the file and never truncates or removes it: another process may hold it.
func openLock(t *tree) (*os.File, error) {
	dir, base, made, err := t.makeParent(LockFile)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if len(made) > 0 {
		if err := dir.Chmod(".", 0o700); err != nil {
			return nil, cause(err)
		}
	}
	file, err := dir.OpenFile(base, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; run as the user who owns it", cause(err))
	}
	return file, cause(err)
}

// lock takes the lock without waiting and writes the pid for whoever is refused.
func lock(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return cause(err)
	}
	var flockErr error
	if err := raw.Control(func(fd uintptr) { flockErr = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return cause(err)
	}
	if flockErr != nil {
		return flockErr
	}
	if err := file.Truncate(0); err != nil {
		return cause(err)
	}
	_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return cause(err)
}

func holder(file *os.File) int {
	content := make([]byte, 32)
	n, err := file.ReadAt(content, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// Release gives the lock up. The file stays: removing it would let two processes hold two files of
// the same name.
func (l *Lock) Release() error { return cause(l.file.Close()) }
