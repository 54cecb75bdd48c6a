package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/host"
)

// sysctls is host.Sysctls on a mounted /proc/sys.
type sysctls struct{ dir string }

func newSysctls(dir string) *sysctls { return &sysctls{dir: dir} }

// Get implements host.Sysctls.
func (s *sysctls) Get(name string) (string, bool, error) {
	file, err := s.open(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("sysctl %s: %w", name, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, 64<<10))
	if err != nil {
		return "", false, fmt.Errorf("sysctl %s: %w", name, cause(err))
	}
	return host.NormalSysctl(string(content)), true, nil
}

// Set implements host.Sysctls.
func (s *sysctls) Set(name, value string) error {
	file, err := s.open(name, os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sysctl %s: cannot be set to %q: %w: this kernel has no such sysctl; a module may bring it", name, value, err)
	}
	if err != nil {
		return fmt.Errorf("sysctl %s: cannot be set to %q: %w", name, value, err)
	}
	// One write: the kernel takes each as a whole new value.
	_, err = file.WriteString(value + "\n")
	if err = errors.Join(cause(err), cause(file.Close())); err != nil {
		return fmt.Errorf("sysctl %s: cannot be set to %q: %w", name, value, err)
	}
	return nil
}

// open opens a sysctl and makes sure that it is one: something mounted over /proc/sys would take
// the value and do nothing.
func (s *sysctls) open(name string, flag int) (*os.File, error) {
	p, err := host.SysctlPath(name)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, cause(err)
	}
	defer dir.Close()
	// O_NONBLOCK: what is there may be no sysctl but a FIFO, which is found out only once it is open.
	file, err := dir.OpenFile(p, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, cause(err)
	}
	if err := isProc(file); err != nil {
		return nil, errors.Join(err, cause(file.Close()))
	}
	return file, nil
}

func isProc(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return cause(err)
	}
	var stat unix.Statfs_t
	var statErr error
	if err := raw.Control(func(fd uintptr) { statErr = unix.Fstatfs(int(fd), &stat) }); err != nil {
		return cause(err)
	}
	if statErr != nil {
		return statErr
	}
	if stat.Type != unix.PROC_SUPER_MAGIC {
		return errors.New("is not on procfs: something is mounted over /proc/sys")
	}
	info, err := file.Stat()
	if err != nil {
		return cause(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("is a group of sysctls, not one")
	}
	return nil
}
