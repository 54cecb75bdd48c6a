package render

import (
	"fmt"
	"net/netip"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// addChain adds what the components must be to each other: links, questions to each program, and what
// their command lines must have, all of which the components' files alone do not guarantee.
func addChain(host state.Host, n resolve.Node) {
	addLinks(host, n)
	addProbes(host, n)
	has := map[string][]string{
		resolve.UnitFlannel:    {"--subnet-file=" + resolve.PathSubnetEnv, "--public-ip=" + n.IP.String()},
		resolve.UnitDocker:     {"$" + dockeropts.Variable},
		resolve.UnitCRIDockerd: {"--network-plugin="},
		resolve.UnitKubelet:    {"--config=" + resolve.PathKubeletConfig, "--hostname-override=" + n.Name},
		resolve.UnitKubeProxy:  {"--config=" + resolve.PathKubeProxyConfig},
	}
	for name, words := range has {
		if unit, ok := host.Units[name]; ok {
			unit.Command.Has = words
			host.Units[name] = unit
		}
	}
	if unit, ok := host.Units[resolve.UnitDocker]; ok {
		unit.Command.HasNot = map[string]string{}
		for key := range daemonConfig(n) {
			for _, flag := range resolve.DockerFlags(key) {
				unit.Command.HasNot[flag] = key
			}
		}
		host.Units[resolve.UnitDocker] = unit
	}
}

// addLinks: docker0 comes from the lease. cri-dockerd falls back to hairpin-veth when it is asked for a
// promiscuous bridge without kubenet, and sets neither (SB011), so that both modes are ours.
func addLinks(host state.Host, n resolve.Node) {
	promiscuous := n.Network.Hairpin == v1alpha1.HairpinPromiscuousBridge
	link := state.Link{
		Component: state.ComponentDocker, Promiscuous: &promiscuous,
		Bridge: &state.Bridge{
			Lease: resolve.PathSubnetEnv, Options: resolve.PathDockerOptsEnv,
			Network: n.Network.PodCIDR.String(), MTU: n.Network.Backend.PodMTU,
			Giver: resolve.UnitFlannel, Writer: resolve.UnitDockerOpts, Maker: resolve.UnitDocker,
			Socket: resolve.UnitDockerSocket, Users: []string{resolve.UnitKubelet}, ByNode: resolve.PathFlannelKubeconfig,
		},
	}
	if n.Flannel.Etcd != nil { // else it is the Node's podCIDR, as long as it is
		link.Bridge.Length = n.Network.PodSubnetLength
	}
	if n.Network.Hairpin == v1alpha1.HairpinVeth {
		hairpin := true
		link.Hairpin = &hairpin
	}
	host.Links[resolve.DockerBridge] = link
	if tunnel := n.Network.Backend.Tunnel(); tunnel != "" {
		host.Links[tunnel] = state.Link{Component: state.ComponentFlannel, Local: n.IP.String()}
	}
}

func addProbes(host state.Host, n resolve.Node) {
	host.Probes["flannel healthz"] = state.Probe{
		Component: state.ComponentFlannel, Kind: state.ProbeHTTP, Path: "/healthz",
		Address: fmt.Sprintf("%s:%d", FlannelHealthzIP, FlannelHealthzPort),
	}
	host.Probes["docker ping"] = state.Probe{
		Component: state.ComponentDocker, Kind: state.ProbeHTTP, Address: "unix://" + resolve.PathDockerSocket, Path: "/_ping",
	}
	host.Probes["CRI status"] = state.Probe{Component: state.ComponentCRIDockerd, Kind: state.ProbeCRI, Address: criSocket}
	if address, enabled := kubeletHealthz(n.Kubelet.Config); enabled {
		host.Probes["kubelet healthz"] = state.Probe{Component: state.ComponentKubelet, Kind: state.ProbeHTTP, Address: address, Path: "/healthz"}
	}
	host.Probes["kubelet certificate"] = state.Probe{
		Component: state.ComponentKubelet, Kind: state.ProbeCertificate, Path: resolve.PathKubeletClient, Want: "system:node:" + n.Name,
	}
	if n.Kubelet.RotateServing {
		host.Probes["kubelet serving certificate"] = state.Probe{
			Component: state.ComponentKubelet, Kind: state.ProbeCertificate, Path: resolve.PathKubeletServer,
			Address: n.IP.String(), Want: "system:node:" + n.Name, Cure: servingCure(n),
		}
	}
	host.Probes["kube-proxy healthz"] = state.Probe{
		Component: state.ComponentKubeProxy, Kind: state.ProbeHTTP, Path: "/healthz", Address: kubeProxyHealthz(n.KubeProxy.Config),
	}
}

// servingCure: the kubelet's request is approved by the manager, for addresses that only a token or an
// administrator gives.
func servingCure(n resolve.Node) string {
	return fmt.Sprintf("if spec.addresses of NodeState %[1]s lacks %[2]s, kubectl patch nodestate %[1]s --type merge -p '{\"spec\":{\"addresses\":[%[2]q]}}'; "+
		"else kubectl describe csr says what the kubelet's request for it waits for", n.Name, n.IP.String())
}

// kubeletHealthz follows healthzBindAddress and healthzPort of the free configuration; port 0 turns the
// endpoint off (KubeletConfiguration v1beta1: 127.0.0.1 and 10248).
func kubeletHealthz(config map[string]any) (address string, enabled bool) {
	host, _ := config["healthzBindAddress"].(string)
	port := "10248"
	if v, set := config["healthzPort"]; set {
		port = fmt.Sprint(v)
	}
	return reachable(host, port), port != "0"
}

// kubeProxyHealthz follows healthzBindAddress, which may lack the port (KubeProxyConfiguration
// v1alpha1: 0.0.0.0:10256).
func kubeProxyHealthz(config map[string]any) string {
	const port = "10256"
	bind, _ := config["healthzBindAddress"].(string)
	if both, err := netip.ParseAddrPort(bind); err == nil {
		return reachable(both.Addr().String(), fmt.Sprint(both.Port()))
	}
	return reachable(bind, port)
}

// reachable is where this machine finds a program that listens on host.
func reachable(host, port string) string {
	switch {
	case host == "" || host == "0.0.0.0":
		host = "127.0.0.1"
	case host == "::":
		host = "[::1]"
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return host + ":" + port
}
