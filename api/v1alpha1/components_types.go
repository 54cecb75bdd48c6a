package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Flannel has the settings of flanneld.
type Flannel struct {
	// logLevel is flanneld's verbosity (-v), 0 to 10. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	LogLevel int32 `json:"logLevel,omitempty"`
	// extraArgs are added to flanneld's command line. A flag that Seedbed sets
	// is refused. Default: none.
	// Example: ["--subnet-lease-renew-margin=60"].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	ExtraArgs []Argument `json:"extraArgs,omitempty"`
}

// Argument is one long flag with its value, in one word: --name or
// --name=value.
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule=`self.matches(r'^--[a-zA-Z0-9][a-zA-Z0-9-]*(=[^\x00-\x1f\x7f]*)?$')`,messageExpression=`'argument ' + self.replace('\n', ' ') + ' is not a flag: write --name or --name=value in one item, on one line'`
type Argument string

// CRIDockerd has the settings of cri-dockerd.
type CRIDockerd struct {
	// podInfraImage is the image of each pod's sandbox (SB012). Default:
	// "registry.k8s.io/pause:3.10".
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$')",messageExpression=`'criDockerd.podInfraImage ' + self.replace('\n', ' ') + ' is not an image reference: for example registry.k8s.io/pause:3.10'`
	PodInfraImage *string `json:"podInfraImage,omitempty"`
	// extraArgs are added to cri-dockerd's command line. A flag that Seedbed
	// sets is refused. Default: none.
	// Example: ["--image-pull-progress-deadline=5m"].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	ExtraArgs []Argument `json:"extraArgs,omitempty"`
}

// BindAddress says which address a component listens on.
// +kubebuilder:validation:Enum=NodeIP;Any
type BindAddress string

const (
	// BindNodeIP is the address on the interface that the NetworkConfig chooses.
	BindNodeIP BindAddress = "NodeIP"
	// BindAny is 0.0.0.0.
	BindAny BindAddress = "Any"
)

// Kubelet has the settings of the kubelet.
type Kubelet struct {
	// bindAddress the kubelet serves on: NodeIP or Any. Default: NodeIP.
	// +optional
	BindAddress *BindAddress `json:"bindAddress,omitempty"`
	// clientCASecretRef names the PEM certificate of the authority whose clients
	// the kubelet trusts. Default: kubernetes.caSecretRef.
	// +optional
	ClientCASecretRef *SecretKeyReference `json:"clientCASecretRef,omitempty"`
	// bootstrapTokenSecretRef names a bootstrap token ("id.secret") with which
	// the kubelet asks for its first client certificate, for a cluster that
	// approves such requests itself. Whatever node may read it can then become
	// the kubelet of any other, so a token of `seedbed seed token create` is
	// refused. The token is on the node's disk until the kubelet has its
	// certificate, readable by root only. Default: none, which needs no token:
	// the kubelet asks with the certificate of the node's agent.
	// +optional
	BootstrapTokenSecretRef *SecretKeyReference `json:"bootstrapTokenSecretRef,omitempty"`
	// serving is the certificate the kubelet serves with, which kubectl logs and
	// exec go by. Default: the kubelet requests one from the cluster.
	// +optional
	Serving *KubeletServing `json:"serving,omitempty"`
	// maxPods is how many pods the node takes. Default: 110.
	// Example: 250.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxPods *int32 `json:"maxPods,omitempty"`
	// failCgroupV1 makes the kubelet refuse to start on cgroup v1 (KEP-5573).
	// Default: the kubelet's own: true since 1.35, so set it false to run on
	// cgroup v1 there (SB028).
	// +optional
	FailCgroupV1 *bool `json:"failCgroupV1,omitempty"`
	// config has further fields of KubeletConfiguration
	// (kubelet.config.k8s.io/v1beta1), merged last and decoded strictly. A field
	// that Seedbed owns (such as clusterDNS) is refused. Default: none.
	// Example: {"evictionHard": {"memory.available": "200Mi"}}.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:pruning:PreserveUnknownFields
	Config *runtime.RawExtension `json:"config,omitempty"`
	// extraArgs are added to the kubelet's command line. A flag that Seedbed
	// sets, or that the version in use does not have, is refused. Default: none.
	// Example: ["--v=2"].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	ExtraArgs []Argument `json:"extraArgs,omitempty"`
}

// KubeletServing is the certificate the kubelet serves with.
// +kubebuilder:validation:XValidation:rule="has(self.certSecretRef) == has(self.keySecretRef)",message="kubelet.serving.certSecretRef and kubelet.serving.keySecretRef go together: set both or neither"
// +kubebuilder:validation:XValidation:rule="!(has(self.rotate) && self.rotate && has(self.certSecretRef))",message="kubelet.serving.rotate true and kubelet.serving.certSecretRef exclude each other: remove one"
type KubeletServing struct {
	// rotate makes the kubelet request its serving certificate from the cluster
	// and renew it (serverTLSBootstrap). The manager approves the requests for
	// addresses in the NodeState's spec.addresses, which come from the token that
	// the node joined with. With false and no certSecretRef the kubelet signs its
	// own, which the API server of a seed does not trust.
	// Default: true, and false with certSecretRef.
	// +optional
	Rotate *bool `json:"rotate,omitempty"`
	// certSecretRef names a PEM serving certificate. Default: none.
	// +optional
	CertSecretRef *SecretKeyReference `json:"certSecretRef,omitempty"`
	// keySecretRef names the PEM private key of that certificate. Default: none.
	// +optional
	KeySecretRef *SecretKeyReference `json:"keySecretRef,omitempty"`
}

// ProxyMode is how kube-proxy programs Services.
// +kubebuilder:validation:Enum=IPTables;NFTables
type ProxyMode string

const (
	ProxyModeIPTables ProxyMode = "IPTables"
	// ProxyModeNFTables is KEP-3866; it is stable since Kubernetes 1.33.
	ProxyModeNFTables ProxyMode = "NFTables"
)

// KubeProxy has the settings of kube-proxy. The cluster CIDR is the
// NetworkConfig's podCIDR (SB005, SB006).
type KubeProxy struct {
	// mode is IPTables or NFTables. Default: IPTables.
	// +optional
	Mode *ProxyMode `json:"mode,omitempty"`
	// bindAddress is the node address kube-proxy takes for its own: NodeIP or
	// Any. Default: NodeIP.
	// +optional
	BindAddress *BindAddress `json:"bindAddress,omitempty"`
	// conntrack sizes the kernel's table of connections (SB023). Default: the
	// defaults of its fields.
	// +optional
	Conntrack *Conntrack `json:"conntrack,omitempty"`
	// config has further fields of KubeProxyConfiguration
	// (kubeproxy.config.k8s.io/v1alpha1), merged last and decoded strictly. A
	// field that Seedbed owns (such as clusterCIDR) is refused. Default: none.
	// Example: {"iptables": {"minSyncPeriod": "1s"}}.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:pruning:PreserveUnknownFields
	Config *runtime.RawExtension `json:"config,omitempty"`
}

// Conntrack sizes the kernel's table of connections.
type Conntrack struct {
	// maxPerCore is how many connections are tracked per CPU core; 0 leaves the
	// kernel's limit. Default: 32768.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000000
	MaxPerCore *int32 `json:"maxPerCore,omitempty"`
	// min is the least number of connections that are tracked, whatever
	// maxPerCore says. Default: 131072.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000000
	Min *int32 `json:"min,omitempty"`
	// tcpEstablishedTimeout is how long an idle TCP connection is kept, up to
	// 240h; 0s leaves the kernel's time. Default: 24h.
	// Example: "1h30m".
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) <= duration('240h')",messageExpression="'kubeProxy.conntrack.tcpEstablishedTimeout ' + self + ' is not a duration from 0s to 240h: write number and unit, for example 24h'"
	TCPEstablishedTimeout *metav1.Duration `json:"tcpEstablishedTimeout,omitempty"`
}
