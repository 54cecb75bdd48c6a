package linux

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

// childEnv makes the test binary act as one of the children below instead of running tests.
const childEnv = "SEEDBED_TEST_CHILD"

// namespaceEnv is set in the copy of a test that runs in namespaces of its own.
const namespaceEnv = "SEEDBED_TEST_NAMESPACE"

// children are programs that tests start to kill them.
var children = map[string]func(args []string) error{
	"write-forever":    writeForever,
	"write-once":       writeOnce,
	"hold-lock":        holdLock,
	"hold-record-lock": holdRecord,
	"check-forever":    checkForever,
	"apt-pass":         aptPass,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		// One thread, so that injected faults count its system calls in order.
		runtime.LockOSThread()
		if err := children[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is the command line that runs a child, with wrapper in front of it.
func child(t *testing.T, wrapper []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	argv := slices.Concat(wrapper, []string{os.Args[0]}, args)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	return cmd
}

// inNamespace returns true in a copy of the test that has namespaces of its own and is root there. In
// the test itself it runs that copy, takes over its outcome and returns false.
func inNamespace(t *testing.T, flags uintptr) bool {
	t.Helper()
	if os.Getenv(namespaceEnv) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Fatalf("in its namespace: %v\n%s", err, out.String())
	case err != nil:
		t.Skipf("this user may not make namespaces: %v", err)
	case strings.Contains(out.String(), "--- SKIP: "+t.Name()+" "):
		t.Skipf("in its namespace:\n%s", out.String())
	}
	return false
}

// privateMounts keeps what the copy of a test mounts to itself.
func privateMounts(t *testing.T) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

// newRoot is an empty host root with the users of a small machine.
func newRoot(t *testing.T) (string, *tree) {
	t.Helper()
	root := t.TempDir()
	plant(t, root, "/etc/passwd", state.File{Content: []byte("root:x:0:0::/root:/bin/sh\nkube:x:994:994::/:/bin/false\n"), Mode: 0o644})
	plant(t, root, "/etc/group", state.File{Content: []byte("root:x:0:\nkube:x:993:\n"), Mode: 0o644})
	return root, treeAt(t, root)
}

func treeAt(t *testing.T, root string) *tree {
	t.Helper()
	tree, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	return tree
}

// plant puts something below a root with plain system calls.
func plant(t *testing.T, root, p string, file state.File) {
	t.Helper()
	at := filepath.Join(root, p)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var err error
	switch file.Type {
	case state.Regular:
		if err = os.WriteFile(at, file.Content, 0o600); err == nil {
			err = os.Chmod(at, file.Mode)
		}
	case state.Symlink:
		err = os.Symlink(file.Target, at)
	case state.Directory:
		err = os.Mkdir(at, 0o755)
	case state.Special:
		err = unix.Mkfifo(at, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// listed names what is in a folder below a root.
func listed(t *testing.T, root, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// me is the name and group that files of this process have in a host root of newRoot.
func me() (owner, group string) {
	if os.Geteuid() == 0 {
		return "root", "root"
	}
	return fmt.Sprint(os.Geteuid()), fmt.Sprint(os.Getegid())
}
