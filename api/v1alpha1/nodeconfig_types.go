package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// NodeConfigSpec is what the nodes that nodeSelector picks are to be.
// +kubebuilder:validation:XValidation:rule="!has(self.files) || !has(self.units) || !self.files.exists(f, self.units.exists(u, f.path.startsWith('/etc/systemd/system/' + u.name)))",message="files has a path that units writes too: keep the unit's contents and drop-ins in units alone",fieldPath=".files"
// +kubebuilder:validation:XValidation:rule="!has(self.files) || !has(self.binaries) || !self.binaries.exists(b, self.files.exists(f, f.path == b.path))",message="binaries has a path that files has too: keep it in one of them",fieldPath=".binaries"
type NodeConfigSpec struct {
	// priority decides between NodeConfigs that select the same node: the
	// highest governs it. A tie is a conflict, shown on both, and the node keeps
	// what it has. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=-1000000
	// +kubebuilder:validation:Maximum=1000000
	Priority int32 `json:"priority,omitempty"`

	// nodeSelector picks nodes by the labels of their NodeState. An empty
	// selector picks every node.
	// Example: {"matchLabels": {"role": "worker"}}.
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || size(self.matchLabels) <= 32",message="nodeSelector.matchLabels has more than 32 labels: fewer pick the same nodes"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || size(self.matchExpressions) <= 32",message="nodeSelector.matchExpressions has more than 32 entries: fewer pick the same nodes"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && !(has(e.values) && size(e.values) > 0))",message="nodeSelector.matchExpressions: operator must be In or NotIn, with values, or Exists or DoesNotExist, without; for example {key: role, operator: In, values: [worker]}"
	NodeSelector metav1.LabelSelector `json:"nodeSelector"`

	// networkRef names the NetworkConfig of these nodes.
	// +required
	NetworkRef NetworkReference `json:"networkRef"`

	// kubernetes is the version in use and the API server that kubelet and
	// kube-proxy talk to.
	// +required
	Kubernetes Kubernetes `json:"kubernetes"`

	// node has labels and taints of the Node. Changing them restarts nothing.
	// Default: none.
	// +optional
	Node *NodeRegistration `json:"node,omitempty"`

	// packages that must be installed or must not be, before anything else.
	// Default: none.
	// Example: {"absent": ["docker.io"], "present": [{"name": "conntrack"}]}.
	// +optional
	Packages *Packages `json:"packages,omitempty"`

	// binaries to download, at most 64. A path that files or a component has is
	// refused. Default: none.
	// Example: [{"path": "/usr/local/bin/kubelet", "url":
	// "https://dl.k8s.io/v1.37.2/bin/linux/amd64/kubelet", "sha256":
	// "5e4b7bb0a1c6c7b0d1dbbd7a2f5a1f4c7f1e2f8a3d0e6b9c4a5f6d7e8c9b0a1f"}].
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=64
	Binaries []Binary `json:"binaries,omitempty"`

	// flannel has the settings of flanneld; the network itself is the
	// NetworkConfig's. Default: the defaults of its fields.
	// +optional
	Flannel *Flannel `json:"flannel,omitempty"`

	// docker has the settings of dockerd. Default: the defaults of its fields.
	// +optional
	Docker *Docker `json:"docker,omitempty"`

	// criDockerd has the settings of cri-dockerd, which joins the kubelet and
	// docker. Default: the defaults of its fields.
	// +optional
	CRIDockerd *CRIDockerd `json:"criDockerd,omitempty"`

	// kubelet has the settings of the kubelet. Default: the defaults of its
	// fields.
	// +optional
	Kubelet *Kubelet `json:"kubelet,omitempty"`

	// kubeProxy has the settings of kube-proxy. Default: the defaults of its
	// fields.
	// +optional
	KubeProxy *KubeProxy `json:"kubeProxy,omitempty"`

	// sysctls by dotted name. What Seedbed needs itself (net.ipv4.ip_forward and
	// the bridge settings) is set already and refused here. Default: none.
	// Example: {"vm.max_map_count": "262144"}.
	// +optional
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[a-z0-9_-]+([.][a-zA-Z0-9_-]+(/[a-zA-Z0-9_-]+)*)+$') && size(k) <= 128)",messageExpression="'sysctls has the name ' + self.filter(k, !(k.matches('^[a-z0-9_-]+([.][a-zA-Z0-9_-]+(/[a-zA-Z0-9_-]+)*)+$') && size(k) <= 128))[0] + ', which is no sysctl: write at most 128 characters with dots, for example net.ipv4.tcp_keepalive_time'"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k in ['net.ipv4.ip_forward', 'net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'])",messageExpression="'sysctls has ' + self.filter(k, k in ['net.ipv4.ip_forward', 'net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'])[0] + ', which Seedbed sets to 1 itself since pods need it: remove it'"
	Sysctls map[string]SysctlValue `json:"sysctls,omitempty"`

	// kernelModules to load, besides those that Seedbed needs itself
	// (br_netfilter, overlay). Default: none.
	// Example: ["nf_conntrack"].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	KernelModules []KernelModule `json:"kernelModules,omitempty"`

	// files to write, at most 128. A path that a component owns is refused.
	// Default: none.
	// Example: [{"path": "/etc/motd", "contents": "Managed by Seedbed\n"}].
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:XValidation:rule="!self.exists(f, self.exists(g, size(g.path) > size(f.path) && g.path.startsWith(f.path + '/')))",message="files has a path that is the folder of another path in the list: one path cannot be a file and a folder; rename or remove one of them"
	Files []File `json:"files,omitempty"`

	// units of systemd to write and run, at most 64. A unit that a component
	// owns is refused. Default: none.
	// Example: [{"name": "chrony.service", "enabled": true, "state":
	// "Running"}].
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Units []Unit `json:"units,omitempty"`

	// rollout says how a change reaches the nodes. Default: the defaults of its
	// fields.
	// +optional
	Rollout *Rollout `json:"rollout,omitempty"`
}

// Kubernetes is the version in use and the API server.
type Kubernetes struct {
	// version of kubelet and kube-proxy. It decides which flags and
	// configuration fields exist; a node whose programs report another minor
	// version is Stalled.
	// Example: "v1.37.2".
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^v[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.-]+)?$')",messageExpression="'kubernetes.version ' + self + ' is not a version: write v, major, minor and patch, for example v1.37.2'"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^v(0[.]|1[.]([0-9]|1[0-9]|2[0-8])[.]|[2-9]|[1-9][0-9])')",messageExpression="'kubernetes.version ' + self + ' is not served: use v1.29.0 or a later v1 (older kubelets have another layout and cannot join a present-day API server)'"
	Version string `json:"version"`
	// apiServer is the URL of the cluster's API server: https, host, and port
	// unless it is 443.
	// Example: "https://10.64.3.1:6443".
	// +required
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.startsWith('https://')",messageExpression="'kubernetes.apiServer ' + self + ' is not an https URL: the insecure port is gone since Kubernetes 1.20 (SB021); write https://host:port, for example https://10.64.3.1:6443'"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('https://') || self.matches('^https://([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|[[][0-9a-fA-F:.]+[]])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$')",messageExpression="'kubernetes.apiServer ' + self + ' is not https://host:port: without path, query or user, and with a port from 1 to 65535, for example https://10.64.3.1:6443'"
	APIServer string `json:"apiServer"`
	// caSecretRef names the PEM certificate of the cluster's authority, with
	// which nodes verify the API server (SB019) and, unless
	// kubelet.clientCASecretRef says otherwise, the kubelet verifies its
	// clients.
	// Example: {"name": "cluster-ca", "key": "ca.crt"}.
	// +required
	CASecretRef SecretKeyReference `json:"caSecretRef"`
}

// NodeRegistration has the labels and taints of the Node, which the manager
// keeps. Others on the Node are nobody's business here and stay.
type NodeRegistration struct {
	// labels of the Node. Under kubernetes.io and k8s.io those are taken that users
	// set: node-role.kubernetes.io, node-restriction.kubernetes.io, topology, and
	// what a kubelet may set on its own Node. Those that the kubelet sets by itself
	// (hostname, os, arch) are not. Default: none.
	// Example: {"example.com/rack": "a3"}.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && k.matches('^([a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$'))",messageExpression="'node.labels has the key ' + self.filter(k, !(size(k) <= 317 && k.matches('^([a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$')))[0] + ', which is no label key: write a name with an optional prefix and slash, for example example.com/rack'"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.matches('^([^/]*[.])?(kubernetes|k8s)[.]io/') && !k.matches('^([^/]*[.])?(kubelet|node)[.]kubernetes[.]io/|^node-(role|restriction)[.]kubernetes[.]io/|^(topology|failure-domain[.]beta)[.]kubernetes[.]io/(region|zone)$|^beta[.]kubernetes[.]io/instance-type$'))",messageExpression="'node.labels has the key ' + self.filter(k, k.matches('^([^/]*[.])?(kubernetes|k8s)[.]io/') && !k.matches('^([^/]*[.])?(kubelet|node)[.]kubernetes[.]io/|^node-(role|restriction)[.]kubernetes[.]io/|^(topology|failure-domain[.]beta)[.]kubernetes[.]io/(region|zone)$|^beta[.]kubernetes[.]io/instance-type$'))[0] + ', which belongs to Kubernetes: use a prefix of your own, for example example.com/rack, or node-role.kubernetes.io'"
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// taints of the Node, each pair of key and effect once. One that is added here
	// is set on Nodes that run pods, too. Default: none.
	// Example: [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}].
	// +optional
	// +listType=map
	// +listMapKey=key
	// +listMapKey=effect
	// +kubebuilder:validation:MaxItems=16
	Taints []Taint `json:"taints,omitempty"`
}

// LabelValue is the value of a label of a Node.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^([a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?)?$')",messageExpression=`'label value ' + self.replace('\n', ' ') + ' is not one: at most 63 letters, digits, - _ and . , starting and ending with a letter or digit, for example a3'`
type LabelValue string

// Taint keeps pods off the Node that do not tolerate it.
type Taint struct {
	// key of the taint.
	// Example: "dedicated".
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$')",messageExpression=`'taint key ' + self.replace('\n', ' ') + ' is not a qualified name: write a name with an optional prefix and slash, for example dedicated'`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^node[.](kubernetes|cloudprovider[.]kubernetes)[.]io/')",messageExpression=`'taint key ' + self + ' is added and removed by Kubernetes itself: use a key of your own, for example dedicated'`
	Key string `json:"key"`
	// value of the taint. Default: "".
	// +optional
	Value LabelValue `json:"value,omitempty"`
	// effect: NoSchedule, PreferNoSchedule or NoExecute.
	// +required
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect corev1.TaintEffect `json:"effect"`
}

// Rollout says how a change reaches the nodes.
type Rollout struct {
	// maxUnavailable is how many nodes may be changing or not ready at once: a
	// number, or a percentage of the governed nodes, rounded down but at least
	// 1. Default: 1.
	// Example: "25%".
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 5000 : self.matches('^([1-9][0-9]?|100)%$')",message="rollout.maxUnavailable must be a number from 1 to 5000 or a percentage from 1% to 100%; to hold changes back set rollout.paused: true"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// paused keeps every node at the revision it has, begins no drain, and ends
	// the drains that began, the node as it was. What is permitted already goes
	// on to its end. Default: false.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// drain says what is done with the pods of a node before docker0 is rebuilt
	// or the node reboots. Default: the defaults of its fields.
	// +optional
	Drain *Drain `json:"drain,omitempty"`
}

// Drain says what is done with a node's pods before a change that cuts them
// off.
type Drain struct {
	// policy: WhenNeeded cordons the node and evicts its pods, as kubectl drain
	// does: PodDisruptionBudgets are respected, pods of DaemonSets and static pods
	// stay, emptyDir volumes are lost. Never lets the change happen at once, under
	// the pods. Default: WhenNeeded.
	// +optional
	Policy *DrainPolicy `json:"policy,omitempty"`
	// timeout is how long the pods of one node may take to go, from 10s to 24h.
	// When it is over the node is uncordoned with the change not made, and
	// another attempt begins after the same time again. Default: 5m.
	// Example: "15m".
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('10s') && duration(self) <= duration('24h')",messageExpression="'rollout.drain.timeout ' + self + ' is not a duration from 10s to 24h: write number and unit, for example 5m'"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// DrainPolicy says when a node is drained.
// +kubebuilder:validation:Enum=WhenNeeded;Never
type DrainPolicy string

// The drain policies.
const (
	DrainWhenNeeded DrainPolicy = "WhenNeeded"
	DrainNever      DrainPolicy = "Never"
)

// NodeConfigStatus is what the manager knows of the nodes a NodeConfig
// governs.
type NodeConfigStatus struct {
	// observedGeneration is the generation the conditions are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// revision is the name of the newest ControllerRevision.
	// Example: "workers-6f9c4d7b21".
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`
	// nodes counts the nodes.
	// +optional
	Nodes NodeCounts `json:"nodes,omitempty"`
	// conditions: Ready, Prepared, and while they are true Reconciling, Stalled
	// and Conflicted.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// NodeCounts counts the nodes of a NodeConfig.
type NodeCounts struct {
	// matched is how many nodes the NodeConfig governs.
	// +optional
	// +kubebuilder:default=0
	Matched int32 `json:"matched"`
	// updated is how many of them are at the newest revision.
	// +optional
	// +kubebuilder:default=0
	Updated int32 `json:"updated"`
	// prepared is how many hold everything of their revision, the newest or not,
	// that needs no running system.
	// +optional
	// +kubebuilder:default=0
	Prepared int32 `json:"prepared"`
	// ready is how many run healthily at their revision, the newest or not.
	// +optional
	// +kubebuilder:default=0
	Ready int32 `json:"ready"`
	// unavailable is how many are changing or not ready; rollout.maxUnavailable
	// limits it.
	// +optional
	// +kubebuilder:default=0
	Unavailable int32 `json:"unavailable"`
	// failed is how many are Stalled or could not take a step.
	// +optional
	// +kubebuilder:default=0
	Failed int32 `json:"failed"`
	// draining is how many are being drained for a change, or carry out one that
	// they were drained for.
	// +optional
	// +kubebuilder:default=0
	Draining int32 `json:"draining"`
}

// NodeConfig says what the nodes that its selector picks are to be: the
// settings of flannel, docker, cri-dockerd, kubelet and kube-proxy, and
// sysctls, kernel modules, files and units.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=nodeconfigs,singular=nodeconfig,shortName=nodecfg,categories=seedbed
// +kubebuilder:printcolumn:name="Network",type=string,JSONPath=`.spec.networkRef.name`
// +kubebuilder:printcolumn:name="Kubernetes",type=string,JSONPath=`.spec.kubernetes.version`
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes.matched`
// +kubebuilder:printcolumn:name="Updated",type=integer,JSONPath=`.status.nodes.updated`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.nodes.ready`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 52",messageExpression="'metadata.name ' + self.metadata.name + ' is longer than 52 characters, and revisions are named after it: shorten it'"
type NodeConfig struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the nodes are to be.
	// +required
	Spec NodeConfigSpec `json:"spec"`
	// status is what the manager knows; users do not write it.
	// +optional
	Status NodeConfigStatus `json:"status,omitempty"`
}

// NodeConfigList is a list of NodeConfigs.
// +kubebuilder:object:root=true
type NodeConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeConfig `json:"items"`
}
