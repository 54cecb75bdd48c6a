package render

import (
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func renderKubelet(n resolve.Node) (state.Host, error) {
	host := state.New()
	config, err := kubeletConfig(n)
	if err != nil {
		return host, err
	}
	host.Files[resolve.PathKubeletConfig] = file(config)
	if err := kubeletFiles(host, n); err != nil {
		return host, err
	}
	unit := unitPath(resolve.UnitKubelet, n.Kubelet.Source)
	content, err := kubeletUnit(n)
	if err != nil {
		return host, err
	}
	host.Files[unit] = file(content)
	host.Units[resolve.UnitKubelet] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active,
		Inputs: append(inputs(host, kubeletReads(n, unit)...), clusterCA(n)),
		Needs: needs(host, resolve.PathKubeletClientCA, resolve.PathKubeletBootstrap,
			resolve.PathKubeletServingCert, resolve.PathKubeletServingKey),
		Awaits: kubeletAwaits(n),
	}
	return host, nil
}

// kubeletReads are the files that the kubelet reads only at its start. It follows changes of a
// client CA by itself, uses the bootstrap kubeconfig once in its life, and follows changes of its
// serving certificate since 1.31 (feature gate ReloadKubeletServerCertificateFile).
func kubeletReads(n resolve.Node, unit string) []string {
	paths := []string{unit, resolve.PathKubeletConfig}
	if v := n.Kubelet.Version; v != nil && v.Minor() < 31 {
		paths = append(paths, resolve.PathKubeletServingCert, resolve.PathKubeletServingKey)
	}
	return paths
}

func kubeletFiles(host state.Host, n resolve.Node) error {
	k := n.Kubelet
	if !k.ClientCA.Empty() {
		host.Files[resolve.PathKubeletClientCA] = file(k.ClientCA.Reveal())
	}
	if k.Serving != nil {
		host.Files[resolve.PathKubeletServingCert] = file(k.Serving.Cert.Reveal())
		host.Files[resolve.PathKubeletServingKey] = secretFile(k.Serving.Key.Reveal())
	}
	return kubeletBootstrap(host, n)
}

// kubeletBootstrap names the agent's certificate, or has the user's token in it. A token that was
// used is taken off the disk again; the kubelet keeps the flag, and does not read the file while its
// certificate is valid.
func kubeletBootstrap(host state.Host, n resolve.Node) error {
	const user = "kubelet-bootstrap"
	b := n.Kubelet.Bootstrap
	if b.ByToken && b.Done {
		return nil
	}
	auth, kind := clientCertificate(resolve.PathAgentClient), file
	if b.ByToken {
		auth, kind = credentials{Token: string(b.Token.Reveal())}, secretFile
	}
	content, err := kubeconfig(n, user, auth)
	if err != nil {
		return err
	}
	host.Files[resolve.PathKubeletBootstrap] = kind(content)
	return nil
}

// kubeletAwaits is the certificate in the bootstrap kubeconfig, while the kubelet needs it.
func kubeletAwaits(n resolve.Node) []string {
	if n.Kubelet.Bootstrap.ByToken || n.Kubelet.Bootstrap.Done {
		return nil
	}
	return []string{resolve.PathAgentClient}
}

// kubeletConfig: with a file, unlike with flags alone, the kubelet's own defaults are the secure
// ones; what its API is open to is written down all the same.
func kubeletConfig(n resolve.Node) ([]byte, error) {
	k := n.Kubelet
	ours := kubeletv1beta1.KubeletConfiguration{
		Address:                  k.Address.String(),
		CgroupDriver:             string(n.Docker.CgroupDriver),
		ContainerRuntimeEndpoint: criSocket,
		MaxPods:                  k.MaxPods,
		FailCgroupV1:             k.FailCgroupV1,
		RotateCertificates:       true,
		ServerTLSBootstrap:       k.RotateServing,
		Authorization:            kubeletv1beta1.KubeletAuthorization{Mode: kubeletv1beta1.KubeletAuthorizationModeWebhook},
	}
	ours.APIVersion, ours.Kind = kubeletv1beta1.SchemeGroupVersion.String(), "KubeletConfiguration"
	no, yes := false, true
	ours.Authentication.Anonymous.Enabled = &no
	ours.Authentication.Webhook.Enabled = &yes
	ours.Authentication.X509.ClientCAFile = resolve.PathClusterCA
	if !k.ClientCA.Empty() {
		ours.Authentication.X509.ClientCAFile = resolve.PathKubeletClientCA
	}
	if dns := n.Network.DNS; dns != nil {
		ours.ClusterDNS, ours.ClusterDomain = []string{dns.ServiceIP.String()}, dns.Domain
	}
	if k.Serving != nil {
		ours.TLSCertFile, ours.TLSPrivateKeyFile = resolve.PathKubeletServingCert, resolve.PathKubeletServingKey
	}
	if k.DisableWebSockets {
		ours.FeatureGates = map[string]bool{resolve.WebSocketGate: false}
	}
	merged, err := configuration(ours, kubeletv1beta1.KubeletConfiguration{}, k.Config)
	if err != nil {
		return nil, err
	}
	return yamlFile(merged)
}

// kubeletArgs has neither --node-labels nor, in its file, registerWithTaints: the kubelet heeds them
// only when it makes its Node, which is there before it. The manager keeps the Node's labels and
// taints, so that a change of them restarts nothing.
func kubeletArgs(n resolve.Node) []string {
	return []string{
		"--config=" + resolve.PathKubeletConfig,
		"--kubeconfig=" + resolve.PathKubeletKubeconfig,
		"--bootstrap-kubeconfig=" + resolve.PathKubeletBootstrap,
		"--hostname-override=" + n.Name,
		"--node-ip=" + n.IP.String(),
	}
}

// kubeletUnit: Restart=always, because a kubelet that registers slower than its CSI code waits
// exits at its first start (SB030).
func kubeletUnit(n resolve.Node) ([]byte, error) {
	k := n.Kubelet
	u := &unitFile{}
	if k.Source == v1alpha1.SourceBinary {
		u.add("Unit", "Description", "kubelet, the Kubernetes node agent").
			add("Unit", "Documentation", "https://kubernetes.io/docs/").
			add("Unit", "Wants", "network-online.target").
			add("Unit", "After", "network-online.target").
			add("Install", "WantedBy", "multi-user.target")
	}
	u.add("Unit", "Wants", resolve.UnitCRIDockerd).
		add("Unit", "After", resolve.UnitCRIDockerd).
		add("Unit", "StartLimitIntervalSec", "0").
		resetExec(k.Source).
		exec(command(k.Program, kubeletArgs(n), k.ExtraArgs)).
		add("Service", "Restart", "always").
		add("Service", "RestartSec", "5")
	return u.bytes()
}
