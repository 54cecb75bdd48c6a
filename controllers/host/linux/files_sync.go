package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

// mark notes that a folder holds changes that are not durable yet.
func (f *files) mark(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty[dir] = true
}

// markMade marks new folders and the folders that they were made in.
func (f *files) markMade(made []string) {
	for _, dir := range made {
		f.mark(dir)
		f.mark(path.Dir(dir))
	}
}

// Sync implements host.Files: one fsync for each folder touched since the last Sync, however many
// files in it were.
func (f *files) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, dir := range state.SortedKeys(f.dirty) {
		if err := f.syncOne(dir); err != nil {
			f.failed[dir] = true
			errs = append(errs, fmt.Errorf("folder %s: %w", dir, err))
			continue
		}
		delete(f.dirty, dir)
		delete(f.failed, dir)
	}
	if f.record != nil {
		errs = append(errs, f.record.sync())
	}
	return errors.Join(errs...)
}

func (f *files) syncOne(dir string) error {
	folder, err := f.tree.folder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has been removed, and its parent is dirty for that
	}
	if err != nil {
		return err
	}
	defer folder.Close()
	if f.failed[dir] {
		if err := touchFolder(folder); err != nil {
			return err
		}
	}
	return syncFolder(folder)
}

// touchFolder changes a folder whose fsync failed, so that the kernel writes its blocks anew: after
// a failure it may consider them clean, and the next fsync would succeed without writing.
func touchFolder(folder *os.Root) error {
	temp := newTempName()
	file, err := folder.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return cause(err)
	}
	return errors.Join(cause(file.Close()), discard(folder, temp))
}

// CleanTemps removes the temporary files that a killed run left in the given folders of a host root,
// and returns their paths. Only what has exactly the form of our names and belongs to this user is
// removed, and only whoever holds the host's lock may call it: it cannot tell a dead run's files from
// a live one's. Folders that do not exist are skipped.
func CleanTemps(root string, dirs []string) (removed []string, err error) {
	tree, err := openTree(root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	var errs []error
	seen := map[string]bool{}
	for _, dir := range dirs {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		names, err := cleanFolder(tree, dir)
		for _, name := range names {
			removed = append(removed, path.Join(dir, name))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("folder %s: %w", dir, err))
		}
	}
	return removed, errors.Join(errs...)
}

func cleanFolder(t *tree, dir string) (removed []string, err error) {
	folder, err := t.folder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := entries(folder)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range names {
		if !tempName.MatchString(name) || !ownTemp(folder, name) {
			continue
		}
		if err := discard(folder, name); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(errs...)
}

// entries lists the names in a folder.
func entries(folder *os.Root) ([]string, error) {
	file, err := folder.Open(".")
	if err != nil {
		return nil, cause(err)
	}
	defer file.Close()
	names, err := file.Readdirnames(-1)
	return names, cause(err)
}

// ownTemp is true for a file or symbolic link that this user owns.
func ownTemp(folder *os.Root, name string) bool {
	info, err := folder.Lstat(name)
	if err != nil || !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	return int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid()
}
