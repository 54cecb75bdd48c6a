package linux

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

func TestSysctlsKeepTheContract(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	hosttest.SysctlsContract(t, func(t *testing.T) hosttest.SysctlsFixture {
		s := newSysctls("/proc/sys")
		if err := s.Set("net.ipv4.ip_local_port_range", "20000\t\t30000"); err != nil {
			t.Fatal(err)
		}
		return hosttest.SysctlsFixture{
			Sysctls: s, Name: "net.ipv4.ip_forward", Values: [2]string{"1", "0"},
			FieldsName: "net.ipv4.ip_local_port_range", Fields: "20000 30000",
		}
	})
}

func TestAnInterfaceWithADotHasItsOwnSysctl(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
		{"net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"},
		{"net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"},
		{"kernel", "kernel"},
	} {
		if got, err := host.SysctlPath(tt.name); got != tt.want || err != nil {
			t.Errorf("SysctlPath(%s) = %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

// Fault 30: what is wrong with a sysctl is told apart.
func TestF030SysctlErrorsNameSysctlAndValue(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	s := newSysctls("/proc/sys")
	for _, tt := range []struct {
		name, value string
		want        error
	}{
		{"net.ipv4.ip_local_port_range", "nonsense", unix.EINVAL},
		{"net.ipv4.no_such", "1", os.ErrNotExist},
	} {
		err := s.Set(tt.name, tt.value)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.name) || !strings.Contains(err.Error(), tt.value) {
			t.Errorf("Set(%s, %s) = %v; want %v with both names", tt.name, tt.value, err, tt.want)
		}
	}
	if _, _, err := s.Get("net.ipv4"); err == nil {
		t.Error("a group of sysctls was read as one")
	}
}

// Fault 85: something else is mounted where sysctls should be.
func TestF085WhatIsNotOnProcfsIsNoSysctl(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "/net/ipv4/ip_forward", state.File{Content: []byte("0\n"), Mode: 0o644})
	plant(t, dir, "/net/ipv4/fifo", state.File{Type: state.Special})
	s := newSysctls(dir)
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv4.fifo"} {
		if got, _, err := s.Get(name); err == nil || !strings.Contains(err.Error(), "procfs") {
			t.Errorf("Get(%s) = %q, %v; want an error that says procfs", name, got, err)
		}
		if err := s.Set(name, "1"); err == nil {
			t.Errorf("Set(%s) succeeded", name)
		}
	}
	if content, err := os.ReadFile(filepath.Join(dir, "net/ipv4/ip_forward")); string(content) != "0\n" {
		t.Errorf("the file holds %q, %v", content, err)
	}
}

func TestModulesKeepTheContract(t *testing.T) {
	hosttest.ModulesContract(t, func(t *testing.T) hosttest.ModulesFixture {
		return hosttest.ModulesFixture{Modules: newModules("/"), Loaded: someModule(t)}
	})
}

// someModule is any module that this kernel has.
func someModule(t *testing.T) string {
	t.Helper()
	for _, name := range listed(t, "/sys/module", "") {
		if host.CheckModule(name) == nil {
			return name
		}
	}
	return ""
}

func TestWhereAModuleIsFound(t *testing.T) {
	release, err := kernelRelease()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	plant(t, root, "/proc/modules", state.File{Content: []byte("br_netfilter 32768 0 - Live 0x0000000000000000\noverlay 1 0 - Live 0x0\n"), Mode: 0o644})
	plant(t, root, "/lib/modules/"+release+"/modules.builtin", state.File{Content: []byte("kernel/drivers/net/vxlan/vxlan.ko\nkernel/net/nf-tables.ko\n"), Mode: 0o644})
	plant(t, root, "/sys/module/ip_vs/parameters/x", state.File{})
	m := newModules(root)
	for name, want := range map[string]bool{
		"br_netfilter": true, "br-netfilter": true, "overlay": true, "vxlan": true, "nf_tables": true, "ip_vs": true,
		"br_net": false, "modules": false, "ko": false,
	} {
		if got, err := m.Loaded(name); got != want || err != nil {
			t.Errorf("Loaded(%s) = %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestAModuleThatIsListedNowhereIsFoundByWhatItBrings(t *testing.T) {
	root := t.TempDir()
	m := newModules(root)
	for _, name := range []string{"br_netfilter", "overlay", "nf_conntrack"} {
		if got, err := m.Loaded(name); got || err != nil {
			t.Errorf("Loaded(%s) = %v, %v; want false before it is there", name, got, err)
		}
	}
	plant(t, root, "/proc/sys/net/bridge/bridge-nf-call-iptables", state.File{Content: []byte("0\n"), Mode: 0o644})
	plant(t, root, "/proc/filesystems", state.File{Content: []byte("nodev\tsysfs\nnodev\toverlay\n\text4\n"), Mode: 0o644})
	for name, want := range map[string]bool{"br_netfilter": true, "br-netfilter": true, "overlay": true, "ext4": true, "nodev": false, "nf_conntrack": false} {
		if got, err := m.Loaded(name); got != want || err != nil {
			t.Errorf("Loaded(%s) = %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestAKernelWithoutModulesSaysSo(t *testing.T) {
	err := newModules(t.TempDir()).Load(t.Context(), "br_netfilter")
	if err == nil || !strings.Contains(err.Error(), "br_netfilter") || !strings.Contains(err.Error(), "without loadable modules") {
		t.Errorf("Load = %v", err)
	}
}

func TestChainsKeepTheContract(t *testing.T) {
	if _, err := find("iptables"); err != nil {
		t.Skip(err)
	}
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	c := newChains()
	if _, _, err := c.Get(t.Context(), "filter/FORWARD"); err != nil {
		t.Skipf("iptables does not work in a namespace here: %v", err)
	}
	hosttest.ChainsContract(t, func(*testing.T) hosttest.ChainsFixture { return hosttest.ChainsFixture{Chains: c} })
	t.Run("a cancelled context changes nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before, _, err := c.Get(t.Context(), "filter/FORWARD")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetPolicy(ctx, "filter/FORWARD", "ACCEPT"); !errors.Is(err, context.Canceled) {
			t.Errorf("SetPolicy = %v; want canceled", err)
		}
		if after, _, err := c.Get(t.Context(), "filter/FORWARD"); after != before || err != nil {
			t.Errorf("the chain is %+v, %v; want %+v", after, err, before)
		}
	})
}

// Fault 33: rules in both variants of iptables.
func TestF033RulesInBothVariantsOfIptablesAreRefused(t *testing.T) {
	if _, err := find("iptables"); err != nil {
		t.Skip(err)
	}
	if _, err := find(legacy.saves); err != nil {
		t.Skip(err)
	}
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	const forward = "filter/FORWARD"
	plain := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:DOCKER - [0:0]\nCOMMIT\n"
	for name, tt := range map[string]struct {
		tables, rules string
		refused       bool
	}{
		"no legacy tables":             {"", plain + "-A FORWARD -j DROP\n", false},
		"loaded and empty":             {"filter\n", plain, false},
		"a legacy rule":                {"filter\n", strings.Replace(plain, "COMMIT", "-A FORWARD -j DROP\nCOMMIT", 1), true},
		"a legacy policy, as docker's": {"filter\nnat\n", strings.Replace(plain, "FORWARD ACCEPT", "FORWARD DROP", 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChains()
			if _, found, err := c.Get(t.Context(), forward); err != nil || !found {
				t.Skipf("iptables does not work in a namespace here: %v", err)
			}
			if c.uses != nfTables {
				t.Skipf("this host uses the %s variant", c.uses.name)
			}
			root, asked := t.TempDir(), 0
			plant(t, root, "/proc/net/ip_tables_names", text(tt.tables))
			c.root, c.save = root, func(_ context.Context, program string, _ ...string) (string, string, error) {
				asked++
				if !strings.HasSuffix(program, legacy.saves) {
					t.Errorf("ran %s", program)
				}
				return tt.rules, "", nil
			}
			_, _, getErr := c.Get(t.Context(), forward)
			setErr := c.SetPolicy(t.Context(), forward, "ACCEPT")
			for _, err := range []error{getErr, setErr} {
				if (err != nil) != tt.refused || tt.refused && (!strings.Contains(err.Error(), forward) || !strings.Contains(err.Error(), legacy.saves)) {
					t.Errorf("got %v; refused: want %v", err, tt.refused)
				}
			}
			if tt.tables == "" && asked > 0 {
				t.Error("legacy rules were listed, which loads the legacy tables")
			}
		})
	}
}

func TestOfflineKernelKeepsTheContractsAndRemembers(t *testing.T) {
	root := t.TempDir()
	fresh := func(t *testing.T) host.Host { t.Helper(); return offline(t, t.TempDir()) }
	hosttest.SysctlsContract(t, func(t *testing.T) hosttest.SysctlsFixture {
		return hosttest.SysctlsFixture{Sysctls: fresh(t).Sysctls, Name: "net.ipv4.ip_forward", Values: [2]string{"1", "0"}, Deferred: true}
	})
	hosttest.ModulesContract(t, func(t *testing.T) hosttest.ModulesFixture {
		return hosttest.ModulesFixture{Modules: fresh(t).Modules, Loadable: "br-netfilter", Deferred: true}
	})
	hosttest.ChainsContract(t, func(t *testing.T) hosttest.ChainsFixture {
		return hosttest.ChainsFixture{Chains: fresh(t).Chains, Deferred: true}
	})

	h := offline(t, root)
	for _, err := range []error{
		h.Sysctls.Set("net.ipv4.ip_local_port_range", "1\t 2"), h.Modules.Load(t.Context(), "overlay"),
		h.Chains.SetPolicy(t.Context(), "filter/FORWARD", "ACCEPT"),
	} {
		if !errors.Is(err, host.ErrDeferred) {
			t.Errorf("change = %v; want ErrDeferred", err)
		}
	}
	again := offline(t, root)
	if value, found, err := again.Sysctls.Get("net.ipv4.ip_local_port_range"); value != "1 2" || !found || err != nil {
		t.Errorf("sysctl = %q, %v, %v", value, found, err)
	}
	if loaded, err := again.Modules.Loaded("overlay"); !loaded || err != nil {
		t.Errorf("module = %v, %v", loaded, err)
	}
	if chain, found, err := again.Chains.Get(t.Context(), "filter/FORWARD"); chain.Policy != "ACCEPT" || !found || err != nil {
		t.Errorf("chain = %+v, %v, %v", chain, found, err)
	}
}

// Fault 5: a torn record is set aside, and nothing loops over it.
func TestF005ATornOfflineRecordIsStartedAnew(t *testing.T) {
	root := t.TempDir()
	plant(t, root, StateDir+"/"+OfflineFile, state.File{Content: []byte(`{"sysctls": {"a`), Mode: 0o600})
	h := offline(t, root)
	if _, found, err := h.Sysctls.Get("net.ipv4.ip_forward"); found || err != nil {
		t.Errorf("Get = %v, %v", found, err)
	}
	if content, err := h.Store.Read(OfflineFile + ".unreadable"); err != nil || !strings.HasPrefix(string(content), `{"sysctls"`) {
		t.Errorf("the torn record was not kept: %q, %v", content, err)
	}
}

func TestProgramsGetNoShellNoForeignEnvironmentAndABoundedOutput(t *testing.T) {
	t.Setenv("SEEDBED_SECRET", "leak")
	stdout, _, err := run(t.Context(), "/usr/bin/env")
	if err != nil || strings.Contains(stdout, "leak") || !strings.Contains(stdout, "LC_ALL=C") {
		t.Errorf("env = %q, %v", stdout, err)
	}
	if stdout, _, err = run(t.Context(), "/bin/echo", "$HOME; `id`"); err != nil || stdout != "$HOME; `id`\n" {
		t.Errorf("echo = %q, %v", stdout, err)
	}
	if stdout, _, err = run(t.Context(), "/usr/bin/head", "-c", "1000000", "/dev/zero"); err != nil || len(stdout) != maxOutput {
		t.Errorf("head gave %d bytes, %v; want %d", len(stdout), err, maxOutput)
	}
	if _, _, err = run(t.Context(), "/bin/ls", "/no/such/thing"); err == nil || !strings.Contains(err.Error(), "No such file") {
		t.Errorf("ls = %v; want what it complained of", err)
	}
}

func TestOutputOfWhichEveryLineCountsIsReadWholeOrNotAtAll(t *testing.T) {
	as := func(*exec.Cmd) {}
	if stdout, _, err := readAs(t.Context(), as, "/usr/bin/head", "-c", "1000000", "/dev/zero"); err != nil || len(stdout) != 1000000 {
		t.Errorf("head gave %d bytes, %v", len(stdout), err)
	}
	if stdout, _, err := readAs(t.Context(), as, "/usr/bin/head", "-c", "5000000", "/dev/zero"); err == nil || len(stdout) != maxRead {
		t.Errorf("of 5000000 bytes %d were read, and that is no error", len(stdout))
	}
}

func TestAProgramThatHangsIsKilledWithItsChildren(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	// timeout(1) starts sleep as its child.
	_, _, err := run(ctx, "/usr/bin/timeout", "60", "/bin/sleep", "60")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run = %v; want a deadline", err)
	}
	if took := time.Since(began); took > killDelay {
		t.Errorf("it took %s", took)
	}
}
