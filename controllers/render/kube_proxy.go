package render

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

var proxyModes = map[v1alpha1.ProxyMode]kubeproxyv1alpha1.ProxyMode{
	v1alpha1.ProxyModeIPTables: "iptables",
	v1alpha1.ProxyModeNFTables: "nftables",
}

func renderKubeProxy(n resolve.Node) (state.Host, error) {
	host := state.New()
	config, err := kubeProxyConfig(n)
	if err != nil {
		return host, err
	}
	kubeconfig, err := kubeconfig(n, "kube-proxy", clientCertificate(resolve.PathKubeProxyClient))
	if err != nil {
		return host, err
	}
	unit := unitPath(resolve.UnitKubeProxy, n.KubeProxy.Source)
	content, err := kubeProxyUnit(n.KubeProxy)
	if err != nil {
		return host, err
	}
	host.Files[resolve.PathKubeProxyConfig] = file(config)
	host.Files[resolve.PathKubeProxyKubeconfig] = file(kubeconfig)
	host.Files[unit] = file(content)
	host.Units[resolve.UnitKubeProxy] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active,
		// kube-proxy watches its configuration and exits when it changes; the restart that is owed
		// then only comes before systemd's own, RestartSec later.
		Inputs: append(inputs(host, unit, resolve.PathKubeProxyConfig, resolve.PathKubeProxyKubeconfig), clusterCA(n)),
		Awaits: []string{resolve.PathKubeProxyClient},
	}
	return host, nil
}

// kubeProxyConfig. The cluster CIDR is the pods' (SB005, SB006): traffic to Services that does not
// come from it is masqueraded. Without one kube-proxy cannot tell, and masquerades none.
func kubeProxyConfig(n resolve.Node) ([]byte, error) {
	p := n.KubeProxy
	ours := kubeproxyv1alpha1.KubeProxyConfiguration{
		BindAddress:      p.BindAddress.String(),
		HostnameOverride: n.Name,
		Mode:             proxyModes[p.Mode],
		DetectLocalMode:  "ClusterCIDR",
		Conntrack: kubeproxyv1alpha1.KubeProxyConntrackConfiguration{
			MaxPerCore:            &p.ConntrackMaxPerCore,
			Min:                   &p.ConntrackMin,
			TCPEstablishedTimeout: &metav1.Duration{Duration: p.ConntrackEstablishedExpiry},
		},
	}
	ours.APIVersion, ours.Kind = kubeproxyv1alpha1.SchemeGroupVersion.String(), "KubeProxyConfiguration"
	ours.ClientConnection.Kubeconfig = resolve.PathKubeProxyKubeconfig
	if n.Network.Masquerade != v1alpha1.MasqueradeNone {
		ours.ClusterCIDR = n.Network.PodCIDR.String()
	}
	all := n.Network.Masquerade == v1alpha1.MasqueradeAll
	if p.Mode == v1alpha1.ProxyModeNFTables {
		ours.NFTables.MasqueradeAll = all
	} else {
		ours.IPTables.MasqueradeAll = all
	}
	merged, err := configuration(ours, kubeproxyv1alpha1.KubeProxyConfiguration{}, p.Config)
	if err != nil {
		return nil, err
	}
	return yamlFile(merged)
}

// kubeProxyUnit: after the kubelet, which registers the Node that kube-proxy looks up (SB022).
func kubeProxyUnit(p resolve.KubeProxy) ([]byte, error) {
	u := &unitFile{}
	if p.Source == v1alpha1.SourceBinary {
		u.add("Unit", "Description", "kube-proxy, the Services of Kubernetes on this node").
			add("Unit", "Documentation", "https://kubernetes.io/docs/").
			add("Service", "LimitNOFILE", "1048576").
			add("Install", "WantedBy", "multi-user.target")
	}
	u.add("Unit", "Wants", resolve.UnitKubelet).
		add("Unit", "After", resolve.UnitKubelet).
		add("Unit", "StartLimitIntervalSec", "0").
		resetExec(p.Source).
		exec(command(p.Program, []string{"--config=" + resolve.PathKubeProxyConfig}, nil)).
		add("Service", "Restart", "always").
		add("Service", "RestartSec", "5")
	return u.bytes()
}
