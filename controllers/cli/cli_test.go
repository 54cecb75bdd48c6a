package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/controllers/host/linux"
)

const (
	guide  = "../../config/samples/guide"
	nodeA  = guide + "/facts/node-a.yaml"
	nodeB  = guide + "/facts/node-b.yaml"
	canary = "Zm9vMjpmb28y" // the login of the guide's sample Secret
)

// run runs a command line and returns what it printed.
func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	root := NewRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(strings.NewReader(stdin))
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	return out.String(), err
}

func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, "", args...)
	if err != nil {
		t.Fatalf("seedbed %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// edited is a folder with the guide's objects after replacing a text.
func edited(t *testing.T, from, to string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(guide + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	found := false
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(content, []byte(from))
		content = bytes.ReplaceAll(content, []byte(from), []byte(to))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("the guide's sample has no %q", from)
	}
	return dir
}

func TestRenderGivesTheSameBytesTwice(t *testing.T) {
	for _, output := range outputs {
		args := []string{"render", "-f", guide, "--facts", nodeA, "-o", output}
		if diff := cmp.Diff(mustRun(t, args...), mustRun(t, args...)); diff != "" {
			t.Errorf("-o %s differs between runs:\n%s", output, diff)
		}
	}
}

func TestRenderedNodeParsesAsYAMLAndJSON(t *testing.T) {
	for output, parse := range map[string]func([]byte, any) error{
		outputJSON: json.Unmarshal,
		outputYAML: func(b []byte, v any) error { return yaml.UnmarshalStrict(b, v) },
	} {
		var got nodeView
		if err := parse([]byte(mustRun(t, "render", "-f", guide, "--facts", nodeB, "-o", output)), &got); err != nil {
			t.Fatalf("-o %s: %v", output, err)
		}
		if got.Node != "node-b" || len(got.Files) < 10 || got.Chains["filter/FORWARD"] != "ACCEPT" {
			t.Errorf("-o %s: %+v", output, got)
		}
	}
}

func TestSecretContentIsWrittenAndNeverPrinted(t *testing.T) {
	for _, args := range [][]string{
		{"render", "-f", guide, "--facts", nodeA},
		{"render", "-f", guide, "--facts", nodeA, "-o", "yaml"},
		{"plan", "-f", guide, "--facts", nodeA},
		{"plan", "-f", guide, "--facts", nodeA, "-o", "json"},
	} {
		if strings.Contains(mustRun(t, args...), canary) {
			t.Errorf("seedbed %s prints the registry's login", strings.Join(args, " "))
		}
	}
	dir := filepath.Join(t.TempDir(), "out")
	if out := mustRun(t, "render", "-f", guide, "--facts", nodeA, "--to", dir); !strings.Contains(out, "placeholders") || !strings.Contains(out, "cluster-ca") || strings.Contains(out, "registry-login") {
		t.Errorf("it does not say which Secrets are placeholders: %s", out)
	}
	file := filepath.Join(dir, "var/lib/kubelet/config.json")
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), canary) {
		t.Errorf("--to did not write the login: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the login has mode %v", info.Mode())
	}
	if _, err := run(t, "", "render", "-f", guide, "--facts", nodeA, "--to", dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("writing into a folder that is not empty: %v", err)
	}
}

func TestPlanSaysWhatAChangeDisturbs(t *testing.T) {
	root := t.TempDir()
	out := mustRun(t, "plan", "-f", guide, "--facts", nodeA, "--host-root", root)
	for _, want := range []string{"Node node-a, revision workers-", "+ file /etc/docker/daemon.json", "+ unit docker.service", "nothing is reloaded or restarted"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan of a new node lacks %q:\n%s", want, out)
		}
	}
	if entries, _ := os.ReadDir(root); len(entries) != 0 {
		t.Errorf("planning wrote to the host root: %v", entries)
	}
	var view struct {
		Disruption string
		Steps      []struct{ Action, Reason string }
	}
	if err := json.Unmarshal([]byte(mustRun(t, "plan", "-f", guide, "--facts", nodeA, "-o", "json")), &view); err != nil {
		t.Fatal(err)
	}
	if view.Disruption != "None" || len(view.Steps) < 20 || view.Steps[0].Reason == "" {
		t.Errorf("plan as JSON: %+v", view)
	}
}

// Every row is a mistake a user makes; the error says where it is and what to do.
func TestBadInputNamesFileLineFieldAndCure(t *testing.T) {
	facts := func(content string) string {
		path := filepath.Join(t.TempDir(), "facts.yaml")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{
			"mirror without scheme",
			[]string{"render", "-f", edited(t, "https://hub-mirror.c.163.com", "hub-mirror.c.163.com"), "--facts", nodeA},
			[]string{"10-workers.yaml:", "spec.docker.registryMirrors[1]", "hub-mirror.c.163.com", "write https://hub-mirror.c.163.com"},
		},
		{
			"misspelt field",
			[]string{"plan", "-f", edited(t, "maxConcurrentDownloads", "maxConcurrentDownload"), "--facts", nodeA},
			[]string{"10-workers.yaml:", "spec.docker.maxConcurrentDownload", "maxConcurrentDownloads"},
		},
		{
			"wrong type",
			[]string{"render", "-f", edited(t, "maxConcurrentDownloads: 10", "maxConcurrentDownloads: ten"), "--facts", nodeA},
			[]string{"10-workers.yaml:", "spec.docker.maxConcurrentDownloads", "integer"},
		},
		{
			"host bits",
			[]string{"render", "-f", edited(t, "172.30.0.0/16", "172.30.1.0/16"), "--facts", nodeA},
			[]string{"00-network.yaml:", "spec.podCIDR", "172.30.1.0/16", "host bits"},
		},
		{
			"not YAML",
			[]string{"render", "-f", edited(t, "podCIDR: 172", "podCIDR: [172"), "--facts", nodeA},
			[]string{"00-network.yaml:"},
		},
		{"no such file", []string{"render", "-f", "nowhere.yaml", "--facts", nodeA}, []string{"nowhere.yaml", "no such file"}},
		{"empty folder", []string{"render", "-f", t.TempDir(), "--facts", nodeA}, []string{"no .yaml, .yml or .json file"}},
		{"no such config", []string{"render", "-f", guide, "--facts", nodeA, "--config", "masters"}, []string{"--config masters", "workers"}},
		{"labels that match nothing", []string{"render", "-f", guide, "--facts", nodeA, "--labels", "role=master"}, []string{"no NodeConfig selects node node-a", "--labels"}},
		{"labels that are none", []string{"render", "-f", guide, "--facts", nodeA, "--labels", "role"}, []string{"--labels role", "key=value"}},
		{"facts without interface", []string{"render", "-f", guide, "--facts", facts("hostname: x\n")}, []string{"interface"}},
		{"misspelt fact", []string{"render", "-f", guide, "--facts", facts("hostnam: x\n")}, []string{"facts.yaml:1", "hostnam"}},
		{"no facts", []string{"render", "-f", guide}, []string{"facts"}},
		{"unknown output", []string{"render", "-f", guide, "--facts", nodeA, "-o", "toml"}, []string{"toml", "text, yaml, json"}},
		{"unknown flag", []string{"render", "--fact", "x"}, []string{"--fact", "--help"}},
		{"unknown command", []string{"rendr"}, []string{"rendr"}},
		{"host root without facts", []string{"agent", "--host-root", "x"}, []string{"--facts"}},
		{"facts of a running host", []string{"agent", "--facts", nodeA}, []string{"--facts is for host roots only"}},
		{"resync too short", []string{"agent", "--resync", "1ms"}, []string{"--resync 1ms"}},
		{"node name", []string{"agent", "--node-name", "Node A"}, []string{"--node-name", "Node A"}},
		{"host root that is no folder", []string{"plan", "-f", guide, "--facts", nodeA, "--host-root", "nowhere"}, []string{"nowhere"}},
		{"facts of this machine", []string{"plan", "-f", guide, "--facts", nodeA, "--host-root", "/"}, []string{"--host-root /", "remove --facts"}},
		{"host root without facts", []string{"plan", "-f", guide, "--host-root", t.TempDir()}, []string{"--facts is missing"}},
		{"kubeconfig that is not there", []string{"status", "--kubeconfig", "nowhere.kubeconfig"}, []string{"nowhere.kubeconfig"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, "", c.args...)
			if err == nil {
				t.Fatal("it was accepted")
			}
			line := oneLine(err)
			if strings.Contains(line, "\n") {
				t.Errorf("more than one line: %q", line)
			}
			for _, want := range c.want {
				if !strings.Contains(line, want) {
					t.Errorf("the error lacks %q:\n%s", want, line)
				}
			}
		})
	}
}

func TestObjectsComeFromStandardInputToo(t *testing.T) {
	var all strings.Builder
	for _, f := range []string{"00-network.yaml", "10-workers.yaml", "05-secrets.yaml"} {
		content, err := os.ReadFile(filepath.Join(guide, f))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "---\n%s\n", content)
	}
	out, err := run(t, all.String(), "render", "-f", "-", "--facts", nodeA)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mustRun(t, "render", "-f", guide, "--facts", nodeA), out); diff != "" {
		t.Errorf("standard input gives another node:\n%s", diff)
	}
}

func TestSecondAgentOnAHostRootIsRefusedWithTheHoldersPid(t *testing.T) {
	root := t.TempDir()
	lock, err := linux.AcquireLock(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Release() })
	_, err = run(t, "", "agent", "--host-root", root, "--facts", nodeA, "--kubeconfig", "nowhere")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v, want the holder's pid %d", err, os.Getpid())
	}
}

func TestEveryCommandHasExamplesAndEveryFlagAnExplanation(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Runnable() && c.HasParent() && !c.Hidden && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Flags().FlagUsages(), "\n") {
			if fields := strings.Fields(line); len(fields) == 1 {
				t.Errorf("%s: %s is not explained", c.CommandPath(), fields[0])
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(NewRoot())
}

func TestCompletionIsOffered(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := mustRun(t, "completion", shell); !strings.Contains(out, "seedbed") {
			t.Errorf("no completion for %s", shell)
		}
	}
	if out := mustRun(t, "__complete", "render", "-o", ""); !strings.Contains(out, "json") {
		t.Errorf("-o is not completed: %s", out)
	}
}

func TestVersionTellsTheRenderer(t *testing.T) {
	var v versionInfo
	if err := json.Unmarshal([]byte(mustRun(t, "version", "-o", "json")), &v); err != nil {
		t.Fatal(err)
	}
	if v.Renderer == 0 || v.Go == "" {
		t.Errorf("version: %+v", v)
	}
}

func TestPrintableTakesTerminalEscapesOut(t *testing.T) {
	if got := printable("ok\x1b[31m\u009b\n"); strings.ContainsAny(got, "\x1b\n\u009b") {
		t.Errorf("%q would reach the terminal", got)
	}
}
