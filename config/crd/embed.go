// Package crd holds the CustomResourceDefinitions of Seedbed, as controller-gen wrote them beside
// this file. What goes out are parsed definitions, for the seed, which installs them, for the
// offline validator and for tests. Nothing is changed here: the types in api/v1alpha1 are the source.
package crd

import (
	"embed"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"seedbed.dev/seedbed/config/manifest"
)

//go:embed seedbed.dev_*.yaml
var files embed.FS

// All returns the definitions of every kind, sorted by file name. The caller may change them. An
// error means that the binary was built from broken files.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	return manifest.Read[apiextensionsv1.CustomResourceDefinition](files)
}
