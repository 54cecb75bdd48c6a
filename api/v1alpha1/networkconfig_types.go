package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MasqueradePolicy says which traffic to Services kube-proxy hides behind
// the node's address.
// +kubebuilder:validation:Enum=None;ClusterCIDR;All
type MasqueradePolicy string

const (
	// MasqueradeNone keeps every client address; needs reversePathFilter Loose
	// or Off (SB004).
	MasqueradeNone MasqueradePolicy = "None"
	// MasqueradeClusterCIDR masquerades traffic to Services that comes from
	// outside the pod CIDR.
	MasqueradeClusterCIDR MasqueradePolicy = "ClusterCIDR"
	// MasqueradeAll masquerades all traffic to Services; pods see no client
	// address.
	MasqueradeAll MasqueradePolicy = "All"
)

// ForwardPolicy is the policy of the iptables chain filter/FORWARD.
// +kubebuilder:validation:Enum=Accept;Drop;Unmanaged
type ForwardPolicy string

const (
	ForwardAccept    ForwardPolicy = "Accept"
	ForwardDrop      ForwardPolicy = "Drop"
	ForwardUnmanaged ForwardPolicy = "Unmanaged"
)

// ReversePathFilter is net.ipv4.conf.{all,default}.rp_filter, by the names
// of https://www.kernel.org/doc/Documentation/networking/ip-sysctl.txt.
// +kubebuilder:validation:Enum=Off;Strict;Loose;Unmanaged
type ReversePathFilter string

const (
	ReversePathOff       ReversePathFilter = "Off"
	ReversePathStrict    ReversePathFilter = "Strict"
	ReversePathLoose     ReversePathFilter = "Loose"
	ReversePathUnmanaged ReversePathFilter = "Unmanaged"
)

// HairpinMode lets a pod reach itself through its own Service (cri-dockerd
// --hairpin-mode).
// +kubebuilder:validation:Enum=PromiscuousBridge;HairpinVeth;None
type HairpinMode string

const (
	// HairpinPromiscuousBridge makes docker0 promiscuous.
	HairpinPromiscuousBridge HairpinMode = "PromiscuousBridge"
	// HairpinVeth lets docker0 send packets back to the port that they came
	// from. dockerd sets it for each container, for which its userland proxy is
	// turned off; host ports are then iptables rules alone.
	HairpinVeth HairpinMode = "HairpinVeth"
	// HairpinNone leaves docker0 as it is.
	HairpinNone HairpinMode = "None"
)

// Rules stay within CEL's cost limits of Kubernetes 1.31: string(int) and string(cidr) count as
// unbounded there, so a number's digits are cut from a literal, and string(cidr) is only compared.

// NetworkConfigSpec is the cluster's network, shared by all nodes whose
// NodeConfig refers to it.
// +kubebuilder:validation:XValidation:rule="!(isCIDR(self.podCIDR) && isCIDR(self.serviceCIDR)) || !(cidr(self.podCIDR).containsIP(cidr(self.serviceCIDR).ip()) || cidr(self.serviceCIDR).containsIP(cidr(self.podCIDR).ip()))",messageExpression="'serviceCIDR ' + self.serviceCIDR + ' overlaps podCIDR ' + self.podCIDR + ': choose ranges that share no address, for example 172.30.0.0/16 and 10.254.0.0/16'",fieldPath=".serviceCIDR"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.podCIDR) || self.podCIDR.contains(':') || !has(self.podSubnetLength) || self.podSubnetLength > cidr(self.podCIDR).prefixLength()",messageExpression="'podSubnetLength ' + '0123456789'.substring(self.podSubnetLength / 10, self.podSubnetLength / 10 + 1) + '0123456789'.substring(self.podSubnetLength % 10, self.podSubnetLength % 10 + 1) + ' is not longer than the prefix of podCIDR ' + self.podCIDR + ', so nodes cannot share it: use a greater length, such as 24 in a /16'",fieldPath=".podSubnetLength"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.podCIDR) || self.podCIDR.contains(':') || has(self.podSubnetLength) || cidr(self.podCIDR).prefixLength() < 24",messageExpression="'podCIDR ' + self.podCIDR + ' has no room for subnets of the default length 24: set podSubnetLength above its prefix length, or choose a larger podCIDR'",fieldPath=".podCIDR"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.podCIDR) || self.podCIDR.contains(':') || !has(self.subnetManager) || !has(self.subnetManager.type) || self.subnetManager.type != 'Etcd' || (has(self.podSubnetLength) ? self.podSubnetLength : 24) >= cidr(self.podCIDR).prefixLength() + 2",messageExpression="'podCIDR ' + self.podCIDR + ' has room for fewer than four subnets of podSubnetLength, which flannel refuses with subnetManager.type Etcd: make podSubnetLength (24 if not set) at least 2 longer than the prefix of podCIDR'",fieldPath=".podCIDR"
// +kubebuilder:validation:XValidation:rule="!has(self.dns) || !isIP(self.dns.serviceIP) || !isCIDR(self.serviceCIDR) || cidr(self.serviceCIDR).containsIP(self.dns.serviceIP)",messageExpression="'dns.serviceIP ' + self.dns.serviceIP + ' is outside serviceCIDR ' + self.serviceCIDR + ': choose an address inside it, such as 10.254.0.2 in 10.254.0.0/16'",fieldPath=".dns.serviceIP"
// +kubebuilder:validation:XValidation:rule="!has(self.dns) || !(self.serviceCIDR.startsWith(self.dns.serviceIP + '/') || self.serviceCIDR.replace('.0/', '.1/').startsWith(self.dns.serviceIP + '/'))",messageExpression="'dns.serviceIP ' + self.dns.serviceIP + ' is taken: the first address of serviceCIDR ' + self.serviceCIDR + ' names the range and the next is the Service kubernetes; choose a later one, such as 10.254.0.2 in 10.254.0.0/16'",fieldPath=".dns.serviceIP"
// +kubebuilder:validation:XValidation:rule="!has(self.masquerade) || self.masquerade != 'None' || (has(self.reversePathFilter) && self.reversePathFilter in ['Loose', 'Off'])",messageExpression="'masquerade None needs reversePathFilter Loose or Off, not ' + (has(self.reversePathFilter) ? self.reversePathFilter : 'Unmanaged') + ': otherwise replies to a node that called a Service are dropped (SB004)'",fieldPath=".masquerade"
// +kubebuilder:validation:XValidation:rule="self.podCIDR == oldSelf.podCIDR || (has(self.allowDisruptiveChange) && self.allowDisruptiveChange)",messageExpression="'podCIDR cannot change from ' + oldSelf.podCIDR + ' to ' + self.podCIDR + ' under running pods: keep it, or set allowDisruptiveChange: true to accept that every pod loses its address'",fieldPath=".podCIDR",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="(has(self.podSubnetLength) ? self.podSubnetLength : 24) == (has(oldSelf.podSubnetLength) ? oldSelf.podSubnetLength : 24) || (has(self.allowDisruptiveChange) && self.allowDisruptiveChange)",message="podSubnetLength cannot change under running pods: keep it, or set allowDisruptiveChange: true to accept that every pod loses its address",fieldPath=".podSubnetLength",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="self.serviceCIDR == oldSelf.serviceCIDR || (has(self.allowDisruptiveChange) && self.allowDisruptiveChange)",messageExpression="'serviceCIDR cannot change from ' + oldSelf.serviceCIDR + ' to ' + self.serviceCIDR + ' under running Services: keep it, or set allowDisruptiveChange: true to accept that every Service loses its address'",fieldPath=".serviceCIDR",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="(has(self.backend) && has(self.backend.type) ? self.backend.type : 'VXLAN') == (has(oldSelf.backend) && has(oldSelf.backend.type) ? oldSelf.backend.type : 'VXLAN') || (has(self.allowDisruptiveChange) && self.allowDisruptiveChange)",messageExpression="'backend.type cannot change to ' + (has(self.backend) && has(self.backend.type) ? self.backend.type : 'VXLAN') + ' without downtime (flannel, Documentation/running.md): keep it, or set allowDisruptiveChange: true to accept that'",fieldPath=".backend",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="(has(self.backend) && has(self.backend.vxlan) && has(self.backend.vxlan.vni) ? self.backend.vxlan.vni : 1) == (has(oldSelf.backend) && has(oldSelf.backend.vxlan) && has(oldSelf.backend.vxlan.vni) ? oldSelf.backend.vxlan.vni : 1) || (has(self.allowDisruptiveChange) && self.allowDisruptiveChange)",message="backend.vxlan.vni cannot change under running pods, since nodes drop each other's packets until the last one has the new value: keep it, or set allowDisruptiveChange: true to accept that",fieldPath=".backend",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="(has(self.backend) && has(self.backend.vxlan) && has(self.backend.vxlan.port) ? self.backend.vxlan.port : 8472) == (has(oldSelf.backend) && has(oldSelf.backend.vxlan) && has(oldSelf.backend.vxlan.port) ? oldSelf.backend.vxlan.port : 8472) || (has(self.allowDisruptiveChange) && self.allowDisruptiveChange)",message="backend.vxlan.port cannot change under running pods, since nodes drop each other's packets until the last one has the new value: keep it, or set allowDisruptiveChange: true to accept that",fieldPath=".backend",reason="FieldValueForbidden"
type NetworkConfigSpec struct {
	// podCIDR is the range that pod addresses come from (flannel's "Network").
	// Each node gets a subnet of podSubnetLength out of it. IPv4, without host
	// bits. It cannot be changed once set, unless allowDisruptiveChange is true.
	// Example: "172.30.0.0/16".
	// +required
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4",messageExpression="'podCIDR ' + self + ' is not an IPv4 range in CIDR notation: write address/length, for example 172.30.0.0/16'"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || string(cidr(self).masked()) == self",messageExpression="'podCIDR ' + self + ' has host bits set: write the first address of the range, as in 172.30.0.0/16'"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || self.contains(':') || (cidr(self).prefixLength() >= 8 && cidr(self).prefixLength() <= 28)",messageExpression="'podCIDR ' + self + ' is not between /8 and /28: for example 172.30.0.0/16 has room for 256 nodes with a /24 each'"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(0|127|169[.]254|22[4-9]|2[3-5][0-9])[.]')",messageExpression="'podCIDR ' + self + ' is in a range that no host can have (this network, loopback, link-local, multicast or reserved): use a private range, for example 172.30.0.0/16'"
	PodCIDR string `json:"podCIDR"`

	// podSubnetLength is the prefix length of each node's share of podCIDR
	// (flannel's "SubnetLen"), in bits. Longer than podCIDR's own length.
	// Default: 24 (254 addresses a node).
	// Example: 25.
	// +optional
	// +kubebuilder:validation:Minimum=9
	// +kubebuilder:validation:Maximum=30
	PodSubnetLength *int32 `json:"podSubnetLength,omitempty"`

	// serviceCIDR is the range that Service addresses come from; the same as
	// kube-apiserver's --service-cluster-ip-range. IPv4, without host bits,
	// sharing no address with podCIDR.
	// Example: "10.254.0.0/16".
	// +required
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4",messageExpression="'serviceCIDR ' + self + ' is not an IPv4 range in CIDR notation: write address/length, for example 10.254.0.0/16'"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || string(cidr(self).masked()) == self",messageExpression="'serviceCIDR ' + self + ' has host bits set: write the first address of the range, as in 10.254.0.0/16'"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || self.contains(':') || (cidr(self).prefixLength() >= 12 && cidr(self).prefixLength() <= 28)",messageExpression="'serviceCIDR ' + self + ' is not between /12 and /28, which kube-apiserver wants: for example 10.254.0.0/16'"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(0|127|169[.]254|22[4-9]|2[3-5][0-9])[.]')",messageExpression="'serviceCIDR ' + self + ' is in a range that no host can have (this network, loopback, link-local, multicast or reserved): use a private range, for example 10.254.0.0/16'"
	ServiceCIDR string `json:"serviceCIDR"`

	// dns is where pods find the cluster's DNS. Without it pods use the node's
	// resolvers. One object holds address and domain, since either alone
	// resolves nothing (SB010). Default: none.
	// +optional
	DNS *ClusterDNS `json:"dns,omitempty"`

	// backend is how flannel carries pod traffic between nodes. Default: VXLAN.
	// +optional
	Backend *FlannelBackend `json:"backend,omitempty"`

	// subnetManager is where flannel keeps the nodes' subnets. Default:
	// Kubernetes.
	// +optional
	SubnetManager *SubnetManager `json:"subnetManager,omitempty"`

	// interface chooses the interface that flannel speaks over and whose address
	// is the node's ("NodeIP"): exactly one of name, nameRegex, cidr and
	// canReach. A node where it matches no interface or several is Stalled;
	// Seedbed never guesses (SB007).
	// +required
	Interface InterfaceSelector `json:"interface"`

	// masquerade says which traffic to Services kube-proxy hides behind the
	// node's address. None needs reversePathFilter Loose or Off. Default:
	// ClusterCIDR.
	// +optional
	Masquerade *MasqueradePolicy `json:"masquerade,omitempty"`

	// forwardPolicy is the policy of the iptables chain FORWARD, which dockerd
	// sets to DROP when it turns on IP forwarding itself (SB003). Default:
	// Accept.
	// +optional
	ForwardPolicy *ForwardPolicy `json:"forwardPolicy,omitempty"`

	// reversePathFilter is the kernel's rp_filter on the node. The stricter of
	// "all" and an interface's own value counts. Default: Unmanaged.
	// +optional
	ReversePathFilter *ReversePathFilter `json:"reversePathFilter,omitempty"`

	// hairpin lets a pod reach itself through its own Service (SB011).
	// PromiscuousBridge, the kubelet's default of 2017, does not work for
	// Services on Linux 6.9 and later, where a promiscuous bridge forgets the
	// connection of what it hands up (kernel commit 751de2012eaf). Default:
	// HairpinVeth.
	// +optional
	Hairpin *HairpinMode `json:"hairpin,omitempty"`

	// allowDisruptiveChange acknowledges that changing podCIDR, podSubnetLength,
	// serviceCIDR, backend.type, backend.vxlan.vni, backend.vxlan.port,
	// subnetManager.type, subnetManager.etcd.prefix, or subnetManager.etcd.endpoints
	// to another etcd without the nodes' leases, interrupts every pod's network.
	// Set it back to false afterwards. Default: false.
	// +optional
	AllowDisruptiveChange bool `json:"allowDisruptiveChange,omitempty"`
}

// ClusterDNS is the cluster's DNS as the kubelet writes it into pods'
// resolv.conf.
type ClusterDNS struct {
	// serviceIP is the address of the DNS Service, inside serviceCIDR.
	// Example: "10.254.0.2".
	// +required
	// +kubebuilder:validation:MaxLength=39
	// +kubebuilder:validation:XValidation:rule="isIP(self) && ip(self).family() == 4",messageExpression="'dns.serviceIP ' + self + ' is not an IPv4 address: write one inside serviceCIDR, such as 10.254.0.2'"
	ServiceIP string `json:"serviceIP"`
	// domain that Services are named under. Default: "cluster.local".
	// +optional
	// +kubebuilder:validation:MaxLength=190
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",messageExpression="'dns.domain ' + self + ' is not a domain name: write lower-case labels joined by dots, without a trailing dot, for example cluster.local'"
	Domain *string `json:"domain,omitempty"`
}

// InterfaceSelector chooses one interface of a node.
// +kubebuilder:validation:XValidation:rule="[has(self.name), has(self.nameRegex), has(self.cidr), has(self.canReach)].filter(x, x).size() == 1",message="interface needs exactly one of name, nameRegex, cidr and canReach, for example cidr: 10.64.3.0/26"
type InterfaceSelector struct {
	// name of the interface.
	// Example: "eth4".
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_.@-]{1,15}$') && self != '.' && self != '..'",messageExpression="'interface.name ' + self + ' is not an interface name: 1 to 15 letters, digits, _ . - @, for example eth4'"
	Name *string `json:"name,omitempty"`
	// nameRegex is a regular expression (Go's RE2) that must match the whole
	// name of exactly one interface.
	// Example: "eth[04]".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'[\x00-\x20\x7f]')`,message="interface.nameRegex has spaces or control characters, which no interface name has: remove them, for example eth[04]"
	// +kubebuilder:validation:XValidation:rule="''.matches(self) in [true, false]",message="interface.nameRegex must be a regular expression in RE2 syntax, for example eth[04]"
	NameRegex *string `json:"nameRegex,omitempty"`
	// cidr is a range that exactly one interface's address is in. IPv4, without
	// host bits.
	// Example: "10.64.3.0/26".
	// +optional
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4",messageExpression="'interface.cidr ' + self + ' is not an IPv4 range in CIDR notation: write address/length, for example 10.64.3.0/26'"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || string(cidr(self).masked()) == self",messageExpression="'interface.cidr ' + self + ' has host bits set: write the first address of the range, as in 10.64.3.0/26'"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || self.contains(':') || (cidr(self).prefixLength() >= 8 && cidr(self).prefixLength() <= 32)",messageExpression="'interface.cidr ' + self + ' is not between /8 and /32, so it would choose nearly any interface: for example 10.64.3.0/26'"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(0|127|169[.]254|22[4-9]|2[3-5][0-9])[.]')",messageExpression="'interface.cidr ' + self + ' is in a range that no host can have (this network, loopback, link-local, multicast or reserved): use a private range, for example 10.64.3.0/26'"
	CIDR *string `json:"cidr,omitempty"`
	// canReach is an address; the interface that the node's routes choose for it
	// is taken.
	// Example: "10.64.3.1".
	// +optional
	// +kubebuilder:validation:MaxLength=39
	// +kubebuilder:validation:XValidation:rule="isIP(self) && ip(self).family() == 4 && ip(self).isGlobalUnicast()",messageExpression="'interface.canReach ' + self + ' is not the IPv4 address of a host: write one that the nodes reach over the wanted interface, such as 10.64.3.1'"
	CanReach *string `json:"canReach,omitempty"`
}

// NetworkConfigStatus is what the manager knows of a network.
type NetworkConfigStatus struct {
	// observedGeneration is the generation the conditions are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// nodeConfigs is how many NodeConfigs refer to this network.
	// +optional
	NodeConfigs int32 `json:"nodeConfigs,omitempty"`
	// nodes is how many nodes are assigned a revision with this network.
	// +optional
	Nodes int32 `json:"nodes,omitempty"`
	// leases counts the subnets that nodes hold, and what is wrong with them; with
	// the subnet manager Etcd, those in the etcd that published says.
	// +optional
	Leases *LeaseStatus `json:"leases,omitempty"`
	// published is what the manager last wrote to flannel's etcd; only with the
	// subnet manager Etcd.
	// +optional
	Published *PublishedNetwork `json:"published,omitempty"`
	// conditions: Ready, Published (only with the subnet manager Etcd), and
	// Stalled while somebody has to change something first.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// NetworkConfig is the cluster's network, as flannel, docker, the kubelet
// and kube-proxy of every node are told it. Nodes use it through
// NodeConfig.spec.networkRef.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=networkconfigs,singular=networkconfig,shortName=netcfg,categories=seedbed
// +kubebuilder:printcolumn:name="Pods",type=string,JSONPath=`.spec.podCIDR`
// +kubebuilder:printcolumn:name="Services",type=string,JSONPath=`.spec.serviceCIDR`
// +kubebuilder:printcolumn:name="Backend",type=string,JSONPath=`.spec.backend.type`,priority=1
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes`
// +kubebuilder:printcolumn:name="Leases",type=integer,JSONPath=`.status.leases.count`
// +kubebuilder:printcolumn:name="Conflicts",type=integer,JSONPath=`.status.leases.conflicts`
// +kubebuilder:printcolumn:name="Published",type=string,JSONPath=`.status.conditions[?(@.type=="Published")].status`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",messageExpression="'metadata.name ' + self.metadata.name + ' is longer than 63 characters: shorten it'"
type NetworkConfig struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the network that is wanted.
	// +required
	Spec NetworkConfigSpec `json:"spec"`
	// status is what the manager knows; users do not write it.
	// +optional
	Status NetworkConfigStatus `json:"status,omitempty"`
}

// NetworkConfigList is a list of NetworkConfigs.
// +kubebuilder:object:root=true
type NetworkConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkConfig `json:"items"`
}
