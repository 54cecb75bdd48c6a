package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// As docker.io, containerd and runc, of which only the first is asked for, and man-db, which wants to
// be told of what the first brings.
const (
	asked, brought, deepest, told = "seedbed-engine", "seedbed-runtime", "seedbed-runner", "seedbed-index"
	newer, older                  = "2.0-1", "1.0-1"
	// killHere names a call of a script in which everything is killed, once.
	killHere = "/kill-here"
	// calls has all calls of scripts, and agent the pid of what is killed first.
	calls, agent = "/calls", "/agent"
)

// killedScript notes its calls. Where it is told to, it kills the agent, and then its own process
// group: apt, dpkg and itself.
const killedScript = `#!/bin/sh
call="$DPKG_MAINTSCRIPT_PACKAGE $DPKG_MAINTSCRIPT_NAME $1"
echo "$call" >> "$DPKG_ROOT` + calls + `"
if [ "$(cat "$DPKG_ROOT` + killHere + `" 2>/dev/null)" = "$call" ]; then
	rm "$DPKG_ROOT` + killHere + `"
	kill -KILL "$(cat "$DPKG_ROOT` + agent + `")" 0
fi
`

// killedChain are the packages, the first three in two versions.
func killedChain(t *testing.T) (repository string) {
	t.Helper()
	all := []testPackage{{name: told, version: older, triggers: "interest-noawait /usr/share/" + asked + "\n"}}
	for _, version := range []string{older, newer} {
		all = append(all,
			testPackage{name: deepest, version: version},
			testPackage{name: brought, version: version, fields: "Depends: " + deepest + " (= " + version + ")"},
			testPackage{name: asked, version: version, fields: "Depends: " + brought + " (= " + version + ")"})
	}
	for i := range all {
		p := &all[i]
		p.files, p.scripts = map[string]string{"/etc/" + p.name + ".conf": p.version}, map[string]string{}
		for n := range 4 {
			p.files[fmt.Sprintf("/usr/share/%s/%d", p.name, n)] = strings.Repeat(p.version, 1000)
		}
		for _, script := range []string{"preinst", "postinst", "prerm", "postrm"} {
			p.scripts[script] = killedScript
		}
	}
	return aptRepository(t, all...)
}

// killedHost is a host whose packages are apt's.
type killedHost struct {
	t    *testing.T
	root string
}

// killedBase is a host that has told, and the others in a version unless that is empty.
func killedBase(t *testing.T, repository, version string) *killedHost {
	t.Helper()
	a, root := aptRoot(t, repository)
	if err := a.Change(t.Context(), installing(told, "")); err != nil {
		t.Fatal(err)
	}
	x := &killedHost{t: t, root: root}
	if version != "" {
		if p, err := x.pass(version); err != nil {
			t.Fatalf("%v\n%s", err, p)
		}
	}
	return x
}

// another is a host as this one.
func (x *killedHost) another(t *testing.T) *killedHost {
	t.Helper()
	root := t.TempDir()
	command(t, "/", "cp", "-a", x.root+"/.", root)
	return &killedHost{t: t, root: root}
}

// wantVersion is what is to be; "" is all three absent.
func wantVersion(version string) state.Host {
	h := state.New()
	for _, name := range []string{asked, brought, deepest} {
		switch version {
		case "":
			h.Packages[name] = state.Package{Absent: true}
		case older: // apt would take the newest of what is brought along
			h.Packages[name] = state.Package{Version: version, Held: name == asked}
		}
	}
	if version == newer {
		h.Packages[asked] = state.Package{Version: version, Held: true}
	}
	return h
}

// killedPass is a pass of an agent that was just started. The error is its results'.
func killedPass(ctx context.Context, root, version string, options ...string) (plan.Plan, error) {
	tree, err := openTree(root)
	if err != nil {
		return plan.Plan{}, err
	}
	defer func() { _ = tree.Close() }() // nothing is written through it
	a := aptAt(root)
	a.options = append(a.options, options...)
	h := hosttest.New().Host()
	h.Packages, h.Store = a, newStore(tree)
	book, err := apply.Open(h.Store)
	if err != nil {
		return plan.Plan{}, err
	}
	want := wantVersion(version)
	p := plan.New(want, host.Observe(ctx, h, want, book.Ledger()), book.Ledger())
	results, err := apply.Apply(ctx, h, book, p, time.Time{}, nil)
	return p, errors.Join(err, results.Err())
}

// aptPass is a child that is a whole agent, for one pass.
func aptPass(args []string) error {
	if err := os.WriteFile(filepath.Join(args[0], agent), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		return err
	}
	_, err := killedPass(context.Background(), args[0], args[1], args[2:]...)
	return err
}

func (x *killedHost) pass(version string) (plan.Plan, error) {
	x.t.Helper()
	return killedPass(x.t.Context(), x.root, version)
}

// killedOn runs an agent towards the version, and returns false when it came to its end.
func (x *killedHost) killedOn(version string, options ...string) bool {
	x.t.Helper()
	out, err := child(x.t, nil, "apt-pass", append([]string{x.root, version}, options...)...).CombinedOutput()
	if err == nil {
		return false
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		x.t.Fatalf("%v\n%s", err, out)
	}
	// What is killed with it may still be about to go.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if who, err := aptAt(x.root).Busy(); err == nil && who == "" {
			return true
		} else if time.Now().After(deadline) {
			x.t.Fatalf("still at work: %s, %v", who, err)
		}
	}
}

func (x *killedHost) read(path string) string {
	content, err := os.ReadFile(filepath.Join(x.root, path))
	if err != nil && !os.IsNotExist(err) {
		x.t.Fatal(err)
	}
	return string(content)
}

// statuses are dpkg's, by package.
func (x *killedHost) statuses() map[string]string {
	all, name := map[string]string{}, ""
	for line := range strings.Lines(x.read(dpkgStatus)) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch field {
		case "Package":
			name = value
		case "Status":
			all[name] = value
		case "Version":
			all[name] += " " + value
		}
	}
	return all
}

// mended runs the pass of an agent that comes after the kill, and the one after that.
func (x *killedHost) mended(version string) {
	x.t.Helper()
	killed := x.statuses()
	p, err := x.pass(version)
	if err != nil {
		x.t.Fatalf("left as %v: the pass after it: %v\n%s\n%s", killed, err, p, x.read("/var/log/apt/term.log"))
	}
	want := map[string]string{}
	if _, there := killed[told]; there {
		want[told] = "install ok installed " + older
	}
	if version != "" {
		want[asked] = "hold ok installed " + version
		want[brought], want[deepest] = "install ok installed "+version, "install ok installed "+version
	}
	got := x.statuses()
	for name, status := range got {
		if version == "" && strings.HasPrefix(status, "deinstall ok config-files") {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		x.t.Fatalf("left as %v: after the next pass (-want +got):\n%s\n%s", killed, diff, p)
	}
	if left := listed(x.t, x.root, "/var/lib/dpkg/updates"); len(left) > 0 {
		x.t.Errorf("dpkg's journal has %v", left)
	}
	ran := x.read(calls)
	if p, err := x.pass(version); err != nil || !p.Empty() || x.read(calls) != ran {
		x.t.Errorf("left as %v: the second pass after it: %v\n%s%s", killed, err, p, strings.TrimPrefix(x.read(calls), ran))
	}
}

// Fault 27: kill -9 of the agent's whole cgroup, in a script of a package.
func TestF027KilledInAScriptOfAnyPackageTheNextPassFinishesIt(t *testing.T) {
	repository := killedChain(t)
	for _, c := range []struct {
		from, to string
		calls    []string
	}{
		{"", newer, []string{
			brought + " preinst install", asked + " preinst install",
			brought + " postinst configure", asked + " postinst configure", told + " postinst triggered",
		}},
		{older, newer, []string{
			asked + " prerm upgrade", brought + " preinst upgrade", deepest + " postrm upgrade", brought + " postinst configure",
		}},
		{newer, "", []string{brought + " prerm remove", brought + " postrm remove"}},
	} {
		base := killedBase(t, repository, c.from)
		for _, call := range c.calls {
			t.Run(c.from+" to "+c.to+" in "+call, func(t *testing.T) {
				t.Parallel()
				x := base.another(t)
				plant(t, x.root, killHere, state.File{Mode: 0o644, Content: []byte(call + "\n")})
				if !x.killedOn(c.to) {
					t.Fatalf("nothing was killed:\n%s", x.read(calls))
				}
				x.mended(c.to)
				if c.from == "" {
					x.broughtAlong(brought, deepest)
				}
			})
		}
	}
}

// broughtAlong are the packages that apt takes for installed by itself, so that it may remove them with
// what needs them.
func (x *killedHost) broughtAlong(want ...string) {
	x.t.Helper()
	args := slices.Concat(aptAt(x.root).options, []string{"showauto"})
	got := strings.Fields(command(x.t, "/", "apt-mark", args...))
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		x.t.Errorf("installed for others (-want +got):\n%s", diff)
	}
}

// killedDpkg runs dpkg, and kills everything at one of its system calls. Only runs that change something
// count.
const killedDpkg = `#!/bin/sh
case " $* " in
*" --unpack "*|*" --configure "*|*" --remove "*|*" --set-selections "*) printf x >> %[1]s/runs ;;
*) exec dpkg "$@" ;;
esac
[ "$(cat %[1]s/runs)" = %[2]s ] || exec dpkg "$@"
strace -o /dev/null -e trace=%[4]s -e inject=%[4]s:signal=KILL:when=%[3]d dpkg "$@" && exit
kill -KILL "$(cat %[1]s` + agent + `)" 0
`

// killAt kills an agent on its way to the version in a run of dpkg's, counted from 1, at the nth of its
// system calls of a name. The agent comes to its end when there are not as many.
func (x *killedHost) killAt(version string, run, n int, call string) (killed bool, runs int) {
	x.t.Helper()
	wrapper := fmt.Appendf(nil, killedDpkg, x.root, strings.Repeat("x", run), n, call)
	plant(x.t, x.root, "/dpkg", state.File{Mode: 0o755, Content: wrapper})
	killed = x.killedOn(version, "-o", "Dir::Bin::dpkg="+filepath.Join(x.root, "dpkg"))
	return killed, len(x.read("/runs"))
}

// Fault 27, by dpkg's own doings: files, information, journal and status are renamed into place, and
// unlinked when a package goes.
func TestF027KilledAtAnyRenameOrUnlinkOfDpkgTheNextPassFinishesIt(t *testing.T) {
	tool(t, "strace")
	repository := killedChain(t)
	for _, c := range []struct {
		from, to, call string
		stride         int
	}{{"", newer, "rename", 53}, {older, newer, "rename", 53}, {newer, "", "unlink", 31}} {
		t.Run(c.from+" to "+c.to+" at "+c.call, func(t *testing.T) {
			t.Parallel()
			stride, kills := c.stride, 0
			if os.Getenv("SEEDBED_TEST_EVERY_CALL") != "" {
				stride = 1 // takes half an hour
			}
			base := killedBase(t, repository, c.from)
			for run, n, runs := 1, 1, 1; run <= runs; {
				x := base.another(t)
				killed, ran := x.killAt(c.to, run, n, c.call)
				if !killed {
					run, n, runs = run+1, 1, ran
					continue
				}
				t.Logf("killed in run %d at %s %d", run, c.call, n)
				x.mended(c.to)
				n, kills = n+stride, kills+1
			}
			t.Logf("killed %d times", kills)
		})
	}
}
