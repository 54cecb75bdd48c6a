package lab

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnImageArchiveIsWhatDockerLoadReads(t *testing.T) {
	source := t.TempDir()
	program := filepath.Join(source, "program")
	if err := os.WriteFile(program, []byte("#!"), 0o755); err != nil { //nolint:gosec // A program is executable.
		t.Fatal(err)
	}
	tree := filepath.Join(source, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("bash", filepath.Join(tree, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	i := image{archive: "image.tar", name: "example.test/image:1", entrypoint: []string{"/program"}, files: map[string]string{"program": program, ".": tree}}
	if err := i.write(file); err != nil {
		t.Fatal(err)
	}
	parts := untar(t, file)
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	decode(t, parts["manifest.json"], &manifest)
	if len(manifest) != 1 || len(manifest[0].Layers) != 1 || !cmp.Equal(manifest[0].RepoTags, []string{"example.test/image:1"}) {
		t.Fatalf("the manifest is %+v", manifest)
	}
	var config struct {
		Config struct{ Entrypoint []string }
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	decode(t, parts[manifest[0].Config], &config)
	layer := parts[manifest[0].Layers[0]]
	sum := sha256.Sum256(layer)
	if want := []string{"sha256:" + hex.EncodeToString(sum[:])}; !cmp.Equal(config.Rootfs.DiffIDs, want) {
		t.Errorf("diff IDs are %v, want %v: docker refuses a layer with another sum", config.Rootfs.DiffIDs, want)
	}
	if !cmp.Equal(config.Config.Entrypoint, []string{"/program"}) {
		t.Errorf("the entrypoint is %v", config.Config.Entrypoint)
	}
	layerFile := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(layerFile, layer, 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{".": {}, "bin": {}, "bin/sh": []byte("-> bash"), "program": []byte("#!")}
	if diff := cmp.Diff(want, untar(t, layerFile)); diff != "" {
		t.Error(diff)
	}
}

// untar returns the content of each file of an archive, and where links go.
func untar(t *testing.T, file string) map[string][]byte {
	t.Helper()
	archive, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	found := map[string][]byte{}
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if err == io.EOF { //nolint:errorlint // What the package documents.
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if header.FileInfo().Mode()&fs.ModeSymlink != 0 {
			content = []byte("-> " + header.Linkname)
		}
		found[header.Name] = content
	}
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%q: %v", content, err)
	}
}
