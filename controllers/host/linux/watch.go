package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

// pollEvery is how often managed paths are looked at where inotify is not to be had.
const pollEvery = time.Second

// Watcher tells when somebody changes a managed path of a host root. It watches folders, since an
// atomic write replaces the file, and wakes up for managed paths and the folders that lead to them
// only. A change made by the agent itself is reported as well; a pass over it finds nothing to do.
type Watcher struct {
	root   string
	events chan struct{}
	stop   chan struct{}
	done   sync.WaitGroup
	notify *fsnotify.Watcher

	mu sync.Mutex
	// paths managed, and the folders on the way to them, all as paths of this machine.
	paths, folders map[string]bool
	// seen is what polling compares with.
	seen map[string]string
	// degraded says why paths are polled; empty while inotify works.
	degraded string
}

// NewWatcher watches nothing until Set. Close it when done.
func NewWatcher(hostRoot string) *Watcher {
	return newWatcher(hostRoot, fsnotify.NewWatcher)
}

func newWatcher(hostRoot string, open func() (*fsnotify.Watcher, error)) *Watcher {
	w := &Watcher{
		root: filepath.Clean(hostRoot), events: make(chan struct{}, 1), stop: make(chan struct{}),
		paths: map[string]bool{}, folders: map[string]bool{}, seen: map[string]string{},
	}
	notify, err := open()
	if err != nil {
		w.degraded = fmt.Sprintf("inotify: %v; raise fs.inotify.max_user_instances", err)
	} else {
		w.notify = notify
		w.done.Go(w.listen)
	}
	w.done.Go(w.poll)
	return w
}

// Events delivers one value for any number of changes since the last was taken.
func (w *Watcher) Events() <-chan struct{} { return w.events }

// Degraded says why changes are found by polling once a second instead of at once; "" when they are
// not.
func (w *Watcher) Degraded() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.degraded
}

// Set replaces the managed paths, which are the host's, absolute and clean.
func (w *Watcher) Set(paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths, w.folders = map[string]bool{}, map[string]bool{w.root: true}
	for _, p := range paths {
		p = filepath.Join(w.root, p)
		w.paths[p] = true
		for dir := filepath.Dir(p); len(dir) > len(w.root); dir = filepath.Dir(dir) {
			w.folders[dir] = true
		}
	}
	w.arm()
	w.seen = w.look()
}

// Close stops watching. Events delivers nothing after it.
func (w *Watcher) Close() error {
	close(w.stop)
	var err error
	if w.notify != nil {
		err = w.notify.Close()
	}
	w.done.Wait()
	return err
}

func (w *Watcher) wake() {
	select {
	case w.events <- struct{}{}:
	default:
	}
}

// listen handles inotify's events until the watcher is closed.
func (w *Watcher) listen() {
	for {
		select {
		case event, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if w.concerns(event) {
				w.wake()
			}
		case _, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			// Most likely an overflow: events were lost, so everything is to be looked at.
			w.rearm()
			w.wake()
		}
	}
}

// concerns is true for events about managed paths and about folders on the way to them that come or
// go. New folders are watched before anybody is told, so that what is put into them is not missed.
func (w *Watcher) concerns(event fsnotify.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := filepath.Clean(event.Name)
	if w.paths[name] {
		return true
	}
	if !w.folders[name] || !event.Has(fsnotify.Create) && !event.Has(fsnotify.Remove) && !event.Has(fsnotify.Rename) {
		return false
	}
	w.arm()
	return true
}

func (w *Watcher) rearm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arm()
}

// arm watches every existing folder on the way to a managed path and no other. The caller holds mu.
func (w *Watcher) arm() {
	if w.notify == nil {
		return
	}
	for _, dir := range w.notify.WatchList() {
		if !w.folders[dir] {
			// It may be gone already, and then so is its watch.
			_ = w.notify.Remove(dir)
		}
	}
	w.degraded = ""
	for _, dir := range state.SortedKeys(w.folders) {
		err := w.notify.Add(dir)
		if err == nil || absent(err) {
			continue
		}
		w.degraded = fmt.Sprintf("inotify: folder %s: %v; raise fs.inotify.max_user_watches", w.inHost(dir), cause(err))
	}
}

func (w *Watcher) inHost(p string) string {
	return path.Clean("/" + strings.TrimPrefix(p, w.root))
}

// poll looks once a second while inotify does not work.
func (w *Watcher) poll() {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			if w.changed() {
				w.wake()
			}
		}
	}
}

func (w *Watcher) changed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.degraded == "" {
		return false
	}
	before := w.seen
	w.seen = w.look()
	if len(before) != len(w.seen) {
		return true
	}
	for p, now := range w.seen {
		if before[p] != now {
			return true
		}
	}
	return false
}

// look describes each managed path by what any change to it alters.
func (w *Watcher) look() map[string]string {
	seen := map[string]string{}
	for p := range w.paths {
		seen[p] = describe(p)
	}
	return seen
}

// absent is true when a folder is not there to be watched (any more).
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// describe sums up a directory entry: type, mode, owner, inode, size and times. The change time
// alone would do on most file systems; the rest is for those that keep it in whole seconds.
func describe(p string) string {
	var stat unix.Stat_t
	if err := unix.Lstat(p, &stat); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%o %d:%d %d %d %d.%d %d.%d", stat.Mode, stat.Uid, stat.Gid, stat.Ino, stat.Size,
		stat.Mtim.Sec, stat.Mtim.Nsec, stat.Ctim.Sec, stat.Ctim.Nsec)
}
