// Package rbac holds the roles of Seedbed: what the manager, the agents and the users of Seedbed may
// do. The YAML files beside this one are the source; what goes out are parsed objects, for the seed,
// which installs them, and for tests. Nothing is decided here. The roles of each single node are not
// among them: they depend on what is assigned to it, and the manager writes them.
package rbac

import (
	"embed"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml
var files embed.FS

// All returns the objects, one a file, sorted by file name. The caller may change them. An error
// means that the binary was built from broken files.
func All() ([]*unstructured.Unstructured, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list embedded roles: %w", err)
	}
	objects := make([]*unstructured.Unstructured, 0, len(entries))
	for _, entry := range entries {
		data, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read embedded role: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(data, &object.Object); err != nil {
			return nil, fmt.Errorf("parse embedded role %s: %w", entry.Name(), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}
