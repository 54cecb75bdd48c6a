package render

import (
	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// criSocket is where cri-dockerd answers the kubelet; the package's cri-docker.socket has it too.
const criSocket = "unix:///run/cri-dockerd.sock"

// hairpinModes are cri-dockerd's names (SB011).
var hairpinModes = map[v1alpha1.HairpinMode]string{
	v1alpha1.HairpinPromiscuousBridge: "promiscuous-bridge",
	v1alpha1.HairpinVeth:              "hairpin-veth",
	v1alpha1.HairpinNone:              "none",
}

func renderCRIDockerd(n resolve.Node) (state.Host, error) {
	host := state.New()
	content, err := criDockerdUnit(n)
	if err != nil {
		return host, err
	}
	path := unitPath(resolve.UnitCRIDockerd, n.CRIDockerd.Source)
	host.Files[path] = file(content)
	host.Units[resolve.UnitCRIDockerd] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Inputs: inputs(host, path),
	}
	if n.CRIDockerd.Source == v1alpha1.SourcePackage {
		host.Units[resolve.UnitCRISocket] = state.Unit{Enablement: state.Enabled, Activity: state.Active}
	}
	return host, nil
}

// criDockerdUnit: an empty network plugin leaves pods on docker0, whose subnet is flannel's lease.
// Wants, not Requires: a docker that restarts does not take cri-dockerd with it.
// The cgroup driver needs no flag: cri-dockerd asks docker for it, and the kubelet cri-dockerd.
func criDockerdUnit(n resolve.Node) ([]byte, error) {
	c := n.CRIDockerd
	u := &unitFile{}
	if c.Source == v1alpha1.SourceBinary {
		u.add("Unit", "Description", "cri-dockerd, docker as a runtime of Kubernetes").
			add("Unit", "Documentation", "https://github.com/Mirantis/cri-dockerd").
			add("Unit", "StartLimitIntervalSec", "0").
			add("Service", "Type", "notify").
			add("Service", "Restart", "always").
			add("Service", "RestartSec", "2").
			add("Service", "LimitNOFILE", "infinity").
			add("Service", "TasksMax", "infinity").
			add("Service", "Delegate", "yes").
			add("Service", "KillMode", "process").
			add("Install", "WantedBy", "multi-user.target")
	}
	u.add("Unit", "Wants", resolve.UnitDocker).
		add("Unit", "After", resolve.UnitDocker).
		resetExec(c.Source).
		exec(command(c.Program, criDockerdArgs(n), c.ExtraArgs))
	return u.bytes()
}

func criDockerdArgs(n resolve.Node) []string {
	c, endpoint := n.CRIDockerd, criSocket
	if c.Source == v1alpha1.SourcePackage {
		endpoint = "fd://"
	}
	return []string{
		"--container-runtime-endpoint=" + endpoint,
		"--network-plugin=",
		"--hairpin-mode=" + hairpinModes[n.Network.Hairpin],
		"--pod-infra-container-image=" + c.PodInfraImage,
	}
}
