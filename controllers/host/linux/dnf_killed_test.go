package linux

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// killedLua notes its call, kills dnf and rpm in it where it is told to, and notes that it got through.
func killedLua(call string) string {
	return `local call, told = "` + call + `", io.open("` + killHere + `", "r")
if told and told:read("*l") == call then
	os.remove("` + killHere + `")
	posix.kill(0, 9)
end
local calls = io.open("` + calls + `", "a")
calls:write(call, "\n")
calls:close()
`
}

func killedRpms(t *testing.T) (repository string) {
	t.Helper()
	var all []testPackage
	for _, version := range []string{older, newer} {
		all = append(all,
			testPackage{name: deepest, version: version},
			testPackage{name: asked, version: version, fields: "Requires: " + deepest + " = " + strings.TrimSuffix(version, "-1")})
	}
	for i := range all {
		all[i].scripts = map[string]string{}
		for _, script := range []string{"post", "preun", "postun"} {
			all[i].scripts[script] = killedLua(all[i].name + " " + script)
		}
	}
	return rpmRepository(t, all...)
}

// Fault 27 with dnf: rpm knows a package before its scripts have run, and two versions in between.
func TestF027KilledInAScriptOfAnRpmTheNextPassFinishesIt(t *testing.T) {
	repository := killedRpms(t)
	for _, c := range []struct{ from, in string }{
		{"", deepest + " post"}, {"", asked + " post"}, {older, deepest + " post"}, {older, deepest + " preun"},
	} {
		t.Run("from "+c.from+" in "+c.in, func(t *testing.T) {
			t.Parallel()
			d := dnfRoot(t, repository)
			h := hosttest.New().Host()
			h.Packages = d
			pass := func(version string) (plan.Plan, error) {
				want := state.New()
				want.Packages[asked] = state.Package{Version: version}
				book, err := apply.Open(h.Store)
				if err != nil {
					t.Fatal(err)
				}
				p := plan.New(want, host.Observe(t.Context(), h, want, book.Ledger()), book.Ledger())
				results, err := apply.Apply(t.Context(), h, book, p, time.Time{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				return p, results.Err()
			}
			if c.from != "" {
				if p, err := pass(c.from); err != nil {
					t.Fatalf("%v\n%s", err, p)
				}
			}
			plant(t, d.root, calls, state.File{Mode: 0o644})
			plant(t, d.root, killHere, state.File{Mode: 0o644, Content: []byte(c.in + "\n")})
			if p, err := pass(newer); err == nil {
				t.Fatalf("nothing was killed:\n%s", p)
			}
			if p, err := pass(newer); err != nil {
				t.Fatalf("the pass after it: %v\n%s", err, p)
			}
			there, err := d.all(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := []string{asked + "-" + newer + ".noarch", deepest + "-" + newer + ".noarch"}
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(there))); diff != "" {
				t.Errorf("after the next pass (-want +got):\n%s", diff)
			}
			ran, err := os.ReadFile(filepath.Join(d.root, calls))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{asked, deepest} {
				if !strings.Contains(string(ran), name+" post\n") {
					t.Errorf("the script of %s has never come to its end:\n%s", name, ran)
				}
			}
			if p, err := pass(newer); err != nil || !p.Empty() {
				t.Errorf("the second pass after it: %v\n%s", err, p)
			}
		})
	}
}
