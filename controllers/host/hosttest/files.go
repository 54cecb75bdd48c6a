package hosttest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strconv"
	"strings"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

var _ host.Files = fakeFiles{}

// fileSystem is entries by path, folders included. Entries are never changed in place, so that a
// shallow copy is a snapshot.
type fileSystem map[string]state.File

func folder() state.File {
	return state.File{Type: state.Directory, Mode: 0o755, Owner: "root", Group: "root"}
}

// makeParents returns the folders it made, outermost first.
func (s fileSystem) makeParents(p string) []string {
	dir := path.Dir(p)
	if dir == "/" {
		return nil
	}
	made := s.makeParents(dir)
	if _, ok := s[dir]; !ok {
		s[dir] = folder()
		made = append(made, dir)
	}
	return made
}

// checkParents is the lookup of a path: a folder on the way that is something else is an error, and
// one that is missing gives false.
func (s fileSystem) checkParents(p string) (bool, error) {
	if err := host.CheckFile(p); err != nil {
		return false, err
	}
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		entry, ok := s[dir]
		if ok && entry.Type != state.Directory {
			return false, fmt.Errorf("file %s: folder %s: is not a folder", p, dir)
		}
		if !ok {
			if _, err := s.checkParents(dir); err != nil {
				return false, err
			}
			return false, nil
		}
	}
	return true, nil
}

// Put puts something at a path, as another program or an earlier admin would, durably. Parents are
// made. An empty owner or group is root.
func (f *Fake) Put(p string, file state.File) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file.Owner == "" {
		file.Owner = "root"
	}
	if file.Group == "" {
		file.Group = "root"
	}
	for _, s := range []fileSystem{f.world.files, f.world.onDisk} {
		s.makeParents(p)
		s[p] = stored(file)
	}
}

// Delete removes whatever is at a path, and below it, behind the agent's back.
func (f *Fake) Delete(p string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range []fileSystem{f.world.files, f.world.onDisk} {
		maps.DeleteFunc(s, func(at string, _ state.File) bool { return at == p || strings.HasPrefix(at, p+"/") })
	}
}

// File returns what is at a path.
func (f *Fake) File(p string) (state.File, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, ok := f.world.files[p]
	return clone(file), ok
}

// Paths lists the files and symbolic links on the host, without folders.
func (f *Fake) Paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var paths []string
	for _, p := range state.SortedKeys(f.world.files) {
		if f.world.files[p].Type != state.Directory {
			paths = append(paths, p)
		}
	}
	return paths
}

// AddUser makes a user and group of that name known.
func (f *Fake) AddUser(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.users[name] = true
}

// clone keeps callers from changing what is stored.
func clone(file state.File) state.File {
	if file.Content != nil {
		file.Content = append([]byte{}, file.Content...)
	}
	return file
}

// stored is what of a desired file ends up on a disk.
func stored(file state.File) state.File {
	kept := state.File{Type: file.Type, Mode: file.Mode, Owner: file.Owner, Group: file.Group, Target: file.Target}
	switch file.Type {
	case state.Regular:
		kept.Content = append([]byte{}, file.Content...)
	case state.Symlink:
		kept.Mode = 0o777
	}
	return kept
}

type fakeFiles struct{ fake *Fake }

func (p fakeFiles) Read(name string) (file state.File, found bool, err error) {
	err = p.fake.read(func(w *world) error {
		ok, err := w.files.checkParents(name)
		if err != nil || !ok {
			return err
		}
		file, found = w.files[name]
		file = clone(file)
		return nil
	})
	return file, found, err
}

func (p fakeFiles) Write(name string, file state.File) (made []string, err error) {
	err = p.fake.change("files.Write", name, func(w *world) error {
		for _, owner := range []string{file.Owner, file.Group} {
			if _, err := strconv.Atoi(owner); err != nil && !w.users[owner] {
				return fmt.Errorf("file %s: no user or group %q", name, owner)
			}
		}
		if err := w.files.replaceable(name); err != nil {
			return err
		}
		made = w.files.makeParents(name)
		w.files[name] = stored(file)
		return nil
	})
	return made, err
}

// replaceable is an error where a file must not be put or removed.
func (s fileSystem) replaceable(name string) error {
	if _, err := s.checkParents(name); err != nil {
		return err
	}
	switch there := s[name]; there.Type {
	case state.Directory, state.Special:
		return fmt.Errorf("file %s: a %s is there", name, there.Type)
	}
	return nil
}

func (p fakeFiles) Remove(name string) error {
	return p.fake.change("files.Remove", name, func(w *world) error {
		if err := w.files.replaceable(name); err != nil {
			return err
		}
		delete(w.files, name)
		return nil
	})
}

func (p fakeFiles) RemoveDir(name string) error {
	return p.fake.change("files.RemoveDir", name, func(w *world) error {
		ok, err := w.files.checkParents(name)
		there, found := w.files[name]
		if err != nil || !ok || !found {
			return err
		}
		if there.Type != state.Directory {
			return fmt.Errorf("folder %s: is not a folder", name)
		}
		for at := range w.files {
			if strings.HasPrefix(at, name+"/") {
				return nil
			}
		}
		delete(w.files, name)
		return nil
	})
}

func (p fakeFiles) Sync() error {
	return p.fake.change("files.Sync", "", func(w *world) error {
		w.onDisk = maps.Clone(w.files)
		return nil
	})
}

var _ host.Store = fakeStore{}

type fakeStore struct{ fake *Fake }

func (p fakeStore) Read(name string) (content []byte, err error) {
	err = p.fake.read(func(w *world) error {
		stored, ok := w.store[name]
		if !ok {
			return fmt.Errorf("state file %s: %w", name, fs.ErrNotExist)
		}
		content = append([]byte{}, stored...)
		return nil
	})
	return content, err
}

func (p fakeStore) Write(name string, content []byte) error {
	if err := checkStoreName(name); err != nil {
		return err
	}
	return p.fake.change("store.Write", name, func(w *world) error {
		w.store[name] = append([]byte{}, content...)
		return nil
	})
}

func (p fakeStore) Remove(name string) error {
	return p.fake.change("store.Remove", name, func(w *world) error {
		delete(w.store, name)
		return nil
	})
}

func checkStoreName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.Count(name, "/") > 1 {
		return fmt.Errorf("state file %s: %w", name, errors.New("bad name"))
	}
	return nil
}

// StoreNames lists the agent's state files.
func (f *Fake) StoreNames() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return state.SortedKeys(f.world.store)
}

// Store returns one of the agent's state files, nil when there is none.
func (f *Fake) Store(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.world.store[name]
}

// PutStore puts one of the agent's state files there, to tear it or to age it.
func (f *Fake) PutStore(name string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.store[name] = content
}
