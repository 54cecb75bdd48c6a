package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

func TestACableGoesWhereTheGuidesDo(t *testing.T) {
	lab, err := layout.New("/cache", "lab", 1)
	if err != nil {
		t.Fatal(err)
	}
	one := cables(lab, lab.Nodes[0])
	want := []cable{{inside: "eth0", bridge: "cluster", address: "10.64.3.7", bits: 26, gateway: "10.64.3.1"}}
	if diff := cmp.Diff(want, one, cmp.AllowUnexported(cable{})); diff != "" {
		t.Errorf("one interface: %s", diff)
	}
	lab.TwoInterfaces = true
	want = []cable{
		{inside: "eth0", bridge: "public", address: "203.0.113.7", bits: 24, gateway: "203.0.113.1"},
		{inside: "eth1", bridge: "cluster", address: "10.64.3.7", bits: 26},
	}
	if diff := cmp.Diff(want, cables(lab, lab.Nodes[0]), cmp.AllowUnexported(cable{})); diff != "" {
		t.Errorf("two interfaces, of which the public one has the default route: %s", diff)
	}
}

func TestANetworkCardKeepsItsAddress(t *testing.T) {
	first, second := hardwareAddress("10.64.3.7"), hardwareAddress("10.64.3.8")
	if first.String() != "02:5e:0a:40:03:07" || second.String() == first.String() {
		t.Errorf("got %s and %s", first, second)
	}
	if first[0]&1 != 0 || first[0]&2 == 0 {
		t.Errorf("%s is no locally administered unicast address", first)
	}
}

func TestAHostSeesTheMachinesSettingsAsFilesOfItsOwn(t *testing.T) {
	from := t.TempDir()
	for name, content := range map[string]string{"panic": "0\n", "keys/maxkeys": "200\n"} {
		file := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Like drop_caches, which can only be written, for everybody but root.
	if err := os.WriteFile(filepath.Join(from, "drop"), []byte("x"), 0o200); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "kernel")
	if err := copySettings(from, to); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "keys/maxkeys")); err != nil || string(got) != "200\n" {
		t.Errorf("keys/maxkeys is %q (%v)", got, err)
	}
	info, err := os.Stat(filepath.Join(to, "drop"))
	if err != nil || info.Mode().Perm() != 0o200 {
		t.Errorf("drop is %v (%v), want it there and write-only", info, err)
	}
}

func TestAHostCanWriteNoKernelSettingButItsOwn(t *testing.T) {
	if !slices.Contains(nspawnEnvironment(), "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network") {
		t.Error("hosts may write all of /proc/sys, which is the machine's")
	}
	lab, err := layout.New("/cache", "lab", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, arg := range nspawn(lab, lab.Nodes[0]) {
		if arg == "--bind=/sys/module" || arg == "--bind=/sys" || arg == "--bind=/proc" {
			t.Errorf("%s lets a host change the machine", arg)
		}
	}
}

func TestAProcessThatEndsIsCollectedOnce(t *testing.T) {
	r := newReaper()
	ended, err := r.start(func() (*os.Process, error) {
		return os.StartProcess("/bin/sh", []string{"sh", "-c", "exit 133"}, &os.ProcAttr{})
	})
	if err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status.ExitStatus() != exitReboot {
		t.Errorf("status %d, want %d", status.ExitStatus(), exitReboot)
	}
	if _, err := r.start(func() (*os.Process, error) { return nil, unix.ENOENT }); err == nil {
		t.Error("a process that did not start is no error")
	}
}
