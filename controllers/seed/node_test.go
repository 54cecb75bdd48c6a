package seed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/seed/pki"
)

func testAccess(t *testing.T) access {
	t.Helper()
	authority, err := pki.NewAuthority("seedbed-ca", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return access{server: "https://127.0.0.1:6443", authority: authority}
}

func TestAKubeconfigIsKeptUntilItNoLongerFits(t *testing.T) {
	a := testAccess(t)
	moved, other := a, testAccess(t)
	moved.server = "https://10.64.3.7:6443"
	path := filepath.Join(t.TempDir(), "nodes", "node-a.kubeconfig")
	now := time.Now()
	for _, tc := range []struct {
		reason string
		before func()
		access access
		spec   pki.Spec
		at     time.Time
		want   string
	}{
		{"first", nil, a, nodeSpec("node-a"), now, "new"},
		{"second", nil, a, nodeSpec("node-a"), now, ""},
		{"near its end", nil, a, nodeSpec("node-a"), now.Add(pki.Validity - pki.RenewBefore + time.Hour), "about to expire"},
		{"of another node", nil, a, nodeSpec("node-b"), now.Add(pki.Validity - pki.RenewBefore + 2*time.Hour), "for another subject"},
		{"seed moved", nil, moved, nodeSpec("node-b"), now.Add(pki.Validity - pki.RenewBefore + 2*time.Hour), "the server's address changed"},
		{"seed made anew", nil, access{server: moved.server, authority: other.authority}, nodeSpec("node-b"), now.Add(pki.Validity - pki.RenewBefore + 2*time.Hour), "the authority changed"},
		{"cut short", func() { write(t, path, "apiVersion: v1\nkind: Config\n", 0o600) }, a, nodeSpec("node-a"), now, "damaged"},
	} {
		if tc.before != nil {
			tc.before()
		}
		got, err := tc.access.ensure(path, tc.spec, tc.at)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v; want %q", tc.reason, got, err, tc.want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", tc.reason, info.Mode(), err)
		}
	}
}

func TestCheckNodeTakesNamesAndLabelsThatKubernetesTakes(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tc := range []struct {
		name   string
		labels []string
		want   string // Part of the error, or "".
	}{
		{"node-a", nil, ""},
		{strings.Repeat("a", 63), []string{"role=worker", "example.com/zone=a", "empty="}, ""},
		{"node-a", []string{"role=worker", "role=worker"}, ""},
		{"", nil, `node name "": not a DNS label`},
		{long, nil, "use at most 63 lower-case letters"},
		{"Node-A", nil, `node name "Node-A": not a DNS label`},
		{"node.a", nil, `node name "node.a": not a DNS label`},
		{"../x", nil, `node name "../x": not a DNS label`},
		{"a\nb", nil, `node name "a\nb": not a DNS label`},
		{"node-a", []string{"role"}, `--labels "role": no value: write key=value`},
		{"node-a", []string{""}, `--labels "": no value`},
		{"node-a", []string{"=x"}, `--labels "=x": the key is not a label's`},
		{"node-a", []string{"a/b/c=x"}, `the key is not a label's`},
		{"node-a", []string{"role=" + long}, `the value is not a label's`},
		{"node-a", []string{"role=a=b"}, `the value is not a label's`},
		{"node-a", []string{"role=a", "role=b"}, `--labels role: given as "a" and "b": give each key once`},
	} {
		_, err := checkNode(tc.name, tc.labels)
		if tc.want == "" && err != nil || tc.want != "" && !strings.Contains(errorText(err), tc.want) {
			t.Errorf("%q %q: got %v, want %q", tc.name, tc.labels, err, tc.want)
		}
	}
	got, err := checkNode("node-a", []string{"role=worker", "zone="})
	if diff := cmp.Diff(map[string]string{"role": "worker", "zone": ""}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestAddNodeWritesOverNothingButTheNodesOwnKubeconfig(t *testing.T) {
	a, dir := testAccess(t), t.TempDir()
	own, others, text := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "text")
	for path, node := range map[string]string{own: "node-a", others: "node-b"} {
		if _, err := a.ensure(path, nodeSpec(node), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	write(t, text, "remember the milk", 0o644)
	for path, ok := range map[string]bool{own: true, filepath.Join(dir, "new"): true, others: false, text: false, dir: false} {
		err := checkOutput(path, "node-a")
		var p *Problem
		if ok != (err == nil) || (err != nil && !errors.As(err, &p)) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAddNodeNeedsADataDirOfASeedThatHasStarted(t *testing.T) {
	empty, early, started := t.TempDir(), t.TempDir(), t.TempDir()
	for _, root := range []string{early, started} {
		write(t, filepath.Join(root, "VERSION"), "1\n", 0o600)
	}
	l := Layout{Root: started}
	if err := l.remember(remembered{Server: "https://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.PKI().EnsureAuthority(clusterAuthority, "seedbed-ca", time.Now()); err != nil {
		t.Fatal(err)
	}
	a, err := l.access()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.ensure(l.Kubeconfig(adminName), clients()[0].spec, time.Now()); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{
		empty:         "no seed's data there",
		empty + "/no": "no seed's data there",
		early:         "its seed has not got as far as an address",
		started:       "no answer from https://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused: is the seed running? Start it with `seedbed seed --data-dir " + started + "`",
	} {
		_, err := AddNode(t.Context(), NodeOptions{DataDir: root, Name: "node-a"})
		if !strings.Contains(errorText(err), want) {
			t.Errorf("%s: got %v", root, err)
		}
	}
	if _, err := os.Stat(l.NodeKubeconfig("node-a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a kubeconfig was written for a node that was not registered: %v", err)
	}
}
