package render

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// addChecks gives rendered files the checks of the programs that read them. A program's arguments
// are in its unit, so the unit is checked too, with the configuration that it names.
func addChecks(host state.Host, n resolve.Node) error {
	kubelet, err := kubeletCheck(n)
	if err != nil {
		return err
	}
	proxy, err := kubeProxyCheck(n.KubeProxy)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		program resolve.Program
		unit    string
		config  string
		check   *state.Check
	}{
		{n.Flannel.Program, resolve.UnitFlannel, "", flannelCheck(n)},
		{n.Docker.Program, resolve.UnitDocker, resolve.PathDaemonJSON, dockerCheck(n.Docker)},
		{n.CRIDockerd.Program, resolve.UnitCRIDockerd, "", criDockerdCheck(n)},
		{n.Kubelet.Program, resolve.UnitKubelet, resolve.PathKubeletConfig, kubelet},
		{n.KubeProxy.Program, resolve.UnitKubeProxy, resolve.PathKubeProxyConfig, proxy},
	} {
		if c.check != nil && c.program.Path != "" {
			addCheck(host, c.config, *c.check)
			if c.config != "" {
				c.check.Content, c.check.ContentPath = host.Files[c.config].Content, c.config
			}
			addCheck(host, unitPath(c.unit, c.program.Source), *c.check)
		}
	}
	for p := range host.Files {
		if name := path.Base(p); p == path.Join(resolve.UnitFolder, name) {
			addCheck(host, p, unitCheck(name))
		}
	}
	return nil
}

func addCheck(host state.Host, path string, c state.Check) {
	if f, ok := host.Files[path]; ok {
		f.Checks = append(f.Checks, c)
		host.Files[path] = f
	}
}

// lenient is what Kubernetes' programs log before they leave out a field that they do not know or
// that is there twice (component-base, since 1.18): a typing error that would go unnoticed.
const lenient = "strict decoding error"

// kubeletCheck: the kubelet has no mode for it, but it reads its kubeconfig right after it has parsed
// its flags, and loaded and validated its configuration (cmd/kubelet/app/server.go of 1.29, 1.33 and
// 1.37), before it touches cgroups, sockets or the runtime. What it may write until then, a
// serving certificate of its own, goes to the scratch folder. A lock file is left out: a running
// kubelet may end when another one opens it.
func kubeletCheck(n resolve.Node) (*state.Check, error) {
	k := n.Kubelet
	control := kubeletv1beta1.KubeletConfiguration{FailCgroupV1: k.FailCgroupV1}
	control.APIVersion, control.Kind = kubeletv1beta1.SchemeGroupVersion.String(), "KubeletConfiguration"
	content, err := minimal(control, kubeletv1beta1.KubeletConfiguration{})
	if err != nil {
		return nil, err
	}
	ends := []string{
		"--config=" + state.CheckCandidate, "--kubeconfig=" + state.CheckMarker,
		"--cert-dir=" + state.CheckScratch, "--root-dir=" + state.CheckScratch,
	}
	args := slices.DeleteFunc(command(k.Program, kubeletArgs(n), k.ExtraArgs)[1:], func(arg string) bool {
		name, _, _ := strings.Cut(strings.ReplaceAll(arg, "_", "-"), "=")
		return name == "--lock-file" || name == "--exit-on-lock-contention" ||
			name == "--config" || name == "--kubeconfig" || name == "--bootstrap-kubeconfig"
	})
	return &state.Check{
		Program: k.Path, Args: append(args, ends...),
		Control: content, ControlArgs: append(ends, "--hostname-override="+n.Name, "--node-ip="+n.IP.String()),
		Objections: []string{lenient}, Cure: "correct kubelet.config or kubelet.extraArgs",
	}, nil
}

// kubeProxyCheck: kube-proxy writes its configuration down after it has completed and validated it,
// and ends (cmd/kube-proxy/app/options.go).
func kubeProxyCheck(p resolve.KubeProxy) (*state.Check, error) {
	control := kubeproxyv1alpha1.KubeProxyConfiguration{}
	control.APIVersion, control.Kind = kubeproxyv1alpha1.SchemeGroupVersion.String(), "KubeProxyConfiguration"
	content, err := minimal(control, kubeproxyv1alpha1.KubeProxyConfiguration{})
	if err != nil {
		return nil, err
	}
	ends := []string{"--config=" + state.CheckCandidate, "--write-config-to=/dev/null"}
	return &state.Check{
		Program: p.Path, Args: slices.Concat(p.PackageArgs, ends),
		Control: content, ControlArgs: ends,
		Objections: []string{lenient}, Cure: "correct kubeProxy.config",
	}, nil
}

// minimal is the least that a program accepts.
func minimal(ours, empty any) ([]byte, error) {
	config, err := configuration(ours, empty, nil)
	if err != nil {
		return nil, err
	}
	return yamlFile(config)
}

// someLease stands for the flags that dockerd gets from flannel's lease: which they are matters, since
// dockerd refuses a key that is there twice, but not their values.
var someLease = dockeropts.Lease{Bridge: netip.MustParsePrefix("192.0.2.1/24"), MTU: 1450}

// dockerCheck is nil for a dockerd that cannot be asked: it can since 23.0 (moby, PR 42393). The
// control has none of the package's flags.
func dockerCheck(d resolve.Docker) *state.Check {
	if d.Version == nil || d.Version.Major() < 23 {
		return nil
	}
	ends := []string{"--validate", "--config-file=" + state.CheckCandidate}
	return &state.Check{
		Program: d.Path, Args: slices.Concat(d.PackageArgs, someLease.Options(), ends),
		Control: []byte("{}\n"), ControlArgs: ends,
		Objections: []string{"unknown flag: ", "unknown shorthand flag: "},
		Cure:       "correct docker.daemonConfig, or the flags of the package's docker.service",
	}
}

// flannelCheck: flanneld prints its version and ends after it has parsed all flags, before anything
// else (main.go). At a bad flag it shows its usage and ends with status 0.
func flannelCheck(n resolve.Node) *state.Check {
	f := n.Flannel
	return &state.Check{
		Program: f.Path, Args: append(command(f.Program, flannelArgs(n), f.ExtraArgs)[1:], "--version"),
		Content: []byte{}, Control: []byte{}, ControlArgs: []string{"--version"},
		// The words of Go's package flag.
		Objections: []string{"flag provided but not defined: ", "invalid value ", "invalid boolean value ", "flag needs an argument: "},
		Cure:       "correct flannel.extraArgs",
	}
}

// criDockerdCheck: cri-dockerd prints its version and ends after it has parsed all flags, before
// anything else (cmd/server.go).
func criDockerdCheck(n resolve.Node) *state.Check {
	c := n.CRIDockerd
	return &state.Check{
		Program: c.Path, Args: append(command(c.Program, criDockerdArgs(n), c.ExtraArgs)[1:], "--version"),
		Content: []byte{}, Control: []byte{}, ControlArgs: []string{"--version"},
		Cure: "correct criDockerd.extraArgs",
	}
}

// unitCheck asks systemd about a whole unit. What it warns of, it leaves out and goes on; its exit
// status is 1 for a program that is not installed yet, too. What keeps the unit from being loaded is
// said in words that have been the same since systemd 239. Drop-ins are not checked: they mean
// something only together with the unit that the package brings.
func unitCheck(name string) state.Check {
	return state.Check{
		Program: "/usr/bin/systemd-analyze", Args: []string{"verify", "--man=no", state.CheckCandidate},
		Objections:     []string{"Unit " + name + " has a bad unit file setting", "Unit " + name + " failed to load properly"},
		OnlyObjections: true, Explains: 2, Cure: "correct units[" + name + "].contents",
	}
}
