package plan_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	engine  = "docker-ce"
	old     = "docker.io"
	program = "/usr/local/bin/kubelet"
	sources = "/etc/apt/sources.list.d/seedbed-docker.sources"
	waiting = "/etc/systemd/system/docker.service.d/00-seedbed-wait.conf"
)

// installing is desired, with docker from a repository and the kubelet downloaded.
func installing() state.Host {
	h := desired()
	h.Files[sources] = file("Types: deb\n", state.ComponentHost)
	h.Files[waiting] = file("[Unit]\n", state.ComponentHost)
	needs := []state.Ref{{Kind: state.KindFile, Name: sources}, {Kind: state.KindFile, Name: waiting}}
	h.Packages[engine] = state.Package{Version: "5:27.5.1-1", Held: true, Needs: needs}
	h.Packages[old] = state.Package{Absent: true, Needs: needs}
	h.Binaries[program] = state.Binary{SHA256: state.Hash([]byte("v1")), URL: "https://example.com/kubelet", Mode: 0o755, Owner: "root", Group: "root"}
	u := h.Units[kubelet]
	u.Program = program
	u.Inputs = append(u.Inputs, state.Input{Name: program + " (program)", Path: program, Hash: h.Binaries[program].SHA256, Disruption: state.Restart})
	h.Units[kubelet] = u
	return h
}

// installed is the host after a successful apply of installing, and its ledger.
func installed() (state.Host, state.Ledger) {
	o, l := converged()
	d := installing()
	for _, path := range []string{sources, waiting} {
		o.Files[path] = d.Files[path]
		l.Owned[state.Ref{Kind: state.KindFile, Name: path}] = state.Owned{Prior: state.Prior{Absent: true}, Applied: d.Files[path].Digest()}
	}
	o.Packages[engine] = state.Package{Version: "5:27.5.1-1", Held: true}
	l.Owned[state.Ref{Kind: state.KindPackage, Name: engine}] = state.Owned{Prior: state.Prior{Absent: true}, Applied: "5:27.5.1-1 held"}
	l.Owned[state.Ref{Kind: state.KindPackage, Name: old}] = state.Owned{Prior: state.Prior{Value: "20.10"}, Applied: "absent"}
	b := d.Binaries[program]
	b.URL, b.Identity = "", "id-1"
	o.Binaries[program] = b
	l.Owned[state.Ref{Kind: state.KindBinary, Name: program}] = state.Owned{
		Prior: state.Prior{Absent: true}, Applied: b.Digest(), Verified: &state.Verified{SHA256: b.SHA256, Identity: "id-1"},
	}
	l.Started[kubelet].Inputs[program+" (program)"] = b.SHA256
	return o, l
}

// has lists the steps as "action target".
func has(p plan.Plan) []string {
	var steps []string
	for i := range p.Steps {
		steps = append(steps, string(p.Steps[i].Action)+" "+p.Steps[i].Target.String())
	}
	return steps
}

func TestInstallations(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		change       func(d, o *state.Host, l *state.Ledger)
		want         []string
	}{
		{"nothing to do", "a host that agrees needs no step", func(_, _ *state.Host, _ *state.Ledger) {}, nil},
		{"bare host", "files that packages need, then what is absent, then what is present, then binaries, then the rest", func(_, o *state.Host, l *state.Ledger) {
			*o, *l = bare(), state.NewLedger()
			o.Packages[old] = state.Package{Version: "20.10"}
		}, []string{
			"write file " + sources, "write file " + waiting, "reload systemd manager", "remove package " + old, "install package " + engine, "write binary " + program,
			"load module br_netfilter", "write file " + daemon, "write file " + dropIn, "write file " + unit,
			"set sysctl net.ipv4.ip_forward", "reload systemd manager", "set chain filter/FORWARD", "enable unit " + docker, "enable unit " + kubelet, "start unit " + docker, "start unit " + kubelet,
		}},
		{"removed by somebody", "it is put back, and nothing else is touched", func(_, o *state.Host, _ *state.Ledger) { delete(o.Packages, engine) }, []string{"install package " + engine}},
		{"let go by somebody", "only the hold is put back", func(_, o *state.Host, _ *state.Ledger) { o.Packages[engine] = state.Package{Version: "5:27.5.1-1"} }, []string{"hold package " + engine}},
		{"dropped from the list", "a package is removed only when it is named as absent", func(d, _ *state.Host, _ *state.Ledger) { delete(d.Packages, engine) }, []string{"unhold package " + engine}},
		{"cut off with all in place", "what it brought along may not be whole", func(_, _ *state.Host, l *state.Ledger) { l.Installing = []string{engine} }, []string{"finish package " + engine}},
		{"cut off, and one is missing", "its installation finishes the rest as well", func(_, o *state.Host, l *state.Ledger) {
			delete(o.Packages, engine)
			l.Installing = []string{old, engine}
		}, []string{"install package " + engine}},
		{"cut off in what is not wanted any more", "nobody else finishes it", func(d, o *state.Host, l *state.Ledger) {
			delete(d.Packages, engine)
			o.Packages[engine] = state.Package{Version: "5:27.5.1-1"}
			l.Installing = []string{engine}
		}, []string{"finish package " + engine}},
		{"binary dropped from the list while its unit runs from it", "taking it away would break the unit", func(d, _ *state.Host, _ *state.Ledger) { delete(d.Binaries, program) }, nil},
		{"binary dropped with its unit elsewhere", "nothing runs from it any more", func(d, _ *state.Host, _ *state.Ledger) {
			delete(d.Binaries, program)
			u := d.Units[kubelet]
			u.Program, u.Inputs = "/usr/bin/kubelet", u.Inputs[:1]
			d.Units[kubelet] = u
		}, []string{"restart unit " + kubelet, "restore binary " + program}},
		{"another program", "its unit is restarted after it", func(d, _ *state.Host, _ *state.Ledger) {
			b := d.Binaries[program]
			b.SHA256 = state.Hash([]byte("v2"))
			d.Binaries[program] = b
			d.Units[kubelet].Inputs[1].Hash = b.SHA256
		}, []string{"write binary " + program, "restart unit " + kubelet}},
		{"read anew and the same", "what was hashed is noted, and nothing is done", func(_, o *state.Host, _ *state.Ledger) {
			b := o.Binaries[program]
			b.Identity = "id-2"
			o.Binaries[program] = b
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := installing()
			o, l := installed()
			c.change(&d, &o, &l)
			p := plan.New(d, o, l)
			if diff := cmp.Diff(c.want, has(p)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", c.reason, diff, p)
			}
		})
	}
}

// What is only partly known must never lead to a removal: the rest of the ledger belongs to what is
// not known yet.
func TestPartialHostRemovesAndGivesUpNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		o, l := installed()
		part := installing().Installation()
		for _, m := range []func(){
			func() { o.Packages[old] = state.Package{Version: "20.10"} },
			func() { delete(o.Packages, engine) },
			func() { delete(o.Binaries, program) },
			func() { delete(part.Packages, engine) },
			func() { delete(part.Binaries, program) },
			func() { delete(part.Files, waiting) },
			func() { delete(part.Sysctls, "net.ipv4.ip_forward") },
			func() { part.Packages, part.Modules = map[string]state.Package{}, map[string]state.Module{} },
			func() { o.Busy = "apt is at work" },
			func() { l.Installing = []string{engine} },
			func() { set(o, docker, func(u *state.Unit) { u.Invocation = "another" }) },
		} {
			if random.IntN(2) == 0 {
				m()
			}
		}
		p := plan.New(part, o, l)
		if len(p.Released) > 0 {
			t.Fatalf("given up: %v", p.Released)
		}
		for i := range p.Steps {
			s := &p.Steps[i]
			wanted := s.Action == plan.Remove && part.Packages[s.Target.Name].Absent
			if s.Gives || s.Action == plan.Restore || s.Action == plan.Stop || s.Action == plan.Disable || s.Action == plan.Delete ||
				s.Target.Kind == state.KindUnit || (s.Action == plan.Remove && !wanted) {
				t.Fatalf("a host that is partly known has the step %s %s:\n%s", s.Action, s.Target, p)
			}
		}
	}
}

func TestUnitOfAPackageIsLeftAloneWhileThePackageManagerIsAtWork(t *testing.T) {
	d := installing()
	o, l := installed()
	o.Busy = "apt (pid 7) is at work with the host's packages"
	set(o, docker, func(u *state.Unit) { u.Activity = state.Inactive })
	set(o, kubelet, func(u *state.Unit) { u.Activity = state.Inactive })
	p := plan.New(d, o, l)
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Target.Name == docker && (!s.Waits || !strings.Contains(s.Blocked, "pid 7")) {
			t.Errorf("docker is started while its package is being upgraded:\n%s", p)
		}
		if s.Target.Name == kubelet && s.Blocked != "" {
			t.Errorf("the kubelet, whose unit is Seedbed's, waits too:\n%s", p)
		}
	}
}

func TestPlanOfAnInstallationIsPrintedForAUser(t *testing.T) {
	d := installing()
	o, l := installed()
	o.Packages[engine] = state.Package{Version: "5:26.1.5-1", Held: true}
	delete(o.Binaries, program)
	text := plan.New(d, o, l).String()
	for _, want := range []string{
		"~ package docker-ce  ", "install 5:27.5.1-1 held", "is 5:26.1.5-1, changed by somebody else [Restart]",
		"+ binary " + program, "missing",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
