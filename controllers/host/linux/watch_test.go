package linux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

const (
	// soon is far longer than an event takes.
	soon = 5 * time.Second
	// quiet is how long nothing may be heard.
	quiet = 150 * time.Millisecond
)

func watching(t *testing.T, root string, open func() (*fsnotify.Watcher, error), paths ...string) *Watcher {
	t.Helper()
	w := newWatcher(root, open)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Set(paths)
	return w
}

func heard(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Events():
	case <-time.After(soon):
		t.Fatalf("nobody was told of: %s", what)
	}
	drain(w)
}

func notHeard(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Events():
		t.Errorf("woken up by: %s", what)
	case <-time.After(quiet):
	}
	drain(w)
}

// drain waits until what one action caused has been delivered.
func drain(w *Watcher) {
	for {
		select {
		case <-w.Events():
		case <-time.After(20 * time.Millisecond):
			return
		}
	}
}

// eachChange does everything that can happen to a managed path.
func eachChange(t *testing.T, root string, after func(what string)) {
	t.Helper()
	at := func(p string) string { return filepath.Join(root, p) }
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"written in place", func() error { return os.WriteFile(at("etc/docker/daemon.json"), []byte("{}"), 0o644) }},
		{"mode changed", func() error { return os.Chmod(at("etc/docker/daemon.json"), 0o600) }},
		{"replaced", func() error {
			return errors.Join(os.WriteFile(at("etc/docker/.x"), []byte("n"), 0o644), os.Rename(at("etc/docker/.x"), at("etc/docker/daemon.json")))
		}},
		{"removed", func() error { return os.Remove(at("etc/docker/daemon.json")) }},
		{"a link in its place", func() error { return os.Symlink("x", at("etc/docker/daemon.json")) }},
		{"its folder removed", func() error { return os.RemoveAll(at("etc/docker")) }},
		{"its folder and itself made anew", func() error {
			return errors.Join(os.Mkdir(at("etc/docker"), 0o755), os.WriteFile(at("etc/docker/daemon.json"), nil, 0o644))
		}},
		{"written in the new folder", func() error { return os.WriteFile(at("etc/docker/daemon.json"), []byte("{ }"), 0o644) }},
		{"its folder renamed", func() error { return os.Rename(at("etc/docker"), at("etc/docker.old")) }},
		{"another folder in its place", func() error { return os.Rename(at("etc/docker.old"), at("etc/docker")) }},
		{"written again", func() error { return os.WriteFile(at("etc/docker/daemon.json"), []byte("{  }"), 0o644) }},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		after(c.what)
	}
}

func TestEveryChangeToAManagedPathIsHeard(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "/etc/docker/daemon.json", text("old"))
	w := watching(t, root, fsnotify.NewWatcher, "/etc/docker/daemon.json")
	eachChange(t, root, func(what string) { heard(t, w, what) })
	if why := w.Degraded(); why != "" {
		t.Errorf("degraded: %s", why)
	}
}

func TestAPathWhoseFoldersDoNotExistYetIsHeard(t *testing.T) {
	root := t.TempDir()
	w := watching(t, root, fsnotify.NewWatcher, "/etc/a/b/c/file")
	if err := os.MkdirAll(filepath.Join(root, "etc/a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	heard(t, w, "folders made")
	plant(t, root, "/etc/a/b/c/file", text("x"))
	heard(t, w, "file made")
}

func TestOtherFilesInTheSameFolderWakeNobody(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "/etc/docker/daemon.json", text("old"))
	plant(t, root, "/etc/docker/other", text("old"))
	w := watching(t, root, fsnotify.NewWatcher, "/etc/docker/daemon.json")
	plant(t, root, "/etc/docker/other", text("new"))
	notHeard(t, w, "another file written")
	plant(t, root, "/etc/docker/daemon.json.dpkg-new", text("new"))
	notHeard(t, w, "another file made")
	plant(t, root, "/etc/hosts", text("new"))
	notHeard(t, w, "a file in a folder on the way")
	if _, err := os.ReadFile(filepath.Join(root, "etc/docker/daemon.json")); err != nil {
		t.Fatal(err)
	}
	notHeard(t, w, "the managed file being read")
}

func TestSetReplacesThePaths(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "/etc/a/file", text("old"))
	plant(t, root, "/etc/b/file", text("old"))
	w := watching(t, root, fsnotify.NewWatcher, "/etc/a/file")
	w.Set([]string{"/etc/b/file"})
	plant(t, root, "/etc/a/file", text("new"))
	notHeard(t, w, "a path that is no longer managed")
	plant(t, root, "/etc/b/file", text("new"))
	heard(t, w, "the path that is")
	if list := w.notify.WatchList(); slices.ContainsFunc(list, func(p string) bool { return strings.HasSuffix(p, "etc/a") }) {
		t.Errorf("still watched: %v", list)
	}
}

// Fault 41: a burst overflows the queue, and a change during it is still found.
func TestF041AnOverflowIsAnEvent(t *testing.T) {
	root := t.TempDir()
	w := watching(t, root, fsnotify.NewWatcher, "/etc/file")
	w.notify.Errors <- fsnotify.ErrEventOverflow
	heard(t, w, "an overflow")
}

// Fault 40: no inotify instance is left.
func TestF040WithoutInotifyChangesAreFoundByPolling(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "/etc/docker/daemon.json", text("old"))
	none := func() (*fsnotify.Watcher, error) { return nil, os.NewSyscallError("inotify_init1", unix.EMFILE) }
	w := watching(t, root, none, "/etc/docker/daemon.json")
	if why := w.Degraded(); !strings.Contains(why, "max_user_instances") {
		t.Errorf("Degraded() = %q; want what to do", why)
	}
	plant(t, root, "/etc/docker/other", text("new"))
	plant(t, root, "/etc/docker/daemon.json", text("new"))
	heard(t, w, "a change")
	if err := os.Remove(filepath.Join(root, "etc/docker/daemon.json")); err != nil {
		t.Fatal(err)
	}
	heard(t, w, "a removal")
}

func TestManyChangesAreOneEvent(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "/etc/file", text("old"))
	w := watching(t, root, fsnotify.NewWatcher, "/etc/file")
	for i := range 1000 {
		plant(t, root, "/etc/file", state.File{Content: fmt.Append(nil, i), Mode: 0o644})
	}
	time.Sleep(quiet)
	n := 0
	for len(w.Events()) > 0 {
		<-w.Events()
		n++
	}
	if n != 1 {
		t.Errorf("%d events wait; want 1", n)
	}
}
