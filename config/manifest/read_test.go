package manifest_test

import (
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"seedbed.dev/seedbed/config/manifest"
)

const namespaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %}\n"

func folder(texts map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range texts {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func TestEachYAMLFileIsAnObjectInTheOrderOfTheirNames(t *testing.T) {
	files := folder(map[string]string{
		"b.yaml": strings.ReplaceAll(namespaces, "%", "second"), "a.yaml": strings.ReplaceAll(namespaces, "%", "first"), "README.md": "no object",
	})
	typed, err := manifest.Read[corev1.Namespace](files)
	if err != nil || len(typed) != 2 || typed[0].Name != "first" || typed[1].Name != "second" {
		t.Errorf("typed objects %v, error %v", typed, err)
	}
	untyped, err := manifest.Read[unstructured.Unstructured](files)
	if err != nil || len(untyped) != 2 || untyped[1].GetName() != "second" || untyped[1].GetKind() != "Namespace" {
		t.Errorf("untyped objects %v, error %v", untyped, err)
	}
}

func TestAMisspeltOrDoubledFieldIsAnErrorThatNamesTheFile(t *testing.T) {
	for reason, text := range map[string]string{
		"a field that the type does not have": "kind: Namespace\nmetdata: {}\n",
		"a field twice":                       "kind: Namespace\nkind: Namespace\n",
	} {
		_, err := manifest.Read[corev1.Namespace](folder(map[string]string{"one.yaml": text}))
		if err == nil || !strings.Contains(err.Error(), "one.yaml") {
			t.Errorf("%s: error %v, want one that names one.yaml", reason, err)
		}
	}
}
