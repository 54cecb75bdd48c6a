package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyANegativeScoreIsChanged(t *testing.T) {
	for name, c := range map[string]struct {
		reason, config, want string
	}{
		"negative": {
			"a pause container's", `{"hooks":{"a":1.5},"process":{"oomScoreAdj":-998,"args":["/pause"]}}`,
			`{"hooks":{"a":1.5},"process":{"oomScoreAdj":0,"args":["/pause"]}}`,
		},
		"positive": {"a best-effort container's can be set", `{"process":{"oomScoreAdj":1000}}`, `{"process":{"oomScoreAdj":1000}}`},
		"absent":   {"docker run sets none", `{"process":{"args":[]}}`, `{"process":{"args":[]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := t.TempDir()
			file := filepath.Join(bundle, "config.json")
			if err := os.WriteFile(file, []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := settle([]string{"--root", "/run/x", "create", "--bundle", bundle, "id"}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decode(t, []byte(c.want)), read(t, file)); diff != "" {
				t.Errorf("%s: %s", c.reason, diff)
			}
		})
	}
}

func TestTheProcessOfAnExecIsChangedToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "process.json")
	if err := os.WriteFile(file, []byte(`{"oomScoreAdj":-5,"cwd":"/"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := settle([]string{"exec", "--process", file, "id"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"oomScoreAdj": 0.0, "cwd": "/"}, read(t, file)); diff != "" {
		t.Error(diff)
	}
}

func TestABundleThatCannotBeReadIsAnError(t *testing.T) {
	if err := settle([]string{"create", "--bundle", t.TempDir(), "id"}); err == nil {
		t.Error("no error")
	}
	if err := settle(nil); err != nil {
		t.Errorf("runc without arguments: %v; it says itself what it wants", err)
	}
}

func read(t *testing.T, file string) any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, content)
}

func decode(t *testing.T, content []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(content, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
