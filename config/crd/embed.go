// Package crd holds the CustomResourceDefinitions of Seedbed, as controller-gen wrote them beside
// this file. What goes out are parsed definitions, for the seed, which installs them, for the
// offline validator and for tests. Nothing is changed here: the types in api/v1alpha1 are the source.
package crd

import (
	"embed"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:embed seedbed.dev_*.yaml
var files embed.FS

// All returns the definitions of every kind, sorted by file name. The caller may change them. An
// error means that the binary was built from broken files.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list embedded CRDs: %w", err)
	}
	crds := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(entries))
	for _, entry := range entries {
		data, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read embedded CRD: %w", err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, definition); err != nil {
			return nil, fmt.Errorf("parse embedded CRD %s: %w", entry.Name(), err)
		}
		crds = append(crds, definition)
	}
	return crds, nil
}
