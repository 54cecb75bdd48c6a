package controllers_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/schema"
	"seedbed.dev/seedbed/controllers/state"
)

// sample is one node of one folder of config/samples.
type sample struct {
	name     string
	input    resolve.Input
	contents map[v1alpha1.SecretKeyReference]state.Sensitive
}

// samples are all nodes that config/samples has facts of.
func samples(t testing.TB) []sample {
	t.Helper()
	facts, err := filepath.Glob("../config/samples/*/facts/*.yaml")
	if err != nil || len(facts) < 3 {
		t.Fatalf("found %d facts files in config/samples: %v", len(facts), err)
	}
	var list []sample
	for _, f := range facts {
		dir := filepath.Dir(filepath.Dir(f))
		s := sample{name: filepath.Base(dir) + "/" + strings.TrimSuffix(filepath.Base(f), ".yaml")}
		s.read(t, dir, f)
		list = append(list, s)
	}
	return list
}

func (s *sample) read(t testing.TB, dir, factsFile string) {
	t.Helper()
	var node v1alpha1.NodeConfig
	var network v1alpha1.NetworkConfig
	s.contents = resolvetest.Secrets(t) // for those that a seed makes
	files, err := filepath.Glob(dir + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		objects, err := schema.Load(f, open(t, f))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range objects.NodeConfigs {
			node = n
		}
		for _, n := range objects.NetworkConfigs {
			network = n
		}
		for _, secret := range objects.Secrets {
			for key, value := range secret.Data {
				s.contents[v1alpha1.SecretKeyReference{Name: secret.Name, Key: key}] = state.NewSensitive(value)
			}
		}
	}
	facts, err := schema.LoadFacts(factsFile, open(t, factsFile))
	if err != nil {
		t.Fatal(err)
	}
	s.input = resolve.Input{
		NodeName: facts.Hostname, Facts: facts,
		Revision: revision.New(node.Spec, network.Spec), Secrets: resolve.NewSecrets(s.contents),
	}
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func rendered(t testing.TB, in resolve.Input) state.Host {
	t.Helper()
	node, err := resolve.Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	desired, err := render.Render(node)
	if err != nil {
		t.Fatal(err)
	}
	return desired
}

// packaged are the units that a host has whose programs came as packages.
func packaged(in resolve.Input) map[string]string {
	units := map[string]string{}
	for _, c := range in.Facts.Components {
		if c.Source != v1alpha1.SourcePackage {
			continue
		}
		name := map[v1alpha1.ComponentName]string{"docker": "docker", "cri-dockerd": "cri-docker", "flannel": "flanneld"}[c.Name]
		if name == "" {
			name = string(c.Name)
		}
		const install = "\n[Install]\nWantedBy=multi-user.target\n"
		units[name+".service"] = "[Service]\nExecStart=" + strings.Join(c.ExecStart, " ") + install
		if name == "cri-docker" {
			units[name+".socket"] = "[Socket]\nListenStream=/run/cri-dockerd.sock" + install
		}
	}
	return units
}

// hostRoot makes a host root on disk, with something of the user's in the way.
func hostRoot(t testing.TB, in resolve.Input) (string, func() host.Host) {
	t.Helper()
	root := t.TempDir()
	for name, content := range packaged(in) {
		writeTo(t, filepath.Join(root, "usr/lib/systemd/system", name), content, 0o644)
	}
	writeTo(t, filepath.Join(root, "etc/docker/daemon.json"), `{"mine": true}`, 0o640)
	return root, func() host.Host {
		h, err := linux.Offline(root, in.Facts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		return h
	}
}

func writeTo(t testing.TB, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// converge is one pass of an agent that has just started.
func converge(t testing.TB, h host.Host, desired state.Host) plan.Plan {
	t.Helper()
	book, err := apply.Open(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	p := plan.New(desired, host.Observe(ctx, h, desired, book.Ledger()), book.Ledger())
	results, err := apply.Apply(ctx, h, book, p, time.Unix(0, 0), nil)
	if err != nil || results.Err() != nil {
		t.Fatal(err, results.Err())
	}
	return p
}

// snapshot is everything below root but Seedbed's own folders: type, mode, owner and content, and
// with stamps the inode and times as well, which any write would change.
func snapshot(t testing.TB, root string, stamps bool) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if !stamps && (rel == "var" || rel == "var/lib" || strings.HasPrefix(rel, "var/lib/seedbed")) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%v %d:%d", info.Mode(), stat.Uid, stat.Gid)
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + state.Hash(content)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		if stamps {
			line += fmt.Sprint(stat.Ino, stat.Mtim, stat.Ctim)
		}
		seen[rel] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fromMirror gives each binary the content that serve puts somewhere: its own path.
func fromMirror(desired state.Host, serve func(path string) (url string)) {
	for path, b := range desired.Binaries {
		b.URL, b.SHA256 = serve(path), state.Hash([]byte(path))
		desired.Binaries[path] = b
	}
}

func TestEverySampleOnAHostRoot(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			root, newHost := hostRoot(t, s.input)
			desired := rendered(t, s.input)
			fromMirror(desired, func(path string) string {
				writeTo(t, filepath.Join(root, "srv", path), path, 0o600)
				return "file:///srv" + path
			})
			pristine := snapshot(t, root, false)

			first := converge(t, newHost(), desired)
			for path := range desired.Files {
				if _, err := os.Lstat(filepath.Join(root, path)); err != nil {
					t.Errorf("not written: %v", err)
				}
			}
			if len(first.Steps) < len(desired.Files) {
				t.Errorf("%d steps for %d files", len(first.Steps), len(desired.Files))
			}

			stamps := snapshot(t, root, true)
			if again := converge(t, newHost(), desired); !again.Empty() {
				t.Errorf("plan after apply is not empty:\n%s", again)
			}
			if diff := cmp.Diff(stamps, snapshot(t, root, true)); diff != "" {
				t.Errorf("a pass with nothing to do wrote (-before +after):\n%s", diff)
			}

			converge(t, newHost(), state.New())
			if diff := cmp.Diff(pristine, snapshot(t, root, false)); diff != "" {
				t.Errorf("apply, then remove, is not the pristine root (-before +after):\n%s", diff)
			}
		})
	}
}

func TestEverySampleOnARunningHost(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			desired := rendered(t, s.input)
			f := hosttest.New()
			for name, content := range packaged(s.input) {
				f.Put("/usr/lib/systemd/system/"+name, state.File{Content: []byte(content), Mode: 0o644, Owner: "root", Group: "root"})
			}
			for _, name := range state.SortedKeys(desired.Modules) {
				f.AddModule(name, nil)
				if err := f.Host().Modules.Load(context.Background(), name); err != nil {
					t.Fatal(err)
				}
			}
			for name := range desired.Sysctls {
				f.AddSysctl(name, "7")
			}
			f.SetChain("filter/FORWARD", "DROP")
			for _, path := range desired.AwaitedPaths() {
				certify(f, path)
			}
			for name, p := range desired.Packages {
				f.AddPackage(name, firstOf(p.Version, "1.0"), hosttest.Brings{})
			}
			fromMirror(desired, func(path string) string {
				f.Serve("https://mirror"+path, []byte(path))
				return "https://mirror" + path
			})
			pristine := f.Dump()
			converge(t, f.Host(), desired)
			if again := converge(t, f.Host(), desired); !again.Empty() {
				t.Errorf("plan after apply is not empty:\n%s", again)
			}
			for name := range desired.Units {
				if jobs := f.Jobs(name); len(jobs) != 1 || jobs[0].Stale {
					t.Errorf("%s: jobs %v, want one start with its files read", name, jobs)
				}
			}
			converge(t, f.Host(), state.New())
			f.ClearRuntime() // docker's and flannel's own
			if diff := cmp.Diff(pristine, f.Dump()); diff != "" {
				t.Errorf("apply, then remove, is not the pristine host (-before +after):\n%s", diff)
			}
		})
	}
}

func TestShuffledInputGivesTheSamePlan(t *testing.T) {
	for _, s := range samples(t) {
		want := plan.New(rendered(t, s.input), state.New(), state.NewLedger()).String()
		for range 20 {
			in := s.input
			in.Facts = *in.Facts.DeepCopy()
			rotate(in.Facts.Interfaces)
			rotate(in.Facts.Routes)
			rotate(in.Facts.Components)
			if got := plan.New(rendered(t, in), state.New(), state.NewLedger()).String(); got != want {
				t.Fatalf("%s: shuffled facts give another plan:\n%s", s.name, cmp.Diff(want, got))
			}
			s.input.Facts = in.Facts
		}
	}
}

// rotate moves each element one place on and swaps the first two.
func rotate[T any](list []T) {
	if len(list) > 1 {
		copy(list, append(slices.Clone(list[1:]), list[0]))
		list[0], list[1] = list[1], list[0]
	}
}
