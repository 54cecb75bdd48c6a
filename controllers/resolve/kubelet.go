package resolve

import (
	"fmt"
	"net/netip"

	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

const defaultMaxPods = 110

func (r *resolver) kubelet() {
	spec, k := orZero(r.in.Revision.Node.Kubelet), &r.node.Kubelet
	k.Address = r.bind("kubelet.bindAddress", spec.BindAddress)
	k.ClientCA = r.certificates("kubelet.clientCASecretRef", spec.ClientCASecretRef)
	r.bootstrap(spec.BootstrapTokenSecretRef)
	k.MaxPods = or(spec.MaxPods, defaultMaxPods)
	r.serving(orZero(spec.Serving))
	r.failCgroupV1(spec.FailCgroupV1)
	k.DisableWebSockets = r.badWebSockets()
	owned := kubeletFields
	if k.DisableWebSockets {
		owned = with(owned, "featureGates."+WebSocketGate, "the versions on this node: cri-dockerd up to 0.4.3 breaks kubectl exec otherwise (SB031)")
	}
	var config kubeletv1beta1.KubeletConfiguration
	k.Config = r.freeform("kubelet.config", spec.Config, &config,
		kubeletv1beta1.SchemeGroupVersion.String(), "KubeletConfiguration", owned)
	r.since("kubelet.config", "KubeletConfiguration", k.Config, kubeletFieldSince, k.Version)
	r.kubeletAmounts(&config)
	k.ExtraArgs = r.extraArgs("kubelet.extraArgs", spec.ExtraArgs, kubeletFlags, k.Version)
	k.PackageArgs = r.packageArgs(v1alpha1.ComponentKubelet, kubeletFlags)
}

// bootstrap does not look at the token of a kubelet that has its certificate: the token is then
// neither written again nor kept on the node.
func (r *resolver) bootstrap(ref *v1alpha1.SecretKeyReference) {
	b := &r.node.Kubelet.Bootstrap
	b.ByToken, b.Done = ref != nil, r.in.KubeletHasCertificate
	if !b.Done {
		b.Token = r.token("kubelet.bootstrapTokenSecretRef", ref)
	}
}

// WebSocketGate is the kubelet's feature gate of SB031, on by default since 1.36.
const WebSocketGate = "ExtendWebSocketsToKubelet"

// badWebSockets is true for the pairs of versions where kubectl exec fails: cri-dockerd up to
// 0.4.3 returns a streaming URL without a scheme, which the kubelet's WebSocket path does not fill
// in (SB031).
func (r *resolver) badWebSockets() bool {
	kubelet, cri := r.node.Kubelet.Version, r.node.CRIDockerd.Version
	return kubelet != nil && !below(kubelet, "1.36.0") && below(cri, "0.4.4")
}

func (r *resolver) bind(field string, spec *v1alpha1.BindAddress) netip.Addr {
	switch b := or(spec, v1alpha1.BindNodeIP); b {
	case v1alpha1.BindNodeIP:
		return r.node.IP
	case v1alpha1.BindAny:
	default:
		r.oneOf(field, string(b), "NodeIP", "Any")
	}
	return netip.IPv4Unspecified()
}

func (r *resolver) serving(spec v1alpha1.KubeletServing) {
	k, given := &r.node.Kubelet, spec.CertSecretRef != nil
	k.RotateServing = or(spec.Rotate, !given)
	if given != (spec.KeySecretRef != nil) || given && k.RotateServing {
		r.invalid("kubelet.serving", "", "needs certSecretRef and keySecretRef together, or rotate alone, or nothing: remove what is too much")
		return
	}
	if given {
		k.Serving = r.keyPair("kubelet.serving", nil, spec.CertSecretRef, spec.KeySecretRef)
	}
}

func (r *resolver) failCgroupV1(spec *bool) {
	k := &r.node.Kubelet
	k.FailCgroupV1 = spec
	switch {
	case spec != nil && below(k.Version, "1.31.0"):
		r.add(v1alpha1.ReasonVersionUnsupported, "kubelet.failCgroupV1", fmt.Sprint(*spec), "the kubelet has this field since 1.31: remove it")
	case or(spec, !below(k.Version, "1.35.0")) && k.Version != nil && r.in.Facts.Cgroup == "v1":
		r.add(v1alpha1.ReasonVersionUnsupported, "kubelet.failCgroupV1", "", "this node runs on cgroup v1, where kubelet %s does not start (KEP-5573, SB028): boot it with systemd.unified_cgroup_hierarchy=1, or set kubelet.failCgroupV1: false", k.Version)
	}
}
