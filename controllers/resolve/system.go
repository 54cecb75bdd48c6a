package resolve

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// ownedModules: flannel exits without br_netfilter, docker stores images on overlay.
var ownedModules = []string{"br_netfilter", "overlay"}

// ownedSysctls are what the pod network needs (SB003, SB027).
var ownedSysctls = map[string]string{
	"net.ipv4.ip_forward":                "1",
	"net.bridge.bridge-nf-call-iptables": "1",
}

var (
	moduleName  = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)
	sysctlName  = regexp.MustCompile(`^[a-z0-9_]+([.][a-zA-Z0-9_/-]+)+$`)
	sysctlValue = regexp.MustCompile(`^[a-zA-Z0-9 ./_:,+-]+$`)
)

func (r *resolver) system() {
	spec, s := r.in.Revision.Node, &r.node.System
	s.Modules = slices.Clone(ownedModules)
	for i, m := range spec.KernelModules {
		if !moduleName.MatchString(string(m)) {
			r.invalid(fmt.Sprintf("kernelModules[%d]", i), string(m), "not the name of a module: letters, digits and _ only")
		}
		s.Modules = append(s.Modules, string(m))
	}
	slices.Sort(s.Modules)
	s.Modules = slices.Compact(s.Modules)
	s.Sysctls = maps.Clone(ownedSysctls)
	r.reversePath()
	r.userSysctls(spec.Sysctls)
	switch policy := or(r.in.Revision.Network.ForwardPolicy, v1alpha1.ForwardAccept); policy {
	case v1alpha1.ForwardAccept:
		s.ForwardPolicy = "ACCEPT"
	case v1alpha1.ForwardDrop:
		s.ForwardPolicy = "DROP"
	default:
		r.oneOf("network.forwardPolicy", string(policy), "Accept", "Drop", "Unmanaged")
	}
}

// reversePath sets rp_filter. The kernel takes the greater of "all" and the interface's own value,
// so that Loose (2) needs "all" alone, and Off (0) and Strict (1) need the node's interface too;
// "default" is what flannel.1 and docker0 are born with.
func (r *resolver) reversePath() {
	const field = "network.reversePathFilter"
	policy := or(r.in.Revision.Network.ReversePathFilter, v1alpha1.ReversePathUnmanaged)
	values := map[v1alpha1.ReversePathFilter]string{v1alpha1.ReversePathOff: "0", v1alpha1.ReversePathStrict: "1", v1alpha1.ReversePathLoose: "2"}
	if r.node.Network.Masquerade == v1alpha1.MasqueradeNone && policy != v1alpha1.ReversePathOff && policy != v1alpha1.ReversePathLoose {
		r.invalid(field, string(policy), "masquerade None needs Loose or Off: replies to a node that called a Service are dropped otherwise (SB004)")
	}
	value, managed := values[policy]
	if !managed {
		r.oneOf(field, string(policy), "Off", "Strict", "Loose", "Unmanaged")
		return
	}
	names := []string{"all", "default"}
	if policy != v1alpha1.ReversePathLoose && r.node.Interface != "" {
		names = append(names, r.node.Interface, DockerBridge)
		if tunnel := r.node.Network.Backend.Tunnel(); tunnel != "" {
			names = append(names, tunnel)
		}
	}
	for _, name := range names {
		// A dot in an interface's name is written as a slash (sysctl.d(5)).
		r.node.System.Sysctls["net.ipv4.conf."+strings.ReplaceAll(name, ".", "/")+".rp_filter"] = value
	}
}

// DockerBridge is the bridge that docker makes, and all pods are on.
const DockerBridge = "docker0"

// Tunnel is the link that flannel makes: it names a VXLAN after the VNI (flannel, pkg/backend/vxlan).
// Empty where there is none, or none that is looked at.
func (b Backend) Tunnel() string {
	if b.Type != v1alpha1.BackendVXLAN {
		return ""
	}
	return fmt.Sprintf("flannel.%d", b.VNI)
}

func (r *resolver) userSysctls(spec map[string]v1alpha1.SysctlValue) {
	for _, name := range state.SortedKeys(spec) {
		value, field := strings.Join(strings.Fields(string(spec[name])), " "), "sysctls."+show(name)
		if owned, other := sysctlAlias(name); other {
			r.invalid(field, string(spec[name]), "is %s under another name, which Seedbed sets to %s for the pod network: remove it", owned, ownedSysctls[owned])
			continue
		}
		if !sysctlName.MatchString(name) || !sysctlValue.MatchString(string(spec[name])) || value == "" {
			r.invalid(field, string(spec[name]), "not a sysctl: dotted names and plain values on one line, for example net.ipv4.tcp_keepalive_time")
			continue
		}
		if ours, owned := r.node.System.Sysctls[name]; owned {
			r.invalid(field, value, "Seedbed sets it to %s for the pod network: remove it (rp_filter is NetworkConfig reversePathFilter)", ours)
			continue
		}
		r.node.System.Sysctls[name] = value
	}
}

// sysctlAlias finds the owned sysctl that another spelling sets too. With a slash as the first
// separator, slashes and dots change places (sysctl.d(5)); to the kernel, all.forwarding and
// ip_forward are one setting (Documentation/networking/ip-sysctl.rst).
func sysctlAlias(name string) (owned string, other bool) {
	dotted := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		dotted = strings.NewReplacer("/", ".", ".", "/").Replace(name)
	}
	if dotted == "net.ipv4.conf.all.forwarding" {
		dotted = "net.ipv4.ip_forward"
	}
	_, ours := ownedSysctls[dotted]
	return dotted, ours && dotted != name
}
