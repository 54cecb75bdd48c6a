package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

func file(content string) state.File {
	return state.File{Content: []byte(content), Mode: 0o644, Owner: "root", Group: "root"}
}

func machine() *hosttest.Fake {
	f := hosttest.New()
	f.Put("/etc/managed", file("a"))
	f.Put("/etc/owned", file("b"))
	f.Put("/etc/foreign", file("c"))
	f.Put("/usr/lib/systemd/system/docker.service", file("[Install]\n"))
	f.Put("/usr/lib/systemd/system/ssh.service", file("[Install]\n"))
	f.SetUnit("docker.service", state.Unit{Enablement: state.Enabled, Activity: state.Active})
	f.AddSysctl("net.ipv4.ip_forward", "0")
	f.AddSysctl("vm.swappiness", "60")
	f.AddModule("br_netfilter", nil)
	return f
}

func TestObserveLooksAtWhatDesiredAndLedgerNameAndNothingElse(t *testing.T) {
	desired, ledger := state.New(), state.NewLedger()
	desired.Files["/etc/managed"] = file("new")
	desired.Files["/etc/absent"] = file("new")
	desired.Units["docker.service"] = state.Unit{}
	desired.Units["none.service"] = state.Unit{}
	desired.Sysctls["net.ipv4.ip_forward"] = "1"
	desired.Sysctls["net.bridge.bridge-nf-call-iptables"] = "1"
	desired.Modules["br_netfilter"] = state.Module{}
	desired.Chains["filter/FORWARD"] = state.Chain{}
	ledger.Owned[state.Ref{Kind: state.KindFile, Name: "/etc/owned"}] = state.Owned{}
	ledger.Owned[state.Ref{Kind: state.KindSystemd, Name: "daemon"}] = state.Owned{}
	ledger.Started["left.service"] = state.Started{}

	fake := machine()
	got := host.Observe(t.Context(), fake.Host(), desired, ledger)

	want := state.New()
	want.Files["/etc/managed"], want.Files["/etc/owned"] = file("a"), file("b")
	want.Units["docker.service"] = fake.Unit("docker.service")
	want.Units["none.service"] = state.Unit{Missing: true}
	want.Units["left.service"] = state.Unit{Missing: true}
	want.Sysctls["net.ipv4.ip_forward"] = "0"
	want.Chains["filter/FORWARD"] = state.Chain{Policy: "ACCEPT"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := fake.Changes(); n != 0 {
		t.Errorf("observing changed the host: %v", fake.Journal())
	}
}

// broken fails for one path.
type broken struct{ host.Files }

func (b broken) Read(p string) (state.File, bool, error) {
	if p == "/etc/managed" {
		return state.File{Content: []byte("half")}, true, errors.New("file /etc/managed: input/output error")
	}
	return b.Files.Read(p)
}

func TestWhatCannotBeReadIsUnknownWithoutContentAndTheRestIsSeen(t *testing.T) {
	desired := state.New()
	desired.Files["/etc/managed"], desired.Files["/etc/owned"] = file("x"), file("x")
	h := machine().Host()
	h.Files = broken{h.Files}
	got := host.Observe(t.Context(), h, desired, state.NewLedger())
	want := state.New()
	want.Files["/etc/owned"] = file("b")
	want.Unknown[state.Ref{Kind: state.KindFile, Name: "/etc/managed"}] = "file /etc/managed: input/output error"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAwaitedFilesAreLookedForAndNothingIsReadFromThem(t *testing.T) {
	desired := state.New()
	desired.Units["docker.service"] = state.Unit{Awaits: []string{"/etc/foreign", "/etc/to-come", "/etc/managed"}}
	h := machine().Host()
	h.Files = broken{h.Files}
	got := host.Observe(t.Context(), h, desired, state.NewLedger())
	if diff := cmp.Diff(map[string]bool{"/etc/foreign": true}, got.Awaited); diff != "" {
		t.Errorf("awaited (-want +got):\n%s", diff)
	}
	if len(got.Files) != 0 || got.Unknown[state.Ref{Kind: state.KindFile, Name: "/etc/managed"}] == "" {
		t.Errorf("got %+v; want no file, and what could not be read Unknown", got)
	}
	h.Offline = true
	got = host.Observe(t.Context(), h, desired, state.NewLedger())
	if len(got.Awaited) != 3 {
		t.Errorf("got %v; want all of them on a host root, whose units start when it boots", got.Awaited)
	}
}

func TestACancelledObservationIsUnknownNotAbsent(t *testing.T) {
	desired := state.New()
	desired.Files["/etc/managed"] = file("x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := host.Observe(ctx, machine().Host(), desired, state.NewLedger())
	if len(got.Files) != 0 || len(got.Unknown) != 1 {
		t.Errorf("got %+v; want one Unknown", got)
	}
}

func TestBadNamesAreRefusedBeforeTheyBecomePathsOrArguments(t *testing.T) {
	_, sysctlErr := host.SysctlPath("net.//.x")
	_, _, chainErr := host.SplitChain("filter/-F")
	for what, err := range map[string]error{
		"/etc/../x": host.CheckFile("/etc/../x"), "/etc/\x00": host.CheckFile("/etc/\x00"),
		"--root=/x.service": host.CheckUnit("--root=/x.service"), strings.Repeat("a", 250) + ".service": host.CheckUnit(strings.Repeat("a", 250) + ".service"),
		"net.//.x": sysctlErr, "-r": host.CheckModule("-r"), "filter/-F": chainErr, "filter/FORWARD": host.CheckPolicy("filter/FORWARD", "REJECT"),
	} {
		if err == nil || !strings.Contains(err.Error(), strings.Trim(fmt.Sprintf("%q", what), `"`)) {
			t.Errorf("%q: %v; want an error that names it", what, err)
		}
	}
	for _, name := range []string{"docker.service", "getty@tty1.service", "dev-disk-by\\x2duuid.device", "a:b.mount", "a@.service"} {
		if err := host.CheckUnit(name); err != nil {
			t.Error(err)
		}
	}
}

// silent is an engine that runs and does not answer.
type silent struct{ host.Containers }

func (silent) Running(context.Context) (map[string]state.Container, error) {
	return nil, context.DeadlineExceeded
}

func (silent) LiveRestore(context.Context) (bool, error) { return false, context.DeadlineExceeded }

func TestAnEngineThatDoesNotAnswerIsReportedWithTheCure(t *testing.T) {
	containers := state.Ref{Kind: state.KindContainers, Name: "docker.service"}
	for reason, change := range map[string]func(*state.Host, *state.Ledger){
		"it may be restarted": func(d *state.Host, _ *state.Ledger) {
			d.Units["docker.service"] = state.Unit{Engine: &state.Engine{}, Inputs: []state.Input{{Name: "daemon.json", Hash: "1"}}}
		},
		"its bridge takes a lease of another subnet manager": func(d *state.Host, l *state.Ledger) {
			d.Units["docker.service"] = state.Unit{}
			d.Links["docker0"] = state.Link{Bridge: &state.Bridge{Giver: "flanneld.service", Maker: "docker.service", ByNode: "kubeconfig"}}
			l.Started["flanneld.service"] = state.Started{Inputs: map[string]string{"/etc/systemd/system/flanneld.service": "etcd"}}
		},
	} {
		f, desired, ledger := machine(), state.New(), state.NewLedger()
		change(&desired, &ledger)
		h := f.Host()
		h.Containers = silent{h.Containers}
		seen := host.Observe(context.Background(), h, desired, ledger)
		if got := seen.Unknown[containers]; !strings.Contains(got, "deadline") || !strings.Contains(got, "systemctl restart docker.service") {
			t.Errorf("%s: %q", reason, got)
		}
	}
}
