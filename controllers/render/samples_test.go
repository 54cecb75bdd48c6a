package render

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

const samples = "../../config/samples"

// TestSamplesAreWhatTheGoldenFilesSay renders the samples that users start from, for the guide's
// nodes; Secrets that the samples do not hold are placeholders.
func TestSamplesAreWhatTheGoldenFilesSay(t *testing.T) {
	for name, tc := range map[string]struct{ sample, facts string }{
		"sample-guide-node-a": {"guide", "guide/facts/node-a.yaml"},
		"sample-guide-node-b": {"guide", "guide/facts/node-b.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			in := sample(t, filepath.Join(samples, tc.sample))
			content, err := os.ReadFile(filepath.Join(samples, tc.facts))
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(content, &in.Facts); err != nil {
				t.Fatal(err)
			}
			in.NodeName = in.Facts.Hostname
			host := mustRender(t, in)
			read(t, host)
			golden(t, name, dump(host))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got (run with -update if that is meant)\n%s", diff)
	}
}

// sample reads a folder's objects.
func sample(t *testing.T, folder string) resolve.Input {
	t.Helper()
	files, err := fs.Glob(os.DirFS(folder), "*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %d files", folder, err, len(files))
	}
	var node v1alpha1.NodeConfig
	var network v1alpha1.NetworkConfig
	secrets := map[v1alpha1.SecretKeyReference]state.Sensitive{}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(folder, f))
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range documents(t, content) {
			var kind metav1.TypeMeta
			var into any
			var secret corev1.Secret
			if err := yaml.Unmarshal(doc, &kind); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			switch kind.Kind {
			case "NodeConfig":
				into = &node
			case "NetworkConfig":
				into = &network
			case "Secret":
				into = &secret
			default:
				t.Fatalf("%s: kind %q", f, kind.Kind)
			}
			if err := yaml.UnmarshalStrict(doc, into); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			for key, value := range secret.StringData {
				secrets[v1alpha1.SecretKeyReference{Name: secret.Name, Key: key}] = state.NewSensitive([]byte(value))
			}
		}
	}
	return resolve.Input{Revision: revision.New(node.Spec, network.Spec), Secrets: resolve.NewSecrets(secrets).WithPlaceholders()}
}

func documents(t *testing.T, content []byte) [][]byte {
	t.Helper()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var docs [][]byte
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(doc)) > 0 && strings.Contains(string(doc), "kind:") {
			docs = append(docs, doc)
		}
	}
}
