package seed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t *testing.T, root string) *dataDir {
	t.Helper()
	d, err := openDataDir(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func TestADataDirIsMadeAndOpenedAgain(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		d := mustOpen(t, root)
		content, err := os.ReadFile(d.VersionFile())
		if err != nil || string(content) != "1\n" {
			t.Errorf("VERSION: %q, %v", content, err)
		}
		d.close()
	}
}

func TestAnOpenDataDirIsRefusedWithTheHoldersPid(t *testing.T) {
	root := t.TempDir()
	d := mustOpen(t, root)
	_, err := openDataDir(root)
	want := fmt.Sprintf("data dir %s: in use by another seed, process %d: stop that one, or choose another data dir with --data-dir", root, os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
	d.close()
	mustOpen(t, root)
}

func TestAFolderThatIsNotASeedsIsLeftAlone(t *testing.T) {
	for _, tc := range []struct {
		reason string
		make   func(root string)
		want   string
	}{
		{"a file", func(root string) { write(t, root, "", 0o644) }, "not a folder: choose a folder with --data-dir"},
		{"below a file", func(root string) { write(t, filepath.Dir(root), "", 0o644) }, "choose a folder with --data-dir"},
		{
			"somebody's files", func(root string) { write(t, filepath.Join(root, "thesis.tex"), "", 0o644) },
			"holds thesis.tex but no VERSION, so it is not a seed's: choose an empty or a new folder with --data-dir",
		},
		{
			"a newer seed's", func(root string) { write(t, filepath.Join(root, "VERSION"), "2\n", 0o600) },
			"made by a newer seedbed (layout 2, this one knows 1): use that seedbed, or choose another data dir with --data-dir",
		},
		{"VERSION empty", func(root string) { write(t, filepath.Join(root, "VERSION"), "", 0o600) }, "VERSION is damaged"},
		{"VERSION of something else", func(root string) { write(t, filepath.Join(root, "VERSION"), "v1.2.3", 0o600) }, "VERSION is damaged"},
	} {
		root := filepath.Join(t.TempDir(), "x", "y")
		tc.make(root)
		before := tree(t, filepath.Dir(filepath.Dir(root)))
		_, err := openDataDir(root)
		var p *Problem
		if !errors.As(err, &p) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.reason, err)
		}
		if diff := cmp.Diff(before, tree(t, filepath.Dir(filepath.Dir(root)))); diff != "" {
			t.Errorf("%s: changed (-before +after):\n%s", tc.reason, diff)
		}
	}
}

func TestWhatAFirstStartThatEndedEarlyLeavesIsTakenOver(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "seed.lock"), "1\n", 0o600)
	write(t, filepath.Join(root, ".VERSION12345"), "", 0o600)
	mustOpen(t, root)
}

func TestSB020EverybodyElseIsShutOut(t *testing.T) {
	t.Run("Folder", func(t *testing.T) {
		root := filepath.Join(t.TempDir(), "data")
		everybodyElseIsShutOut(t, root, root)
	})
	t.Run("LinkToARestoredBackup", func(t *testing.T) {
		root := filepath.Join(t.TempDir(), "data")
		link := filepath.Join(filepath.Dir(root), "link")
		if err := os.Symlink(root, link); err != nil {
			t.Fatal(err)
		}
		everybodyElseIsShutOut(t, root, link)
	})
}

func everybodyElseIsShutOut(t *testing.T, root, dataDir string) {
	t.Helper()
	mustOpen(t, root).close()
	// As a copy by another tool may leave it.
	for _, name := range []string{"pki/ca.key", "admin.kubeconfig", "nodes/node-a.kubeconfig", "etcd/member/snap/db", "logs/etcd.log"} {
		write(t, filepath.Join(root, name), "x", 0o644)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "x", 0o644)
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dataDir)
	for path, mode := range tree(t, root) {
		if mode != "-rw-------" && mode != "drwx------" && !strings.HasPrefix(mode, "L") {
			t.Errorf("%s: %s", path, mode)
		}
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("a file outside the data dir was changed: %v, %v", info.Mode(), err)
	}
}

// tree is the mode of each file and folder.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		m[path] = info.Mode().String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestErrorsOfTheFileSystemSayWhatToDo(t *testing.T) {
	for err, want := range map[error]string{
		syscall.ENOSPC:  "free some space",
		syscall.EDQUOT:  "free some space",
		syscall.EROFS:   "read-only",
		syscall.ENOTDIR: "choose a folder",
		syscall.EACCES:  "run as the user who owns it",
		syscall.EPERM:   "run as the user who owns it",
	} {
		got := explain("/data", &fs.PathError{Op: "open", Path: "/data/pki/ca.key", Err: err})
		var p *Problem
		if !errors.As(got, &p) || !strings.Contains(p.Cure, want) || !strings.Contains(p.What, "/data/pki/ca.key") || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
	if got := explain("/data", errors.New("odd")); got.Error() != "data dir /data: odd" {
		t.Errorf("got %v", got)
	}
	known := problemf("cure", "what")
	if got := explain("/data", known); got.Error() != "what: cure" {
		t.Errorf("a problem was wrapped: %v", got)
	}
	if explain("/data", nil) != nil {
		t.Error("no error became one")
	}
}

// A full file system, for real: needs root for the mount, and is skipped without.
func TestAFullDiskIsSaidToBeFull(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=4k,mode=0700"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(root, 0) })
	_ = os.WriteFile(filepath.Join(root, "seed.lock"), make([]byte, 1<<20), 0o600)
	_, err := openDataDir(root)
	if err == nil || !strings.Contains(err.Error(), "no space left on device: free some space there") {
		t.Errorf("got %v", err)
	}
}

func TestWhatMustNotChangeIsRemembered(t *testing.T) {
	l := Layout{Root: t.TempDir()}
	if got, err := l.recall(); err != nil || got != (remembered{}) {
		t.Errorf("first start: %v, %v", got, err)
	}
	want := remembered{Ports: testPorts, ServiceRange: "10.254.0.0/16", Server: "https://10.64.3.7:6443"}
	if err := l.remember(want); err != nil {
		t.Fatal(err)
	}
	if got, err := l.recall(); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	write(t, l.StateFile(), "{", 0o600)
	if _, err := l.recall(); err == nil || !strings.Contains(err.Error(), "seed.json: damaged") {
		t.Errorf("got %v", err)
	}
}

func TestTheServiceRangeCannotChange(t *testing.T) {
	s := mustCheck(t, with(nil))
	for last, want := range map[string]string{
		"":              "",
		"10.254.0.0/16": "",
		"10.96.0.0/12": "--service-cluster-ip-range 10.254.0.0/16: this data dir's cluster has 10.96.0.0/12, and its services have addresses from that: " +
			"start with --service-cluster-ip-range 10.96.0.0/12, or with another data dir",
	} {
		err := remembered{ServiceRange: last}.checkUnchanged(s)
		if got := errorText(err); got != want {
			t.Errorf("%s: got %q, want %q", last, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTheHolderOfALockIsItsPid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if got := holder(path); got != "unknown" {
		t.Errorf("no file: %q", got)
	}
	write(t, path, strconv.Itoa(4711)+"\n", 0o600)
	if got := holder(path); got != "4711" {
		t.Errorf("got %q", got)
	}
}
