package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Hierarchy is a mounted cgroup hierarchy: one of several of version 1, or that of version 2.
type Hierarchy struct {
	mount   string
	fstype  string
	options string
}

// mountOptions are options of a cgroup mount that say nothing about which Hierarchy it is.
var mountOptions = []string{"rw", "ro", "relatime", "nosuid", "nodev", "noexec", "nsdelegate", "memory_recursiveprot", "xattr", "clone_children"}

// Hierarchies reads which cgroup hierarchies this process sees.
func Hierarchies() ([]Hierarchy, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return parse(file)
}

// parse reads the cgroup mounts of a mountinfo file (proc_pid_mountinfo(5)).
func parse(mountinfo io.Reader) ([]Hierarchy, error) {
	var found []Hierarchy
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		// As in: 31 25 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup none rw,cpu
		before, after, _ := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 || right[0] != "cgroup" && right[0] != "cgroup2" {
			continue
		}
		options := slices.DeleteFunc(strings.Split(right[2], ","), func(o string) bool {
			return slices.Contains(mountOptions, o) || strings.HasPrefix(o, "release_agent=")
		})
		found = append(found, Hierarchy{mount: left[4], fstype: right[0], options: strings.Join(options, ",")})
	}
	return found, lines.Err()
}

// AnyVersion1 says whether one of the hierarchies is of version 1.
func AnyVersion1(all []Hierarchy) bool {
	return slices.ContainsFunc(all, func(h Hierarchy) bool { return h.fstype == "cgroup" })
}

// Make makes the cgroup with that path in every hierarchy.
func Make(all []Hierarchy, cgroup string) error {
	for _, h := range all {
		dir := h.mount
		for part := range strings.SplitSeq(cgroup, "/") {
			parent := dir
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			if err := passOn(h, parent, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// passOn gives a new cgroup what it does not get from its parent by itself: in version 1 its
// processors and memory nodes, in version 2 the controllers.
func passOn(h Hierarchy, parent, dir string) error {
	if h.fstype == "cgroup2" {
		controllers, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for c := range strings.FieldsSeq(string(controllers)) {
			// One that cannot be passed on here, such as one in use by version 1, is not there for hosts.
			_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+c), 0)
		}
		return nil
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), value, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Join moves this process into the cgroup of every hierarchy.
func Join(all []Hierarchy, cgroup string) error {
	for _, h := range all {
		if err := os.WriteFile(filepath.Join(h.mount, cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

// Remount mounts every hierarchy again, in a cgroup namespace that was just entered: each then
// shows this process's cgroup as its root.
func Remount(all []Hierarchy) error {
	for _, h := range all {
		if err := unix.Unmount(h.mount, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", h.mount, err)
		}
		if err := unix.Mount("cgroup", h.mount, h.fstype, 0, h.options); err != nil {
			return fmt.Errorf("mounting %s (%s): %w", h.mount, h.options, err)
		}
	}
	return nil
}

// Remove removes the cgroup and all below it in every hierarchy. Processes that were just killed
// leave their cgroup a moment later, so it tries for a while.
func Remove(all []Hierarchy, cgroup string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		var failed error
		for _, h := range all {
			failed = errors.Join(failed, removeTree(filepath.Join(h.mount, cgroup)))
		}
		if failed == nil || time.Now().After(deadline) {
			return failed
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// removeTree removes a cgroup with those below it, deepest first. Its files go with it.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

// Follow moves the calling thread into the cgroups that a process is in, given as its /proc/PID/cgroup, so
// that what the thread starts is there. A hierarchy of version 2 moves no single thread: for that one it
// returns the cgroup's folder, which clone3 takes, or "" when there is none.
func Follow(all []Hierarchy, membership string) (string, error) {
	folder := ""
	for line := range strings.Lines(membership) {
		// As in 4:memory:/seedbed-lab/node-a, and 0::/... for version 2.
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		for _, h := range all {
			switch {
			case controllers == "" && h.fstype == "cgroup2":
				folder = filepath.Join(h.mount, path)
			case controllers != "" && h.fstype == "cgroup" && sameControllers(h.options, controllers):
				if err := os.WriteFile(filepath.Join(h.mount, path, "tasks"), []byte("0"), 0); err != nil {
					return "", err
				}
			}
		}
	}
	return folder, nil
}

func sameControllers(a, b string) bool {
	left, right := strings.Split(a, ","), strings.Split(b, ",")
	slices.Sort(left)
	slices.Sort(right)
	return slices.Equal(left, right)
}
