package linux

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// owners translates between names and ids with the host root's own /etc/passwd and /etc/group; those
// of the machine this process runs on may say something else. Users from LDAP and the like are not
// in these files and go by decimal id.
type owners struct {
	users, groups *idFile
}

func newOwners(t *tree) *owners {
	return &owners{
		users:  &idFile{tree: t, path: "/etc/passwd", kind: "user"},
		groups: &idFile{tree: t, path: "/etc/group", kind: "group"},
	}
}

// ids of owner and group, given as names or in decimal.
func (o *owners) ids(owner, group string) (uid, gid int, err error) {
	if uid, err = o.users.id(owner); err != nil {
		return 0, 0, err
	}
	if gid, err = o.groups.id(group); err != nil {
		return 0, 0, err
	}
	return uid, gid, nil
}

// names of owner and group, in decimal where there is no name.
func (o *owners) names(uid, gid uint32) (owner, group string, err error) {
	if owner, err = o.users.name(uid); err != nil {
		return "", "", err
	}
	if group, err = o.groups.name(gid); err != nil {
		return "", "", err
	}
	return owner, group, nil
}

// idFile is /etc/passwd or /etc/group, parsed again when the file changes.
type idFile struct {
	tree       *tree
	path, kind string

	mu     sync.Mutex
	read   fileStamp
	byName map[string]int
	byID   map[int]string
}

// fileStamp differs whenever a file has been replaced or written.
type fileStamp struct {
	inode       uint64
	size, mtime int64
}

func stampOf(info fs.FileInfo) fileStamp {
	return fileStamp{info.Sys().(*syscall.Stat_t).Ino, info.Size(), info.ModTime().UnixNano()}
}

// root is the same on every machine, and a host root being built may not have the files yet.
const root = "root"

func (f *idFile) id(name string) (int, error) {
	if name == root {
		return 0, nil
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return 0, err
	}
	id, ok := f.byName[name]
	if !ok {
		return 0, fmt.Errorf("no %s %q in the host's %s; create it or use a decimal id", f.kind, name, f.path)
	}
	return id, nil
}

func (f *idFile) name(id uint32) (string, error) {
	if id == 0 {
		return root, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return "", err
	}
	if name, ok := f.byID[int(id)]; ok {
		return name, nil
	}
	return strconv.FormatUint(uint64(id), 10), nil
}

func (f *idFile) refresh() error {
	dir, base, err := f.tree.parent(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.forget()
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat(base)
	if errors.Is(err, fs.ErrNotExist) {
		f.forget()
		return nil
	}
	if err != nil {
		return cause(err)
	}
	if f.byName != nil && f.read == stampOf(info) {
		return nil
	}
	return f.parse(dir, base)
}

func (f *idFile) forget() {
	f.read, f.byName, f.byID = fileStamp{}, map[string]int{}, map[int]string{}
}

// parse reads name:password:id lines; the first of several names of an id counts, as in getpwuid(3).
func (f *idFile) parse(dir *os.Root, base string) error {
	file, err := dir.OpenFile(base, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, cause(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, cause(err))
	}
	f.forget()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 3 {
			continue
		}
		id, err := strconv.ParseUint(fields[2], 10, 31)
		if err != nil {
			continue
		}
		if _, ok := f.byName[fields[0]]; !ok {
			f.byName[fields[0]] = int(id)
		}
		if _, ok := f.byID[int(id)]; !ok {
			f.byID[int(id)] = fields[0]
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", f.path, cause(err))
	}
	f.read = stampOf(info)
	return nil
}
