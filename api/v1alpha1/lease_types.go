package v1alpha1

// LeaseStatus counts the subnets of a network that nodes hold: flannel's leases in etcd, or, with the
// subnet manager Kubernetes, the podCIDRs of Nodes.
type LeaseStatus struct {
	// count of leases.
	// +optional
	// +kubebuilder:default=0
	Count int32 `json:"count"`
	// conflicts is how many of them something is wrong with.
	// +optional
	// +kubebuilder:default=0
	Conflicts int32 `json:"conflicts"`
	// first are the first few of the conflicts, by subnet.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	First []LeaseConflict `json:"first,omitempty"`
}

// LeaseConflictReason says what is wrong with a lease.
// +kubebuilder:validation:Enum=OutsideNetwork;WrongLength;DuplicatePublicIP;Overlap;WrongInterface;NoNode
type LeaseConflictReason string

const (
	// LeaseOutsideNetwork: the subnet is not in podCIDR.
	LeaseOutsideNetwork LeaseConflictReason = "OutsideNetwork"
	// LeaseWrongLength: the subnet is not of podSubnetLength.
	LeaseWrongLength LeaseConflictReason = "WrongLength"
	// LeaseDuplicatePublicIP: another lease has the same public IP.
	LeaseDuplicatePublicIP LeaseConflictReason = "DuplicatePublicIP"
	// LeaseOverlap: another lease's subnet has addresses of this one.
	LeaseOverlap LeaseConflictReason = "Overlap"
	// LeaseWrongInterface: the public IP is not the address that interface chooses
	// on the node (SB007).
	LeaseWrongInterface LeaseConflictReason = "WrongInterface"
	// LeaseNoNode: the public IP is of no node that Seedbed knows (SB009).
	LeaseNoNode LeaseConflictReason = "NoNode"
)

// LeaseConflict is a lease that something is wrong with.
type LeaseConflict struct {
	// subnet that is leased, in CIDR notation.
	// Example: "172.30.38.0/24".
	// +required
	// +kubebuilder:validation:MaxLength=64
	Subnet string `json:"subnet"`
	// publicIP is the address that other nodes send this subnet's packets to.
	// Example: "10.64.3.8".
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PublicIP string `json:"publicIP,omitempty"`
	// reason is OutsideNetwork, WrongLength, DuplicatePublicIP, Overlap,
	// WrongInterface or NoNode.
	// +required
	Reason LeaseConflictReason `json:"reason"`
	// message says it in words, and what to do.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// PublishedNetwork is what the manager last wrote to flannel's etcd, and which etcd that was.
type PublishedNetwork struct {
	// key that holds it.
	// Example: "/coreos.com/network/config".
	// +required
	// +kubebuilder:validation:MaxLength=256
	Key string `json:"key"`
	// config is the value, in flannel's format.
	// Example: '{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1,"Port":8472}}'.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Config string `json:"config"`
	// endpoints of the etcd, sorted. When they change to an etcd that has none of the
	// nodes' leases, that is refused; one that lost its data at the same endpoints is
	// written to again.
	// Example: ["https://10.64.3.7:2379"].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=9
	// +kubebuilder:validation:items:MaxLength=300
	Endpoints []string `json:"endpoints,omitempty"`
	// clusterID of the etcd, in hexadecimal. Two etcds may have the same one: it is
	// computed from the peer URLs and the token that an etcd is first started with.
	// Example: "cdf818194e3a8c32".
	// +optional
	// +kubebuilder:validation:MaxLength=16
	ClusterID string `json:"clusterID,omitempty"`
}
