package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

// placing is one file on its way to its path.
type placing struct {
	files    *files
	path     string
	file     state.File
	uid, gid int
}

// finish gives the open temporary file its owner and mode, before anybody can see it at its path.
// The mode comes last, because a change of owner clears setuid and setgid.
func (p placing) finish(temp *os.File) error {
	if err := p.own(temp); err != nil {
		return err
	}
	if err := dropInheritedACL(temp); err != nil {
		return err
	}
	return cause(temp.Chmod(p.file.Mode & modeBits))
}

func (p placing) own(temp *os.File) error {
	info, err := temp.Stat()
	if err != nil {
		return cause(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if p.files.record != nil {
		return p.record(stat)
	}
	if p.is(stat) {
		return nil
	}
	return p.explain(cause(temp.Chown(p.uid, p.gid)))
}

// record notes the owner under the inode of the temporary file, which rename keeps: whichever file
// is at the path after a crash has its own record.
func (p placing) record(stat *syscall.Stat_t) error {
	if p.is(stat) {
		return p.files.record.disown(p.path)
	}
	return p.files.record.own(p.path, stat.Ino, p.file.Owner, p.file.Group, p.inode())
}

// inode of what is at the path now; 0 for nothing.
func (p placing) inode() uint64 {
	dir, _, info, err := p.files.tree.look(p.path)
	if err != nil {
		return 0
	}
	defer dir.Close()
	return info.Sys().(*syscall.Stat_t).Ino
}

func (p placing) ownLink(dir *os.Root, temp string) error {
	info, err := dir.Lstat(temp)
	if err != nil {
		return cause(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if p.files.record != nil {
		return p.record(stat)
	}
	if p.is(stat) {
		return nil
	}
	return p.explain(cause(dir.Lchown(temp, p.uid, p.gid)))
}

func (p placing) is(stat *syscall.Stat_t) bool {
	return int(stat.Uid) == p.uid && int(stat.Gid) == p.gid
}

func (p placing) explain(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("cannot give it to %s:%s: %w; run as root", p.file.Owner, p.file.Group, err)
	}
	return err
}

// dropInheritedACL removes the entries that a default ACL of the folder gave the new file; they would
// grant more than the mode says.
func dropInheritedACL(temp *os.File) error {
	raw, err := temp.SyscallConn()
	if err != nil {
		return cause(err)
	}
	var removeErr error
	if err := raw.Control(func(fd uintptr) { removeErr = unix.Fremovexattr(int(fd), "system.posix_acl_access") }); err != nil {
		return cause(err)
	}
	if errors.Is(removeErr, unix.ENODATA) || errors.Is(removeErr, unix.ENOTSUP) {
		return nil
	}
	return removeErr
}
