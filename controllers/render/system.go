package render

import (
	"fmt"
	"strings"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

const forwardChain = "filter/FORWARD"

// renderSystem renders what more than one component needs: the cluster's CA, modules, sysctls and chains, each for now and, where a file does it, for
// the next boot. modules-load.d(5), sysctl.d(5).
func renderSystem(n resolve.Node) (state.Host, error) {
	host, s := state.New(), n.System
	var modules, sysctls strings.Builder
	modules.WriteString(header)
	for _, m := range s.Modules {
		if err := oneLine(m); err != nil {
			return host, fmt.Errorf("module %q: %w", m, err)
		}
		host.Modules[m] = state.Module{}
		modules.WriteString(m + "\n")
	}
	sysctls.WriteString(header)
	for _, name := range state.SortedKeys(s.Sysctls) {
		value := s.Sysctls[name]
		if value == "" || value != strings.Join(strings.Fields(value), " ") || oneLine(name+value) != nil {
			return host, fmt.Errorf("sysctl %q: value %q is not plain words on one line", name, value)
		}
		host.Sysctls[name] = value
		fmt.Fprintf(&sysctls, "%s = %s\n", name, value)
	}
	// The cluster's CA is here and not with the kubelet, since flannel verifies the API server too.
	host.Files[resolve.PathClusterCA] = file(n.Kubernetes.CA.Reveal())
	host.Files[resolve.PathModules] = file([]byte(modules.String()))
	host.Files[resolve.PathSysctls] = file([]byte(sysctls.String()))
	if s.ForwardPolicy != "" {
		host.Chains[forwardChain] = state.Chain{Policy: s.ForwardPolicy}
	}
	return host, nil
}

// clusterCA is the cluster's CA as an input: what verifies the API server is read at the start
// (client-go follows a change only since 1.36).
func clusterCA(n resolve.Node) state.Input {
	return state.Input{
		Name: resolve.PathClusterCA, Path: resolve.PathClusterCA,
		Hash: state.Hash(n.Kubernetes.CA.Reveal()), Disruption: state.Restart,
	}
}

// podNetwork is what of the kernel must be in place before flannel and docker start: flannel exits
// without br_netfilter (SB027), and dockerd sets FORWARD to DROP when it has to turn forwarding on
// itself (SB003).
func podNetwork() []state.Ref {
	return []state.Ref{
		{Kind: state.KindModule, Name: "br_netfilter"},
		{Kind: state.KindModule, Name: "overlay"},
		{Kind: state.KindSysctl, Name: "net.bridge.bridge-nf-call-iptables"},
		{Kind: state.KindSysctl, Name: "net.ipv4.ip_forward"},
	}
}
