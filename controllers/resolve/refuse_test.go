package resolve_test

import (
	"fmt"
	"strings"
	"testing"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
)

func TestNetworksThatCannotWorkAreRefused(t *testing.T) {
	refuse(t, "guide", map[string]refusal{
		"Overlap":        {"two owners of one address", network(func(n *v1alpha1.NetworkConfigSpec) { n.ServiceCIDR = "172.30.5.0/24"; n.DNS = nil }), "", "network.serviceCIDR", "overlaps"},
		"HostBits":       {"which range is meant?", network(func(n *v1alpha1.NetworkConfigSpec) { n.PodCIDR = "172.30.1.0/16" }), "", "network.podCIDR", "host bits"},
		"IPv6":           {"docker0 carries IPv4", network(func(n *v1alpha1.NetworkConfigSpec) { n.PodCIDR = "fd00::/48" }), "", "network.podCIDR", "IPv4"},
		"DNSOutside":     {"no Service can have it", network(func(n *v1alpha1.NetworkConfigSpec) { n.DNS.ServiceIP = "10.255.0.2" }), "", "network.dns.serviceIP", "inside serviceCIDR"},
		"DNSDomain":      {"a line of resolv.conf", network(func(n *v1alpha1.NetworkConfigSpec) { n.DNS.Domain = new("a b") }), "", "network.dns.domain", "domain name"},
		"NodeInPods":     {"the node's address would be a pod's", network(func(n *v1alpha1.NetworkConfigSpec) { n.PodCIDR = "10.64.0.0/16" }), "", "facts.interfaces.eth4", "podCIDR"},
		"NodeInServices": {"the node's address would be a Service's", network(func(n *v1alpha1.NetworkConfigSpec) { n.ServiceCIDR = "10.64.0.0/16"; n.DNS = nil }), "", "facts.interfaces.eth4", "serviceCIDR"},
		"APIInServices":  {"the API server could not be reached", both(network(func(n *v1alpha1.NetworkConfigSpec) { n.ServiceCIDR = "10.96.0.0/16"; n.DNS = nil }), node(func(n *v1alpha1.NodeConfigSpec) { n.Kubernetes.APIServer = "https://10.96.0.1" })), "", "kubernetes.apiServer", "serviceCIDR"},
		"SubnetLength":   {"a node's share must be smaller than the whole", network(func(n *v1alpha1.NetworkConfigSpec) { n.PodSubnetLength = new(int32(16)) }), "", "network.podSubnetLength", "divide"},
		"MasqueradeNone": {"replies are dropped by a strict filter (SB004)", network(func(n *v1alpha1.NetworkConfigSpec) {
			n.Masquerade, n.ReversePathFilter = new(v1alpha1.MasqueradeNone), new(v1alpha1.ReversePathStrict)
		}), "", "network.reversePathFilter", "SB004"},
		"Enum": {"admission is not a trust boundary", network(func(n *v1alpha1.NetworkConfigSpec) { n.Hairpin = new(v1alpha1.HairpinMode("x --y")) }), "", "network.hairpin", "not one of"},
		"MTU": {"flannel would not look at it", network(func(n *v1alpha1.NetworkConfigSpec) {
			n.Backend = &v1alpha1.FlannelBackend{Type: new(v1alpha1.BackendUDP), MTU: new(int32(1400))}
		}), "", "network.backend.mtu", "no effect with backend.type UDP"},
		"EtcdEndpoint": {"a second endpoint smuggled in", network(func(n *v1alpha1.NetworkConfigSpec) {
			n.SubnetManager.Etcd.Endpoints = []v1alpha1.EtcdEndpoint{"http://10.64.3.7:2379,http://evil:1"}
		}), "", "network.subnetManager.etcd.endpoints[0]", "not a URL"},
		"EtcdSubnets": {"flannel wants four subnets at least", network(func(n *v1alpha1.NetworkConfigSpec) { n.PodSubnetLength = new(int32(17)) }), "", "network.podSubnetLength", "at least 18"},
		"EtcdPrefix":  {"not a key", network(func(n *v1alpha1.NetworkConfigSpec) { n.SubnetManager.Etcd.Prefix = new("/a b") }), "", "network.subnetManager.etcd.prefix", "prefix"},
		"EtcdNothing": {"Etcd without endpoints", network(func(n *v1alpha1.NetworkConfigSpec) { n.SubnetManager.Etcd = nil }), "", "network.subnetManager.etcd", "endpoints"},
		"PlainServer": {"nobody could verify it (SB021)", node(func(n *v1alpha1.NodeConfigSpec) { n.Kubernetes.APIServer = "http://10.64.3.7:8080" }), "", "kubernetes.apiServer", "https"},
		"ServerPath":  {"only host and port", node(func(n *v1alpha1.NodeConfigSpec) { n.Kubernetes.APIServer = "https://10.64.3.7:6443/x?y" }), "", "kubernetes.apiServer", "just https"},
		"NodeName":    {"it becomes a flag and a Node", func(_ *testing.T, in *resolve.Input) { in.NodeName = "Node A" }, "", "nodeName", "lower-case"},
		"Renderer":    {"another release's rules", func(_ *testing.T, in *resolve.Input) { in.Revision.Renderer++ }, "", "renderer", "same release"},
	})
}

func TestVersionsThatDoNotFitAreRefused(t *testing.T) {
	unsupported := v1alpha1.ReasonVersionUnsupported
	refuse(t, "guide", map[string]refusal{
		"Missing":       {"say where it was looked for", facts(func(f *v1alpha1.Facts) { f.Components = f.Components[:4] }), v1alpha1.ReasonComponentMissing, "facts.components.kube-proxy", "/usr/local/bin"},
		"NoVersion":     {"flags depend on it", version("docker", ""), unsupported, "facts.components.docker.version", "--version"},
		"BadVersion":    {"not a version", version("docker", "newest"), "", "facts.components.docker.version", "not a version"},
		"KubeletMinor":  {"another minor has other fields", version("kubelet", "v1.36.2"), unsupported, "facts.components.kubelet.version", "v1.37.2"},
		"ProxyMinor":    {"another minor has other fields", version("kube-proxy", "v1.38.0"), unsupported, "facts.components.kube-proxy.version", "v1.37.2"},
		"OldKubernetes": {"the present layout begins with 1.29", node(func(n *v1alpha1.NodeConfigSpec) { n.Kubernetes.Version = "v1.28.9" }), unsupported, "kubernetes.version", "v1.29.0"},
		"SB008":         {"flannel.1 with the mask /16", version("flannel", "0.6.2"), unsupported, "facts.components.flannel.version", "SB008"},
		"FlannelEtcd2":  {"the v2 API", version("flannel", "0.20.2"), unsupported, "facts.components.flannel.version", "v2 API"},
		"OldDocker":     {"cri-dockerd 0.4.3 speaks API 1.44", version("docker", "24.0.9"), unsupported, "facts.components.cri-dockerd.version", "25.0.0"},
		"CRI041":        {"0.4.1 speaks API 1.46", version("cri-dockerd", "0.4.1"), unsupported, "facts.components.cri-dockerd.version", "27.0.0"},
		"CRI03WithD29":  {"docker 29 has dropped API 1.43", both(version("cri-dockerd", "0.3.15"), version("docker", "29.1.0")), unsupported, "facts.components.cri-dockerd.version", "min-api-version"},
		"CRI02":         {"no CRI v1", version("cri-dockerd", "0.2.6"), unsupported, "facts.components.cri-dockerd.version", "CRI v1"},
		"SB028":         {"kubelet 1.35 and later do not start on cgroup v1", facts(func(f *v1alpha1.Facts) { f.Cgroup = "v1" }), unsupported, "kubelet.failCgroupV1", "SB028"},
		"NFTKernel":     {"kube-proxy would exit", both(node(func(n *v1alpha1.NodeConfigSpec) { n.KubeProxy.Mode = new(v1alpha1.ProxyModeNFTables) }), facts(func(f *v1alpha1.Facts) { f.Kernel = "5.10.0-8-amd64" })), unsupported, "kubeProxy.mode", "5.13"},
	})
	at := func(v string) func(*testing.T, *resolve.Input) {
		return both(version("kubelet", v), version("kube-proxy", v), node(func(n *v1alpha1.NodeConfigSpec) { n.Kubernetes.Version = v }))
	}
	refuse(t, "guide", map[string]refusal{
		"NFTVersion":      {"a preview before 1.33", both(at("v1.32.1"), node(func(n *v1alpha1.NodeConfigSpec) { n.KubeProxy.Mode = new(v1alpha1.ProxyModeNFTables) })), unsupported, "kubeProxy.mode", "1.33"},
		"FailCgroupField": {"the field is of 1.31", both(at("v1.30.1"), node(func(n *v1alpha1.NodeConfigSpec) { n.Kubelet = &v1alpha1.Kubelet{FailCgroupV1: new(false)} })), unsupported, "kubelet.failCgroupV1", "1.31"},
		"FieldSince": {"a field of 1.32 on 1.31", both(at("v1.31.1"), node(func(n *v1alpha1.NodeConfigSpec) {
			n.Kubelet = &v1alpha1.Kubelet{Config: raw(`{"crashLoopBackOff":{}}`)}
		})), unsupported, "kubelet.config.crashLoopBackOff", "1.32"},
		"PauseFlag": {"a flag that 1.35 removed", both(at("v1.35.0"), node(func(n *v1alpha1.NodeConfigSpec) {
			n.Kubelet = &v1alpha1.Kubelet{ExtraArgs: []v1alpha1.Argument{"--pod-infra-container-image=x"}}
		})), unsupported, "kubelet.extraArgs[0]", "1.35"},
	})
}

func TestVersionsThatFitAreTaken(t *testing.T) {
	for name, edit := range map[string]func(*testing.T, *resolve.Input){
		"cri-dockerd 0.3.15 with docker 24":                     both(version("cri-dockerd", "0.3.15"), version("docker", "24.0.9")),
		"cri-dockerd 0.3.15 with docker 29 and min-api-version": both(version("cri-dockerd", "0.3.15"), version("docker", "29.0.1"), node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.DaemonConfig = raw(`{"min-api-version":"1.24"}`) })),
		"cri-dockerd 0.4.1 with docker 27":                      both(version("cri-dockerd", "0.4.1"), version("docker", "27.0.0")),
		"cri-dockerd 0.4.2 with docker 25":                      both(version("cri-dockerd", "0.4.2"), version("docker", "25.0.3")),
		"cgroup v1 with failCgroupV1 false":                     both(facts(func(f *v1alpha1.Facts) { f.Cgroup = "v1" }), node(func(n *v1alpha1.NodeConfigSpec) { n.Kubelet = &v1alpha1.Kubelet{FailCgroupV1: new(false)} })),
		"another patch of the same minor":                       version("kubelet", "v1.37.9"),
		"flannel 0.20 with the Kubernetes subnet manager":       both(version("flannel", "v0.20.2"), network(func(n *v1alpha1.NetworkConfigSpec) { n.SubnetManager = nil })),
	} {
		in := resolvetest.Load(t, "guide")
		edit(t, &in)
		if _, err := resolve.Resolve(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsThatCannotBeUsedAreRefusedWithoutBeingShown(t *testing.T) {
	otherCert, otherKey := resolvetest.Pair(t, 77)
	cases := map[string]refusal{
		"Missing":      {"the Secret is not there", func(_ *testing.T, in *resolve.Input) { in.Secrets = resolve.NewSecrets(nil) }, v1alpha1.ReasonSecretNotFound, "kubernetes.caSecretRef", "seedbed-system"},
		"Empty":        {"the key is there, and empty", secret("cluster-ca", "ca.crt", ""), "", "kubernetes.caSecretRef", "empty"},
		"NotPEM":       {"text that is no PEM", secret("cluster-ca", "ca.crt", "canary"), "", "kubernetes.caSecretRef", "PEM"},
		"BrokenPEM":    {"PEM around something else", secret("cluster-ca", "ca.crt", "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n"), "", "kubernetes.caSecretRef", "not a certificate"},
		"KeyAsCA":      {"a private key would be readable by everybody", secret("registry", "ca.crt", otherCert+otherKey), "", "docker.registries[1].caSecretRef", "not a certificate"},
		"Trailing":     {"something after the last block", secret("cluster-ca", "ca.crt", otherCert+"canary"), "", "kubernetes.caSecretRef", "nothing after"},
		"OtherKey":     {"the key of another certificate", secret("serving", "tls.key", otherKey), "", "kubelet.serving.keySecretRef", "private key of the certificate"},
		"EtcdKey":      {"the key of another certificate", secret("etcd-client", "tls.key", "canary"), "", "network.subnetManager.etcd.tls.keySecretRef", "private key of the certificate"},
		"Token":        {"not the grammar of a token", secret("bootstrap", "token", "canary.CANARY"), "", "kubelet.bootstrapTokenSecretRef", "bootstrap token"},
		"TokenLine":    {"a second line in a kubeconfig", secret("bootstrap", "token", "canary.0123456789abcdef\nx: y"), "", "kubelet.bootstrapTokenSecretRef", "bootstrap token"},
		"ProxyNoHost":  {"no host", secret("proxy", "url", "http:///canary"), "", "docker.proxy.httpProxySecretRef", "URL of a proxy"},
		"ProxyScheme":  {"not a proxy's scheme", secret("proxy", "url", "ftp://canary:21"), "", "docker.proxy.httpsProxySecretRef", "URL of a proxy"},
		"ProxyLine":    {"a second variable in the environment", secret("proxy", "url", "http://canary:1\nLD_PRELOAD=/x"), "", "docker.proxy.httpProxySecretRef", "URL of a proxy"},
		"LoginNotJSON": {"not docker's config.json", secret("registry-login", ".dockerconfigjson", "canary"), "", "docker.registries[1].credentialsSecretRef", "config.json"},
		"LoginHost":    {"no entry for the host", secret("registry-login", ".dockerconfigjson", `{"auths":{"canary.example.com":{"auth":"YTpi"}}}`), "", "docker.registries[1].credentialsSecretRef", "no entry for 10.64.3.7:8000"},
		"LoginAuth":    {"not base64 of user:password", secret("registry-login", ".dockerconfigjson", `{"auths":{"10.64.3.7:8000":{"auth":"canary"}}}`), "", "docker.registries[1].credentialsSecretRef", "usable auth"},
		"FileSecret":   {"contents from a Secret that is not there", node(func(n *v1alpha1.NodeConfigSpec) { n.Files[1].ContentsSecretRef.Key = "other" }), v1alpha1.ReasonSecretNotFound, "files[1].contentsSecretRef", "no such"},
	}
	refuse(t, "full", cases)
	for name, tc := range cases {
		in := resolvetest.Load(t, "full")
		tc.edit(t, &in)
		if _, err := resolve.Resolve(in); err == nil || strings.Contains(strings.ToLower(err.Error()), "canary") {
			t.Errorf("%s: the message shows the Secret: %v", name, err)
		}
	}
}

func TestNoSettingHasTwoOwners(t *testing.T) {
	daemon := func(json string) func(*testing.T, *resolve.Input) {
		return node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.DaemonConfig = raw(json) })
	}
	kubelet := func(k v1alpha1.Kubelet) func(*testing.T, *resolve.Input) {
		return node(func(n *v1alpha1.NodeConfigSpec) { n.Kubelet = &k })
	}
	args := func(a ...v1alpha1.Argument) []v1alpha1.Argument { return a }
	cases := map[string]refusal{
		"DaemonNested":    {"dockerd takes objects apart", daemon(`{"x":{"bip":"1.2.3.4/24"}}`), "", "docker.daemonConfig.x.bip", "lease"},
		"DaemonUnknown":   {"dockerd would not start", daemon(`{"mirrors":1}`), "", "docker.daemonConfig.mirrors", "does not know"},
		"DaemonTooNew":    {"a key of docker 28", daemon(`{"ip-forward-no-drop":true}`), v1alpha1.ReasonVersionUnsupported, "docker.daemonConfig.ip-forward-no-drop", "since 28"},
		"DaemonCgroup":    {"docker.cgroupDriver", daemon(`{"exec-opts":["native.cgroupdriver=cgroupfs"]}`), "", "docker.daemonConfig.exec-opts", "cgroupDriver"},
		"DaemonExec":      {"not a list", daemon(`{"exec-opts":"x"}`), "", "docker.daemonConfig.exec-opts", "list of strings"},
		"DaemonArray":     {"not an object", daemon(`[]`), "", "docker.daemonConfig", "object"},
		"DaemonTwo":       {"two documents", daemon(`{} {}`), "", "docker.daemonConfig", "more than one"},
		"KubeletUnknown":  {"named", kubelet(v1alpha1.Kubelet{Config: raw(`{"maxPod":1}`)}), "", "kubelet.config", `"maxPod"`},
		"KubeletCase":     {"another spelling is another field", kubelet(v1alpha1.Kubelet{Config: raw(`{"MaxPods":1}`)}), "", "kubelet.config", `"MaxPods"`},
		"KubeletTwice":    {"which of the two?", kubelet(v1alpha1.Kubelet{Config: raw(`{"port":1,"port":2}`)}), "", "kubelet.config", `"port"`},
		"KubeletType":     {"not a number", kubelet(v1alpha1.Kubelet{Config: raw(`{"port":"x"}`)}), "", "kubelet.config", "KubeletConfiguration"},
		"EvictionJunk":    {"the kubelet would parse it after it has started", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionHard":{"memory.available":"junk"}}`)}), "", "kubelet.config.evictionHard.memory.available", "100Mi"},
		"EvictionShare":   {"more than all", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionHard":{"nodefs.available":"101%"}}`)}), "", "kubelet.config.evictionHard.nodefs.available", "100%"},
		"EvictionNaN":     {"a number that is none", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionHard":{"nodefs.available":"nan%"}}`)}), "", "kubelet.config.evictionHard.nodefs.available", "100%"},
		"EvictionNothing": {"never reached", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionHard":{"nodefs.available":"0"}}`)}), "", "kubelet.config.evictionHard.nodefs.available", "above 0"},
		"EvictionSignal":  {"misspelt", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionHard":{"memory.free":"1Gi"}}`)}), "", "kubelet.config.evictionHard.memory.free", "memory.available"},
		"EvictionGrace":   {"a soft threshold needs one", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionSoft":{"memory.available":"1Gi"}}`)}), "", "kubelet.config.evictionSoft.memory.available", "evictionSoftGracePeriod.memory.available"},
		"EvictionTime":    {"not a time", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionSoft":{"memory.available":"1Gi"},"evictionSoftGracePeriod":{"memory.available":"1"}}`)}), "", "kubelet.config.evictionSoftGracePeriod.memory.available", "1m30s"},
		"EvictionReclaim": {"less than nothing", kubelet(v1alpha1.Kubelet{Config: raw(`{"evictionMinimumReclaim":{"memory.available":"-1"}}`)}), "", "kubelet.config.evictionMinimumReclaim.memory.available", "0 or more"},
		"ReservedAmount":  {"not an amount", kubelet(v1alpha1.Kubelet{Config: raw(`{"kubeReserved":{"cpu":"some"}}`)}), "", "kubelet.config.kubeReserved.cpu", "500m"},
		"ReservedWhat":    {"cannot be reserved", kubelet(v1alpha1.Kubelet{Config: raw(`{"systemReserved":{"gpu":"1"}}`)}), "", "kubelet.config.systemReserved.gpu", "ephemeral-storage"},
		"KubeletKind":     {"another kind", kubelet(v1alpha1.Kubelet{Config: raw(`{"kind":"Pod"}`)}), "", "kubelet.config.kind", "KubeletConfiguration"},
		"KubeletGate":     {"cri-dockerd 0.4.3 needs it off (SB031)", kubelet(v1alpha1.Kubelet{Config: raw(`{"featureGates":{"ExtendWebSocketsToKubelet":true}}`)}), "", "kubelet.config.featureGates.ExtendWebSocketsToKubelet", "SB031"},
		"KubeletFlag":     {"a flag overrides the file", kubelet(v1alpha1.Kubelet{ExtraArgs: args("--cgroup-driver=cgroupfs")}), "", "kubelet.extraArgs[0]", "docker.cgroupDriver"},
		"KubeletFlag_":    {"the kubelet takes _ for -", kubelet(v1alpha1.Kubelet{ExtraArgs: args("--v=2", "--cluster_dns=1.2.3.4")}), "", "kubelet.extraArgs[1]", "NetworkConfig dns"},
		"KubeletRemoved":  {"removed long ago", kubelet(v1alpha1.Kubelet{ExtraArgs: args("--allow-privileged")}), v1alpha1.ReasonVersionUnsupported, "kubelet.extraArgs[0]", "1.15"},
		"KubeletVersion":  {"prints and exits", kubelet(v1alpha1.Kubelet{ExtraArgs: args("--version")}), "", "kubelet.extraArgs[0]", "exit"},
		"NotAFlag":        {"a word of its own", kubelet(v1alpha1.Kubelet{ExtraArgs: args("-v")}), "", "kubelet.extraArgs[0]", "not a flag"},
		"FlannelFlag":     {"the interface is the network's", node(func(n *v1alpha1.NodeConfigSpec) { n.Flannel = &v1alpha1.Flannel{ExtraArgs: args("--iface=eth5")} }), "", "flannel.extraArgs[0]", "NetworkConfig interface"},
		"CRIFlag": {"there is no CNI", node(func(n *v1alpha1.NodeConfigSpec) {
			n.CRIDockerd = &v1alpha1.CRIDockerd{ExtraArgs: args("--network-plugin=cni")}
		}), "", "criDockerd.extraArgs[0]", "without CNI"},
		"Conntrack": {"kube-proxy sets it too (SB023)", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Sysctls = map[string]v1alpha1.SysctlValue{"net.netfilter.nf_conntrack_max": "786432"}
		}), "", "sysctls.net.netfilter.nf_conntrack_max", "SB023"},
		"Forward": {"the pod network needs it", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Sysctls = map[string]v1alpha1.SysctlValue{"net.ipv4.ip_forward": "0"}
		}), "", "sysctls.net.ipv4.ip_forward", "pod network"},
		"ForwardAlias": {"the kernel's other name of it", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Sysctls = map[string]v1alpha1.SysctlValue{"net.ipv4.conf.all.forwarding": "0"}
		}), "", "sysctls.net.ipv4.conf.all.forwarding", "net.ipv4.ip_forward"},
		"ForwardSlashes": {"the spelling of a path", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Sysctls = map[string]v1alpha1.SysctlValue{"net/ipv4/ip_forward": "0"}
		}), "", "sysctls.net/ipv4/ip_forward", "net.ipv4.ip_forward"},
		"ForwardAliasSlashes": {"both", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Sysctls = map[string]v1alpha1.SysctlValue{"net/ipv4/conf/all/forwarding": "0"}
		}), "", "sysctls.net/ipv4/conf/all/forwarding", "net.ipv4.ip_forward"},
		"RPFilter": {"the network's policy sets it", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Sysctls = map[string]v1alpha1.SysctlValue{"net.ipv4.conf.all.rp_filter": "1"}
		}), "", "sysctls.net.ipv4.conf.all.rp_filter", "reversePathFilter"},
		"ExecStart":         {"text from an environment file cannot be checked", facts(func(f *v1alpha1.Facts) { f.Components[1].ExecStart[1] = "--log-level=${LEVEL}" }), "", "facts.components.docker.execStart[1]", "environment"},
		"Specifier":         {"only systemd can expand it", facts(func(f *v1alpha1.Facts) { f.Components[1].ExecStart[1] = "--label=%H" }), "", "facts.components.docker.execStart[1]", "%% for a percent sign"},
		"SpecifierOdd":      {"an escape and then a specifier", facts(func(f *v1alpha1.Facts) { f.Components[1].ExecStart[1] = "--label=%%%H" }), "", "facts.components.docker.execStart[1]", "specifier"},
		"FlannelMasquerade": {"docker's options follow from it", node(func(n *v1alpha1.NodeConfigSpec) { n.Flannel = &v1alpha1.Flannel{ExtraArgs: args("--ip-masq=false")} }), "", "flannel.extraArgs[0]", "hide pods"},
		"NoExec":            {"nothing to build on", facts(func(f *v1alpha1.Facts) { f.Components[1].ExecStart = nil }), v1alpha1.ReasonUnitMissing, "facts.components.docker.execStart", "ExecStart"},
	}
	for _, key := range []string{"bip", "mtu", "ip-masq", "iptables", "hosts", "registry-mirrors", "live-restore", "log-driver", "log-opts", "data-root", "proxies", "http-proxy", "bridge", "fixed-cidr", "ip-forward", "max-concurrent-downloads"} {
		cases["Daemon "+key] = refusal{"Seedbed sets this key", daemon(`{"` + key + `":{}}`), "", "docker.daemonConfig." + key, "Seedbed sets"}
	}
	for field, json := range map[string]string{
		"address": `{"address":"0.0.0.0"}`, "clusterDNS": `{"clusterDNS":[]}`, "cgroupDriver": `{"cgroupDriver":"x"}`,
		"authentication.anonymous.enabled": `{"authentication":{"anonymous":{"enabled":true}}}`, "authorization.mode": `{"authorization":{"mode":"AlwaysAllow"}}`,
		"maxPods": `{"maxPods":1}`, "tlsCertFile": `{"tlsCertFile":"/x"}`, "registerWithTaints": `{"registerWithTaints":[]}`,
	} {
		cases["Kubelet "+field] = refusal{"Seedbed sets this field", kubelet(v1alpha1.Kubelet{Config: raw(json)}), "", "kubelet.config." + field, "Seedbed sets"}
	}
	for field, json := range map[string]string{
		"clusterCIDR": `{"clusterCIDR":"10.0.0.0/8"}`, "mode": `{"mode":"ipvs"}`, "hostnameOverride": `{"hostnameOverride":"x"}`,
		"clientConnection.kubeconfig": `{"clientConnection":{"kubeconfig":"/x"}}`, "iptables.masqueradeAll": `{"iptables":{"masqueradeAll":true}}`,
		"conntrack.min": `{"conntrack":{"min":1}}`, "detectLocalMode": `{"detectLocalMode":"NodeCIDR"}`,
	} {
		cases["KubeProxy "+field] = refusal{"Seedbed sets this field", node(func(n *v1alpha1.NodeConfigSpec) { n.KubeProxy.Config = raw(json) }), "", "kubeProxy.config." + field, "Seedbed sets"}
	}
	refuse(t, "guide", cases)
}

func TestUsersFilesAndUnitsStayInTheirPlace(t *testing.T) {
	file := func(f v1alpha1.File) func(*testing.T, *resolve.Input) {
		return node(func(n *v1alpha1.NodeConfigSpec) { n.Files = append(n.Files, f) })
	}
	unit := func(u v1alpha1.Unit) func(*testing.T, *resolve.Input) {
		return node(func(n *v1alpha1.NodeConfigSpec) { n.Units = append(n.Units, u) })
	}
	text := new("x")
	cases := map[string]refusal{
		"Twice":        {"which of the two?", file(v1alpha1.File{Path: "/etc/motd", Contents: text}), "", "files[2].path", "twice"},
		"Nested":       {"a file and a folder at one path", file(v1alpha1.File{Path: "/etc/motd/x", Contents: text}), "", "files", "folder of /etc/motd/x"},
		"NestedOurs":   {"a folder of ours as a file", file(v1alpha1.File{Path: "/etc/docker", Contents: text}), "", "files", "folder of /etc/docker/daemon.json"},
		"NoContents":   {"nothing to write", file(v1alpha1.File{Path: "/etc/x"}), "", "files[2]", "exactly one"},
		"SetUID":       {"not a mode for files", file(v1alpha1.File{Path: "/etc/x", Contents: text, Mode: new("4755")}), "", "files[2].mode", "octal"},
		"WorldWrite":   {"everybody could write", file(v1alpha1.File{Path: "/etc/x", Contents: text, Mode: new("0666")}), "", "files[2].mode", "others"},
		"Owner":        {"not an account", file(v1alpha1.File{Path: "/etc/x", Contents: text, Owner: new("-rf")}), "", "files[2].owner", "user or group"},
		"UnitOurs":     {"a component's", unit(v1alpha1.Unit{Name: "docker.service"}), "", "units[2].name", "Seedbed writes"},
		"UnitPrefix":   {"Seedbed's own", unit(v1alpha1.Unit{Name: "seedbed-x.service"}), "", "units[2].name", "Seedbed writes"},
		"UnitPath":     {"a path is no name", unit(v1alpha1.Unit{Name: "../x.service"}), "", "units[2].name", "not the name"},
		"UnitTwice":    {"which of the two?", unit(v1alpha1.Unit{Name: "example.service"}), "", "units[2].name", "twice"},
		"UnitText":     {"systemd could not read it", unit(v1alpha1.Unit{Name: "x.service", Contents: new("hello")}), "", "units[2].contents", "sections"},
		"UnitNUL":      {"systemd refuses it", unit(v1alpha1.Unit{Name: "x.service", Contents: new("[Service]\nExecStart=/x\x00\n")}), "", "units[2].contents", "NUL"},
		"UnitBOM":      {"no editor shows it", unit(v1alpha1.Unit{Name: "x.service", Contents: new("\uFEFF[Service]\nExecStart=/x\n")}), "", "units[2].contents", "byte order mark"},
		"NoInstall":    {"nothing would start it at boot", unit(v1alpha1.Unit{Name: "x.service", Contents: new("[Service]\nExecStart=/x\n"), Enabled: new(true)}), "", "units[2].enabled", "[Install]"},
		"Alias":        {"docker would be masked", unit(v1alpha1.Unit{Name: "x.service", Contents: new("[Service]\nExecStart=/x\n[Install]\nAlias=y.service docker.service\n")}), "", "units[2].contents", "Alias= in [Install] names a unit that Seedbed writes"},
		"AliasQuoted":  {"systemd takes quotes off", unit(v1alpha1.Unit{Name: "x.service", Contents: new("[Service]\nExecStart=/x\n[Install]\nAlias=\"kubelet.service\"\n")}), "", "units[2].contents", "remove that word"},
		"AliasWrapped": {"a line goes on", unit(v1alpha1.Unit{Name: "x.service", Contents: new("[Service]\nExecStart=/x\n[Install]\nAlias=y.service\\\nkubelet.service\n")}), "", "units[2].contents", "remove that word"},
		"AliasHidden":  {"a specifier can become any name", unit(v1alpha1.Unit{Name: "x.service", Contents: new("[Service]\nExecStart=/x\n[Install]\nAlias=%j.service\n")}), "", "units[2].contents", "write the name itself"},
		"Also":         {"disabled with the user's", unit(v1alpha1.Unit{Name: "x.service", DropIns: []v1alpha1.DropIn{{Name: "a.conf", Contents: "[Install]\nAlso=seedbed-agent.service\n"}}}), "", "units[2].dropIns[0].contents", "Also= in [Install] names a unit that Seedbed writes"},
		"AlsoPrefix":   {"Seedbed's own", unit(v1alpha1.Unit{Name: "x.service", DropIns: []v1alpha1.DropIn{{Name: "a.conf", Contents: "[Install]\nAlso=seedbed-x.service\n"}}}), "", "units[2].dropIns[0].contents", "remove that word"},
		"DropIn":       {"a path is no name", unit(v1alpha1.Unit{Name: "x.service", DropIns: []v1alpha1.DropIn{{Name: "../../x.conf", Contents: "[Service]\nNice=1\n"}}}), "", "units[2].dropIns[0].name", "drop-in"},
		"FileAsUnit":   {"one path from two lists", file(v1alpha1.File{Path: "/etc/systemd/system/example.service", Contents: text}), "", "files", "under units"},
		"FileDropIn":   {"a drop-in of docker by the back door", file(v1alpha1.File{Path: "/etc/systemd/system/docker.service.d/zz.conf", Contents: text}), "", "files[2].path", "docker.service"},
		"PackageDir":   {"the same in the package's folder", file(v1alpha1.File{Path: "/usr/lib/systemd/system/kubelet.service.d/zz.conf", Contents: text}), "", "files[2].path", "kubelet.service"},
		"Wants":        {"a link farm", file(v1alpha1.File{Path: "/var/lib/seedbed/ledger.json", Contents: text}), "", "files[2].path", "not a place"},
	}
	for _, p := range []string{"etc/x", "/etc/../proc/x", "/etc//x", "/etc/x/", "/", "", "/proc/sys/kernel/core_pattern", "/sys/x", "/dev/sda", "/run/x", "/etc/shadow", "/etc/x\n", "/etc/\x00", "/var/lib/kubelet/pods/x", "/etc/docker/certs.d/x/ca.crt"} {
		field := "files[2].path"
		cases["Path "+p] = refusal{"not a place for a file", file(v1alpha1.File{Path: p, Contents: text}), "", field, ""}
	}
	refuse(t, "full", cases)
}

func TestInjectedTextIsRefused(t *testing.T) {
	bad := []string{"a\nb", "a\x00b", "a\rb", "\uFEFFa", "a\x7f", "\xff", "\uFFFE"}
	set := map[string]func(string) func(*testing.T, *resolve.Input){
		"flannel.extraArgs[0]": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.Flannel.ExtraArgs[0] = v1alpha1.Argument("--x=" + s) })
		},
		"docker.dataRoot": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.DataRoot = new("/" + s) })
		},
		"docker.registryMirrors[0]": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) {
				n.Docker.RegistryMirrors[0] = v1alpha1.RegistryMirror("https://" + s)
			})
		},
		"docker.registries[0].host": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.Registries[0].Host = s })
		},
		"docker.proxy.noProxy[0]": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.Proxy.NoProxy[0] = v1alpha1.NoProxyEntry(s) })
		},
		"docker.logDriver.options.max-size": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.LogDriver.Options["max-size"] = v1alpha1.LogOption(s) })
		},
		"criDockerd.podInfraImage": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.CRIDockerd.PodInfraImage = new(s) })
		},
		"kubernetes.apiServer": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.Kubernetes.APIServer = "https://" + s })
		},
		"sysctls.net.core.x": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.Sysctls["net.core.x"] = v1alpha1.SysctlValue(s) })
		},
		"kernelModules[0]": func(s string) func(*testing.T, *resolve.Input) {
			return node(func(n *v1alpha1.NodeConfigSpec) { n.KernelModules[0] = v1alpha1.KernelModule(s) })
		},
		"facts.components.kubelet.path": func(s string) func(*testing.T, *resolve.Input) {
			return func(_ *testing.T, in *resolve.Input) {
				component(in, "kubelet", func(c *v1alpha1.ComponentFacts) { c.Path = "/" + s })
			}
		},
		"facts.components.docker.execStart[3]": func(s string) func(*testing.T, *resolve.Input) {
			return func(_ *testing.T, in *resolve.Input) {
				component(in, "docker", func(c *v1alpha1.ComponentFacts) { c.ExecStart[3] = s })
			}
		},
	}
	cases := map[string]refusal{}
	for field, edit := range set {
		for _, s := range bad {
			cases[fmt.Sprintf("%s %q", field, s)] = refusal{"one line, plain characters", edit(s), "", field, ""}
		}
	}
	for _, host := range []string{"../../etc/cron.d/x", "..%2f", "a/../../b", "/etc", ".", "..", "", strings.Repeat("a", 256), "https://a", "a:b"} {
		cases["host "+host] = refusal{"F061: it becomes the name of a folder", node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.Registries[0].Host = host }), "", "docker.registries[0].host", ""}
	}
	for _, mirror := range []string{"hub-mirror.c.163.com", "mirror-1.example.com:5000", "ftp://a", "https://a?b", "https://a#b", "https://u:p@a", "https://a/b"} {
		cases["mirror "+mirror] = refusal{"F060, SB013: dockerd would not start", node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.RegistryMirrors[0] = v1alpha1.RegistryMirror(mirror) }), "", "docker.registryMirrors[0]", ""}
	}
	refuse(t, "full", cases)
}

func TestPackageArgumentsLoseWhatSeedbedSets(t *testing.T) {
	n, err := resolve.Resolve(resolvetest.Load(t, "full"))
	if err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		reason    string
		got, want []string
	}{
		"docker":     {"sockets and labels stay; bip, mtu, log driver, storage driver and debug have another owner", n.Docker.PackageArgs, []string{"-H", "fd://", "--containerd=/run/containerd/containerd.sock", "--selinux-enabled", "--label=a b"}},
		"flannel":    {"etcd, interface and masquerading go, with their values; so do variables", n.Flannel.PackageArgs, nil},
		"kubelet":    {"variables and the cgroup driver go", n.Kubelet.PackageArgs, nil},
		"kube-proxy": {"the file goes with its name", n.KubeProxy.PackageArgs, []string{"--v=1"}},
		"cri":        {"the socket is set again", n.CRIDockerd.PackageArgs, nil},
	} {
		if strings.Join(tc.got, "|") != strings.Join(tc.want, "|") {
			t.Errorf("%s: %s: got %q, want %q", what, tc.reason, tc.got, tc.want)
		}
	}
}

func TestPackageArgumentsLoseSystemdsEscapes(t *testing.T) {
	in := resolvetest.Load(t, "full")
	component(&in, "docker", func(c *v1alpha1.ComponentFacts) {
		c.ExecStart = []string{c.Path, "--label=50%%", "--label=$$x%%%%"}
	})
	n, err := resolve.Resolve(in)
	if got := strings.Join(n.Docker.PackageArgs, "|"); err != nil || got != "--label=50%|--label=$x%%" {
		t.Errorf("got %q, %v; want what systemd gives the program, since rendering escapes it again", got, err)
	}
}

func TestAUsersUnitMayHaveOtherNamesOfItsOwn(t *testing.T) {
	in := resolvetest.Load(t, "full")
	in.Revision.Node.Units = append(in.Revision.Node.Units, v1alpha1.Unit{
		Name: "x.service", Contents: new("[Service]\nExecStart=/x\n[Install]\nAlias=docker-metrics.service\nAlso=x.timer\nWantedBy=docker.service\n"),
	})
	if _, err := resolve.Resolve(in); err != nil {
		t.Error(err)
	}
}
