package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// rpmFolders are where rpm's database is, in old and new releases.
var rpmFolders = []string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"}

// rpmFiles hold packages, whatever the back end; the others in the folder change with each reader.
var rpmFiles = []string{"rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages.db", "Packages"}

// rpmDatabase is what rpm says is installed, asked again when its database changes.
type rpmDatabase struct {
	root    string
	folders []string

	mu        sync.Mutex
	read      string
	installed map[string]string
}

func newRpmDatabase(root string) *rpmDatabase { return &rpmDatabase{root: root, folders: rpmFolders} }

// get returns the version of an installed package, without an epoch of 0.
func (d *rpmDatabase) get(ctx context.Context, name string) (version string, installed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	stamp, err := d.stamp()
	if err != nil {
		return "", false, fmt.Errorf("package %s: %w", name, err)
	}
	if stamp == "" {
		return "", false, nil // no database, no packages
	}
	if stamp != d.read {
		if err := d.refresh(ctx); err != nil {
			return "", false, fmt.Errorf("package %s: %w", name, err)
		}
		// Asking may itself have moved rpm's log into its database.
		if d.read, err = d.stamp(); err != nil {
			return "", false, fmt.Errorf("package %s: %w", name, err)
		}
	}
	version, installed = d.installed[name]
	return version, installed, nil
}

// stamp differs whenever the database was written to.
func (d *rpmDatabase) stamp() (string, error) {
	var stamp strings.Builder
	for _, folder := range d.folders {
		for _, name := range rpmFiles {
			info, err := os.Stat(filepath.Join(d.root, folder, name))
			if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
				continue
			}
			if err != nil {
				return "", cause(err)
			}
			s := info.Sys().(*syscall.Stat_t)
			fmt.Fprintf(&stamp, "%s:%d:%d:%d.%d;", name, s.Ino, s.Size, s.Mtim.Sec, s.Mtim.Nsec)
		}
	}
	return stamp.String(), nil
}

func (d *rpmDatabase) refresh(ctx context.Context) error {
	const format = `%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n`
	out, _, err := d.rpm(ctx, "--query", "--all", "--queryformat", format)
	if err != nil {
		return err
	}
	d.installed = map[string]string{}
	for line := range strings.Lines(out) {
		// Of several versions, as of kernels, the one that rpm lists first was installed last.
		if words := strings.Fields(line); len(words) == 2 && d.installed[words[0]] == "" {
			d.installed[words[0]] = strings.TrimPrefix(words[1], "0:")
		}
	}
	return nil
}

// rpm runs rpm.
func (d *rpmDatabase) rpm(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	program, err := find("rpm")
	if err != nil {
		return "", "", err
	}
	if d.root != "" {
		args = append([]string{"--root", d.root}, args...)
	}
	return readAs(ctx, func(*exec.Cmd) {}, program, args...)
}
