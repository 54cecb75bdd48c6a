// Package admission holds the ValidatingAdmissionPolicies of Seedbed: what agents, kube-proxies,
// flannels and joining nodes may write, where RBAC cannot tell. The YAML files beside this one are the
// source; what goes out are parsed objects, for the seed, which installs them, and for tests. Each
// policy applies to Seedbed's own groups of users only, so that none can block anybody else.
package admission

import (
	"embed"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml
var files embed.FS

// All returns the policies and their bindings, one a file, sorted by file name. The caller may change
// them. An error means that the binary was built from broken files.
func All() ([]*unstructured.Unstructured, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list embedded policies: %w", err)
	}
	objects := make([]*unstructured.Unstructured, 0, len(entries))
	for _, entry := range entries {
		data, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read embedded policy: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(data, &object.Object); err != nil {
			return nil, fmt.Errorf("parse embedded policy %s: %w", entry.Name(), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}
