// Package admission holds the ValidatingAdmissionPolicies of Seedbed: what agents, kube-proxies,
// flannels and joining nodes may write, where RBAC cannot tell. The YAML files beside this one are the
// source; what goes out are parsed objects, for the seed, which installs them, and for tests. Each
// policy applies to Seedbed's own groups of users only, so that none can block anybody else.
package admission

import (
	"embed"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"seedbed.dev/seedbed/config/manifest"
)

//go:embed *.yaml
var files embed.FS

// All returns the policies and their bindings, one a file, sorted by file name. The caller may change
// them. An error means that the binary was built from broken files.
func All() ([]*unstructured.Unstructured, error) {
	return manifest.Read[unstructured.Unstructured](files)
}
