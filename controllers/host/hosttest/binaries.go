package hosttest

import (
	"context"
	"errors"
	"fmt"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

var _ host.Binaries = fakeBinaries{}

// downloads is what can be fetched, and how often contents were hashed.
type downloads struct {
	served map[string][]byte
	hashed int
	// prints are versions by the hash of a program.
	prints map[string]string
}

// Serve puts content at a URL; nil takes it away.
func (f *Fake) Serve(url string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if content == nil {
		delete(f.world.downloads.served, url)
		return
	}
	f.world.downloads.served[url] = content
}

// Prints makes a program of that content say which version it is, whatever SetFacts said of its path.
func (f *Fake) Prints(content []byte, version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.downloads.prints[state.Hash(content)] = version
}

// Hashed is how many binaries had to be read to know what they are.
func (f *Fake) Hashed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.world.downloads.hashed
}

// identityOf stands in for device, inode and times: it changes with content and mode.
func identityOf(file state.File) string {
	return "identity-" + state.Hash([]byte(file.Digest()))
}

type fakeBinaries struct{ fake *Fake }

func (p fakeBinaries) Get(_ context.Context, name string, verified *state.Verified) (b state.Binary, found bool, err error) {
	err = p.fake.read(func(w *world) error {
		ok, err := w.files.checkParents(name)
		file, there := w.files[name]
		if err != nil || !ok || !there {
			return err
		}
		found = true
		b = state.Binary{Mode: file.Mode, Owner: file.Owner, Group: file.Group, Type: file.Type, Target: file.Target}
		if file.Type != state.Regular {
			return nil
		}
		b.Identity = identityOf(file)
		if verified != nil && verified.Identity == b.Identity {
			b.SHA256 = verified.SHA256
			return nil
		}
		w.downloads.hashed++
		b.SHA256 = state.Hash(file.Content)
		return nil
	})
	return b, found, err
}

func (p fakeBinaries) Keep(_ context.Context, name, hash string) error {
	return p.fake.change("binaries.Keep", name, func(w *world) error {
		file, ok := w.files[name]
		if !ok || file.Type != state.Regular || state.Hash(file.Content) != hash {
			return fmt.Errorf("binary %s: is not the one with sha256 %s", name, hash)
		}
		w.store["priors/"+hash] = append([]byte{}, file.Content...)
		return nil
	})
}

func (p fakeBinaries) Write(ctx context.Context, name string, b state.Binary) (made []string, identity string, err error) {
	err = p.fake.change("binaries.Write", name, func(w *world) error {
		content, ok := w.downloads.served[b.URL]
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !ok:
			return &host.Error{Reason: v1alpha1.ReasonDownloadFailed, Err: fmt.Errorf("binary %s: %s: 404 Not Found", name, b.URL)}
		case state.Hash(content) != b.SHA256:
			return &host.Error{Reason: v1alpha1.ReasonChecksumMismatch, Err: fmt.Errorf("binary %s: %s has sha256 %s, want %s", name, b.URL, state.Hash(content), b.SHA256)}
		}
		file := state.File{Content: content, Mode: b.Mode, Owner: b.Owner, Group: b.Group}
		made, err = w.place(name, file)
		identity = identityOf(stored(file))
		return err
	})
	return made, identity, err
}

func (w *world) place(name string, file state.File) ([]string, error) {
	if err := w.files.replaceable(name); err != nil {
		return nil, err
	}
	made := w.files.makeParents(name)
	w.files[name] = stored(file)
	return made, nil
}

func (p fakeBinaries) Restore(_ context.Context, name string, prior state.Prior) (made []string, err error) {
	err = p.fake.change("binaries.Restore", name, func(w *world) error {
		content, ok := w.store["priors/"+prior.Blob]
		if !ok || state.Hash(content) != prior.Blob {
			return fmt.Errorf("binary %s: %w", name, errors.New("the original is not kept"))
		}
		made, err = w.place(name, state.File{Content: content, Mode: prior.Mode, Owner: prior.Owner, Group: prior.Group})
		return err
	})
	return made, err
}
