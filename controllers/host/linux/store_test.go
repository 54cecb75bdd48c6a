package linux

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

func TestTheStoreKeepsTheContract(t *testing.T) {
	hosttest.StoreContract(t, func(t *testing.T) host.Store {
		_, tree := newRoot(t)
		return newStore(tree)
	})
}

func TestTheStoreIsClosedToOthers(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	root, tree := newRoot(t)
	// A run that was killed after making the folder left it open.
	plant(t, root, StateDir+"/x", state.File{Mode: 0o644})
	s := newStore(tree)
	for _, name := range []string{"ledger.json", "priors/0123"} {
		if err := s.Write(name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for p, want := range map[string]os.FileMode{"": 0o700, "priors": 0o700, "ledger.json": 0o600, "priors/0123": 0o600} {
		info, err := os.Stat(filepath.Join(root, StateDir, p))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s/%s has mode %v, %v; want %v", StateDir, p, info.Mode().Perm(), err, want)
		}
	}
}

func TestReadingAHostLeavesNoTraceOnIt(t *testing.T) {
	root := t.TempDir()
	h := offline(t, root)
	if _, err := h.Store.Read("ledger.json"); err == nil {
		t.Error("an empty host has a ledger")
	}
	if _, _, err := h.Files.Read("/etc/x"); err != nil {
		t.Error(err)
	}
	if _, err := h.Units.Get(t.Context(), "docker.service"); err != nil {
		t.Error(err)
	}
	if err := h.Files.Sync(); err != nil {
		t.Error(err)
	}
	if names := listed(t, root, ""); len(names) != 0 {
		t.Errorf("the root holds %v", names)
	}
}

func TestAStateFileThatIsALinkIsNotFollowed(t *testing.T) {
	root, tree := newRoot(t)
	plant(t, root, "/secret", mine("secret"))
	plant(t, root, StateDir+"/ledger.json", state.File{Type: state.Symlink, Target: "../../../secret"})
	s := newStore(tree)
	if content, err := s.Read("ledger.json"); err == nil {
		t.Errorf("Read followed the link: %q", content)
	}
	if err := s.Write("ledger.json", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(root, "secret")); string(content) != "secret" {
		t.Errorf("Write followed the link: %q, %v", content, err)
	}
}
