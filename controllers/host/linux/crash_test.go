package linux

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// versionA and versionB differ in content, size and mode, so that any mixture shows.
func versionA() state.File {
	file := mine(strings.Repeat("A", 300<<10))
	file.Mode = 0o600
	return file
}

func versionB() state.File { return mine(strings.Repeat("B", 200<<10)) }

const crashPath = "/etc/crash/file"

// writeForever is a child that writes the two versions in turn until it is killed.
func writeForever(args []string) error {
	tree, err := openTree(args[0])
	if err != nil {
		return err
	}
	f := newFiles(tree, nil)
	for i := 0; ; i++ {
		file := versionA()
		if i%2 == 1 {
			file = versionB()
		}
		if _, err := f.Write(crashPath, file); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("writing")
		}
	}
}

// writeOnce is a child that writes version B.
func writeOnce(args []string) error {
	tree, err := openTree(args[0])
	if err != nil {
		return err
	}
	f := newFiles(tree, nil)
	if _, err := f.Write(crashPath, versionB()); err != nil {
		return err
	}
	return f.Sync()
}

// wholeVersion fails the test unless the file is one of the versions, and no temporary file stays
// after the clean-up that a restarted agent begins with.
func wholeVersion(t *testing.T, root string) {
	t.Helper()
	f := newFiles(treeAt(t, root), nil)
	file := mustRead(t, f, crashPath)
	if file.Digest() != versionA().Digest() && file.Digest() != versionB().Digest() {
		t.Fatalf("half a file: %s, begins %.10q, ends %q", file.Describe(), file.Content, file.Content[max(0, len(file.Content)-10):])
	}
	if _, err := CleanTemps(root, []string{"/etc/crash"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"file"}, listed(t, root, "/etc/crash")); diff != "" {
		t.Fatalf("left over (-want +got):\n%s", diff)
	}
}

// Fault 1, by time: kill -9 at random moments.
func TestF001KilledAtAnyMomentAFileIsOldOrNew(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	for n := range 4 {
		t.Run(fmt.Sprint("host ", n), func(t *testing.T) {
			t.Parallel()
			killedAtAnyMoment(t, kills)
		})
	}
}

func killedAtAnyMoment(t *testing.T, kills int) {
	t.Helper()
	root, _ := newRoot(t)
	for range kills {
		cmd := child(t, nil, "write-forever", root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatalf("the child did not begin: %v", err)
		}
		time.Sleep(rand.N(4 * time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the child ended by itself: %v", err)
		}
		wholeVersion(t, root)
	}
}

// changingCalls are the system calls by which a write changes a host.
const changingCalls = "openat,mkdirat,write,fchown,fchmod,fremovexattr,fsync,renameat,unlinkat"

func strace(t *testing.T, inject string) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	wrapper := []string{path, "-f", "-qqq", "-o", "/dev/null", "-e", "trace=" + changingCalls, "-e", "inject=" + inject}
	if err := exec.CommandContext(t.Context(), path, "-f", "-qqq", "-o", "/dev/null", "true").Run(); err != nil {
		t.Skipf("strace does not work here: %v", err)
	}
	return wrapper
}

// Fault 1, by place: kill -9 on entering each changing system call in turn.
func TestF001KilledAtEachSystemCallAFileIsOldOrNew(t *testing.T) {
	root, _ := newRoot(t)
	const enough = 200
	for n := 1; ; n++ {
		if n > enough {
			t.Fatalf("still killed at call %d: the fault hits something else", n)
		}
		plant(t, root, crashPath, versionA())
		cmd := child(t, strace(t, fmt.Sprintf("%s:signal=KILL:when=%d", changingCalls, n)), "write-once", root)
		out, err := cmd.CombinedOutput()
		wholeVersion(t, root)
		if err == nil {
			if n < 8 {
				t.Errorf("the child was killed at %d places only", n-1)
			}
			return
		}
		if len(out) > 0 {
			t.Fatalf("place %d: %v: %s", n, err, out)
		}
	}
}

// Fault 9: after an fsync that failed, the target is untouched, and a retry begins anew.
func TestF009AFailedFsyncIsNeverSuccess(t *testing.T) {
	root, _ := newRoot(t)
	plant(t, root, crashPath, versionA())
	cmd := child(t, strace(t, "fsync:error=EIO:when=1"), "write-once", root)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "input/output error") {
		t.Fatalf("the write = %v, %s; want an input/output error", err, out)
	}
	if got := mustRead(t, newFiles(treeAt(t, root), nil), crashPath); got.Digest() != versionA().Digest() {
		t.Errorf("the target is now %s", got.Describe())
	}
	if diff := cmp.Diff([]string{"file"}, listed(t, root, "/etc/crash")); diff != "" {
		t.Errorf("left over (-want +got):\n%s", diff)
	}
}

// Fault 9 for folders: the second fsync is the folder's.
func TestF009AFailedFsyncOfAFolderIsReported(t *testing.T) {
	root, _ := newRoot(t)
	plant(t, root, crashPath, versionA())
	out, err := child(t, strace(t, "fsync:error=EIO:when=2"), "write-once", root).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "folder /etc/crash: input/output error") {
		t.Errorf("Sync = %v, %s; want an error that names the folder", err, out)
	}
}

func TestAFolderWhoseSyncFailedIsChangedBeforeTheNext(t *testing.T) {
	root, tree := newRoot(t)
	f := newFiles(tree, nil)
	mustWrite(t, f, crashPath, mine("a"))
	f.failed["/etc/crash"] = true
	dir := filepath.Join(root, "etc/crash")
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // the kernel's clock for times of files is coarse
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(dir)
	if err != nil || !after.ModTime().After(before.ModTime()) {
		t.Errorf("the folder was not changed: %v, %v", after.ModTime(), err)
	}
	if len(f.failed)+len(f.dirty) != 0 {
		t.Errorf("still dirty: %v, failed: %v", f.dirty, f.failed)
	}
	if diff := cmp.Diff([]string{"file"}, listed(t, root, "/etc/crash")); diff != "" {
		t.Errorf("left over (-want +got):\n%s", diff)
	}
}

// Faults 7, 8 and 10: a full disk, no inodes left, a file system made read-only.
func TestF007AFullOrReadOnlyDiskLeavesTheTargetAlone(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNS) {
		return
	}
	privateMounts(t)
	for _, tt := range []struct {
		reason  string
		options string
		spoil   func(t *testing.T, dir string)
		want    error
	}{
		{"no space", "size=400k", func(*testing.T, string) {}, unix.ENOSPC},
		{"no inodes", "nr_inodes=6", fillInodes, unix.ENOSPC},
		{"read-only", "size=1m", func(t *testing.T, dir string) {
			t.Helper()
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}, unix.EROFS},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			root, tree := newRoot(t)
			dir := filepath.Join(root, "etc/crash")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, tt.options); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := unix.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			}()
			plant(t, root, crashPath, versionA())
			tt.spoil(t, dir)
			before := listed(t, root, "/etc/crash")
			f := newFiles(tree, nil)
			if _, err := f.Write(crashPath, versionB()); !errors.Is(err, tt.want) {
				t.Errorf("Write = %v; want %v", err, tt.want)
			}
			if got := mustRead(t, f, crashPath); got.Digest() != versionA().Digest() {
				t.Errorf("the target is now %s", got.Describe())
			}
			if diff := cmp.Diff(before, listed(t, root, "/etc/crash")); diff != "" {
				t.Errorf("left over (-want +got):\n%s", diff)
			}
		})
	}
}

func fillInodes(t *testing.T, dir string) {
	t.Helper()
	for i := range 100 {
		file, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if errors.Is(err, unix.ENOSPC) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("inodes do not run out")
}

// Fault 13: the target is a mount point of its own, as /etc/hosts is in a container.
func TestF013AMountPointAsTargetIsAnErrorNotAnInPlaceWrite(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNS) {
		return
	}
	privateMounts(t)
	root, tree := newRoot(t)
	plant(t, root, crashPath, versionA())
	plant(t, root, "/other", versionA())
	at, other := filepath.Join(root, crashPath), filepath.Join(root, "other")
	if err := unix.Mount(other, at, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	}()
	if _, err := newFiles(tree, nil).Write(crashPath, versionB()); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Write = %v; want EBUSY", err)
	}
	if content, err := os.ReadFile(other); !bytes.Equal(content, versionA().Content) {
		t.Errorf("what is mounted has changed: %d bytes, %v", len(content), err)
	}
	if diff := cmp.Diff([]string{"file"}, listed(t, root, "/etc/crash")); diff != "" {
		t.Errorf("left over (-want +got):\n%s", diff)
	}
}
