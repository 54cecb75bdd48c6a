package linux

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// holdLock is a child that takes a host root's lock and keeps it until it is killed.
func holdLock(args []string) error {
	if _, err := AcquireLock(args[0]); err != nil {
		return err
	}
	fmt.Println("locked")
	select {}
}

// Fault 51: two agents on one host.
func TestF051ASecondAgentIsRefusedWithTheHoldersPid(t *testing.T) {
	root := t.TempDir()
	cmd := child(t, nil, "hold-lock", root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, err = AcquireLock(root)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid || locked.Path != filepath.Join(root, LockFile) {
		t.Errorf("a second AcquireLock = %v; want the holder's pid %d and path", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, so it cannot have ended well
	lock, err := AcquireLock(root)
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

func TestALockIsFreeAgainAfterRelease(t *testing.T) {
	root := t.TempDir()
	for range 3 {
		lock, err := AcquireLock(root)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := AcquireLock(root); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
			t.Errorf("a second AcquireLock = %v; want our own pid", err)
		}
		if err := lock.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "run/seedbed")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the lock's folder has mode %v, %v; want 0700", info.Mode(), err)
	}
}

func TestALockOnNoHostRootSaysWhich(t *testing.T) {
	_, err := AcquireLock(filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Errorf("AcquireLock = %v; want not-exist that names the folder", err)
	}
}
