// Package manifest reads the objects that are embedded in this program as YAML files: CRDs, roles,
// policies. A file in, an object out; nothing is decided here, and nothing else is read.
package manifest

import (
	"fmt"
	"io/fs"

	"sigs.k8s.io/yaml"
)

// Read returns the objects of a folder, one a file, sorted by file name. A field that T does not have
// is an error. The caller may change what it gets.
func Read[T any](files fs.FS) ([]*T, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list embedded objects: %w", err)
	}
	objects := make([]*T, 0, len(names))
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read embedded object: %w", err)
		}
		object := new(T)
		if err := yaml.UnmarshalStrict(data, object); err != nil {
			return nil, fmt.Errorf("parse embedded object %s: %w", name, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}
