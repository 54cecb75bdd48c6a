package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// CgroupDriver is who manages cgroups; docker, cri-dockerd and the kubelet
// must agree.
// +kubebuilder:validation:Enum=systemd;cgroupfs
type CgroupDriver string

const (
	CgroupDriverSystemd  CgroupDriver = "systemd"
	CgroupDriverCgroupfs CgroupDriver = "cgroupfs"
)

// Docker has the settings of dockerd. The bridge's address and MTU are not
// among them: they are flannel's lease.
type Docker struct {
	// registryMirrors of Docker Hub, tried in order: http or https URLs with
	// host and optional port, without path, query or user (SB013). dockerd
	// reloads them. Default: none.
	// Example: ["https://docker.mirrors.ustc.edu.cn"].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	RegistryMirrors []RegistryMirror `json:"registryMirrors,omitempty"`
	// maxConcurrentDownloads is how many layers are pulled at once for one
	// image. dockerd reloads it. Default: 3 (dockerd's).
	// Example: 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxConcurrentDownloads *int32 `json:"maxConcurrentDownloads,omitempty"`
	// liveRestore keeps containers running while dockerd restarts. dockerd
	// reloads it. With false each restart of docker ends all containers, and
	// waits for a drain where any run; a package's own scripts wait for nobody.
	// Default: true.
	// +optional
	LiveRestore *bool `json:"liveRestore,omitempty"`
	// cgroupDriver is systemd or cgroupfs; cri-dockerd and the kubelet follow it
	// (SB028). Changing it on a node with pods wants a drain. Default: systemd.
	// +optional
	CgroupDriver *CgroupDriver `json:"cgroupDriver,omitempty"`
	// ipForward is dockerd's ip-forward: whether dockerd may turn on IP
	// forwarding, and then set the policy of FORWARD to DROP (SB003). Seedbed
	// turns forwarding on before docker starts, so that dockerd leaves the
	// policy alone. Default: true.
	// +optional
	IPForward *bool `json:"ipForward,omitempty"`
	// logDriver of containers. Default: json-file with max-size 100m and
	// max-file 3.
	// +optional
	LogDriver *LogDriver `json:"logDriver,omitempty"`
	// dataRoot is the folder of images and containers. Default:
	// "/var/lib/docker".
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(/[^/\x00-\x1f\x7f]+)+$') && !self.matches('/[.][.]?(/|$)') && !self.matches('^/(proc|sys|dev|boot)(/|$)')`,messageExpression=`'docker.dataRoot ' + self.replace('\n', ' ') + ' is not a clean absolute path outside /proc, /sys, /dev and /boot: for example /var/lib/docker'`
	DataRoot *string `json:"dataRoot,omitempty"`
	// proxy that dockerd uses to reach registries. Default: none.
	// +optional
	Proxy *DockerProxy `json:"proxy,omitempty"`
	// registries that need a CA certificate or credentials of their own (SB014).
	// Default: none.
	// Example: [{"host": "10.64.3.7:8000", "credentialsSecretRef": {"name":
	// "registry-login"}}].
	// +optional
	// +listType=map
	// +listMapKey=host
	// +kubebuilder:validation:MaxItems=32
	Registries []Registry `json:"registries,omitempty"`
	// daemonConfig has further keys of daemon.json, merged last. A key that
	// Seedbed owns (such as bip, mtu or registry-mirrors) is refused. Default:
	// none.
	// Example: {"debug": true}.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:pruning:PreserveUnknownFields
	DaemonConfig *runtime.RawExtension `json:"daemonConfig,omitempty"`
}

// RegistryMirror is the URL of a mirror of Docker Hub.
// +kubebuilder:validation:MaxLength=300
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z][a-zA-Z0-9+.-]*://')",messageExpression=`'registry mirror ' + self.replace('\n', ' ') + ' has no scheme, and dockerd would refuse to start (SB013): write https://' + self.replace('\n', ' ')`
// +kubebuilder:validation:XValidation:rule="!self.matches('^[a-zA-Z][a-zA-Z0-9+.-]*://') || self.matches('^https?://([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|[[][0-9a-fA-F:.]+[]])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/?$')",messageExpression=`'registry mirror ' + self.replace('\n', ' ') + ' is not an http or https URL of just host and port: without path, query, fragment or user, and with a port from 1 to 65535, for example https://docker.mirrors.ustc.edu.cn (SB013)'`
type RegistryMirror string

// LogDriver of containers.
type LogDriver struct {
	// name of the driver.
	// Example: "json-file", "local", "journald".
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9][a-z0-9._-]*$')",messageExpression=`'docker.logDriver.name ' + self.replace('\n', ' ') + ' is not a log driver: for example json-file, local or journald'`
	Name string `json:"name"`
	// options of the driver. Default: none.
	// Example: {"max-size": "100m"}.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[a-z0-9][a-zA-Z0-9._-]*$') && size(k) <= 64)",message="docker.logDriver.options has a name that is no option: at most 64 letters, digits and . _ -, for example max-size"
	Options map[string]LogOption `json:"options,omitempty"`
}

// LogOption is the value of one option of a log driver.
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule=`!self.matches(r'[\x00-\x1f\x7f]')`,message="log option value has control characters: write it on one line, for example 100m"
type LogOption string

// DockerProxy is the proxy that dockerd uses. URLs can hold passwords, so
// they are Secrets; they reach dockerd through a file of mode 0600.
type DockerProxy struct {
	// httpProxySecretRef names the URL of the proxy for http. Default: none.
	// +optional
	HTTPProxySecretRef *SecretKeyReference `json:"httpProxySecretRef,omitempty"`
	// httpsProxySecretRef names the URL of the proxy for https. Default: none.
	// +optional
	HTTPSProxySecretRef *SecretKeyReference `json:"httpsProxySecretRef,omitempty"`
	// noProxy lists hosts, domains and ranges reached directly. The node's own
	// addresses are not added. Default: none.
	// Example: ["10.0.0.0/8", ".example.com"].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	NoProxy []NoProxyEntry `json:"noProxy,omitempty"`
}

// NoProxyEntry is a host, domain or range reached without the proxy.
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9.:*/_-]+$')",messageExpression=`'docker.proxy.noProxy entry ' + self.replace('\n', ' ') + ' is not a host, domain or range: for example .example.com or 10.0.0.0/8'`
type NoProxyEntry string

// Registry is a private registry.
type Registry struct {
	// host of the registry, with its port unless it is 443; never a URL.
	// Example: "10.64.3.7:8000".
	// +required
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|[[][0-9a-fA-F:.]+[]])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$')",messageExpression=`'docker.registries host ' + self.replace('\n', ' ') + ' is not host or host:port: without scheme or path, and with a port from 1 to 65535, for example 10.64.3.7:8000'`
	Host string `json:"host"`
	// caSecretRef names the PEM certificate of the authority that signed the
	// registry's certificate; written to /etc/docker/certs.d/HOST/ca.crt.
	// Default: the system's authorities.
	// +optional
	CASecretRef *SecretKeyReference `json:"caSecretRef,omitempty"`
	// credentialsSecretRef names a Secret of type kubernetes.io/dockerconfigjson
	// with an entry for this host. docker and the kubelet both get it. Default:
	// none.
	// +optional
	CredentialsSecretRef *SecretReference `json:"credentialsSecretRef,omitempty"`
}
