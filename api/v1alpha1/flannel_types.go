package v1alpha1

// BackendType is flannel's way of carrying pod traffic between nodes.
// +kubebuilder:validation:Enum=VXLAN;HostGateway;WireGuard;UDP
type BackendType string

const (
	// BackendVXLAN encapsulates in VXLAN in the kernel; works across routers.
	BackendVXLAN BackendType = "VXLAN"
	// BackendHostGateway adds plain routes; all nodes must share one layer 2
	// network.
	BackendHostGateway BackendType = "HostGateway"
	// BackendWireGuard encapsulates and encrypts.
	BackendWireGuard BackendType = "WireGuard"
	// BackendUDP encapsulates in user space; for kernels without VXLAN only.
	BackendUDP BackendType = "UDP"
)

// SubnetManagerType says where flannel keeps the nodes' subnets.
// +kubebuilder:validation:Enum=Kubernetes;Etcd
type SubnetManagerType string

const (
	// SubnetManagerKubernetes takes each node's subnet from Node.spec.podCIDR.
	SubnetManagerKubernetes SubnetManagerType = "Kubernetes"
	// SubnetManagerEtcd leases subnets in etcd (v3), as the install guide does.
	SubnetManagerEtcd SubnetManagerType = "Etcd"
)

// DefaultEtcdPrefix is where flannel's keys are in etcd unless subnetManager.etcd.prefix says otherwise.
const DefaultEtcdPrefix = "/coreos.com/network"

// The Secret in seedbed-system that a seed makes for flannel: a client certificate of its etcd that is
// let into flannel's keys and nothing else.
const (
	FlannelEtcdSecret  = "flannel-etcd"
	FlannelEtcdCAKey   = "ca.crt"
	FlannelEtcdCertKey = "tls.crt"
	FlannelEtcdKeyKey  = "tls.key"
)

// FlannelBackend is how flannel carries pod traffic between nodes.
// +kubebuilder:validation:XValidation:rule="!has(self.vxlan) || !has(self.type) || self.type == 'VXLAN'",messageExpression="'backend.vxlan is set but backend.type is ' + self.type + ': remove backend.vxlan, or set backend.type: VXLAN'",fieldPath=".vxlan"
// +kubebuilder:validation:XValidation:rule="!has(self.mtu) || self.mtu == 0 || !has(self.type) || self.type in ['VXLAN', 'WireGuard']",messageExpression="'backend.mtu is set and has no effect with backend.type ' + self.type + ': remove backend.mtu'",fieldPath=".mtu"
type FlannelBackend struct {
	// type of the backend: VXLAN, HostGateway, WireGuard or UDP. Changing it
	// interrupts every pod's network and needs allowDisruptiveChange. Default:
	// VXLAN.
	// +optional
	Type *BackendType `json:"type,omitempty"`
	// vxlan has the settings of the VXLAN backend; only with type VXLAN.
	// Default: the defaults of its fields.
	// +optional
	VXLAN *VXLANBackend `json:"vxlan,omitempty"`
	// mtu of the pod network in bytes; 0 lets flannel work it out from the
	// interface. When set, leave room in the interface's for the encapsulation
	// (VXLAN 50, WireGuard 80 bytes); of other types flannel looks at the interface
	// alone. Changing it rebuilds docker0 on every node. Default: 0. Example: 1400.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == 0 || (self >= 576 && self <= 65535)",message="backend.mtu must be 0 (flannel works it out) or from 576 to 65535 bytes, for example 1450"
	MTU *int32 `json:"mtu,omitempty"`
}

// VXLANBackend has the settings of flannel's VXLAN backend.
type VXLANBackend struct {
	// vni is the VXLAN network identifier. Changing it interrupts every pod's
	// network and needs allowDisruptiveChange. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16777215
	VNI *int32 `json:"vni,omitempty"`
	// port is the UDP port of the encapsulated packets. Changing it interrupts
	// every pod's network and needs allowDisruptiveChange. Default: 8472 (the
	// Linux kernel's).
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
	// directRouting uses plain routes to nodes in the same subnet. Default:
	// false.
	// +optional
	DirectRouting bool `json:"directRouting,omitempty"`
}

// SubnetManager is where flannel keeps the nodes' subnets.
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Etcd' || has(self.etcd)",message="subnetManager.type Etcd needs subnetManager.etcd: set etcd.endpoints, for example https://10.64.3.7:2379, or remove type for the Kubernetes subnet manager"
// +kubebuilder:validation:XValidation:rule="!has(self.etcd) || (has(self.type) && self.type == 'Etcd')",message="subnetManager.etcd is set but subnetManager.type is not Etcd: set type: Etcd, or remove etcd"
type SubnetManager struct {
	// type is Kubernetes (each node's subnet is Node.spec.podCIDR) or Etcd.
	// Default: Kubernetes.
	// +optional
	Type *SubnetManagerType `json:"type,omitempty"`
	// etcd says how flannel reaches its etcd (v3); required with type Etcd.
	// Default: none.
	// +optional
	Etcd *EtcdSubnetManager `json:"etcd,omitempty"`
}

// EtcdSubnetManager says how flannel reaches its etcd.
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.endpoints.all(e, e.startsWith('https://'))",message="subnetManager.etcd.tls is set but an endpoint is not https://: write every endpoint as https://host:port, or remove tls",fieldPath=".endpoints"
type EtcdSubnetManager struct {
	// endpoints of etcd, as URLs with scheme, host and port. Use an etcd of
	// flannel's own or one with authentication on: a client of the cluster's
	// etcd can read every Secret. They may change to others of the same etcd, or of
	// one restored from its snapshot; another one without the nodes' leases needs
	// allowDisruptiveChange.
	// Example: ["https://10.64.3.7:2379"].
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=9
	// +listType=set
	Endpoints []EtcdEndpoint `json:"endpoints"`
	// prefix of flannel's keys; the manager writes PREFIX/config, and flannel
	// leases subnets below PREFIX/subnets. A seed lets flannel into the prefixes
	// of its --flannel-prefix. Default: "/coreos.com/network".
	// Example: "/kube-centos/network" (the guide's).
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/[a-zA-Z0-9_.-]+)+$') && !self.matches('/[.][.]?(/|$)')",messageExpression="'subnetManager.etcd.prefix ' + self + ' is not a key prefix: start with /, use letters, digits, _ . -, and no trailing /, for example /coreos.com/network'"
	Prefix *string `json:"prefix,omitempty"`
	// tls has the certificates for https endpoints, as a seed puts them into the
	// Secret flannel-etcd. The manager uses them as well. Default: none.
	// +optional
	TLS *EtcdTLS `json:"tls,omitempty"`
}

// EtcdEndpoint is the URL of one etcd member.
// +kubebuilder:validation:MaxLength=300
// +kubebuilder:validation:XValidation:rule="self.matches('^https?://([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|[[][0-9a-fA-F:.]+[]]):([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$')",messageExpression="'etcd endpoint ' + self + ' is not scheme://host:port with http or https and a port from 1 to 65535: for example https://10.64.3.7:2379'"
type EtcdEndpoint string

// EtcdTLS has the certificates for flannel's etcd.
type EtcdTLS struct {
	// caSecretRef names the PEM certificate of the authority that signed etcd's
	// certificate.
	// +required
	CASecretRef SecretKeyReference `json:"caSecretRef"`
	// certSecretRef names flannel's PEM client certificate.
	// +required
	CertSecretRef SecretKeyReference `json:"certSecretRef"`
	// keySecretRef names the PEM private key of that certificate.
	// +required
	KeySecretRef SecretKeyReference `json:"keySecretRef"`
}
