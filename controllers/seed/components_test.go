package seed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// programs makes a folder with small programs that print what they are told to --version.
func programs(t *testing.T, version string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		write(t, filepath.Join(dir, name), "#!/bin/sh\necho '"+version+"'\n", 0o755)
	}
	return dir
}

func TestComponentsAreFoundAndTheirVersionAsked(t *testing.T) {
	dir := programs(t, "Kubernetes v1.37.2", etcdName, apiserverName, schedulerName)
	got, err := findComponents(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Components{
		Etcd: filepath.Join(dir, etcdName), APIServer: filepath.Join(dir, apiserverName), Scheduler: filepath.Join(dir, schedulerName),
		Version: Version{Major: 1, Minor: 37, Text: "v1.37.2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAComponentThatCannotBeUsedSaysWhyAndWhatToDo(t *testing.T) {
	const good = "Kubernetes v1.37.2"
	for _, tc := range []struct {
		reason string
		dir    func() string
		want   []string
	}{
		{
			"no folder", func() string { return "/nowhere" },
			[]string{"component /nowhere/etcd: no such file or directory", "run hack/components.sh", "--components"},
		},
		{
			"no kube-apiserver", func() string { return programs(t, good, etcdName) },
			[]string{"/kube-apiserver: no such file or directory", "run hack/components.sh"},
		},
		{"a folder of that name", func() string {
			dir := programs(t, good, apiserverName)
			write(t, filepath.Join(dir, etcdName, "x"), "", 0o600)
			return dir
		}, []string{"/etcd: not a program but a folder"}},
		{"not executable", func() string {
			dir := programs(t, good, etcdName, apiserverName)
			write(t, filepath.Join(dir, etcdName), "x", 0o644)
			return dir
		}, []string{"/etcd: not executable (mode 0644)", "chmod +x"}},
		{"an optional one not executable", func() string {
			dir := programs(t, good, etcdName, apiserverName, schedulerName)
			write(t, filepath.Join(dir, schedulerName), "x", 0o600)
			return dir
		}, []string{"/kube-scheduler: not executable"}},
		{"for another machine", func() string {
			dir := programs(t, good, etcdName, apiserverName)
			write(t, filepath.Join(dir, apiserverName), "\x7fELF not really", 0o755)
			return dir
		}, []string{"/kube-apiserver: does not run here", "exec format error"}},
		{
			"something else", func() string { return programs(t, "nginx version: nginx/1.22", etcdName, apiserverName) },
			[]string{`says "nginx version: nginx/1.22" to --version`},
		},
		{
			"too old", func() string { return programs(t, "Kubernetes v1.31.14", etcdName, apiserverName) },
			[]string{"Kubernetes v1.31.14 is too old: use 1.32 or later"},
		},
		{"a loop of links", func() string {
			dir := programs(t, good, apiserverName)
			if err := os.Symlink(etcdName, filepath.Join(dir, etcdName)); err != nil {
				t.Fatal(err)
			}
			return dir
		}, []string{"/etcd: too many levels of symbolic links"}},
	} {
		_, err := findComponents(t.Context(), tc.dir())
		if _, ok := errors.AsType[*Problem](err); !ok {
			t.Errorf("%s: got %v", tc.reason, err)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", tc.reason, want, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: not on one line: %q", tc.reason, err)
		}
	}
}

func TestComponentsDirPrefersWhatIsGivenToTheEnvironment(t *testing.T) {
	t.Setenv(ComponentsVariable, "/from/environment")
	if got := ComponentsDir("/given"); got != "/given" {
		t.Errorf("given: %s", got)
	}
	if got := ComponentsDir(""); got != "/from/environment" {
		t.Errorf("environment: %s", got)
	}
	t.Setenv(ComponentsVariable, "")
	if got := ComponentsDir(""); !strings.HasSuffix(got, "bin/components/current") {
		t.Errorf("neither: %s", got)
	}
}

func TestParseVersion(t *testing.T) {
	for out, want := range map[string]string{
		"Kubernetes v1.37.2": "v1.37.2", "Kubernetes v1.40.0-alpha.1+abc": "v1.40.0-alpha.1+abc",
		"": "", "v1.37.2": "", "Kubernetes 1.37.2": "", "Kubernetes v1.99999.0": "", "Kubernetes v1.37.2\nmore": "",
	} {
		got, ok := parseVersion(out)
		if got.Text != want || ok != (want != "") {
			t.Errorf("%q: %v, %v", out, got, ok)
		}
	}
}
