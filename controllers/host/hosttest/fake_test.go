package hosttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

const serviceText = "[Service]\nExecStart=/bin/x\nExecReload=/bin/y\n[Install]\nWantedBy=multi-user.target\n"

func TestTheFakeKeepsTheContracts(t *testing.T) {
	t.Run("files", func(t *testing.T) {
		FilesContract(t, func(*testing.T) FilesFixture {
			f := New()
			f.AddUser("kube")
			return FilesFixture{
				Files: f.Host().Files, Owner: "root", Group: "root", OtherOwner: "kube", OtherGroup: "994",
				Plant: func(_ *testing.T, p string, file state.File) { f.Put(p, file) },
				List:  func(_ *testing.T, dir string) []string { return list(f, dir) },
			}
		})
	})
	t.Run("checker", func(t *testing.T) { CheckerContract(t, fakePrograms) })
	t.Run("store", func(t *testing.T) {
		StoreContract(t, func(*testing.T) host.Store { return New().Host().Store })
	})
	t.Run("units", func(t *testing.T) {
		UnitsContract(t, func(*testing.T) UnitsFixture {
			f := New()
			f.Put("/usr/lib/systemd/system/a.service", state.File{Content: []byte(serviceText), Mode: 0o644})
			f.Put("/usr/lib/systemd/system/b.service", state.File{Content: []byte("[Service]\nExecStart=/bin/x\n"), Mode: 0o644})
			f.Put("/usr/lib/systemd/system/c.service", state.File{Content: []byte(serviceText), Mode: 0o644})
			f.Put("/usr/lib/systemd/system/d.service", state.File{Content: []byte(serviceText), Mode: 0o644})
			f.RefuseUnit("c.service", "failed")
			f.SetUnit("d.service", state.Unit{Enablement: state.Masked})
			return UnitsFixture{Units: f.Host().Units, Service: "a.service", Static: "b.service", Failing: "c.service", Masked: "d.service"}
		})
	})
	t.Run("binaries", func(t *testing.T) {
		BinariesContract(t, func(*testing.T) BinariesFixture {
			f, n := New(), 0
			return BinariesFixture{Binaries: f.Host().Binaries, Files: f.Host().Files, Owner: "root", Group: "root", Serve: func(content []byte) string {
				n++
				url := fmt.Sprintf("https://example.com/%d", n)
				f.Serve(url, content)
				return url
			}}
		})
	})
	t.Run("packages", func(t *testing.T) {
		PackagesContract(t, func(*testing.T) PackagesFixture {
			f := New()
			for _, version := range []string{v1, v2} {
				f.AddPackage(one, version, Brings{Conflicts: []string{rival}})
				f.AddPackage(two, version, Brings{})
			}
			f.AddPackage(rival, v1, Brings{Conflicts: []string{one}})
			return PackagesFixture{Packages: f.Host().Packages, Holds: true, Lock: func() func() {
				f.LockPackages("apt-daily holds the lock")
				return func() { f.LockPackages("") }
			}}
		})
	})
	t.Run("sysctls", func(t *testing.T) {
		SysctlsContract(t, func(*testing.T) SysctlsFixture {
			f := New()
			f.AddSysctl("net.ipv4.ip_forward", "0")
			f.AddSysctl("net.ipv4.ip_local_port_range", "32768 60999")
			return SysctlsFixture{
				Sysctls: f.Host().Sysctls, Name: "net.ipv4.ip_forward", Values: [2]string{"1", "0"},
				FieldsName: "net.ipv4.ip_local_port_range", Fields: "32768 60999",
			}
		})
	})
	t.Run("modules", func(t *testing.T) {
		ModulesContract(t, func(t *testing.T) ModulesFixture {
			f := New()
			f.AddModule("overlay", nil)
			f.AddModule("br_netfilter", nil)
			if err := f.Host().Modules.Load(t.Context(), "overlay"); err != nil {
				t.Fatal(err)
			}
			return ModulesFixture{Modules: f.Host().Modules, Loaded: "overlay", Loadable: "br_netfilter"}
		})
	})
	t.Run("links", func(t *testing.T) {
		LinksContract(t, func(*testing.T) LinksFixture {
			f, off := New(), false
			f.SetLink("br0", state.Link{
				Kind: "bridge", Addresses: []string{"172.30.38.1/24"}, MTU: 1450, Promiscuous: &off,
				Ports: map[string]state.Port{"p0": {MTU: 1450}, "p1": {MTU: 1450}},
			})
			f.SetLink("eth0", state.Link{Kind: "device", Promiscuous: &off})
			return LinksFixture{
				Links: f.Host().Links, Bridge: "br0", Address: "172.30.38.1/24", MTU: 1450, PortMTU: 1450,
				Ports: []string{"p0", "p1"}, Other: "eth0",
			}
		})
	})
	t.Run("chains", func(t *testing.T) {
		ChainsContract(t, func(*testing.T) ChainsFixture { return ChainsFixture{Chains: New().Host().Chains} })
	})
}

func list(f *Fake, dir string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, p := range state.SortedKeys(f.world.files) {
		if name, ok := strings.CutPrefix(p, dir+"/"); ok && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	return names
}

func write(t *testing.T, h host.Host, p, content string) error {
	t.Helper()
	_, err := h.Files.Write(p, state.File{Content: []byte(content), Mode: 0o644, Owner: "root", Group: "root"})
	return err
}

func TestFailAtFailsThatCallOnlyAndWithoutEffect(t *testing.T) {
	f := New()
	h := f.Host()
	boom := errors.New("boom")
	f.FailAt(2, boom)
	for i, want := range []error{nil, boom, nil} {
		if err := write(t, h, "/etc/f"+string(rune('a'+i)), "x"); !errors.Is(err, want) {
			t.Errorf("call %d = %v; want %v", i+1, err, want)
		}
	}
	if diff := cmp.Diff([]string{"/etc/fa", "/etc/fc"}, f.Paths()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAKilledProcessDoesNothingMoreAndTheHostSurvives(t *testing.T) {
	for _, tt := range []struct {
		reason string
		when   When
		want   []string
	}{
		{"before the second call", Before, []string{"/etc/fa"}},
		{"after the second call", After, []string{"/etc/fa", "/etc/fb"}},
	} {
		f := New()
		h := f.Host()
		f.KillAt(2, tt.when)
		for i := range 3 {
			err := write(t, h, "/etc/f"+string(rune('a'+i)), "x")
			if killed := errors.Is(err, ErrKilled); killed != (i >= 1) {
				t.Errorf("%s: call %d = %v", tt.reason, i+1, err)
			}
		}
		if _, _, err := h.Files.Read("/etc/fa"); !errors.Is(err, ErrKilled) {
			t.Errorf("%s: a dead process read the host: %v", tt.reason, err)
		}
		again := f.Restart()
		if diff := cmp.Diff(tt.want, again.Paths()); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", tt.reason, diff)
		}
		if err := write(t, again.Host(), "/etc/new", "x"); err != nil {
			t.Errorf("%s: after a restart: %v", tt.reason, err)
		}
	}
}

func TestAPowerCutLosesWhatWasNotSyncedAndStartsEnabledUnits(t *testing.T) {
	f := New()
	h := f.Host()
	ctx := context.Background()
	f.AddSysctl("net.ipv4.ip_forward", "0")
	f.Put("/usr/lib/systemd/system/a.service", state.File{Content: []byte(serviceText)})
	for _, err := range []error{
		write(t, h, "/etc/kept", "x"), h.Files.Sync(), write(t, h, "/etc/kept", "lost"), write(t, h, "/etc/lost", "x"),
		h.Store.Write("ledger", []byte("durable")), h.Sysctls.Set("net.ipv4.ip_forward", "1"),
		h.Units.SetEnablement(ctx, "a.service", state.Enabled), h.Units.Do(ctx, "a.service", host.Start),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := f.Unit("a.service").Invocation
	f = f.PowerCut()
	if file, _ := f.File("/etc/kept"); string(file.Content) != "x" {
		t.Errorf("the synced file holds %q", file.Content)
	}
	if slices.Contains(f.Paths(), "/etc/lost") {
		t.Error("a file that was not synced survived")
	}
	if got := string(f.Store("ledger")); got != "durable" {
		t.Errorf("the store holds %q", got)
	}
	if got := f.Sysctl("net.ipv4.ip_forward"); got != "0" {
		t.Errorf("the sysctl is %s; want its value at boot", got)
	}
	if got := f.Unit("a.service"); got.Activity != state.Active || got.Invocation == before {
		t.Errorf("the enabled unit is %+v; want a new run", got)
	}
}

func TestAJobWithoutTheDaemonReloadThatIsOwedIsMarkedStale(t *testing.T) {
	f := New()
	h := f.Host()
	ctx := context.Background()
	const p = "/etc/systemd/system/a.service"
	for _, err := range []error{
		write(t, h, p, serviceText), h.Units.Do(ctx, "a.service", host.Start),
		write(t, h, p, serviceText+"#"), h.Units.Do(ctx, "a.service", host.Restart),
		h.Units.DaemonReload(ctx), h.Units.Do(ctx, "a.service", host.Restart),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var stale []bool
	for _, job := range f.Jobs("a.service") {
		stale = append(stale, job.Stale)
	}
	if diff := cmp.Diff([]bool{false, true, false}, stale); diff != "" {
		t.Errorf("stale jobs (-want +got):\n%s", diff)
	}
}

func TestTheJournalHasEveryChangeInOrder(t *testing.T) {
	f := New()
	h := f.Host()
	if err := write(t, h, "/etc/a", "x"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Files.Read("/etc/a"); err != nil {
		t.Fatal(err)
	}
	if err := h.Sysctls.Set("no.such", "1"); err == nil {
		t.Error("an unknown sysctl was set")
	}
	if err := h.Files.Sync(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"files.Write /etc/a", "sysctls.Set no.such 1", "files.Sync "}, f.Journal()); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	if f.Changes() != 3 || f.Count("files.Write") != 1 {
		t.Errorf("%d changes, %d writes; want 3 and 1", f.Changes(), f.Count("files.Write"))
	}
}
