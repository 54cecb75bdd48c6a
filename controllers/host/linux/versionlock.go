package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// The list of dnf's versionlock plugin, and the plugin's own settings, which are there when it is
// (dnf-versionlock(8)).
const (
	versionLockList   = "/etc/dnf/plugins/versionlock.list"
	versionLockPlugin = "/etc/dnf/plugins/versionlock.conf"
)

// versionLocks holds packages with the plugin's list: a line NAME-EPOCH:VERSION-RELEASE.* each. Lines
// that others wrote stay as they are.
type versionLocks struct{ list, plugin string }

func newVersionLocks(root string) versionLocks {
	return versionLocks{list: filepath.Join(root, versionLockList), plugin: filepath.Join(root, versionLockPlugin)}
}

// usable is an error where a hold would hold nothing.
func (v versionLocks) usable(names []string) error {
	if len(names) == 0 || v.installed() {
		return nil
	}
	return packageError(v1alpha1.ReasonPackageManagerMissing, "packages: %s cannot be held in a version: install dnf's versionlock plugin (python3-dnf-plugin-versionlock), or leave versions out",
		strings.Join(names, ", "))
}

func (v versionLocks) installed() bool {
	_, err := os.Stat(v.plugin)
	return err == nil
}

// lineOf is the lock of a package in a version.
func lineOf(name, version string) string {
	if !strings.Contains(version, ":") {
		version = "0:" + version
	}
	return name + "-" + version + ".*"
}

// names the package of a line: what is before the last two dashes.
func lockedPackage(line string) string {
	for range 2 {
		i := strings.LastIndexByte(line, '-')
		if i < 0 {
			return ""
		}
		line = line[:i]
	}
	return line
}

func (v versionLocks) read() ([]string, error) {
	content, err := os.ReadFile(v.list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", v.list, cause(err))
	}
	return strings.Split(strings.TrimRight(string(content), "\n"), "\n"), nil
}

func (v versionLocks) holds(name, version string) (bool, error) {
	if !v.installed() {
		return false, nil
	}
	lines, err := v.read()
	return slices.Contains(lines, lineOf(name, version)), err
}

func (v versionLocks) hold(name, version string) error {
	lines, err := v.read()
	if err != nil {
		return err
	}
	return v.write(append(without(lines, name), lineOf(name, version)))
}

// release removes the locks of the packages.
func (v versionLocks) release(names []string) error {
	lines, err := v.read()
	if err != nil || len(names) == 0 {
		return err
	}
	return v.write(without(lines, names...))
}

func without(lines []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return slices.Contains(names, lockedPackage(line))
	})
}

// write replaces the list as a whole; an unchanged one is left alone.
func (v versionLocks) write(lines []string) error {
	now, err := v.read()
	if err != nil || slices.Equal(now, lines) {
		return err
	}
	dir, err := os.OpenRoot(filepath.Dir(v.list))
	if err != nil {
		return fmt.Errorf("file %s: %w", v.list, cause(err))
	}
	defer dir.Close()
	content := []byte(strings.TrimLeft(strings.Join(lines, "\n")+"\n", "\n"))
	err = replace(dir, filepath.Base(v.list), content, true, func(temp *os.File) error { return cause(temp.Chmod(0o644)) })
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("file %s: %w", v.list, err)
	}
	return nil
}
