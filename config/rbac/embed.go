// Package rbac holds the roles of Seedbed: what the manager, the agents and the users of Seedbed may
// do. The YAML files beside this one are the source; what goes out are parsed objects, for the seed,
// which installs them, and for tests. Nothing is decided here. The roles of each single node are not
// among them: they depend on what is assigned to it, and the manager writes them.
package rbac

import (
	"embed"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"seedbed.dev/seedbed/config/manifest"
)

//go:embed *.yaml
var files embed.FS

// All returns the objects, one a file, sorted by file name. The caller may change them. An error
// means that the binary was built from broken files.
func All() ([]*unstructured.Unstructured, error) {
	return manifest.Read[unstructured.Unstructured](files)
}
