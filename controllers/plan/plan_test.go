package plan_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

var update = flag.Bool("update", false, "write golden files")

const (
	dropIn  = "/etc/systemd/system/docker.service.d/50-seedbed.conf"
	daemon  = "/etc/docker/daemon.json"
	unit    = "/etc/systemd/system/kubelet.service"
	docker  = "docker.service"
	kubelet = "kubelet.service"
)

func file(content string, c state.Component) state.File {
	return state.File{Content: []byte(content), Mode: 0o644, Owner: "root", Group: "root", Component: c}
}

func seen(content string) state.File {
	f := file(content, "")
	return f
}

// desired is a small node: docker from a package, kubelet with a unit of ours.
func desired() state.Host {
	h := state.New()
	h.Files[daemon] = file("{}", state.ComponentDocker)
	h.Files[dropIn] = file("[Service]\n", state.ComponentDocker)
	h.Files[unit] = file("[Service]\nExecStart=/usr/bin/kubelet\n", state.ComponentKubelet)
	h.Units[docker] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Component: state.ComponentDocker,
		Inputs: []state.Input{
			{Name: daemon + " (live keys)", Path: daemon, Hash: "live1", Disruption: state.Reload},
			{Name: daemon, Path: daemon, Hash: "rest1", Disruption: state.Restart},
			{Name: dropIn, Path: dropIn, Hash: "dropin1", Disruption: state.Restart},
		},
		Needs: []state.Ref{{Kind: state.KindSysctl, Name: "net.ipv4.ip_forward"}},
	}
	h.Units[kubelet] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Component: state.ComponentKubelet,
		Inputs: []state.Input{{Name: unit, Path: unit, Hash: "unit1", Disruption: state.Restart}},
	}
	h.Sysctls["net.ipv4.ip_forward"] = "1"
	h.Modules["br_netfilter"] = state.Module{}
	h.Chains["filter/FORWARD"] = state.Chain{Policy: "ACCEPT"}
	return h
}

// bare is a host with docker installed and nothing configured.
func bare() state.Host {
	h := state.New()
	h.Units[docker] = state.Unit{Enablement: state.Disabled, Activity: state.Inactive}
	h.Units[kubelet] = state.Unit{Missing: true}
	h.Sysctls["net.ipv4.ip_forward"] = "0"
	h.Chains["filter/FORWARD"] = state.Chain{Policy: "DROP"}
	return h
}

// converged is the host after a successful apply of desired, and its ledger.
func converged() (state.Host, state.Ledger) {
	d := desired()
	h := state.New()
	ledger := state.NewLedger()
	for path, f := range d.Files {
		h.Files[path] = f
		ledger.Owned[state.Ref{Kind: state.KindFile, Name: path}] = state.Owned{Prior: state.Prior{Absent: true}, Applied: f.Digest()}
	}
	for name, u := range d.Units {
		h.Units[name] = state.Unit{Enablement: state.Enabled, Activity: state.Active, Invocation: name + "-run1"}
		ledger.Owned[state.Ref{Kind: state.KindUnit, Name: name}] = state.Owned{Prior: state.Prior{Absent: name == kubelet, Enablement: state.Disabled, Activity: state.Inactive}}
		inputs := map[string]string{}
		for _, in := range u.Inputs {
			inputs[in.Name] = in.Hash
		}
		ledger.Started[name] = state.Started{Inputs: inputs, Invocation: name + "-run1"}
	}
	h.Sysctls["net.ipv4.ip_forward"] = "1"
	ledger.Owned[state.Ref{Kind: state.KindSysctl, Name: "net.ipv4.ip_forward"}] = state.Owned{Prior: state.Prior{Value: "0"}, Applied: "1"}
	h.Modules["br_netfilter"] = state.Module{}
	ledger.Owned[state.Ref{Kind: state.KindModule, Name: "br_netfilter"}] = state.Owned{Prior: state.Prior{Absent: true}, Applied: "loaded"}
	h.Chains["filter/FORWARD"] = state.Chain{Policy: "ACCEPT"}
	ledger.Owned[state.Ref{Kind: state.KindChain, Name: "filter/FORWARD"}] = state.Owned{Prior: state.Prior{Value: "DROP"}, Applied: "ACCEPT"}
	return h, ledger
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		change       func(d, o *state.Host, l *state.Ledger)
	}{
		{"nothing-to-do", "a host that agrees needs no step", func(_, _ *state.Host, _ *state.Ledger) {}},
		{"bare-host", "files come before the units that read them, units in the order of the chain", func(_, o *state.Host, l *state.Ledger) {
			*o, *l = bare(), state.NewLedger()
		}},
		{"live-key", "a key that dockerd reloads restarts nothing", func(d, _ *state.Host, _ *state.Ledger) {
			d.Files[daemon] = file(`{"max-concurrent-downloads": 10}`, state.ComponentDocker)
			d.Units[docker].Inputs[0].Hash = "live2"
		}},
		{"restart-key", "another key of daemon.json restarts docker only", func(d, _ *state.Host, _ *state.Ledger) {
			d.Files[daemon] = file(`{"data-root": "/data"}`, state.ComponentDocker)
			d.Units[docker].Inputs[1].Hash = "rest2"
		}},
		{"drift", "a file somebody changed is put right without a restart; its unit may have been told to reload it", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[daemon] = seen("{ oops")
		}},
		{"drift-of-mode", "content that is right with a mode that is not", func(_, o *state.Host, _ *state.Ledger) {
			f := seen("{}")
			f.Mode = 0o666
			o.Files[daemon] = f
		}},
		{"input-gone", "a unit that has read something that is gone now is restarted", func(d, _ *state.Host, _ *state.Ledger) {
			u := d.Units[docker]
			u.Inputs = u.Inputs[:2]
			d.Units[docker] = u
			delete(d.Files, dropIn)
		}},
		{"unit-stopped", "a unit somebody stopped is started", func(_, o *state.Host, _ *state.Ledger) {
			o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive}
		}},
		{"unit-missing", "a unit no package brought is blocked, and what needs it waits", func(_, o *state.Host, l *state.Ledger) {
			*o, *l = bare(), state.NewLedger()
			o.Units[docker] = state.Unit{Missing: true}
		}},
		{"unit-masked", "a masked unit is not unmasked behind the administrator's back", func(_, o *state.Host, l *state.Ledger) {
			*o, *l = bare(), state.NewLedger()
			o.Units[docker] = state.Unit{Enablement: state.Masked, Activity: state.Inactive}
		}},
		{"reload-cut-off", "a crash between writing a unit file and daemon-reload owes the reload", func(_, o *state.Host, _ *state.Ledger) {
			o.Units[kubelet] = state.Unit{Missing: true}
			u := o.Units[docker]
			u.NeedsReload = true
			o.Units[docker] = u
		}},
		{"directory-in-the-way", "a folder is never replaced by a file", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[daemon] = state.File{Type: state.Directory}
		}},
		{"unknown", "what could not be looked at is not touched", func(_, o *state.Host, _ *state.Ledger) {
			delete(o.Files, daemon)
			o.Unknown[state.Ref{Kind: state.KindFile, Name: daemon}] = "permission denied"
		}},
		{"awaited", "a unit is not started before the file that somebody else makes for it, and one that runs is left alone", func(d, o *state.Host, _ *state.Ledger) {
			u := d.Units[kubelet]
			u.Awaits = []string{"/var/lib/seedbed/pki/made.pem", "/var/lib/seedbed/pki/to-come.pem"}
			d.Units[kubelet] = u
			o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive}
			o.Awaited["/var/lib/seedbed/pki/made.pem"] = true
			u = d.Units[docker]
			u.Awaits = []string{"/var/lib/seedbed/pki/gone.pem"}
			d.Units[docker] = u
		}},
		{"awaited-unknown", "a file that cannot be looked at is not taken for one that is there", func(d, o *state.Host, _ *state.Ledger) {
			u := d.Units[docker]
			u.Awaits, u.Inputs[1].Hash = []string{"/var/lib/seedbed/pki/x.pem"}, "rest2"
			d.Units[docker] = u
			o.Unknown[state.Ref{Kind: state.KindFile, Name: "/var/lib/seedbed/pki/x.pem"}] = "input/output error"
		}},
		{"removal", "an empty desired host puts everything back, units first", func(d, _ *state.Host, _ *state.Ledger) {
			*d = state.New()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := desired()
			o, l := converged()
			c.change(&d, &o, &l)
			golden(t, c.name, "# "+c.reason+"\n"+plan.New(d, o, l).String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the plan differs from %s (-want +got); run with -update if it should:\n%s", path, diff)
	}
}

func TestUnitStepsNeedWhatTheyRead(t *testing.T) {
	p := plan.New(desired(), bare(), state.NewLedger())
	position := map[string]int{}
	for i, s := range p.Steps {
		for _, n := range s.Needs {
			if _, before := position[n.String()]; !before {
				t.Errorf("step %s %s needs %s, which has no step before it", s.Action, s.Target, n)
			}
		}
		position[s.Target.String()] = i
		if s.Action == plan.Start && s.Target.Name == docker {
			for _, want := range []state.Ref{
				{Kind: state.KindFile, Name: daemon},
				{Kind: state.KindFile, Name: dropIn},
				{Kind: state.KindSystemd, Name: "manager"},
				{Kind: state.KindSysctl, Name: "net.ipv4.ip_forward"},
			} {
				if !contains(s.Needs, want) {
					t.Errorf("starting docker does not wait for %s", want)
				}
			}
		}
		if s.Action == plan.Start && s.Target.Name == kubelet && !contains(s.Needs, state.Ref{Kind: state.KindUnit, Name: docker}) {
			t.Error("starting the kubelet does not wait for docker")
		}
	}
}

func contains(refs []state.Ref, want state.Ref) bool {
	return slices.Contains(refs, want)
}

func TestRestartIsOwedExactlyOnceAcrossCrashes(t *testing.T) {
	pending := func(l state.Ledger, invocation string) {
		l.Started[docker] = state.Started{
			Inputs: map[string]string{daemon: "rest0"}, Invocation: invocation,
			Pending: &state.Pending{Inputs: l.Started[docker].Inputs, Invocation: invocation},
		}
	}
	for _, c := range []struct {
		name, reason string
		invocation   string
		activity     state.Activity
		want         plan.Action
	}{
		{"restarted", "the unit runs under another invocation, so the restart was done", "before", state.Active, ""},
		{"not yet", "the unit still runs as it did when the restart was asked for", docker + "-run1", state.Active, plan.Restart},
		{"failed", "a restart that failed is still owed", "before", state.Failed, plan.Start},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, l := converged()
			pending(l, c.invocation)
			u := o.Units[docker]
			u.Activity = c.activity
			o.Units[docker] = u
			p := plan.New(desired(), o, l)
			var got plan.Action
			for _, s := range p.Steps {
				if s.Target.Name == docker {
					got = s.Action
				}
			}
			if got != c.want {
				t.Errorf("%s: got %q, want %q\n%s", c.reason, got, c.want, p)
			}
			if c.want == "" && p.Started[docker].Pending != nil {
				t.Error("the restart is still recorded as pending")
			}
		})
	}
}

func TestRunningUnitIsTakenOverWithoutRestartOnlyIfItsFilesAreAsDesired(t *testing.T) {
	same, _ := converged()
	other, _ := converged()
	other.Files[daemon] = seen(`{"debug": true}`)
	for name, c := range map[string]struct {
		observed state.Host
		want     state.Disruption
	}{
		"files as desired": {same, state.None},
		"another file":     {other, state.Restart},
	} {
		p := plan.New(desired(), c.observed, state.NewLedger())
		if got := p.Disruption(); got != c.want {
			t.Errorf("%s: disruption %s, want %s\n%s", name, got, c.want, p)
		}
		// What the running unit has read is on record before its files change: a crash in between
		// must not make it look up to date.
		if _, ok := p.Started[docker]; !ok {
			t.Errorf("%s: nothing is recorded of the running docker", name)
		}
	}
}

func TestClaimsRememberWhatWasThere(t *testing.T) {
	o := bare()
	o.Files[daemon] = state.File{Content: []byte("mine"), Mode: 0o600, Owner: "alice", Group: "staff"}
	o.Files[dropIn] = state.File{Type: state.Symlink, Target: "/somewhere", Owner: "root", Group: "root"}
	priors := map[string]state.Prior{}
	for _, c := range plan.New(desired(), o, state.NewLedger()).Claims {
		priors[c.Ref.String()] = c.Prior
	}
	want := map[string]state.Prior{
		"file " + daemon:             {Blob: state.Hash([]byte("mine")), Mode: 0o600, Owner: "alice", Group: "staff"},
		"file " + dropIn:             {Type: state.Symlink, Target: "/somewhere", Owner: "root", Group: "root"},
		"file " + unit:               {Absent: true},
		"unit " + docker:             {Enablement: state.Disabled, Activity: state.Inactive},
		"unit " + kubelet:            {Absent: true},
		"sysctl net.ipv4.ip_forward": {Value: "0"},
		"module br_netfilter":        {Absent: true},
		"chain filter/FORWARD":       {Value: "DROP"},
	}
	if diff := cmp.Diff(want, priors); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestPlanShowsNoContent(t *testing.T) {
	const secret = "hunter2-is-not-for-logs"
	d, o := desired(), bare()
	f := file(secret, state.ComponentDocker)
	f.Secret = true
	d.Files[daemon] = f
	o.Files[daemon] = seen(secret + " before")
	p := plan.New(d, o, state.NewLedger())
	if text := p.String(); containsText(text, secret) {
		t.Errorf("the plan prints content:\n%s", text)
	}
	raw := mustJSON(t, p)
	if containsText(raw, secret) {
		t.Errorf("the plan's JSON has content:\n%s", raw)
	}
}
