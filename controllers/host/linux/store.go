package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"sync"
)

// StateDir is where the agent keeps its own state on a host.
const StateDir = "/var/lib/seedbed"

// store is host.Store in StateDir. The folder is made by the first Write, so that reading a host
// leaves no trace on it.
type store struct {
	tree *tree

	mu sync.Mutex
	// settled folders have been seen to be 0700 and durable.
	settled map[string]bool
}

func newStore(t *tree) *store { return &store{tree: t, settled: map[string]bool{}} }

var storeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$`)

// Read implements host.Store.
func (s *store) Read(name string) ([]byte, error) {
	dir, base, err := s.open(name)
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", name, err)
	}
	defer dir.Close()
	info, err := dir.Lstat(base)
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", name, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("state file %s: is not a regular file", name)
	}
	content, _, err := readRegular(dir, base, info)
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", name, err)
	}
	return content, nil
}

func (s *store) open(name string) (*os.Root, string, error) {
	if !storeName.MatchString(name) {
		return nil, "", errors.New("bad name: want a relative path with at most one folder")
	}
	return s.tree.parent(path.Join(StateDir, name))
}

// Write implements host.Store.
func (s *store) Write(name string, content []byte) error { return s.write(name, content, true) }

func (s *store) write(name string, content []byte, durable bool) error {
	if !storeName.MatchString(name) {
		return fmt.Errorf("state file %s: bad name: want a relative path with at most one folder", name)
	}
	dir, base, _, err := s.tree.makeParent(path.Join(StateDir, name))
	if err == nil {
		defer dir.Close()
		err = s.settle(path.Dir(path.Join(StateDir, name)))
	}
	if err == nil {
		err = replace(dir, base, content, durable, func(temp *os.File) error { return cause(temp.Chmod(0o600)) })
	}
	if err == nil && durable {
		err = syncFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("state file %s: %w", name, err)
	}
	return nil
}

// settle closes the store's folders to others and makes them durable, once for each in a process: a
// run that was killed may have made one and gone no further.
func (s *store) settle(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled[dir] {
		return nil
	}
	if dir != StateDir {
		if err := s.settleOne(StateDir); err != nil {
			return err
		}
	}
	if err := s.settleOne(dir); err != nil {
		return err
	}
	s.settled[dir] = true
	return nil
}

func (s *store) settleOne(dir string) error {
	folder, err := s.tree.folder(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Chmod(".", 0o700); err != nil {
		return cause(err)
	}
	parent, err := s.tree.folder(path.Dir(dir))
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(parent), cause(parent.Close()))
}

// Remove implements host.Store.
func (s *store) Remove(name string) error {
	dir, base, err := s.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("state file %s: %w", name, err)
	}
	defer dir.Close()
	err = dir.Remove(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("state file %s: %w", name, cause(err))
	}
	return nil
}
