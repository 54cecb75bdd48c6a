package resolve

import (
	"path"
	"slices"
	"strings"
)

// Paths that Seedbed owns on a node. Package render writes them; a user's file at one of them is
// refused here.
const (
	PathDaemonJSON       = "/etc/docker/daemon.json"
	PathCertsD           = "/etc/docker/certs.d"
	PathRootDockerConfig = "/root/.docker/config.json"
	PathDockerProxyEnv   = "/etc/seedbed/docker-proxy.env"

	PathFlannelNetConf    = "/etc/kube-flannel/net-conf.json"
	PathFlannelKubeconfig = "/etc/kubernetes/flannel.kubeconfig"
	PathFlannelEtcdCA     = "/etc/seedbed/flannel-etcd/ca.crt"
	PathFlannelEtcdCert   = "/etc/seedbed/flannel-etcd/client.crt"
	PathFlannelEtcdKey    = "/etc/seedbed/flannel-etcd/client.key"
	PathSubnetEnv         = "/run/flannel/subnet.env"
	// PathLastLease is the agent's copy of the last subnet.env, since /run is empty after a boot.
	PathLastLease     = "/var/lib/seedbed/flannel-subnet.env"
	PathDockerOptsEnv = "/run/seedbed/docker-opts.env"
	// PathDockerSocket is where dockerd answers.
	PathDockerSocket = "/run/docker.sock"

	PathClusterCA           = "/etc/kubernetes/pki/ca.crt"
	PathKubeletClientCA     = "/etc/kubernetes/pki/kubelet-client-ca.crt"
	PathKubeletServingCert  = "/etc/kubernetes/pki/kubelet-serving.crt"
	PathKubeletServingKey   = "/etc/kubernetes/pki/kubelet-serving.key"
	PathKubeletConfig       = "/var/lib/kubelet/config.yaml"
	PathKubeletDockerConfig = "/var/lib/kubelet/config.json"
	PathKubeletKubeconfig   = "/etc/kubernetes/kubelet.kubeconfig"
	// PathKubeletClient is the certificate that the kubelet obtains and renews by itself.
	PathKubeletClient = "/var/lib/kubelet/pki/kubelet-client-current.pem"
	// PathKubeletServer is the certificate that the kubelet serves with, where it requests that from the cluster.
	PathKubeletServer    = "/var/lib/kubelet/pki/kubelet-server-current.pem"
	PathKubeletBootstrap = "/etc/kubernetes/bootstrap-kubelet.kubeconfig"

	PathKubeProxyConfig     = "/var/lib/kube-proxy/config.yaml"
	PathKubeProxyKubeconfig = "/etc/kubernetes/kube-proxy.kubeconfig"

	// PathClientPKI has the client certificates that the agent obtains and renews, each with its key
	// in one file. Joining obtains the first, the agent's own.
	PathClientPKI       = "/var/lib/seedbed/pki"
	PathAgentClient     = PathClientPKI + "/agent-client-current.pem"
	PathFlannelClient   = PathClientPKI + "/flannel-client-current.pem"
	PathKubeProxyClient = PathClientPKI + "/kube-proxy-client-current.pem"
	// PathAgentKubeconfig is what joining writes and the agent talks to the API server by.
	PathAgentKubeconfig = "/var/lib/seedbed/agent.kubeconfig"

	// Repositories and their keys are Prefix + NAME + what the package manager wants.
	PathAptSources = "/etc/apt/sources.list.d/seedbed-"
	PathAptKeys    = "/etc/apt/keyrings/seedbed-"
	PathDnfRepos   = "/etc/yum.repos.d/seedbed-"
	PathDnfKeys    = "/etc/pki/rpm-gpg/RPM-GPG-KEY-seedbed-"

	PathModules = "/etc/modules-load.d/seedbed.conf"
	PathSysctls = "/etc/sysctl.d/90-seedbed.conf"

	// UnitFolder is where an administrator's units are; they win over a package's.
	UnitFolder = "/etc/systemd/system"
	// DropInName is the file in a unit's .d folder that extends a package's unit. systemd reads
	// drop-ins by name, whatever their folder, and the last ExecStart= wins: "zz" sorts after the
	// override.conf of `systemctl edit`, and after names that begin with a number.
	DropInName = "zz-seedbed.conf"

	// WaitDropInName is the file in a component's .d folder that keeps systemd from starting it before
	// Seedbed has configured it.
	WaitDropInName = "00-seedbed-wait.conf"

	// PathSeedbed is this program.
	PathSeedbed = "/usr/local/bin/seedbed"
)

// Units that Seedbed owns.
const (
	UnitFlannel    = "flanneld.service"
	UnitDockerOpts = "seedbed-docker-opts.service"
	UnitDocker     = "docker.service"
	// UnitDockerSocket is a package's; it starts docker again when somebody connects.
	UnitDockerSocket = "docker.socket"
	UnitCRIDockerd   = "cri-docker.service"
	UnitCRISocket    = "cri-docker.socket"
	UnitKubelet      = "kubelet.service"
	UnitKubeProxy    = "kube-proxy.service"
	UnitAgent        = "seedbed-agent.service"
)

var ownedUnits = []string{
	UnitFlannel, UnitDockerOpts, UnitDocker, UnitDockerSocket, UnitCRIDockerd, UnitCRISocket, UnitKubelet, UnitKubeProxy,
	UnitAgent,
}

// ownedPaths are paths that Seedbed writes or that belong to the components' own state.
var ownedPaths = []string{
	PathDaemonJSON, PathRootDockerConfig, PathFlannelNetConf, PathFlannelKubeconfig,
	PathClusterCA, PathKubeletClientCA, PathKubeletServingCert, PathKubeletServingKey, PathKubeletConfig,
	PathKubeletDockerConfig, PathKubeletKubeconfig, PathKubeletBootstrap, PathKubeProxyConfig, PathKubeProxyKubeconfig,
	PathModules, PathSysctls, PathSeedbed,
}

// forbiddenFolders are folders in which no user's file is written: the kernel's, the system's
// accounts, what a reboot empties, and Seedbed's and the components' own.
var forbiddenFolders = []string{
	"/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib/seedbed", "/etc/seedbed", "/var/lib/kubelet", "/var/lib/kube-proxy",
	PathCertsD, "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/machine-id",
}

// owner says who a path belongs to if a user's file may not be there.
func owner(p string) (who string, owned bool) {
	if slices.Contains(ownedPaths, p) {
		return "Seedbed writes it", true
	}
	for _, folder := range forbiddenFolders {
		if under(p, folder) {
			return folder + " is not a place for files of users", true
		}
	}
	for _, prefix := range []string{PathAptSources, PathAptKeys, PathDnfRepos, PathDnfKeys} {
		if strings.HasPrefix(p, prefix) {
			return "it is kept for packages.repositories", true
		}
	}
	// A drop-in or a link is as good as the unit itself, wherever systemd looks for it.
	for _, folder := range []string{UnitFolder, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		if !under(p, folder) {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(p, folder+"/"), "/")
		if unit := strings.TrimSuffix(first, ".d"); ownedUnit(unit) {
			return "it belongs to " + unit + ", which Seedbed writes", true
		}
	}
	return "", false
}

// ownedUnit is true for the units that Seedbed writes, and for names that it keeps for itself.
func ownedUnit(name string) bool {
	return slices.Contains(ownedUnits, name) || strings.HasPrefix(name, "seedbed-")
}

// under is true for the folder itself and everything below it.
func under(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// cleanPath is true for an absolute path without empty, "." and ".." parts.
func cleanPath(p string) bool { return path.IsAbs(p) && path.Clean(p) == p && p != "/" }
