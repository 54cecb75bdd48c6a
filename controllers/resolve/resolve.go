package resolve

import (
	"fmt"
	"net/netip"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

// resolver carries the input, what has been resolved so far and what was found wrong.
type resolver struct {
	problems
	in   Input
	node Node
	// userKeys are the keys of daemon.json that the user gives; they win over a package's flags.
	userKeys map[string]bool
}

// Resolve applies defaults, chooses per-node values and checks what no single object can tell.
// All that is wrong is returned at once, as Errors; the Node is then empty. What installing packages
// and binaries may put right is no error, but in the Node as Missing.
func Resolve(in Input) (Node, error) {
	r := &resolver{in: in}
	if in.Revision.Renderer != revision.Renderer {
		r.invalid("renderer", fmt.Sprint(in.Revision.Renderer), "the revision was cut for other rendering rules than this program has (%d): run the same release of Seedbed on manager and node", revision.Renderer)
		return Node{}, r.err()
	}
	r.name()
	r.packages()
	r.binaryFiles()
	r.programs()
	r.kubernetes()
	r.network()
	r.address()
	r.podMTU()
	r.flannel()
	r.docker()
	r.criDockerd()
	r.kubelet()
	r.kubeProxy()
	r.system()
	r.files()
	r.units()
	err := r.err()
	if missing, only := r.missing(); only {
		r.node.Missing = missing
		return r.node, nil
	}
	if err != nil {
		return Node{}, err
	}
	return r.node, nil
}

func (r *resolver) name() {
	if errs := validation.IsDNS1123Subdomain(r.in.NodeName); len(errs) > 0 || len(r.in.NodeName) > 63 {
		r.invalid("nodeName", r.in.NodeName, "not the name of a Node: at most 63 lower-case letters, digits, - and ., for example node-a")
	}
	r.node.Name = r.in.NodeName
}

func (r *resolver) kubernetes() {
	spec := r.in.Revision.Node.Kubernetes
	r.node.Kubernetes.Version = r.parseVersion("kubernetes.version", spec.Version)
	r.node.Kubernetes.APIServer = spec.APIServer
	host, ok := r.url("kubernetes.apiServer", spec.APIServer, "https")
	if addr, err := netip.ParseAddr(host); ok && err == nil {
		r.outsidePodRanges("kubernetes.apiServer", addr)
	}
	r.node.Kubernetes.CA = r.certificates("kubernetes.caSecretRef", &spec.CASecretRef)
}

// text reports whether a value can be written on one line of any file: valid UTF-8 without control
// characters and byte order mark, which no parser of ours must ever see.
func (r *resolver) text(field, value string) bool {
	if badRune(value) {
		r.invalid(field, value, "has a control character, a byte order mark or invalid UTF-8: write it on one line, in plain characters")
		return false
	}
	return true
}

func badRune(value string) bool {
	if !utf8.ValidString(value) {
		return true
	}
	for _, c := range value {
		// Noncharacters and the byte order mark are illegal in unit and environment files
		// (systemd.exec(5), EnvironmentFile=).
		if c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) || c == '\uFEFF' || c&0xFFFE == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF) {
			return true
		}
	}
	return false
}

// or returns the value, or the default where the field is not set.
func or[T any](value *T, fallback T) T {
	if value == nil {
		return fallback
	}
	return *value
}

// orZero returns the object, or an empty one where the field is not set.
func orZero[T any](value *T) T {
	var zero T
	return or(value, zero)
}

// sensitive returns the content of a Secret's key. A Secret that is missing or empty is an error;
// real is false where there is nothing to check: after an error, or for a placeholder.
func (r *resolver) sensitive(field string, ref *v1alpha1.SecretKeyReference) (content state.Sensitive, real bool) {
	if ref == nil {
		return state.Sensitive{}, false
	}
	content, real, found := r.in.Secrets.lookup(*ref)
	where := ref.Name + "/" + ref.Key
	switch {
	case !found:
		r.add(v1alpha1.ReasonSecretNotFound, field, where, "there is no such Secret, or it has no such key: create it in namespace %s", v1alpha1.Namespace)
		return state.Sensitive{}, false
	case content.Empty():
		r.add(v1alpha1.ReasonInvalid, field, where, "the key is empty: put its content into the Secret")
		return state.Sensitive{}, false
	}
	return content, real
}
