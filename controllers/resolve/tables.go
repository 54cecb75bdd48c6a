package resolve

// Which setting has which owner. One table for each program: a setting that is in a table is
// refused where a user could give it a second time, with the field named that sets it.

// flannelFlags are those of flannel's main.go (0.28).
var flannelFlags = flagSet{
	singleDash: true,
	owned: map[string]string{
		"etcd-endpoints":  "NetworkConfig subnetManager.etcd.endpoints",
		"etcd-prefix":     "NetworkConfig subnetManager.etcd.prefix",
		"etcd-cafile":     "NetworkConfig subnetManager.etcd.tls",
		"etcd-certfile":   "NetworkConfig subnetManager.etcd.tls",
		"etcd-keyfile":    "NetworkConfig subnetManager.etcd.tls",
		"etcd-username":   "NetworkConfig subnetManager.etcd.tls (a command line is no place for names and passwords)",
		"etcd-password":   "NetworkConfig subnetManager.etcd.tls (a command line is no place for names and passwords)",
		"iface":           "NetworkConfig interface",
		"iface-regex":     "NetworkConfig interface",
		"iface-can-reach": "NetworkConfig interface",
		"public-ip":       "NetworkConfig interface",
		"subnet-file":     "its fixed path " + PathSubnetEnv,
		"ip-masq":         "its fixed value true: docker would hide pods from each other",
		"kube-subnet-mgr": "NetworkConfig subnetManager.type",
		"kube-api-url":    "NodeConfig kubernetes.apiServer",
		"kubeconfig-file": "NodeConfig kubernetes.apiServer",
		"net-config-path": "its fixed path " + PathFlannelNetConf,
		"healthz-ip":      "its fixed address",
		"healthz-port":    "its fixed port",
		"v":               "NodeConfig flannel.logLevel",
	},
	switches: []string{"kube-subnet-mgr", "ip-masq"},
}

// criDockerdFlags are those of cri-dockerd's options.go (0.4).
var criDockerdFlags = flagSet{
	owned: map[string]string{
		"container-runtime-endpoint": "its fixed socket",
		"network-plugin":             "its fixed value: pods are on docker0, without CNI",
		"hairpin-mode":               "NetworkConfig hairpin",
		"pod-infra-container-image":  "NodeConfig criDockerd.podInfraImage",
		"docker-endpoint":            "its fixed socket",
		"cni-bin-dir":                "nothing: there is no CNI here",
		"cni-conf-dir":               "nothing: there is no CNI here",
		"cni-cache-dir":              "nothing: there is no CNI here",
		"network-plugin-mtu":         "flannel's lease, through docker0",
		"pod-cidr":                   "flannel's lease, through docker0",
	},
}

// kubeletFlags: removed ones by the changelogs, see docs/reference; owned ones are set as flags or
// as fields of KubeletConfiguration, which a flag would silently override.
var kubeletFlags = flagSet{
	owned: map[string]string{
		"config":                       "its fixed path " + PathKubeletConfig,
		"config-dir":                   "NodeConfig kubelet.config, where drop-ins would override it unseen",
		"kubeconfig":                   "its fixed path " + PathKubeletKubeconfig,
		"bootstrap-kubeconfig":         "NodeConfig kubelet.bootstrapTokenSecretRef",
		"hostname-override":            "the node's name (SB022)",
		"node-ip":                      "NetworkConfig interface",
		"node-labels":                  "NodeConfig node.labels",
		"register-with-taints":         "NodeConfig node.taints",
		"address":                      "NodeConfig kubelet.bindAddress",
		"cgroup-driver":                "NodeConfig docker.cgroupDriver (SB028)",
		"cluster-dns":                  "NetworkConfig dns",
		"cluster-domain":               "NetworkConfig dns",
		"container-runtime-endpoint":   "cri-dockerd's socket",
		"hairpin-mode":                 "NetworkConfig hairpin",
		"max-pods":                     "NodeConfig kubelet.maxPods",
		"fail-cgroupv1":                "NodeConfig kubelet.failCgroupV1",
		"anonymous-auth":               "its fixed value false",
		"authentication-token-webhook": "its fixed value true",
		"authorization-mode":           "its fixed value Webhook",
		"client-ca-file":               "NodeConfig kubelet.clientCASecretRef",
		"tls-cert-file":                "NodeConfig kubelet.serving",
		"tls-private-key-file":         "NodeConfig kubelet.serving",
		"rotate-server-certificates":   "NodeConfig kubelet.serving.rotate",
		"rotate-certificates":          "its fixed value true",
		"feature-gates":                "NodeConfig kubelet.config featureGates, which a flag would replace",
	},
	switches: []string{"anonymous-auth", "authentication-token-webhook", "rotate-server-certificates", "rotate-certificates", "fail-cgroupv1"},
	removed: map[string]removal{
		"api-servers":                  {"1.8", "kubernetes.apiServer sets the server"},
		"require-kubeconfig":           {"1.10", "remove it"},
		"allow-privileged":             {"1.15", "Pod Security admission decides"},
		"network-plugin":               {"1.24", "cri-dockerd has it, and Seedbed sets it"},
		"network-plugin-mtu":           {"1.24", "flannel's lease sets the MTU"},
		"cni-bin-dir":                  {"1.24", "there is no CNI here"},
		"cni-conf-dir":                 {"1.24", "there is no CNI here"},
		"cni-cache-dir":                {"1.24", "there is no CNI here"},
		"docker-endpoint":              {"1.24", "use criDockerd.extraArgs"},
		"image-pull-progress-deadline": {"1.24", "use criDockerd.extraArgs"},
		"non-masquerade-cidr":          {"1.24", "flannel's ip-masq decides"},
		"logtostderr":                  {"1.26", "the journal has the log"},
		"alsologtostderr":              {"1.26", "the journal has the log"},
		"stderrthreshold":              {"1.26", "the journal has the log"},
		"log-dir":                      {"1.26", "the journal has the log"},
		"log-file":                     {"1.26", "the journal has the log"},
		"log-file-max-size":            {"1.26", "the journal has the log"},
		"log-backtrace-at":             {"1.26", "the journal has the log"},
		"add-dir-header":               {"1.26", "the journal has the log"},
		"skip-headers":                 {"1.26", "the journal has the log"},
		"skip-log-headers":             {"1.26", "the journal has the log"},
		"one-output":                   {"1.26", "the journal has the log"},
		"container-runtime":            {"1.27", "remove it"},
		"master-service-namespace":     {"1.28", "remove it"},
		"keep-terminated-pod-volumes":  {"1.31", "remove it"},
		"cloud-config":                 {"1.34", "cloud providers run outside the kubelet"},
		"pod-infra-container-image":    {"1.35", "use criDockerd.podInfraImage"},
	},
}

// kubeProxyFlags has what a package's unit might set; users give no flags to kube-proxy.
var kubeProxyFlags = flagSet{
	owned: map[string]string{
		"config":            "its fixed path " + PathKubeProxyConfig,
		"kubeconfig":        "its fixed path " + PathKubeProxyKubeconfig,
		"master":            "NodeConfig kubernetes.apiServer",
		"bind-address":      "NodeConfig kubeProxy.bindAddress",
		"cluster-cidr":      "NetworkConfig podCIDR",
		"hostname-override": "the node's name (SB022)",
		"proxy-mode":        "NodeConfig kubeProxy.mode",
		"masquerade-all":    "NetworkConfig masquerade",
	},
	switches: []string{"masquerade-all"},
}

// dockerKeys are the keys of daemon.json that Seedbed sets itself, in the file or as a flag, or
// that would undo what it sets.
var dockerKeys = map[string]string{
	"bip":                      "flannel's lease",
	"mtu":                      "flannel's lease",
	"ip-masq":                  "flannel's lease (flannel masquerades; both would hide pods from each other)",
	"iptables":                 "its default true (off, host ports of pods are refused, SB016)",
	"bridge":                   "docker0, whose address is flannel's lease",
	"fixed-cidr":               "flannel's lease",
	"default-gateway":          "flannel's lease",
	"hosts":                    "dockerd's unit, which already has -H (SB015)",
	"registry-mirrors":         "docker.registryMirrors",
	"max-concurrent-downloads": "docker.maxConcurrentDownloads",
	"live-restore":             "docker.liveRestore",
	"ip-forward":               "docker.ipForward",
	"log-driver":               "docker.logDriver.name",
	"log-opts":                 "docker.logDriver.options",
	"data-root":                "docker.dataRoot",
	"graph":                    "docker.dataRoot",
	"proxies":                  "docker.proxy, since URLs of proxies can hold passwords",
	"http-proxy":               "docker.proxy, since URLs of proxies can hold passwords",
	"https-proxy":              "docker.proxy, since URLs of proxies can hold passwords",
	"no-proxy":                 "docker.proxy",
}

// dockerFlagKeys are flags whose key in daemon.json has another name (moby, opts.NamedOption).
var dockerFlagKeys = map[string]string{
	"host": "hosts", "registry-mirror": "registry-mirrors", "insecure-registry": "insecure-registries",
	"log-opt": "log-opts", "exec-opt": "exec-opts", "storage-opt": "storage-opts", "label": "labels",
	"dns-opt": "dns-opts", "default-ulimit": "default-ulimits", "add-runtime": "runtimes",
	"authorization-plugin": "authorization-plugins", "node-generic-resource": "node-generic-resources",
	"cdi-spec-dir": "cdi-spec-dirs", "default-address-pool": "default-address-pools",
	"default-network-opt": "default-network-opts", "host-gateway-ip": "host-gateway-ips",
}

// dockerShort are the short flags of dockerd 26.
var dockerShort = map[string]string{
	"b": "bridge", "g": "graph", "G": "group", "H": "host", "s": "storage-driver", "D": "debug", "l": "log-level", "p": "pidfile",
}

// dockerSwitches are the flags of dockerd 26 that take no separate value.
var dockerSwitches = []string{
	"cri-containerd", "debug", "experimental", "icc", "init", "ip-forward", "ip-forward-no-drop",
	"ip-masq", "ip6tables", "iptables", "ipv6", "live-restore", "no-new-privileges", "raw-logs", "restart", "rootless",
	"selinux-enabled", "tls", "tlsverify", "userland-proxy", "allow-direct-routing",
}

// dockerFlatKeys are objects in daemon.json that are one setting; dockerd takes every other object
// apart and looks at the keys in it (moby, daemon/config, flatOptions).
var dockerFlatKeys = []string{
	"cluster-store-opts", "default-network-opts", "log-opts", "runtimes", "default-ulimits", "features", "builder",
}

// dockerKnownKeys are further keys of daemon.json and the docker release that brought them; 0 is
// before 23. dockerd refuses to start on a key it does not know.
var dockerKnownKeys = map[string]uint{
	"allow-direct-routing": 28, "allow-nondistributable-artifacts": 0, "api-cors-header": 0, "authorization-plugins": 0,
	"bip6": 28, "bridge-accept-fwmark": 28, "builder": 0, "cdi-spec-dirs": 25, "cgroup-parent": 0, "containerd": 0,
	"containerd-namespace": 0, "containerd-plugins-namespace": 0, "cpu-rt-period": 0, "cpu-rt-runtime": 0, "cri-containerd": 0,
	"debug": 0, "default-address-pools": 0, "default-cgroupns-mode": 0, "default-gateway-v6": 0, "default-ipc-mode": 0,
	"default-network-opts": 24, "default-runtime": 0, "default-shm-size": 0, "default-ulimits": 0, "dns": 0, "dns-opts": 0,
	"dns-search": 0, "exec-opts": 0, "exec-root": 0, "experimental": 0, "features": 0, "firewall-backend": 29,
	"fixed-cidr-v6": 0, "group": 0, "host-gateway-ip": 0, "host-gateway-ips": 28, "icc": 0, "init": 0, "init-path": 0,
	"insecure-registries": 0, "ip": 0, "ip-forward-no-drop": 28, "ip6tables": 0, "ipv6": 0, "labels": 0, "log-format": 25,
	"log-level": 0, "max-concurrent-uploads": 0, "max-download-attempts": 0, "metrics-addr": 0, "min-api-version": 29,
	"network-control-plane-mtu": 0, "network-diagnostic-port": 0, "no-new-privileges": 0, "node-generic-resources": 0,
	"pidfile": 0, "raw-logs": 0, "runtimes": 0, "seccomp-profile": 0, "selinux-enabled": 0, "shutdown-timeout": 0,
	"storage-driver": 0, "storage-opts": 0, "swarm-default-advertise-addr": 0, "tls": 0, "tlscacert": 0, "tlscert": 0,
	"tlskey": 0, "tlsverify": 0, "userland-proxy": 0, "userland-proxy-path": 0, "userns-remap": 0,
}

// kubeletFields are the fields of KubeletConfiguration that Seedbed sets.
var kubeletFields = map[string]string{
	"address":                          "kubelet.bindAddress",
	"authentication.anonymous.enabled": "its fixed value false",
	"authentication.webhook.enabled":   "its fixed value true",
	"authentication.x509.clientCAFile": "kubelet.clientCASecretRef",
	"authorization.mode":               "its fixed value Webhook",
	"cgroupDriver":                     "docker.cgroupDriver (SB028)",
	"clusterDNS":                       "NetworkConfig dns",
	"clusterDomain":                    "NetworkConfig dns",
	"containerRuntimeEndpoint":         "cri-dockerd's socket",
	"failCgroupV1":                     "kubelet.failCgroupV1",
	"hairpinMode":                      "NetworkConfig hairpin (cri-dockerd does it; the kubelet's field does nothing)",
	"maxPods":                          "kubelet.maxPods",
	"podCIDR":                          "flannel's lease",
	"registerWithTaints":               "node.taints",
	"rotateCertificates":               "its fixed value true",
	"serverTLSBootstrap":               "kubelet.serving.rotate",
	"tlsCertFile":                      "kubelet.serving.certSecretRef",
	"tlsPrivateKeyFile":                "kubelet.serving.keySecretRef",
}

// kubeProxyFields are the fields of KubeProxyConfiguration that Seedbed sets.
var kubeProxyFields = map[string]string{
	"bindAddress":                     "kubeProxy.bindAddress",
	"clientConnection.kubeconfig":     "its fixed path " + PathKubeProxyKubeconfig,
	"clusterCIDR":                     "NetworkConfig podCIDR (SB006)",
	"conntrack.maxPerCore":            "kubeProxy.conntrack.maxPerCore",
	"conntrack.min":                   "kubeProxy.conntrack.min",
	"conntrack.tcpEstablishedTimeout": "kubeProxy.conntrack.tcpEstablishedTimeout",
	"detectLocal":                     "NetworkConfig masquerade",
	"detectLocalMode":                 "NetworkConfig masquerade",
	"hostnameOverride":                "the node's name (SB022)",
	"iptables.masqueradeAll":          "NetworkConfig masquerade",
	"mode":                            "kubeProxy.mode",
	"nftables.masqueradeAll":          "NetworkConfig masquerade",
}

// kubeletFieldSince has the fields of KubeletConfiguration that came after 1.29, by the minor that
// brought them (k8s.io/kubelet/config/v1beta1 of each release). KubeProxyConfiguration has gained
// none that matters on Linux.
var kubeletFieldSince = map[string]uint{
	"containerLogMaxWorkers": 30, "containerLogMonitorInterval": 30, "podLogsDir": 30,
	"crashLoopBackOff": 32, "singleProcessOOMKill": 32,
	"imagePullCredentialsVerificationPolicy": 33, "mergeDefaultEvictionSettings": 33,
	"preloadedImagesVerificationAllowlist": 33, "userNamespaces": 33,
	"memoryReservationPolicy": 36, "tlsCurvePreferences": 36,
	"defaultPodSysctls": 37,
}
