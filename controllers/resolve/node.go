package resolve

import (
	"io/fs"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

// Input is all that a Node depends on.
type Input struct {
	// NodeName is the name of the NodeState, and of the Node that the kubelet registers.
	NodeName string
	// Revision the node is assigned.
	Revision revision.Revision
	// Facts of the host, or of the facts file of a host that is not running.
	Facts v1alpha1.Facts
	// Secrets the revision refers to.
	Secrets Secrets
	// KubeletHasCertificate is true for a host whose kubelet has obtained its client certificate
	// (PathKubeletClient). A bootstrap token is then not needed any more, and not looked at.
	KubeletHasCertificate bool
}

// Node is one machine with every decision taken. Contents of Secrets are state.Sensitive until
// they are written to the file they are for.
type Node struct {
	// Name of the Node: kubelet, kube-proxy and flannel all use it (SB022).
	Name string
	// IP is the address on Interface ("NodeIP").
	IP netip.Addr
	// Interface that the NetworkConfig chooses.
	Interface string

	// Packages and Binaries are installed before all else.
	Packages Packages
	Binaries []Binary
	// Missing is why the rest of the node is not known before packages and binaries are installed:
	// programs that are not there yet, or in a version that does not do. Then only they and System are
	// of use.
	Missing Errors

	Kubernetes Kubernetes
	Network    Network
	Flannel    Flannel
	Docker     Docker
	CRIDockerd CRIDockerd
	Kubelet    Kubelet
	KubeProxy  KubeProxy
	System     System
	// Files and Units that the user adds, sorted by path and name.
	Files []File
	Units []Unit
}

// Program is one component as it was found on the host.
type Program struct {
	// Path of the program.
	Path string
	// Version it reports.
	Version *version.Version
	// Source is Binary (we render the whole unit) or Package (drop-ins only).
	Source v1alpha1.ComponentSource
	// PackageArgs are the arguments of the package's unit that stay; those that Seedbed sets
	// itself and those that come from an environment file are gone. They are unescaped.
	PackageArgs []string
}

// Packages are what the package manager is to install and to remove.
type Packages struct {
	Manager v1alpha1.PackageManager
	// Repositories sorted by name.
	Repositories []Repository
	Absent       []string
	Present      []Package
}

// Package is a package in a version, which is empty for any.
type Package struct{ Name, Version string }

// Repository is a repository of packages.
type Repository struct {
	Name, BaseURL string
	// Suite and Components are of apt; Components is empty for a Suite that ends in a slash.
	Suite      string
	Components []string
	// Key is an armoured public key; empty for a repository that is not signed.
	Key state.Sensitive
}

// Binary is a program to download.
type Binary struct {
	Path, URL, SHA256 string
	Mode              fs.FileMode
}

// Kubernetes is the version in use and the API server.
type Kubernetes struct {
	Version *version.Version
	// APIServer is the URL https://host[:port].
	APIServer string
	// CA is PEM.
	CA state.Sensitive
}

// Network is the cluster's network.
type Network struct {
	PodCIDR         netip.Prefix
	PodSubnetLength int
	ServiceCIDR     netip.Prefix
	// DNS is nil where pods use the node's resolvers.
	DNS        *DNS
	Backend    Backend
	Masquerade v1alpha1.MasqueradePolicy
	Hairpin    v1alpha1.HairpinMode
}

// DNS is the cluster's DNS.
type DNS struct {
	ServiceIP netip.Addr
	Domain    string
}

// Backend is flannel's way of carrying pod traffic.
type Backend struct {
	Type v1alpha1.BackendType
	// VNI, Port and DirectRouting are of the VXLAN backend.
	VNI, Port     int32
	DirectRouting bool
	// MTU in bytes; 0 lets flannel work it out.
	MTU int32
	// PodMTU is what pods get, in bytes; 0 where the facts do not have what it follows from.
	PodMTU int
}

// Flannel has the settings of flanneld.
type Flannel struct {
	Program
	LogLevel  int32
	ExtraArgs []string
	// Etcd is nil with the Kubernetes subnet manager.
	Etcd *Etcd
}

// Etcd says how flannel reaches its etcd.
type Etcd struct {
	Endpoints []string
	Prefix    string
	// TLS is nil for plain http.
	TLS *KeyPair
}

// KeyPair is a certificate with its key and, for clients, the authority they trust; all PEM.
type KeyPair struct{ CA, Cert, Key state.Sensitive }

// Docker has the settings of dockerd.
type Docker struct {
	Program
	RegistryMirrors        []string
	MaxConcurrentDownloads int32
	LiveRestore            bool
	CgroupDriver           v1alpha1.CgroupDriver
	IPForward              bool
	LogDriver              string
	LogOptions             map[string]string
	DataRoot               string
	// Proxy is nil where dockerd reaches registries directly.
	Proxy *Proxy
	// Registries sorted by host.
	Registries []Registry
	// DaemonConfig has further keys of daemon.json, none of which is set by a field above.
	DaemonConfig map[string]any
}

// Proxy that dockerd uses to reach registries.
type Proxy struct {
	// HTTP and HTTPS are URLs, each empty if not set.
	HTTP, HTTPS state.Sensitive
	NoProxy     []string
}

// Registry is a private registry.
type Registry struct {
	// Host is host or host:port.
	Host string
	// CA is PEM; empty for the system's authorities.
	CA state.Sensitive
	// Auth is the "auth" of docker's config.json, base64 of user:password; IdentityToken its
	// "identitytoken". Both empty without credentials.
	Auth, IdentityToken state.Sensitive
}

// CRIDockerd has the settings of cri-dockerd.
type CRIDockerd struct {
	Program
	PodInfraImage string
	ExtraArgs     []string
}

// Kubelet has the settings of the kubelet.
type Kubelet struct {
	Program
	// Address it serves on.
	Address netip.Addr
	// ClientCA is PEM; empty means Kubernetes.CA.
	ClientCA state.Sensitive
	// Bootstrap is how the kubelet asks for its first certificate.
	Bootstrap Bootstrap
	// Serving is nil where the kubelet makes or requests its own certificate.
	Serving *KeyPair
	// RotateServing makes the kubelet request its serving certificate from the cluster.
	RotateServing bool
	MaxPods       int32
	// FailCgroupV1 is nil to leave the kubelet's default.
	FailCgroupV1 *bool
	// DisableWebSockets turns off ExtendWebSocketsToKubelet for this pair of versions (SB031).
	DisableWebSockets bool
	// Config has further fields of KubeletConfiguration, none of which is set by a field above.
	Config    map[string]any
	ExtraArgs []string
}

// Bootstrap is how the kubelet asks for its first certificate: with the agent's own certificate, or
// with a token that the user gives.
type Bootstrap struct {
	// Done is true once the kubelet has its certificate.
	Done bool
	// ByToken is true where the user gives a token.
	ByToken bool
	// Token is "id.secret"; empty unless ByToken, and once Done.
	Token state.Sensitive
}

// KubeProxy has the settings of kube-proxy.
type KubeProxy struct {
	Program
	Mode v1alpha1.ProxyMode
	// BindAddress is the node's address as kube-proxy takes it.
	BindAddress                netip.Addr
	ConntrackMaxPerCore        int32
	ConntrackMin               int32
	ConntrackEstablishedExpiry time.Duration
	// Config has further fields of KubeProxyConfiguration, none of which is set by a field above.
	Config map[string]any
}

// System is what the components need of the kernel, and what the user adds to it.
type System struct {
	// Modules sorted, with underscores.
	Modules []string
	// Sysctls by dotted name.
	Sysctls map[string]string
	// ForwardPolicy of filter/FORWARD: ACCEPT or DROP; empty if unmanaged.
	ForwardPolicy string
}

// File is a file that the user adds.
type File struct {
	Path    string
	Content state.Sensitive
	// Secret is true for content that comes from a Secret.
	Secret       bool
	Mode         fs.FileMode
	Owner, Group string
}

// Unit is a systemd unit that the user adds or extends.
type Unit struct {
	Name string
	// Contents of the unit file; empty where the host has the unit already.
	Contents   string
	Enablement state.Enablement
	Activity   state.Activity
	// DropIns sorted by name.
	DropIns []DropIn
}

// DropIn is a file in a unit's .d folder.
type DropIn struct{ Name, Contents string }
