package linux

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

func TestFilesKeepTheContract(t *testing.T) {
	hosttest.FilesContract(t, func(t *testing.T) hosttest.FilesFixture {
		root, tree := newRoot(t)
		x := fixture(root, newFiles(tree, nil))
		if os.Geteuid() == 0 {
			x.OtherOwner, x.OtherGroup = "kube", "12345"
		}
		return x
	})
}

func TestFilesOfAnOfflineRootKeepTheContract(t *testing.T) {
	hosttest.FilesContract(t, func(t *testing.T) hosttest.FilesFixture {
		root, _ := newRoot(t)
		x := fixture(root, offline(t, root).Files)
		x.OtherOwner, x.OtherGroup = "kube", "kube"
		return x
	})
}

func fixture(root string, files host.Files) hosttest.FilesFixture {
	owner, group := me()
	return hosttest.FilesFixture{
		Files: files, Owner: owner, Group: group,
		Plant: func(t *testing.T, p string, file state.File) { t.Helper(); plant(t, root, p, file) },
		List:  func(t *testing.T, dir string) []string { t.Helper(); return listed(t, root, dir) },
	}
}

func offline(t *testing.T, root string) host.Host {
	t.Helper()
	h, err := Offline(root, v1alpha1.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func mine(content string) state.File {
	owner, group := me()
	return state.File{Content: []byte(content), Mode: 0o644, Owner: owner, Group: group}
}

func mustWrite(t *testing.T, f host.Files, p string, file state.File) {
	t.Helper()
	if _, err := f.Write(p, file); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, f host.Files, p string) state.File {
	t.Helper()
	file, found, err := f.Read(p)
	if err != nil || !found {
		t.Fatalf("Read(%s) = found %v, error %v", p, found, err)
	}
	return file
}

func TestTheUmaskDoesNotMatter(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	root, tree := newRoot(t)
	f := newFiles(tree, nil)
	mustWrite(t, f, "/etc/new/dir/file", state.File{Content: []byte("a"), Mode: 0o666, Owner: mine("").Owner, Group: mine("").Group})
	for p, want := range map[string]os.FileMode{"etc/new": 0o755, "etc/new/dir": 0o755, "etc/new/dir/file": 0o666} {
		info, err := os.Stat(filepath.Join(root, p))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", p, info.Mode().Perm(), err, want)
		}
	}
}

func TestSetuidSurvivesTheChangeOfOwner(t *testing.T) {
	_, tree := newRoot(t)
	file := mine("#!/bin/true")
	file.Mode = 0o755 | os.ModeSetuid | os.ModeSetgid
	if os.Geteuid() == 0 {
		file.Owner, file.Group = "kube", "kube"
	}
	f := newFiles(tree, nil)
	mustWrite(t, f, "/etc/tool", file)
	if diff := cmp.Diff(file, mustRead(t, f, "/etc/tool")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOwnersAreTheHostRootsAndNotThisMachines(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	root, tree := newRoot(t)
	f := newFiles(tree, nil)
	file := mine("a")
	file.Owner, file.Group = "kube", "kube"
	mustWrite(t, f, "/etc/owned", file)
	info, err := os.Stat(filepath.Join(root, "etc/owned"))
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 994 || stat.Gid != 993 {
		t.Errorf("owner is %d:%d; want 994:993 as the root's passwd and group say", stat.Uid, stat.Gid)
	}
	plant(t, root, "/etc/passwd", state.File{Content: []byte("later:x:994:1::/:\n"), Mode: 0o644})
	if got := mustRead(t, f, "/etc/owned"); got.Owner != "later" || got.Group != "kube" {
		t.Errorf("after passwd changed the owner reads %s:%s; want later:kube", got.Owner, got.Group)
	}
	if err := os.Remove(filepath.Join(root, "etc/group")); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, f, "/etc/owned"); got.Group != "993" {
		t.Errorf("without a group file the group reads %q; want 993", got.Group)
	}
}

func TestOwnershipThatCannotBeSetIsAnErrorOnALiveHost(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can set any ownership")
	}
	root, tree := newRoot(t)
	file := mine("a")
	file.Owner = "kube"
	_, err := newFiles(tree, nil).Write("/etc/x", file)
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "kube") {
		t.Errorf("Write = %v; want a permission error that names kube", err)
	}
	if names := listed(t, root, "/etc"); len(names) != 2 {
		t.Errorf("/etc holds %v; want passwd and group only", names)
	}
}

func TestOwnershipThatCannotBeSetIsRecordedOffline(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can set any ownership")
	}
	root, _ := newRoot(t)
	plant(t, root, "/etc/x", mine("old"))
	first := offline(t, root)
	before := mustRead(t, first.Files, "/etc/x")
	ours := state.File{Content: []byte("new"), Mode: 0o640, Owner: "root", Group: "kube"}
	mustWrite(t, first.Files, "/etc/x", ours)

	again := offline(t, root)
	if diff := cmp.Diff(ours, mustRead(t, again.Files, "/etc/x")); diff != "" {
		t.Errorf("after a restart without Sync (-want +got):\n%s", diff)
	}
	mustWrite(t, again.Files, "/etc/x", before)
	if diff := cmp.Diff(before, mustRead(t, again.Files, "/etc/x")); diff != "" {
		t.Errorf("put back (-want +got):\n%s", diff)
	}
	if err := again.Files.Sync(); err != nil {
		t.Fatal(err)
	}
	if record, err := again.Store.Read(OfflineFile); err != nil || strings.Contains(string(record), "/etc/x") {
		t.Errorf("the record still names the file: %s, %v", record, err)
	}
}

func TestAHardLinkKeepsItsOldContent(t *testing.T) {
	root, tree := newRoot(t)
	plant(t, root, "/etc/managed", mine("old"))
	other := filepath.Join(root, "etc/other")
	if err := os.Link(filepath.Join(root, "etc/managed"), other); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, newFiles(tree, nil), "/etc/managed", mine("new"))
	if content, err := os.ReadFile(other); string(content) != "old" {
		t.Errorf("the other name holds %q, %v; want old", content, err)
	}
}

func TestReadingAFIFODoesNotBlock(t *testing.T) {
	root, tree := newRoot(t)
	plant(t, root, "/etc/fifo", state.File{Type: state.Special})
	done := make(chan state.File, 1)
	go func() {
		file, _, _ := newFiles(tree, nil).Read("/etc/fifo")
		done <- file
	}()
	select {
	case file := <-done:
		if file.Type != state.Special {
			t.Errorf("a FIFO reads as %q", file.Type)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Read blocks")
	}
}

func TestDistributionLinksAreFollowedInsideTheRootOnly(t *testing.T) {
	root, tree := newRoot(t)
	f := newFiles(tree, nil)
	for link, target := range map[string]string{
		"/lib": "usr/lib", "/var/run": "/run", "/usr/local": "../var/usrlocal", "/escape": "../../../../../../tmp/seedbed-escape",
	} {
		plant(t, root, link, state.File{Type: state.Symlink, Target: target})
	}
	for p, real := range map[string]string{
		"/lib/systemd/system/a.service": "usr/lib/systemd/system/a.service",
		"/var/run/flannel/subnet.env":   "run/flannel/subnet.env",
		"/usr/local/bin/tool":           "var/usrlocal/bin/tool",
		"/escape/x":                     "tmp/seedbed-escape/x",
	} {
		dir := filepath.Join(root, filepath.Dir(filepath.Dir(real)))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, f, p, mine(p))
		if content, err := os.ReadFile(filepath.Join(root, real)); string(content) != p {
			t.Errorf("%s is not at %s: %q, %v", p, real, content, err)
		}
	}
	if _, err := os.Lstat("/tmp/seedbed-escape"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a write left the root: %v", err)
	}
}

func TestLinkLoopsEnd(t *testing.T) {
	root, tree := newRoot(t)
	plant(t, root, "/a", state.File{Type: state.Symlink, Target: "b"})
	plant(t, root, "/b", state.File{Type: state.Symlink, Target: "a"})
	if _, _, err := newFiles(tree, nil).Read("/a/x"); err == nil {
		t.Error("Read through a loop succeeded")
	}
	if _, _, _, err := tree.follow("/a"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("follow = %v; want ELOOP", err)
	}
}

// Fault 81: a folder on the way is swapped with a symbolic link all the time.
func TestF081ASwappedParentNeverLetsAWriteOut(t *testing.T) {
	const swaps = 100_000
	root, tree := newRoot(t)
	f := newFiles(tree, nil)
	victim := t.TempDir()
	// The second leads to a folder beside it, which only comparing what was looked at with what was
	// opened can tell: os.Root follows it.
	for _, target := range []string{victim, "inside"} {
		plant(t, root, "/etc/inside/x", mine("mine"))
		plant(t, root, "/etc/swap", state.File{Type: state.Symlink, Target: target})
		if err := os.MkdirAll(filepath.Join(root, "etc/real"), 0o755); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			a, b := filepath.Join(root, "etc/swap"), filepath.Join(root, "etc/real")
			for range swaps {
				if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		wrote := 0
		for running := true; running; {
			select {
			case err := <-done:
				if err != nil {
					t.Skipf("this file system cannot exchange two names: %v", err)
				}
				running = false
			default:
				if _, err := f.Write("/etc/swap/file", mine("ours")); err == nil {
					wrote++
				}
			}
		}
		if wrote == 0 {
			t.Error("no write ever hit the real folder: the test shows nothing")
		}
		if names := listed(t, victim, ""); len(names) > 0 {
			t.Errorf("written outside the root: %v", names)
		}
		if names := listed(t, root, "/etc/inside"); len(names) != 1 {
			t.Errorf("written through the link: %v", names)
		}
	}
}

func TestEntriesOfADefaultACLAreNotKept(t *testing.T) {
	root, tree := newRoot(t)
	dir := filepath.Join(root, "etc/acl")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// user::rwx user:12345:rwx group::r-x mask::rwx other::r-x, as acl(5) stores it.
	acl := []byte{
		2, 0, 0, 0,
		1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0x39, 0x30, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255,
		16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255,
	}
	if err := unix.Setxattr(dir, "system.posix_acl_default", acl, 0); err != nil {
		t.Skipf("no ACLs on this file system: %v", err)
	}
	file := mine("secret")
	file.Mode = 0o660
	mustWrite(t, newFiles(tree, nil), "/etc/acl/file", file)
	at := filepath.Join(dir, "file")
	if n, err := unix.Getxattr(at, "system.posix_acl_access", nil); !errors.Is(err, unix.ENODATA) {
		t.Errorf("the file has an ACL of %d bytes, %v: a stranger may read it", n, err)
	}
	if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode is %v, %v; want 0660", info.Mode(), err)
	}
}

func TestAHugeFileIsReportedNotLoaded(t *testing.T) {
	root, tree := newRoot(t)
	plant(t, root, "/etc/huge", mine(""))
	if err := os.Truncate(filepath.Join(root, "etc/huge"), MaxFileBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := newFiles(tree, nil).Read("/etc/huge"); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("Read = %v; want an error that says how large", err)
	}
}

func TestCleanTempsRemovesOursAndNothingElse(t *testing.T) {
	root, _ := newRoot(t)
	const ours = ".seedbed-tmp-0123456789abcdef"
	for _, name := range []string{ours, ".seedbed-tmp-0123456789abcde", ".seedbed-tmp-0123456789ABCDEF", "x" + ours, "file"} {
		plant(t, root, "/etc/temps/"+name, mine("a"))
	}
	plant(t, root, "/etc/temps/.seedbed-tmp-aaaaaaaaaaaaaaaa", state.File{Type: state.Directory})
	plant(t, root, "/etc/temps/.seedbed-tmp-bbbbbbbbbbbbbbbb", state.File{Type: state.Symlink, Target: "x"})
	removed, err := CleanTemps(root, []string{"/etc/temps", "/etc/temps", "/no/such/folder"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/temps/" + ours, "/etc/temps/.seedbed-tmp-bbbbbbbbbbbbbbbb"}
	if diff := cmp.Diff(want, sorted(removed)); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if names := listed(t, root, "/etc/temps"); len(names) != 5 {
		t.Errorf("left: %v; want 5", names)
	}
}

func TestErrorsAreTheSameEachTime(t *testing.T) {
	root, tree := newRoot(t)
	plant(t, root, "/etc/dir", state.File{Type: state.Directory})
	f := newFiles(tree, nil)
	seen := map[string]bool{}
	for range 3 {
		_, err := f.Write("/etc/dir", mine("a"))
		seen[err.Error()] = true
		_, err = f.Write("/etc/passwd/x", mine("a"))
		seen[err.Error()] = true
	}
	if len(seen) != 2 {
		t.Errorf("messages differ from call to call: %v", seen)
	}
}
