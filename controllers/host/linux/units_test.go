package linux

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

func text(s string) state.File { return state.File{Content: []byte(s), Mode: 0o644} }

const service = "[Service]\nExecStart=/bin/true\n"

func TestOfflineUnitsKeepTheContract(t *testing.T) {
	hosttest.UnitsContract(t, func(t *testing.T) hosttest.UnitsFixture {
		root := t.TempDir()
		plant(t, root, "/usr/lib/systemd/system/a.service", text(service+"[Install]\nWantedBy=multi-user.target\n"))
		plant(t, root, "/lib/systemd/system/b.service", text(service))
		plant(t, root, "/etc/systemd/system/d.service", state.File{Type: state.Symlink, Target: "/dev/null"})
		return hosttest.UnitsFixture{
			Units: offline(t, root).Units, Deferred: true, Service: "a.service", Static: "b.service", Masked: "d.service",
		}
	})
}

func TestOfflineUnitsAreRememberedByTheNextRun(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "/usr/lib/systemd/system/a.service", text(service))
	if err := offline(t, root).Units.Do(t.Context(), "a.service", host.Start); err != host.ErrDeferred { //nolint:errorlint // the very value is promised
		t.Fatal(err)
	}
	got, err := offline(t, root).Units.Get(t.Context(), "a.service")
	if err != nil || got.Activity != state.Active || got.Invocation == "" {
		t.Errorf("Get = %+v, %v", got, err)
	}
}

// enablementCases are unit files of a host root, and the unit to enable.
var enablementCases = []struct {
	reason string
	files  map[string]string
	enable string
}{
	{"a package's unit", map[string]string{"/usr/lib/systemd/system/a.service": "[Install]\nWantedBy=multi-user.target\n"}, "a.service"},
	{"an older package's unit", map[string]string{"/lib/systemd/system/a.service": "[Install]\nWantedBy=multi-user.target\n"}, "a.service"},
	{"our own unit", map[string]string{"/etc/systemd/system/a.service": "[Install]\nWantedBy=multi-user.target\n"}, "a.service"},
	{"ours before the package's", map[string]string{
		"/etc/systemd/system/a.service":     "[Install]\nWantedBy=graphical.target\n",
		"/usr/lib/systemd/system/a.service": "[Install]\nWantedBy=multi-user.target\n",
	}, "a.service"},
	{"required, wanted twice, with an alias", map[string]string{
		"/usr/lib/systemd/system/a.service": "[Install]\nRequiredBy=b.service\nWantedBy=multi-user.target graphical.target\nAlias=z.service\n",
	}, "a.service"},
	{"a list that is reset", map[string]string{
		"/usr/lib/systemd/system/a.service": "[Install]\nWantedBy=graphical.target\nWantedBy=\nWantedBy=multi-user.target\n",
	}, "a.service"},
	{"a drop-in with [Install]", map[string]string{
		"/usr/lib/systemd/system/a.service":          "[Service]\nExecStart=/bin/true\n",
		"/etc/systemd/system/a.service.d/10-in.conf": "[Install]\nWantedBy=multi-user.target\n",
	}, "a.service"},
	{"a socket with its service", map[string]string{
		"/usr/lib/systemd/system/a.service": "[Install]\nWantedBy=multi-user.target\nAlso=a.socket\n",
		"/usr/lib/systemd/system/a.socket":  "[Install]\nWantedBy=sockets.target\nAlso=a.service\n",
	}, "a.service"},
	{"an instance of a template", map[string]string{"/usr/lib/systemd/system/a@.service": "[Install]\nWantedBy=multi-user.target\n"}, "a@x.service"},
}

// The links are compared with those of the real systemctl.
func TestEnablingMakesTheLinksThatSystemctlMakes(t *testing.T) {
	systemctl, err := exec.LookPath("systemctl")
	if err != nil {
		t.Skip("systemctl is not installed")
	}
	for _, tt := range enablementCases {
		t.Run(tt.reason, func(t *testing.T) {
			ours, theirs := t.TempDir(), t.TempDir()
			for p, content := range tt.files {
				for _, root := range []string{ours, theirs} {
					plant(t, root, p, text(content))
				}
			}
			units := offline(t, ours).Units
			for _, e := range []state.Enablement{state.Enabled, state.Disabled} {
				verb := map[state.Enablement]string{state.Enabled: "enable", state.Disabled: "disable"}[e]
				if out, err := exec.CommandContext(t.Context(), systemctl, "--root="+theirs, verb, tt.enable).CombinedOutput(); err != nil {
					t.Skipf("systemctl --root: %v: %s", err, out)
				}
				if err := units.SetEnablement(t.Context(), tt.enable, e); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(links(t, theirs), links(t, ours)); diff != "" {
					t.Errorf("after %s (-systemctl +ours):\n%s", verb, diff)
				}
				if got, err := units.Get(t.Context(), tt.enable); err != nil || got.Enablement != e {
					t.Errorf("after %s: %+v, %v", verb, got, err)
				}
			}
		})
	}
}

// links lists symbolic links and folders of the administrator's units, with the base of the target:
// releases differ in whether they write /lib or /usr/lib.
func links(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "etc"), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(p, root)
		switch {
		case d.IsDir():
			found[rel] = "folder"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				return fmt.Errorf("%s leads nowhere: %w", rel, err)
			}
			found[rel] = filepath.Base(target)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEnablingRefusesWhatItCannotDoRight(t *testing.T) {
	for _, tt := range []struct {
		reason string
		files  map[string]state.File
		want   string
	}{
		{"a specifier", map[string]state.File{"/etc/systemd/system/a.service": text("[Install]\nWantedBy=%i.target\n")}, "specifiers"},
		{"a path as the wanting unit", map[string]state.File{"/etc/systemd/system/a.service": text("[Install]\nWantedBy=../../x.target\n")}, "bad name"},
		{"no unit file at all", map[string]state.File{"/etc/systemd/system/a.service": {Type: state.Directory}}, "not a unit file"},
		{"another unit's link", map[string]state.File{
			"/etc/systemd/system/a.service":                         text("[Install]\nWantedBy=x.target\n"),
			"/etc/systemd/system/x.target.wants/a.service":          {Type: state.Symlink, Target: "/usr/lib/systemd/system/other.service"},
			"/usr/lib/systemd/system/other.service":                 text(service),
			"/etc/systemd/system/unrelated.target.wants/b.service":  {Type: state.Symlink, Target: "b.service"},
			"/etc/systemd/system/unrelated.target.wants/.b.service": {Type: state.Directory},
		}, "not a link to"},
	} {
		root := t.TempDir()
		for p, file := range tt.files {
			plant(t, root, p, file)
		}
		err := offline(t, root).Units.SetEnablement(t.Context(), "a.service", state.Enabled)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "a.service") {
			t.Errorf("%s: %v; want an error with %q", tt.reason, err, tt.want)
		}
	}
}

func TestUnitPropertiesAreTranslated(t *testing.T) {
	id := []byte{0xab, 0xcd}
	for _, tt := range []struct {
		reason string
		in     map[string]any
		want   state.Unit
	}{
		{"unknown", map[string]any{"LoadState": "not-found", "ActiveState": "inactive"}, state.Unit{Missing: true}},
		{
			"running",
			map[string]any{"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "active", "InvocationID": id},
			state.Unit{Enablement: state.Enabled, Activity: state.Active, Invocation: "abcd"},
		},
		{
			"reloading runs",
			map[string]any{"LoadState": "loaded", "UnitFileState": "disabled", "ActiveState": "reloading"},
			state.Unit{Enablement: state.Disabled, Activity: state.Active},
		},
		{
			"masked while running",
			map[string]any{"LoadState": "masked", "UnitFileState": "masked", "ActiveState": "active"},
			state.Unit{Enablement: state.Masked, Activity: state.Active},
		},
		{
			"masked until the next boot",
			map[string]any{"LoadState": "loaded", "UnitFileState": "masked-runtime", "ActiveState": "inactive"},
			state.Unit{Enablement: state.Masked, Activity: state.Inactive},
		},
		{
			"enabled until the next boot is disabled",
			map[string]any{"LoadState": "loaded", "UnitFileState": "enabled-runtime", "ActiveState": "failed"},
			state.Unit{Enablement: state.Disabled, Activity: state.Failed},
		},
		{
			"generated cannot be enabled",
			map[string]any{"LoadState": "loaded", "UnitFileState": "generated", "ActiveState": "activating"},
			state.Unit{Enablement: state.Static, Activity: state.Activating},
		},
		{
			"transient has no file",
			map[string]any{"LoadState": "loaded", "UnitFileState": "", "ActiveState": "deactivating"},
			state.Unit{Enablement: state.Static, Activity: state.Inactive},
		},
		{
			"a broken unit file is there",
			map[string]any{"LoadState": "bad-setting", "UnitFileState": "disabled", "ActiveState": "inactive", "NeedDaemonReload": true},
			state.Unit{Enablement: state.Disabled, Activity: state.Inactive, NeedsReload: true},
		},
		{
			"a service that systemd has started again twice, with its command line",
			map[string]any{
				"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "active", "Result": "success",
				"NRestarts": uint32(2), "ActiveEnterTimestampMonotonic": uint64(87_000_000),
				"ExecStart": [][]any{{"/usr/sbin/dockerd", []string{"/usr/sbin/dockerd", "-H", "fd://", "$OPTS"}, false}},
			},
			state.Unit{
				Enablement: state.Enabled, Activity: state.Active, Result: "success", Restarts: 2, Uptime: 3 * time.Second,
				Exec: []string{"/usr/sbin/dockerd", "-H", "fd://", "$OPTS"},
			},
		},
		{
			"one that waits to be started again is not up",
			map[string]any{
				"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "activating", "Result": "exit-code",
				"NRestarts": uint32(7), "ActiveEnterTimestampMonotonic": uint64(87_000_000),
			},
			state.Unit{Enablement: state.Enabled, Activity: state.Activating, Result: "exit-code", Restarts: 7},
		},
	} {
		if diff := cmp.Diff(tt.want, unitOf(tt.in, 90*time.Second)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
		}
	}
}

func TestWithoutSystemdEachCallSaysWhatItCouldNotReach(t *testing.T) {
	if _, err := os.Stat("/run/systemd/private"); err == nil {
		t.Skip("systemd runs here")
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	u := newUnits()
	if _, err := u.Get(t.Context(), "docker.service"); err == nil || !strings.Contains(err.Error(), "docker.service") || !strings.Contains(err.Error(), "systemd") {
		t.Errorf("Get = %v", err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
}

// The units of a running systemd: run the test binary as root on a machine or container that has one,
// with SEEDBED_TEST_SYSTEMD=1. It makes units named seedbed-test-*, and removes them.
func TestUnitsKeepTheContract(t *testing.T) {
	if os.Getenv("SEEDBED_TEST_SYSTEMD") != "1" {
		t.Skip("needs a running systemd and root: set SEEDBED_TEST_SYSTEMD=1 there")
	}
	const dir = "/etc/systemd/system/seedbed-test-"
	units := newUnits()
	t.Cleanup(func() {
		for _, name := range []string{"a", "b", "c", "d"} {
			if err := os.Remove(dir + name + ".service"); err != nil {
				t.Error(err)
			}
		}
		if err := units.DaemonReload(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := units.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, content := range map[string]string{
		"a": "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
		"b": "[Service]\nExecStart=/bin/sleep infinity\n",
		"c": "[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n",
	} {
		plant(t, "/", dir+name+".service", text(content))
	}
	plant(t, "/", dir+"d.service", state.File{Type: state.Symlink, Target: "/dev/null"})
	if err := units.DaemonReload(t.Context()); err != nil {
		t.Fatal(err)
	}
	hosttest.UnitsContract(t, func(t *testing.T) hosttest.UnitsFixture {
		t.Helper()
		if err := units.Do(t.Context(), "seedbed-test-a.service", host.Stop); err != nil {
			t.Fatal(err)
		}
		return hosttest.UnitsFixture{
			Units: units, Service: "seedbed-test-a.service", Static: "seedbed-test-b.service",
			Failing: "seedbed-test-c.service", Masked: "seedbed-test-d.service",
		}
	})
	t.Run("a broken connection is made anew", func(t *testing.T) {
		conn, err := units.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got, err := units.Get(t.Context(), "seedbed-test-a.service"); err != nil || got.Missing {
			t.Errorf("Get = %+v, %v", got, err)
		}
	})
	t.Run("a failed job says how it ended", func(t *testing.T) {
		err := units.Do(t.Context(), "seedbed-test-c.service", host.Restart)
		if err == nil || !strings.Contains(err.Error(), `"failed"`) || !strings.Contains(err.Error(), "seedbed-test-c.service") {
			t.Errorf("Do = %v", err)
		}
	})
	t.Run("a unit changed on disk needs a reload", func(t *testing.T) {
		// A unit that nobody runs or refers to is not in systemd's memory, and so never stale there.
		if err := units.Do(t.Context(), "seedbed-test-b.service", host.Start); err != nil {
			t.Fatal(err)
		}
		plant(t, "/", dir+"b.service", text("[Service]\nExecStart=/bin/sleep 1000\n"))
		if got, err := units.Get(t.Context(), "seedbed-test-b.service"); err != nil || !got.NeedsReload {
			t.Errorf("before: %+v, %v", got, err)
		}
		if err := units.DaemonReload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := units.Get(t.Context(), "seedbed-test-b.service"); err != nil || got.NeedsReload {
			t.Errorf("after: %+v, %v", got, err)
		}
		if err := units.Do(t.Context(), "seedbed-test-b.service", host.Stop); err != nil {
			t.Error(err)
		}
	})
}
