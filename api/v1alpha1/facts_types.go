package v1alpha1

// ComponentName is a program that Seedbed configures.
// +kubebuilder:validation:Enum=flannel;docker;cri-dockerd;kubelet;kube-proxy
type ComponentName string

const (
	ComponentFlannel    ComponentName = "flannel"
	ComponentDocker     ComponentName = "docker"
	ComponentCRIDockerd ComponentName = "cri-dockerd"
	ComponentKubelet    ComponentName = "kubelet"
	ComponentKubeProxy  ComponentName = "kube-proxy"
)

// ComponentSource says who owns a component's unit file.
// +kubebuilder:validation:Enum=Binary;Package
type ComponentSource string

const (
	// SourceBinary: a program without a unit of its own; Seedbed renders the
	// whole unit.
	SourceBinary ComponentSource = "Binary"
	// SourcePackage: a package installed the unit; Seedbed renders drop-ins
	// only.
	SourcePackage ComponentSource = "Package"
)

// ComponentFacts is what was found of one component on a host.
// +kubebuilder:validation:XValidation:rule="self.source == 'Package' || !has(self.execStart)",message="execStart is of a package's unit: set source: Package, or remove it"
type ComponentFacts struct {
	// name of the component: flannel, docker, cri-dockerd, kubelet or
	// kube-proxy.
	// +required
	Name ComponentName `json:"name"`
	// version as the program reports it, without decoration.
	// Example: "26.1.5", "v1.37.2".
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]*$')",message="version has other than printable ASCII characters: remove them"
	Version string `json:"version,omitempty"`
	// path of the program.
	// Example: "/usr/bin/dockerd".
	// +required
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(/[^/\x00-\x1f\x7f]+)+$') && !self.matches('/[.][.]?(/|$)')`,messageExpression=`'component path ' + self.replace('\n', ' ') + ' is not a clean absolute path: for example /usr/bin/dockerd'`
	Path string `json:"path"`
	// source is Binary (Seedbed renders the whole unit) or Package (drop-ins
	// only).
	// +required
	Source ComponentSource `json:"source"`
	// execStart is the argument vector of the package's unit, before our
	// drop-ins; only with source Package.
	// Example: ["/usr/bin/dockerd", "-H", "fd://"].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=1024
	ExecStart []string `json:"execStart,omitempty"`
}

// InterfaceFacts is one network interface of a host.
type InterfaceFacts struct {
	// name of the interface.
	// Example: "eth4".
	// +required
	// +kubebuilder:validation:MaxLength=15
	Name string `json:"name"`
	// mtu in bytes.
	// Example: 1500.
	// +optional
	MTU int32 `json:"mtu,omitempty"`
	// addresses in CIDR notation, host bits included.
	// Example: ["10.64.3.8/26"].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",messageExpression="'address ' + self + ' is not in CIDR notation: write address/length, for example 10.64.3.8/26'"
	Addresses []string `json:"addresses,omitempty"`
}

// RouteFacts is one IPv4 route of a host's main table.
type RouteFacts struct {
	// destination in CIDR notation; "0.0.0.0/0" is the default route.
	// +required
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",messageExpression="'destination ' + self + ' is not in CIDR notation: write address/length, with 0.0.0.0/0 for the default route'"
	Destination string `json:"destination"`
	// interface the route leaves by.
	// Example: "eth5".
	// +required
	// +kubebuilder:validation:MaxLength=15
	Interface string `json:"interface"`
	// metric; the least wins among equal destinations.
	// +optional
	Metric int32 `json:"metric,omitempty"`
}

// Facts is what an agent found on its host, or what a facts file says of a
// host that is not running. It has the same fields in both, so a NodeState's
// facts can be saved as a facts file.
type Facts struct {
	// hostname of the machine.
	// Example: "node-a".
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]*$')",message="hostname has other than printable ASCII characters: remove them"
	Hostname string `json:"hostname,omitempty"`
	// machineID is /etc/machine-id.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]*$')",message="machineID has other than printable ASCII characters: remove them"
	MachineID string `json:"machineID,omitempty"`
	// os is ID and VERSION_ID of /etc/os-release.
	// Example: "debian 12".
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]*$')",message="os has other than printable ASCII characters: remove them"
	OS string `json:"os,omitempty"`
	// kernel is the release that runs.
	// Example: "6.1.0-26-amd64".
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]*$')",message="kernel has other than printable ASCII characters: remove them"
	Kernel string `json:"kernel,omitempty"`
	// architecture in Go's words.
	// Example: "amd64".
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]*$')",message="architecture has other than printable ASCII characters: remove them"
	Architecture string `json:"architecture,omitempty"`
	// cgroup is the hierarchy in use: "v1" or "v2".
	// +optional
	// +kubebuilder:validation:Enum=v1;v2
	Cgroup string `json:"cgroup,omitempty"`
	// packageManager of the host: Apt or Dnf; empty where it has neither.
	// +optional
	PackageManager PackageManager `json:"packageManager,omitempty"`
	// interfaces with their addresses, at most 32.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Interfaces []InterfaceFacts `json:"interfaces,omitempty"`
	// routes of the main table, at most 64.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Routes []RouteFacts `json:"routes,omitempty"`
	// components found on the host.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Components []ComponentFacts `json:"components,omitempty"`
}
