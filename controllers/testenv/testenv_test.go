package testenv

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingComponentsSayHowToGetThem(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, given := range map[string]string{
		"a folder without the programs":          t.TempDir(),
		"no variable, outside of the repository": "",
	} {
		_, err := assetsFolder(given)
		if !errors.Is(err, ErrNoComponents) || !strings.Contains(err.Error(), "run: make components") {
			t.Errorf("%s: got %v, want ErrNoComponents with the cure", name, err)
		}
	}
}

func TestTheMakefilesLinkIsFoundFromBelow(t *testing.T) {
	root := t.TempDir()
	current := filepath.Join(root, "bin", "components", "current")
	below := filepath.Join(root, "controllers", "x")
	for _, folder := range []string{current, below} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{filepath.Join(root, "go.mod"), filepath.Join(current, "etcd"), filepath.Join(current, "kube-apiserver")} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(below)
	got, err := assetsFolder("")
	if err != nil {
		t.Fatal(err)
	}
	if got != current {
		t.Errorf("got %s, want %s", got, current)
	}
}
