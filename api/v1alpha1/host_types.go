package v1alpha1

// SysctlValue is the value of a sysctl, as it is written to /proc/sys.
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9 ./_:,+-]+$')",messageExpression=`'sysctl value ' + self.replace('\n', ' ') + ' has characters that no sysctl takes: use letters, digits, spaces and . / _ : , + - on one line, for example 786432'`
type SysctlValue string

// KernelModule is the name of a kernel module, with underscores.
// Example: "br_netfilter".
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_]+$')",messageExpression=`'kernel module ' + self.replace('\n', ' ') + ' is not a module name: letters, digits and _ only (br_netfilter, not br-netfilter)'`
type KernelModule string

// File is a file that Seedbed writes.
// +kubebuilder:validation:XValidation:rule="has(self.contents) != has(self.contentsSecretRef)",messageExpression=`'files ' + self.path.replace('\n', ' ') + ' needs exactly one of contents and contentsSecretRef: set one'`
type File struct {
	// path on the host: absolute and clean, not below /proc, /sys, /dev, /boot
	// or Seedbed's own folders.
	// Example: "/etc/motd".
	// +required
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(/[^/\x00-\x1f\x7f]+)+$') && !self.matches('/[.][.]?(/|$)')`,messageExpression=`'files path ' + self.replace('\n', ' ') + ' is not a clean absolute path: start with /, no //, no . or .. parts, no trailing / and no control characters, for example /etc/motd'`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^/(proc|sys|dev|boot)(/|$)')",messageExpression=`'files path ' + self.replace('\n', ' ') + ' is below /proc, /sys, /dev or /boot: use sysctls or kernelModules, or a file elsewhere'`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^/(var/lib|etc|run)/seedbed(/|$)|^/var/lib/kubelet/pods(/|$)|^/etc/(passwd|shadow|group|gshadow|machine-id)$')",messageExpression=`'files path ' + self.replace('\n', ' ') + ' belongs to the system, to the kubelet or to the agent itself: choose another'`
	Path string `json:"path"`
	// contents of the file, UTF-8, at most 64 KiB; may be empty.
	// Example: "Managed by Seedbed\n".
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule=`!self.contains('\u0000')`,message="contents has a NUL character: text only; take binary contents from a Secret (contentsSecretRef)"
	Contents *string `json:"contents,omitempty"`
	// contentsSecretRef names the contents in a Secret. Default: none.
	// +optional
	ContentsSecretRef *SecretKeyReference `json:"contentsSecretRef,omitempty"`
	// mode in octal, with a leading 0. Set-user-ID, set-group-ID and writable by
	// all are refused. Default: "0644", or "0600" with contentsSecretRef.
	// Example: "0640".
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^0[0-7]{3}$')",messageExpression=`'files mode ' + self + ' is not an octal mode without set-ID bits: write four digits in quotes, the first 0, for example "0644"'`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^0[0-7][0-7][2367]$')",messageExpression=`'files mode ' + self + ' lets everybody write: for example "0644"'`
	Mode *string `json:"mode,omitempty"`
	// owner is a user name of the host, or a decimal id. Default: "root".
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z_][a-z0-9_-]*|[0-9]{1,10})$')",messageExpression=`'files owner ' + self.replace('\n', ' ') + ' is not a user name or decimal id: for example root'`
	Owner *string `json:"owner,omitempty"`
	// group is a group name of the host, or a decimal id. Default: "root".
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z_][a-z0-9_-]*|[0-9]{1,10})$')",messageExpression=`'files group ' + self.replace('\n', ' ') + ' is not a group name or decimal id: for example root'`
	Group *string `json:"group,omitempty"`
}

// UnitState says whether a unit is to run.
// +kubebuilder:validation:Enum=Running;Stopped;Unmanaged
type UnitState string

const (
	UnitRunning   UnitState = "Running"
	UnitStopped   UnitState = "Stopped"
	UnitUnmanaged UnitState = "Unmanaged"
)

// Unit is a systemd unit that Seedbed writes, extends or runs.
// +kubebuilder:validation:XValidation:rule="has(self.contents) || has(self.enabled) || (has(self.state) && self.state != 'Unmanaged') || (has(self.dropIns) && size(self.dropIns) > 0)",messageExpression=`'units ' + self.name.replace('\n', ' ') + ' says nothing: set contents, dropIns, enabled or state, or remove it'`
// +kubebuilder:validation:XValidation:rule="!self.name.contains('@.') || !has(self.state) || self.state == 'Unmanaged'",messageExpression=`'units ' + self.name.replace('\n', ' ') + ' is a template, which cannot run: name an instance, for example getty@tty1.service'`
type Unit struct {
	// name of the unit with its suffix.
	// Example: "node-exporter.service".
	// +required
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9:_.@][a-zA-Z0-9:_.@-]*[.](service|socket|timer|path|mount|target|slice)$')",messageExpression=`'units name ' + self.replace('\n', ' ') + ' is not the name of a unit: letters, digits and : _ . @ - with a suffix such as .service, for example node-exporter.service'`
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('seedbed-')",messageExpression="'units name ' + self + ' starts with seedbed-, which is kept for Seedbed itself: choose another name'"
	// +kubebuilder:validation:XValidation:rule="!(self in ['flanneld.service', 'docker.service', 'cri-docker.service', 'kubelet.service', 'kube-proxy.service'])",messageExpression="'units name ' + self + ' is a component that Seedbed runs: use the fields flannel, docker, criDockerd, kubelet or kubeProxy'"
	Name string `json:"name"`
	// contents of the unit file, in /etc/systemd/system. Without it the unit
	// must exist on the host. Default: none.
	// Example: "[Service]\nExecStart=/usr/local/bin/exporter\n".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule=`!self.contains('\u0000')`,message="contents has a NUL character, which systemd refuses: remove it"
	Contents *string `json:"contents,omitempty"`
	// enabled says whether the unit is started at boot. Default: left as it is.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// state is Running, Stopped or Unmanaged. A running unit is restarted when
	// its contents or drop-ins change. Default: Unmanaged.
	// +optional
	State *UnitState `json:"state,omitempty"`
	// dropIns add to or override settings of the unit file. Default: none.
	// Example: [{"name": "10-limits.conf", "contents":
	// "[Service]\nLimitNOFILE=65536\n"}].
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	DropIns []DropIn `json:"dropIns,omitempty"`
}

// DropIn is a file in the unit's .d folder.
type DropIn struct {
	// name of the file, ending in .conf.
	// Example: "10-limits.conf".
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_][a-zA-Z0-9_.-]*[.]conf$')",messageExpression=`'units dropIns name ' + self.replace('\n', ' ') + ' is not the name of a drop-in: letters, digits and _ . - ending in .conf, for example 10-limits.conf'`
	Name string `json:"name"`
	// contents of the file, UTF-8, at most 16 KiB.
	// Example: "[Service]\nLimitNOFILE=65536\n".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	// +kubebuilder:validation:XValidation:rule=`!self.contains('\u0000')`,message="contents has a NUL character, which systemd refuses: remove it"
	Contents string `json:"contents"`
}
