package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/seed"
	"seedbed.dev/seedbed/controllers/seed/install"
)

func TestSeedRefusesWhatItCannotDoOnOneLine(t *testing.T) {
	empty, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		reason string
		args   []string
		want   string
	}{
		{
			"no components",
			[]string{"seed", "--data-dir", filepath.Join(empty, "data"), "--components", empty},
			"component " + filepath.Join(empty, "etcd") + ": no such file or directory: run hack/components.sh",
		},
		{"the agent's folder", []string{"seed", "--data-dir", "/var/lib/seedbed/", "--components", empty}, "is where this machine's agent has its state"},
		{"a bad address", []string{"seed", "--bind-address", "eth0"}, `--bind-address "eth0": not an IP address of a machine`},
		{"all addresses", []string{"seed", "--bind-address", "0.0.0.0"}, "needs --advertise-address"},
		{"a bad range", []string{"seed", "--service-cluster-ip-range", "10.254.0.1/16"}, "has host bits: write 10.254.0.0/16"},
		{"an argument", []string{"seed", "up"}, `unknown command "up"`},
		{"a node without a name", []string{"seed", "add-node"}, "accepts 1 arg(s), received 0"},
		{"a bad name", []string{"seed", "add-node", "Node-A", "--data-dir", empty}, `node name "Node-A": not a DNS label`},
		{"a bad label", []string{"seed", "add-node", "node-a", "--labels", "role", "--data-dir", empty}, `--labels "role": no value`},
		{"no seed", []string{"seed", "add-node", "node-a", "--data-dir", empty}, "data dir " + empty + ": no seed's data there"},
		{"a token without a seed", []string{"seed", "token", "create", "--data-dir", empty}, "data dir " + empty + ": no seed's data there"},
		{"a token for a bad name", []string{"seed", "token", "create", "--nodes", "Node_A", "--data-dir", empty}, `--nodes "Node_A": not a node's name`},
		{"a token for a bad address", []string{"seed", "token", "create", "--addresses", "10.64.3.8/26", "--data-dir", empty}, "write 10.64.3.0/26 for the range"},
		{"a token without an end", []string{"seed", "token", "create", "--ttl", "0", "--data-dir", empty}, "--ttl 0s: too short or too long"},
		{"tokens without a seed", []string{"seed", "token", "list", "--data-dir", empty}, "no seed's data there"},
		{"no token", []string{"seed", "token", "delete"}, "requires at least 1 arg(s)"},
		{"not a token", []string{"seed", "token", "delete", "ABC", "--data-dir", empty}, "token: not a token's id: give the six letters and digits"},
		{"a file for a data dir", []string{"seed", "add-node", "node-a", "--data-dir", file}, "choose a folder with --data-dir"},
	} {
		_, err := run(t, "", tc.args...)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(oneLine(err), "\n") {
			t.Errorf("%s: got %v, want %s", tc.reason, err, tc.want)
		}
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) != 0 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
}

func TestAddNodeSaysWhatItDidAndWhatComesNext(t *testing.T) {
	for _, tc := range []struct {
		reason string
		result seed.NodeResult
		want   []string
	}{
		{"new", seed.NodeResult{Kubeconfig: "/d/a", Registered: true, Issued: "new"}, []string{"node a registered\n", "kubeconfig /d/a written (new)\n"}},
		{"again", seed.NodeResult{Kubeconfig: "/d/a"}, []string{"node a is registered already, with the same labels\n", "kubeconfig /d/a kept\n"}},
		{"renewed", seed.NodeResult{Kubeconfig: "/d/a", Issued: "about to expire"}, []string{"registered already", "written (about to expire)\n"}},
	} {
		var b strings.Builder
		printAddedNode(&b, "a", tc.result)
		for _, want := range append(tc.want, "on a, as root:  seedbed agent --kubeconfig FILE --node-name a\n", "seedbed agent --kubeconfig /d/a --node-name a --host-root DIR --facts FILE\n") {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: %q is not in:\n%s", tc.reason, want, b.String())
			}
		}
	}
}

func TestSeedsHelpHasExamples(t *testing.T) {
	for _, args := range [][]string{
		{"seed", "--help"},
		{"seed", "add-node", "--help"},
		{"seed", "token", "create", "--help"},
		{"seed", "token", "list", "--help"},
		{"seed", "token", "delete", "--help"},
	} {
		if out := mustRun(t, args...); !strings.Contains(out, "Examples:\n") || !strings.Contains(out, "--data-dir ./seed") {
			t.Errorf("%v:\n%s", args, out)
		}
	}
}

func TestATokensTextTellsAllButItsSecret(t *testing.T) {
	scope := approve.Scope{Labels: map[string]string{"zone": "a", "role": "worker"}, Nodes: []string{"node-a", "node-b"}, Expires: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	var b strings.Builder
	printToken(&b, seed.TokenResult{ID: "abcdef", Scope: scope, Join: "seedbed join URL --token abcdef.secret", Loopback: true})
	printTokens(&b, []install.TokenInfo{{ID: "abcdef", Scope: scope}, {ID: "zzzzzz", Problem: "data.expires: not a time"}})
	for _, want := range []string{
		"token abcdef: node node-a, node-b may join until 2026-05-01T12:00:00Z, with labels role=worker,zone=a\n",
		"no --addresses: ", "SB017: ",
		"abcdef  2026-05-01T12:00:00Z  node-a,node-b  role=worker,zone=a  none",
		"data.expires: not a time\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "secret") {
		t.Errorf("the secret is in:\n%s", b.String())
	}
}
