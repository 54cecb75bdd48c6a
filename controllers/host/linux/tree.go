package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"seedbed.dev/seedbed/controllers/host"
)

// tree is a host's file system below one folder. Its paths are the host's own: "/etc/x" is the etc/x
// below that folder. Every lookup goes from folder to folder by descriptor, so swapping a folder for
// a symbolic link while a lookup runs leads nowhere.
type tree struct{ top *os.Root }

func openTree(root string) (*tree, error) {
	top, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("host root %s: %w; it must be an existing folder", root, cause(err))
	}
	return &tree{top: top}, nil
}

func (t *tree) Close() error { return t.top.Close() }

// linkFolders are where distributions put symbolic links to folders: /lib and /bin to /usr (merged
// /usr), /usr/local and /opt to /var (ostree), /var/run to /run. Links to folders anywhere else are
// refused: on a host's own configuration folders they are planted, or a mistake to be pointed out.
var linkFolders = []string{"/", "/usr", "/var"}

// maxLinks bounds how many links one lookup follows, against loops.
const maxLinks = 8

// errFolderLink is returned for a folder on the way that is a symbolic link.
var errFolderLink = errors.New("is a symbolic link; name the path it leads to instead")

// parent opens the folder that file p is in and returns p's last element. The caller closes it.
func (t *tree) parent(p string) (*os.Root, string, error) {
	dir, base, err := split(p)
	if err != nil {
		return nil, "", err
	}
	folder, _, err := t.walk(dir, false)
	return folder, base, err
}

// makeParent is parent, and makes missing folders with mode 0755, whatever the umask. It returns
// those it made, outermost first, also on error.
func (t *tree) makeParent(p string) (folder *os.Root, base string, made []string, err error) {
	dir, base, err := split(p)
	if err != nil {
		return nil, "", nil, err
	}
	folder, made, err = t.walk(dir, true)
	return folder, base, made, err
}

// folder opens a folder. The caller closes it.
func (t *tree) folder(dir string) (*os.Root, error) {
	opened, _, err := t.walk(dir, false)
	return opened, err
}

// look is parent, and looks at p itself without following a link. Nothing at p, or no folder for it, is
// fs.ErrNotExist. The caller closes the folder.
func (t *tree) look(p string) (dir *os.Root, base string, info fs.FileInfo, err error) {
	if dir, base, err = t.parent(p); err != nil {
		return nil, "", nil, err
	}
	if info, err = dir.Lstat(base); err != nil {
		return nil, "", nil, errors.Join(cause(err), cause(dir.Close()))
	}
	return dir, base, info, nil
}

// follow opens the folder of what p leads to when links at its end are followed, as the host would.
// Only what is read is looked up like this, and never a managed file. The caller closes the folder.
func (t *tree) follow(p string) (dir *os.Root, base string, info fs.FileInfo, err error) {
	for range maxLinks {
		if dir, base, info, err = t.look(p); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return dir, base, info, err
		}
		target, err := dir.Readlink(base)
		if err := errors.Join(cause(err), cause(dir.Close())); err != nil {
			return nil, "", nil, err
		}
		p = linkTarget(path.Dir(p), target)
	}
	return nil, "", nil, syscall.ELOOP
}

// linkTarget is where a link in folder here leads, seen from the top of the host root, which ".." never
// leaves.
func linkTarget(here, target string) string {
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join(here, target)
}

// walk opens dir one element at a time. The caller closes the result.
func (t *tree) walk(dir string, create bool) (at *os.Root, made []string, err error) {
	rest, here := elements(dir), "/"
	if at, err = t.top.OpenRoot("."); err != nil {
		return nil, nil, cause(err)
	}
	for links := 0; len(rest) > 0; {
		next, isNew, err := enter(at, rest[0], create)
		there := path.Join(here, rest[0])
		if isNew {
			made = append(made, there)
		}
		var link linkError
		switch {
		case errors.As(err, &link) && slices.Contains(linkFolders, here) && links < maxLinks:
			links++
			rest, here = append(elements(linkTarget(here, link.target)), rest[1:]...), "/"
			next, err = t.top.OpenRoot(".")
			err = cause(err)
		case errors.As(err, &link):
			err = fmt.Errorf("%w (%s)", errFolderLink, link.target)
		default:
			rest, here = rest[1:], there
		}
		if err != nil {
			return nil, made, errors.Join(fmt.Errorf("folder %s: %w", there, err), cause(at.Close()))
		}
		if err := at.Close(); err != nil {
			return nil, made, errors.Join(cause(err), cause(next.Close()))
		}
		at = next
	}
	return at, made, nil
}

// linkError says that a symbolic link stands where a folder was expected.
type linkError struct{ target string }

func (e linkError) Error() string { return "symbolic link to " + e.target }

// enter opens the folder name in at, without following a link, and makes it first if asked to.
func enter(at *os.Root, name string, create bool) (next *os.Root, made bool, err error) {
	info, err := at.Lstat(name)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err = at.Mkdir(name, 0o755); err == nil || errors.Is(err, fs.ErrExist) {
			made = err == nil
			info, err = at.Lstat(name)
		}
	}
	if err != nil {
		return nil, made, cause(err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := at.Readlink(name)
		if err != nil {
			return nil, made, cause(err)
		}
		return nil, made, linkError{target}
	case !info.IsDir():
		return nil, made, syscall.ENOTDIR
	}
	next, err = at.OpenRoot(name)
	if err != nil {
		return nil, made, cause(err)
	}
	if err := settle(next, info, made); err != nil {
		return nil, made, errors.Join(err, next.Close())
	}
	return next, made, nil
}

// settle checks that the opened folder is the one that was looked at, since OpenRoot would follow a
// link put there in between, and gives a new folder its mode, which the umask may have cut.
func settle(opened *os.Root, looked fs.FileInfo, made bool) error {
	info, err := opened.Stat(".")
	if err != nil {
		return cause(err)
	}
	if !os.SameFile(info, looked) {
		return errSwapped
	}
	if made {
		return cause(opened.Chmod(".", 0o755))
	}
	return nil
}

// errSwapped is returned when something was replaced between being looked at and being opened.
var errSwapped = errors.New("was replaced while it was being opened")

// split checks a path and cuts it into folder and last element.
func split(p string) (dir, base string, err error) {
	if err := host.CheckFile(p); err != nil {
		return "", "", err
	}
	return path.Dir(p), path.Base(p), nil
}

func elements(dir string) []string {
	return strings.FieldsFunc(path.Clean("/"+dir), func(r rune) bool { return r == '/' })
}

// cause strips operation and path from an error of package os: the caller names the host's path,
// and the name of a temporary file would make the message differ each time.
func cause(err error) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	var callErr *os.SyscallError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	case errors.As(err, &callErr):
		return callErr.Err
	}
	return err
}
