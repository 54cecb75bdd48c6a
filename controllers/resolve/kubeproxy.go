package resolve

import (
	"time"

	"k8s.io/apimachinery/pkg/util/version"
	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

const (
	defaultConntrackPerCore     = 32768
	defaultConntrackMin         = 131072
	defaultConntrackEstablished = 24 * time.Hour
)

func (r *resolver) kubeProxy() {
	spec, p := orZero(r.in.Revision.Node.KubeProxy), &r.node.KubeProxy
	p.Mode = or(spec.Mode, v1alpha1.ProxyModeIPTables)
	r.oneOf("kubeProxy.mode", string(p.Mode), "IPTables", "NFTables")
	r.nftables()
	p.BindAddress = r.bind("kubeProxy.bindAddress", spec.BindAddress)
	r.conntrack(orZero(spec.Conntrack))
	p.Config = r.freeform("kubeProxy.config", spec.Config, &kubeproxyv1alpha1.KubeProxyConfiguration{},
		kubeproxyv1alpha1.SchemeGroupVersion.String(), "KubeProxyConfiguration", kubeProxyFields)
	p.PackageArgs = r.packageArgs(v1alpha1.ComponentKubeProxy, kubeProxyFlags)
}

// nftables refuses the mode where kube-proxy would exit (KEP-3866).
func (r *resolver) nftables() {
	if r.node.KubeProxy.Mode != v1alpha1.ProxyModeNFTables {
		return
	}
	if v := r.node.KubeProxy.Version; below(v, "1.33.0") {
		r.add(v1alpha1.ReasonVersionUnsupported, "kubeProxy.mode", "NFTables", "kube-proxy %s has it only as a preview (KEP-3866: stable since 1.33): use IPTables, or update to 1.33 or later", v)
	}
	if k, err := version.ParseGeneric(r.in.Facts.Kernel); err == nil && below(k, "5.13.0") {
		r.add(v1alpha1.ReasonVersionUnsupported, "kubeProxy.mode", "NFTables", "kernel %s is too old for it, and kube-proxy would exit (KEP-3866: 5.13 or later): use IPTables, or update the kernel", k)
	}
}

// conntrackMax are the sysctls that kube-proxy writes when maxPerCore is not 0.
var conntrackMax = []string{"net.netfilter.nf_conntrack_max", "net.nf_conntrack_max"}

func (r *resolver) conntrack(spec v1alpha1.Conntrack) {
	p := &r.node.KubeProxy
	perCore := int32(defaultConntrackPerCore)
	for _, name := range conntrackMax {
		if value, set := r.in.Revision.Node.Sysctls[name]; set {
			// kube-proxy writes the sysctl at every start; a value of the user's own turns that off.
			perCore = 0
			if or(spec.MaxPerCore, 0) != 0 {
				r.invalid("sysctls."+name, string(value), "kube-proxy sets it too, from kubeProxy.conntrack.maxPerCore %d (SB023): keep one of them", *spec.MaxPerCore)
			}
		}
	}
	p.ConntrackMaxPerCore = or(spec.MaxPerCore, perCore)
	p.ConntrackMin = or(spec.Min, defaultConntrackMin)
	p.ConntrackEstablishedExpiry = defaultConntrackEstablished
	if spec.TCPEstablishedTimeout != nil {
		p.ConntrackEstablishedExpiry = spec.TCPEstablishedTimeout.Duration
	}
	if p.ConntrackMaxPerCore < 0 || p.ConntrackMin < 0 || p.ConntrackEstablishedExpiry < 0 {
		r.invalid("kubeProxy.conntrack", "", "has a negative value: use 0 to leave the kernel's")
	}
}
