package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// The identities of Seedbed's processes: the common name and organization of their client
// certificates, which the API server takes as user and group. None begins with "system:", so that
// none means anything to Kubernetes itself.
const (
	// NodesGroup is the group of every node's agent.
	NodesGroup = "seedbed:nodes"
	// NodeUserPrefix comes before the node's name in the user name of its agent.
	NodeUserPrefix = "seedbed:node:"
	// KubeProxiesGroup is the group of every node's kube-proxy.
	KubeProxiesGroup = "seedbed:kube-proxies"
	// KubeProxyUserPrefix comes before the node's name in the user name of its kube-proxy.
	KubeProxyUserPrefix = "seedbed:kube-proxy:"
	// FlannelsGroup is the group of every node's flannel with the subnet manager Kubernetes.
	FlannelsGroup = "seedbed:flannels"
	// FlannelUserPrefix comes before the node's name in the user name of its flannel.
	FlannelUserPrefix = "seedbed:flannel:"
	// ManagerUser is the manager that runs outside the cluster, beside the seed.
	ManagerUser = "seedbed:manager"
	// AdminUser is the administrator whose kubeconfig the seed writes.
	AdminUser = "seedbed:admin"
	// AdminsGroup is bound to cluster-admin by the seed. Unlike system:masters it can be unbound.
	AdminsGroup = "seedbed:admins"
)

// The identities that Kubernetes itself defines and that a node's processes have.
const (
	// KubeletsGroup is the group of every kubelet.
	KubeletsGroup = "system:nodes"
	// KubeletUserPrefix comes before the node's name in the user name of its kubelet.
	KubeletUserPrefix = "system:node:"
	// BootstrapUserPrefix comes before a bootstrap token's id in the user name of who presents it.
	BootstrapUserPrefix = "system:bootstrap:"
	// BootstrapGroup is the group of who presents a bootstrap token that `seedbed seed token create`
	// made. It may ask for certificates and see what became of its requests.
	BootstrapGroup = "system:bootstrappers:seedbed"
)

// What a bootstrap token may be used for is in a ConfigMap in the namespace seedbed-system, which
// only an administrator may write. The manager reads this and never the Secret with the token.
//
//	metadata:
//	  name: join-ID                             # JoinName; ID is the token's public half
//	  namespace: seedbed-system
//	  labels: {seedbed.dev/join-token: "true"}  # JoinTokenLabel
//	data:
//	  labels: '{"role":"worker"}'               # JoinLabelsKey: a JSON object of strings
//	  nodes: '["node-a","node-b"]'              # JoinNodesKey: a JSON list; absent is any name
//	  addresses: '["10.64.3.0/26"]'             # JoinAddressesKey: a JSON list of IPs and CIDRs
//	  expires: "2026-05-01T12:00:00Z"           # JoinExpiresKey: RFC 3339
const (
	// JoinTokenLabel marks a ConfigMap as the scope of a bootstrap token; its value is "true".
	JoinTokenLabel = "seedbed.dev/join-token"
	// JoinNamePrefix comes before the token's id in the ConfigMap's name.
	JoinNamePrefix = "join-"
	// JoinLabelsKey holds the labels of the NodeStates to be.
	JoinLabelsKey = "labels"
	// JoinNodesKey holds the names that nodes may join by; without it they may have any.
	JoinNodesKey = "nodes"
	// JoinAddressesKey holds spec.addresses of the NodeStates to be.
	JoinAddressesKey = "addresses"
	// JoinExpiresKey holds the end of the token's validity.
	JoinExpiresKey = "expires"
)

// MachineIDAnnotation holds the machine-id(5) of a node: on the certificate signing request by which
// it joins, and from there on its NodeState. A name is taken when its NodeState has another one.
const MachineIDAnnotation = "seedbed.dev/machine-id"

// JoinTokenAnnotation on a NodeState holds the id of the token with which its machine joined. Until the
// machine has reported it joins again with that one, or with one that names it.
const JoinTokenAnnotation = "seedbed.dev/join-token-id"

// LeftAnnotation on a Node holds when its host left Seedbed (RFC 3339): `seedbed leave` sets it with the
// kubelet's own certificate once it has stopped the kubelet, and the manager removes it when a kubelet
// is Ready there again.
const LeftAnnotation = "seedbed.dev/left"

// Names of certificate signing requests begin with these (metadata.generateName).
const (
	agentRequestPrefix     = "seedbed-agent-"
	kubeProxyRequestPrefix = "seedbed-kube-proxy-"
	flannelRequestPrefix   = "seedbed-flannel-"
)

// NodeUser is the user name of a node's agent.
func NodeUser(nodeName string) string { return NodeUserPrefix + nodeName }

// KubeProxyUser is the user name of a node's kube-proxy.
func KubeProxyUser(nodeName string) string { return KubeProxyUserPrefix + nodeName }

// FlannelUser is the user name of a node's flannel.
func FlannelUser(nodeName string) string { return FlannelUserPrefix + nodeName }

// KubeletUser is the user name of a node's kubelet.
func KubeletUser(nodeName string) string { return KubeletUserPrefix + nodeName }

// BootstrapUser is the user name of who presents the bootstrap token with this id.
func BootstrapUser(tokenID string) string { return BootstrapUserPrefix + tokenID }

// JoinName is the name of the ConfigMap with the scope of the bootstrap token with this id.
func JoinName(tokenID string) string { return JoinNamePrefix + tokenID }

// AgentRequestPrefix is metadata.generateName of the requests for a node's agent's certificates.
func AgentRequestPrefix(nodeName string) string { return agentRequestPrefix + nodeName + "-" }

// KubeProxyRequestPrefix is metadata.generateName of the requests for its kube-proxy's.
func KubeProxyRequestPrefix(nodeName string) string { return kubeProxyRequestPrefix + nodeName + "-" }

// FlannelRequestPrefix is metadata.generateName of the requests for its flannel's.
func FlannelRequestPrefix(nodeName string) string { return flannelRequestPrefix + nodeName + "-" }

// IsJoinScope is true for a ConfigMap's metadata that says it is the scope of a bootstrap token.
func IsJoinScope(o metav1.Object) bool {
	return o.GetNamespace() == Namespace && o.GetLabels()[JoinTokenLabel] == "true" &&
		len(o.GetName()) > len(JoinNamePrefix) && o.GetName()[:len(JoinNamePrefix)] == JoinNamePrefix
}
