package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

// MaxFileBytes is the largest file that is read. A managed file is far smaller (a whole revision is
// at most 200 KiB); one that grew beyond this is reported, not loaded into memory.
const MaxFileBytes = 32 << 20

// modeBits are the bits of fs.FileMode that a managed file has.
const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// files is host.Files on a tree.
type files struct {
	tree   *tree
	owners *owners
	// record keeps ownership that cannot be set; nil where it can, and on a live host always.
	record *offlineRecord

	mu sync.Mutex
	// dirty folders hold renames or removals that are not durable yet.
	dirty map[string]bool
	// failed folders had an fsync that failed.
	failed map[string]bool
}

func newFiles(t *tree, record *offlineRecord) *files {
	return &files{tree: t, owners: newOwners(t), record: record, dirty: map[string]bool{}, failed: map[string]bool{}}
}

// Read implements host.Files.
func (f *files) Read(p string) (state.File, bool, error) {
	file, found, err := f.read(p)
	if err != nil {
		return state.File{}, false, fmt.Errorf("file %s: %w", p, err)
	}
	return file, found, nil
}

func (f *files) read(p string) (state.File, bool, error) {
	dir, base, info, err := f.tree.look(p)
	if errors.Is(err, fs.ErrNotExist) {
		return state.File{}, false, nil
	}
	if err != nil {
		return state.File{}, false, err
	}
	defer dir.Close()
	file := state.File{Type: typeOf(info), Mode: info.Mode() & modeBits}
	switch file.Type {
	case state.Regular:
		if file.Content, info, err = readRegular(dir, base, info); err != nil {
			return state.File{}, false, err
		}
		file.Mode = info.Mode() & modeBits
	case state.Symlink:
		if file.Target, err = dir.Readlink(base); err != nil {
			return state.File{}, false, cause(err)
		}
	}
	if file.Owner, file.Group, err = f.ownersOf(p, info); err != nil {
		return state.File{}, false, err
	}
	return file, true, nil
}

// readRegular reads base, which looked was seen to be, and returns what the open file itself says
// of mode and owner, so that they belong to the content. Without O_NONBLOCK, a FIFO put there in
// between would block the agent for good.
func readRegular(dir *os.Root, base string, looked fs.FileInfo) ([]byte, fs.FileInfo, error) {
	file, err := dir.OpenFile(base, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, cause(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, cause(err)
	case !os.SameFile(info, looked):
		return nil, nil, errSwapped
	case info.Size() > MaxFileBytes:
		return nil, nil, fmt.Errorf("has %d bytes, and at most %d are read", info.Size(), MaxFileBytes)
	}
	content := make([]byte, 0, info.Size()+1)
	for len(content) <= MaxFileBytes {
		n, err := file.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if errors.Is(err, io.EOF) {
			return content, info, nil
		}
		if err != nil {
			return nil, nil, cause(err)
		}
		if len(content) == cap(content) {
			content = slices.Grow(content, len(content))
		}
	}
	return nil, nil, fmt.Errorf("grew beyond %d bytes while it was read", MaxFileBytes)
}

func typeOf(info fs.FileInfo) state.FileType {
	switch info.Mode().Type() {
	case 0:
		return state.Regular
	case fs.ModeSymlink:
		return state.Symlink
	case fs.ModeDir:
		return state.Directory
	}
	return state.Special
}

// ownersOf returns the names of owner and group, recorded ones first.
func (f *files) ownersOf(p string, info fs.FileInfo) (owner, group string, err error) {
	stat := info.Sys().(*syscall.Stat_t)
	if f.record != nil {
		if owner, group, ok := f.record.owner(p, stat.Ino); ok {
			return owner, group, nil
		}
	}
	return f.owners.names(stat.Uid, stat.Gid)
}

// Write implements host.Files.
func (f *files) Write(p string, file state.File) ([]string, error) {
	made, err := f.write(p, file)
	if err != nil {
		return made, fmt.Errorf("file %s: %w", p, err)
	}
	return made, nil
}

func (f *files) write(p string, file state.File) (made []string, err error) {
	uid, gid, err := f.owners.ids(file.Owner, file.Group)
	if err != nil {
		return nil, err
	}
	dir, base, made, err := f.tree.makeParent(p)
	f.markMade(made)
	if err != nil {
		return made, err
	}
	defer dir.Close()
	if err := writable(dir, base); err != nil {
		return made, err
	}
	put := placing{files: f, path: p, file: file, uid: uid, gid: gid}
	if file.Type == state.Symlink {
		err = replaceLink(dir, base, file.Target, func(temp string) error { return put.ownLink(dir, temp) })
	} else {
		err = replace(dir, base, file.Content, true, put.finish)
	}
	if err != nil {
		return made, err
	}
	f.mark(path.Dir(p))
	return made, nil
}

// writable says why base must not be replaced. rename(2) itself refuses a folder only.
func writable(dir *os.Root, base string) error {
	info, err := dir.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cause(err)
	}
	switch typeOf(info) {
	case state.Directory:
		return errors.New("a folder is there; move it away to have the file managed")
	case state.Special:
		return fmt.Errorf("a special file (%s) is there, which is never opened or replaced; remove it to have the file managed",
			strings.TrimSpace(info.Mode().Type().String()))
	}
	return nil
}

// Remove implements host.Files.
func (f *files) Remove(p string) error {
	if err := f.remove(p); err != nil {
		return fmt.Errorf("file %s: %w", p, err)
	}
	return nil
}

func (f *files) remove(p string) error {
	dir, base, err := f.tree.parent(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := writable(dir, base); err != nil {
		return err
	}
	err = dir.Remove(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cause(err)
	}
	f.mark(path.Dir(p))
	if f.record != nil {
		return f.record.disown(p)
	}
	return nil
}

// RemoveDir implements host.Files.
func (f *files) RemoveDir(p string) error {
	dir, base, err := f.tree.parent(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("folder %s: %w", p, err)
	}
	defer dir.Close()
	info, err := dir.Lstat(base)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("folder %s: is not a folder", p)
	}
	if err == nil {
		err = dir.Remove(base)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("folder %s: %w", p, cause(err))
	}
	f.mark(path.Dir(p))
	return nil
}
