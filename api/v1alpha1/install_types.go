package v1alpha1

// PackageManager is the kind of a host's package manager.
// +kubebuilder:validation:Enum=Apt;Dnf
type PackageManager string

const (
	// PackageManagerApt is apt on dpkg, as on Debian and Ubuntu.
	PackageManagerApt PackageManager = "Apt"
	// PackageManagerDnf is dnf 4 on rpm, as on RHEL 8 and later and their kin.
	PackageManagerDnf PackageManager = "Dnf"
)

// Packages are installed and removed before anything else is done on the
// node, all in one transaction: what is absent goes before what is present.
// +kubebuilder:validation:XValidation:rule="!has(self.absent) || !has(self.present) || !self.present.exists(p, p.name in self.absent)",message="packages has a name under absent and under present: remove it from one of them"
type Packages struct {
	// repositories that the packages come from, besides those the host has
	// already. They are read again only when a version that is to be installed
	// is not known; the host's own at most once an hour, when that did not help.
	// Default: none.
	// Example: [{"name": "docker-ce", "type": "Apt", "baseURL":
	// "https://download.docker.com/linux/debian", "suite": "bookworm",
	// "components": ["stable"], "gpgKeySecretRef": {"name": "docker-ce-key",
	// "key": "key.asc"}}].
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Repositories []PackageRepository `json:"repositories,omitempty"`
	// absent names packages that must not be installed, such as those that
	// conflict with what is to be present (SB029). They are removed and their
	// configuration files stay. A package that another one needs, which is not
	// in the list, is not removed. Default: none.
	// Example: ["docker.io", "containerd"].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Absent []PackageName `json:"absent,omitempty"`
	// present are packages that must be installed. Recommended packages are not
	// installed with them; name those that are wanted. Default: none.
	// Example: [{"name": "docker-ce", "version": "5:27.5.1-1~debian.12~bookworm"}].
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Present []Package `json:"present,omitempty"`
}

// PackageName is the name of a package, without version and architecture.
// Example: "docker-ce".
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9]([a-zA-Z0-9._+-]*[a-zA-Z0-9._+])?$')",messageExpression=`'package name ' + self.replace('\n', ' ') + ' is not the name of a package: letters, digits and . _ + - , starting with a letter or digit and not ending in - , for example docker-ce'`
type PackageName string

// Package is a package that must be installed.
type Package struct {
	// name of the package, without version and architecture.
	// Example: "docker-ce".
	// +required
	Name PackageName `json:"name"`
	// version exactly as the package manager has it: [epoch:]upstream-revision
	// with apt, [epoch:]version-release with dnf. It is held, so that nobody
	// else's upgrade changes it, and installed even where a newer one is.
	// Default: any version; the newest is installed once, and neither held nor
	// upgraded by Seedbed.
	// Example: "5:27.5.1-1~debian.12~bookworm".
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,9}:)?[a-zA-Z0-9]([a-zA-Z0-9._+~^-]*[a-zA-Z0-9._+~^])?$')",messageExpression=`'package version ' + self.replace('\n', ' ') + ' is not the version of a package: write it as apt-cache policy or dnf list shows it, for example 5:27.5.1-1'`
	Version *string `json:"version,omitempty"`
}

// PackageRepository is a repository of packages. Its file on the node is
// /etc/apt/sources.list.d/seedbed-NAME.sources or
// /etc/yum.repos.d/seedbed-NAME.repo.
// +kubebuilder:validation:XValidation:rule="self.type != 'Apt' || has(self.suite)",messageExpression="'packages repository ' + self.name + ' of type Apt needs a suite: for example suite: bookworm, or suite: ./ for packages right in baseURL'"
// +kubebuilder:validation:XValidation:rule="self.type != 'Apt' || !has(self.suite) || self.suite.endsWith('/') == !(has(self.components) && size(self.components) > 0)",messageExpression="'packages repository ' + self.name + ' needs components with a suite, and none with a suite that ends in / : for example suite: bookworm and components: [main]'"
// +kubebuilder:validation:XValidation:rule="self.type != 'Dnf' || !(has(self.suite) || has(self.components))",messageExpression="'packages repository ' + self.name + ' of type Dnf has no suite and no components: remove them, and write all of the path into baseURL'"
// +kubebuilder:validation:XValidation:rule="(has(self.signed) && !self.signed) != has(self.gpgKeySecretRef)",messageExpression="'packages repository ' + self.name + ' needs exactly one of gpgKeySecretRef, which its packages are verified with, and signed: false, which trusts whoever writes to it'"
// +kubebuilder:validation:XValidation:rule="!has(self.signed) || self.signed || !self.baseURL.startsWith('http://')",messageExpression="'packages repository ' + self.name + ' is unsigned and read over http, so that anybody on the way could put packages there: use https, or gpgKeySecretRef'"
type PackageRepository struct {
	// name of the repository.
	// Example: "docker-ce".
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",messageExpression=`'packages repository name ' + self.replace('\n', ' ') + ' is not one: lower-case letters, digits and - , for example docker-ce'`
	Name string `json:"name"`
	// type of the repository: Apt or Dnf. It must be that of the nodes' package
	// manager.
	// +required
	Type PackageManager `json:"type"`
	// baseURL of the repository: http, https or file, without user and query.
	// With file it is a folder of the node. Dnf's $releasever and $basearch may
	// be used.
	// Example: "https://download.docker.com/linux/debian",
	// "file:///srv/packages".
	// +required
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?://([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|[[][0-9a-fA-F:.]+[]])(:[1-9][0-9]{0,4})?|file://)(/([a-zA-Z0-9._~%+@=,:-]|[$](releasever|basearch))*)*$')",messageExpression=`'packages repository baseURL ' + self.replace('\n', ' ') + ' is not an http, https or file URL of host, optional port and path: without user, query and spaces, for example https://download.docker.com/linux/debian or file:///srv/packages'`
	BaseURL string `json:"baseURL"`
	// suite of an Apt repository: a distribution, or a path that ends in / where
	// packages are right in baseURL. Only with type Apt, which needs one.
	// Default: none.
	// Example: "bookworm", "./".
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^([.]|[a-zA-Z0-9][a-zA-Z0-9._+~-]*)(/[a-zA-Z0-9][a-zA-Z0-9._+~-]*)*/?$')",messageExpression=`'packages repository suite ' + self.replace('\n', ' ') + ' is not one: for example bookworm, bookworm/updates or ./'`
	Suite *string `json:"suite,omitempty"`
	// components of an Apt repository. Only with type Apt, and with a suite that
	// does not end in / . Default: none.
	// Example: ["stable"].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Components []RepositoryComponent `json:"components,omitempty"`
	// gpgKeySecretRef names the public key, ASCII-armoured, that the repository
	// (Apt) or its packages (Dnf) are signed with. Default: none, with signed:
	// false.
	// Example: {"name": "docker-ce-key", "key": "key.asc"}.
	// +optional
	GPGKeySecretRef *SecretKeyReference `json:"gpgKeySecretRef,omitempty"`
	// signed: false installs packages from this repository as root without
	// verifying who made them: whoever can write to it owns the node. For a
	// folder of the node or a build's own server; refused with http. Default:
	// true.
	// +optional
	Signed *bool `json:"signed,omitempty"`
}

// RepositoryComponent is a component of an Apt repository.
// Example: "main".
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9][a-zA-Z0-9._+-]*(/[a-zA-Z0-9][a-zA-Z0-9._+-]*)*$')",messageExpression=`'packages repository component ' + self.replace('\n', ' ') + ' is not one: letters, digits and . _ + - , for example main'`
type RepositoryComponent string

// Binary is a program that is downloaded, verified and put at its path in one
// step: the path is at any moment wholly the old or wholly the new program. A
// component (flanneld, dockerd, cri-dockerd, kubelet, kube-proxy) whose
// program is among the binaries runs from that path, and is restarted when
// the program changes. Archives are not unpacked: serve the program itself.
type Binary struct {
	// path on the host, with the rules of files. The owner is root.
	// Example: "/usr/local/bin/kubelet".
	// +required
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/[a-zA-Z0-9._@+-]+)+$') && !self.matches('/[.][.]?(/|$)')",messageExpression=`'binaries path ' + self.replace('\n', ' ') + ' is not a clean absolute path: start with /, no //, no . or .. parts, no trailing /, and only letters, digits and . _ @ + - between, for example /usr/local/bin/kubelet'`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^/(proc|sys|dev|boot|run|etc)(/|$)|^/var/(run|lib/seedbed|lib/kubelet)(/|$)')",messageExpression=`'binaries path ' + self.replace('\n', ' ') + ' is no place for programs: for example /usr/local/bin/kubelet'`
	Path string `json:"path"`
	// url of the program itself: https, http or file, without user and query.
	// With file it is a path of the node. http is as good as https here, since
	// the content is verified.
	// Example: "https://dl.k8s.io/v1.37.2/bin/linux/amd64/kubelet".
	// +required
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?://([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|[[][0-9a-fA-F:.]+[]])(:[1-9][0-9]{0,4})?|file://)(/[a-zA-Z0-9._~%+@=,:-]+)+$')",messageExpression=`'binaries url ' + self.replace('\n', ' ') + ' is not an http, https or file URL of a file: without user, query and spaces, for example https://dl.k8s.io/v1.37.2/bin/linux/amd64/kubelet'`
	URL string `json:"url"`
	// sha256 of the program, in hexadecimal. Nothing is put at path that has
	// another.
	// Example: "5e4b7bb0a1c6c7b0d1dbbd7a2f5a1f4c7f1e2f8a3d0e6b9c4a5f6d7e8c9b0a1f".
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{64}$')",messageExpression=`'binaries sha256 ' + self.replace('\n', ' ') + ' is not a SHA-256: 64 lower-case hexadecimal digits, as sha256sum prints them'`
	SHA256 string `json:"sha256"`
	// mode in octal, with a leading 0; writable by all is refused. Default:
	// "0755".
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^0[0-7][0-7][0145]$')",messageExpression=`'binaries mode ' + self.replace('\n', ' ') + ' is not an octal mode that keeps others from writing: for example "0755"'`
	Mode *string `json:"mode,omitempty"`
}
