package linux

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(content)
}

func TestProgramIsInstalledAndPutBackAsItWas(t *testing.T) {
	for name, before := range map[string]string{"none before": "", "another release before": "old program"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			from, to := filepath.Join(dir, "download", "seedbed"), filepath.Join(dir, "bin", "seedbed")
			writeFile(t, from, "new program", 0o700)
			if before != "" {
				writeFile(t, to, before, 0o755)
			}
			undo, err := installProgram(from, to)
			if err != nil || undo == nil {
				t.Fatal(undo == nil, err)
			}
			info, err := os.Stat(to)
			if err != nil || contentOf(t, to) != "new program" || info.Mode().Perm() != 0o755 {
				t.Fatalf("installed %q, %v, %v", contentOf(t, to), info, err)
			}
			for _, like := range []string{from, to} {
				if same, err := sameProgram(like, to); !same || err != nil {
					t.Errorf("%s is not taken for the one that was installed: %v", like, err)
				}
			}
			if err := undo(); err != nil {
				t.Fatal(err)
			}
			if got := contentOf(t, to); got != before {
				t.Errorf("put back: %q, want %q", got, before)
			}
			entries, err := os.ReadDir(filepath.Dir(to))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), tempPrefix) {
					t.Errorf("%s is left behind", e.Name())
				}
			}
		})
	}
}

func TestProgramOfTheSameSizeIsNotTakenForTheSame(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "new"), filepath.Join(dir, "seedbed")
	writeFile(t, from, strings.Repeat("x", 3<<20)+"1", 0o755)
	writeFile(t, to, strings.Repeat("x", 3<<20)+"2", 0o755)
	if same, err := sameProgram(from, to); same || err != nil {
		t.Error("the old program is taken for the new one", err)
	}
	writeFile(t, to, contentOf(t, from), 0o755)
	if err := os.Chmod(to, 0o600); err != nil {
		t.Fatal(err)
	}
	if same, err := sameProgram(from, to); same || err != nil {
		t.Error("a program that nobody can run is taken for the new one", err)
	}
}

func TestLinkToAnotherProgramIsPutBackAsALink(t *testing.T) {
	dir := t.TempDir()
	from, to, opt := filepath.Join(dir, "new"), filepath.Join(dir, "seedbed"), filepath.Join(dir, "opt")
	writeFile(t, from, "new program", 0o755)
	writeFile(t, opt, "old program", 0o755)
	if err := os.Symlink(opt, to); err != nil {
		t.Fatal(err)
	}
	undo, err := installProgram(from, to)
	if err != nil || contentOf(t, to) != "new program" || contentOf(t, opt) != "old program" {
		t.Fatal(contentOf(t, to), contentOf(t, opt), err)
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	if link, err := os.Readlink(to); err != nil || link != opt {
		t.Errorf("put back: %q, %v", link, err)
	}
}

func TestStateIsRemovedButForWhatIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := removeState(dir, nil); err != nil {
		t.Errorf("state that is not there: %v", err)
	}
	for _, name := range []string{"ledger.json", "priors/a", "pki/agent-client-current.pem", "pki/.seedbed-tmp-0123", "assignment.json", "seed/etcd/member"} {
		writeFile(t, filepath.Join(dir, name), "x", 0o600)
	}
	if err := removeState(dir, []string{"ledger.json", "priors"}); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if err != nil || !slices.Equal(left, []string{"ledger.json", "priors", "seed"}) {
		t.Errorf("left are %v, %v; want what is kept, and the data of a seed on the same machine", left, err)
	}
}

func TestKeysThatAreNotTheAgentsStay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	writeFile(t, filepath.Join(dir, "pki/agent-client-current.pem"), "x", 0o600)
	writeFile(t, filepath.Join(dir, "pki/ca.key"), "x", 0o600)
	if err := removeState(dir, nil); err != nil {
		t.Fatal(err)
	}
	if contentOf(t, filepath.Join(dir, "pki/agent-client-current.pem")) != "" || contentOf(t, filepath.Join(dir, "pki/ca.key")) != "x" {
		t.Error("the agent's key stays, or another's is gone")
	}
}

func TestAgentAndSeedDoNotShareAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := checkState(dir); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
	writeFile(t, filepath.Join(dir, "seed", "VERSION"), "1\n", 0o600)
	if err := checkState(dir); err != nil {
		t.Errorf("a seed in a folder of its own: %v", err)
	}
	writeFile(t, filepath.Join(dir, "VERSION"), "1\n", 0o600)
	if err := checkState(dir); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("a seed: got %v", err)
	}
	link := filepath.Join(filepath.Dir(dir), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]bool{
		dir: true, dir + "/": true, link: true, dir + "/pki": true, link + "/../state": true, dir + "/seed": false, dir + "/new": false, filepath.Dir(dir): false,
	} {
		if got, err := holdsState(dir, asked); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", asked, got, err, want)
		}
	}
}

func TestMatchingFilesAreRemovedAndNoFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kubelet-client-1.pem", "kubelet-client-2.pem", "kubelet.crt"} {
		writeFile(t, filepath.Join(dir, name), "x", 0o600)
	}
	if err := os.Mkdir(filepath.Join(dir, "kubelet-client-x.pem"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("kubelet-client-2.pem", filepath.Join(dir, "kubelet-client-current.pem")); err != nil {
		t.Fatal(err)
	}
	if err := (Membership{}).RemoveMatching(filepath.Join(dir, "kubelet-client-*.pem")); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 2 {
		t.Errorf("left are %v, %v; want kubelet.crt and the folder", names, err)
	}
}
