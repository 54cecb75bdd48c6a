package seed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"seedbed.dev/seedbed/controllers/seed/pki"
)

// layoutVersion is the version of the data dir's layout. It grows when an older seedbed could no
// longer use what a newer one wrote.
const layoutVersion = 1

// dataDir is a data dir that this process holds.
type dataDir struct {
	Layout
	lock *os.File
}

// remembered is what has to be the same at the next start.
type remembered struct {
	Ports        Ports  `json:"ports"`
	ServiceRange string `json:"serviceRange"`
	// Server is the URL that kubeconfigs name.
	Server string `json:"server"`
}

// openDataDir makes the folder if it is missing, makes sure that it is a seed's and that no other
// process holds it, and shuts everybody else out of it.
func openDataDir(root string) (*dataDir, error) {
	d := &dataDir{Layout: Layout{Root: root}}
	err := d.open()
	if err != nil {
		d.close()
		return nil, explain(root, err)
	}
	return d, nil
}

func (d *dataDir) open() error {
	info, err := os.Stat(d.Root)
	if err == nil && !info.IsDir() {
		return problemf("choose a folder with --data-dir", "data dir %s: not a folder", d.Root)
	}
	if err := os.MkdirAll(d.Root, pki.DirMode); err != nil {
		return err
	}
	fresh, err := checkLayout(d.Layout)
	if err != nil {
		return err
	}
	if err := d.acquire(); err != nil {
		return err
	}
	if fresh {
		if err := pki.WriteFile(d.VersionFile(), []byte(strconv.Itoa(layoutVersion)+"\n")); err != nil {
			return err
		}
	}
	return shutOthersOut(d.Root)
}

// checkLayout refuses a folder that holds something else than a seed's data, or a newer seed's.
func checkLayout(l Layout) (fresh bool, err error) {
	content, err := os.ReadFile(l.VersionFile())
	if errors.Is(err, fs.ErrNotExist) {
		return true, checkEmpty(l)
	}
	if err != nil {
		return false, err
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(content)))
	switch {
	case err != nil || version < 1:
		return false, problemf("restore it (it is the number 1), or choose another data dir with --data-dir", "data dir %s: VERSION is damaged", l.Root)
	case version > layoutVersion:
		return false, problemf("use that seedbed, or choose another data dir with --data-dir",
			"data dir %s: made by a newer seedbed (layout %d, this one knows %d)", l.Root, version, layoutVersion)
	}
	return false, nil
}

// checkEmpty lets be what a first start that ended early leaves: the lock file and, with a dot before
// its name, a VERSION that was not finished.
func checkEmpty(l Layout) error {
	entries, err := os.ReadDir(l.Root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(l.LockFile()) && !strings.HasPrefix(e.Name(), "."+filepath.Base(l.VersionFile())) {
			return problemf("choose an empty or a new folder with --data-dir", "data dir %s: holds %s but no VERSION, so it is not a seed's", l.Root, e.Name())
		}
	}
	return nil
}

// acquire takes the lock, which the kernel releases when this process ends, however it ends.
func (d *dataDir) acquire() error {
	f, err := os.OpenFile(d.LockFile(), os.O_CREATE|os.O_RDWR, pki.FileMode)
	if err != nil {
		return err
	}
	d.lock = f
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock: %w", err)
		}
		return problemf("stop that one, or choose another data dir with --data-dir",
			"data dir %s: in use by another seed, process %s", d.Root, holder(d.LockFile()))
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func holder(lockFile string) string {
	content, err := os.ReadFile(lockFile)
	if pid := strings.TrimSpace(string(content)); err == nil && pid != "" {
		return pid
	}
	return "unknown"
}

func (d *dataDir) close() {
	if d.lock != nil {
		_ = d.lock.Close()
	}
}

// shutOthersOut makes every folder below root 0700 and every file 0600, whatever a copy or a restored
// backup left behind (SB020). root may be a symbolic link, which WalkDir does not follow.
func shutOthersOut(root string) error {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := pki.FileMode
		switch {
		case e.IsDir():
			mode = pki.DirMode
		case !e.Type().IsRegular():
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Mode().Perm() == mode) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.Chmod(path, mode)
	})
}

// recall reads what the last start remembered; nothing yet is the zero value.
func (l Layout) recall() (remembered, error) {
	var r remembered
	content, err := os.ReadFile(l.StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, &Problem{
			What: fmt.Sprintf("%s: damaged: %v", l.StateFile(), err),
			Cure: "restore it, or remove it (ports are then chosen anew, and kubeconfigs of nodes have to be made again)", Err: err,
		}
	}
	return r, nil
}

func (l Layout) remember(r remembered) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", l.StateFile(), err)
	}
	return pki.WriteFile(l.StateFile(), append(content, '\n'))
}

// checkUnchanged refuses settings that a cluster cannot take once it exists.
func (r remembered) checkUnchanged(s Settings) error {
	if r.ServiceRange == "" || r.ServiceRange == s.ServiceRange.String() {
		return nil
	}
	return problemf("start with --service-cluster-ip-range "+r.ServiceRange+", or with another data dir",
		"--service-cluster-ip-range %s: this data dir's cluster has %s, and its services have addresses from that", s.ServiceRange, r.ServiceRange)
}
