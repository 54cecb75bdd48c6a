package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A node is registered by a ConfigMap in the namespace seedbed-system, which only an administrator
// may write: `seedbed seed add-node` makes it, and the manager creates the NodeState from it. That
// is how a node's labels come from an administrator and never from the node itself.
//
//	metadata:
//	  name: node-NAME                              # RegistrationName
//	  namespace: seedbed-system
//	  labels: {seedbed.dev/registration: "true"}   # RegistrationLabel
//	data:
//	  nodeName: NAME                               # RegistrationNodeNameKey
//	  labels: '{"role":"worker"}'                  # RegistrationLabelsKey: a JSON object of strings
const (
	// RegistrationLabel marks a ConfigMap as the registration of a node; its value is "true".
	RegistrationLabel = "seedbed.dev/registration"
	// RegistrationNamePrefix comes before the node's name in the ConfigMap's name.
	RegistrationNamePrefix = "node-"
	// RegistrationNodeNameKey holds the node's name: a DNS-1123 label of at most 63 characters.
	RegistrationNodeNameKey = "nodeName"
	// RegistrationLabelsKey holds the labels of the NodeState to be, as a JSON object of strings.
	RegistrationLabelsKey = "labels"
)

// RegistrationAnnotation on a NodeState is the name of the ConfigMap that it was made from, and is made
// from again when it is deleted first.
const RegistrationAnnotation = "seedbed.dev/registered-by"

const (
	// ClusterCASecret is the Secret in seedbed-system that holds the certificate (never the key)
	// of the authority that signed the API server's certificate.
	ClusterCASecret = "cluster-ca"
	// ClusterCAKey is the key of the certificate in ClusterCASecret.
	ClusterCAKey = "ca.crt"
)

// RegistrationName is the name of the ConfigMap that registers a node.
func RegistrationName(nodeName string) string { return RegistrationNamePrefix + nodeName }

// IsRegistration is true for a ConfigMap's metadata that says it registers a node.
func IsRegistration(o metav1.Object) bool {
	return o.GetNamespace() == Namespace && o.GetLabels()[RegistrationLabel] == "true" &&
		strings.HasPrefix(o.GetName(), RegistrationNamePrefix)
}
