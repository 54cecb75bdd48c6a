package seed

import (
	"net/netip"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/seed/pki"
)

// The authorities. etcd has one of its own: whoever it lets in as root reads every Secret, so a
// certificate of the cluster must mean nothing to it.
const (
	clusterAuthority    = "ca"
	etcdAuthority       = "etcd/ca"
	frontProxyAuthority = "front-proxy-ca"
)

// The pairs, by where they are below the data dir's pki folder.
const (
	serviceAccountKey  = "sa"
	apiserverPair      = "apiserver"
	kubeletClientPair  = "apiserver-kubelet-client"
	frontProxyPair     = "front-proxy-client"
	etcdClientPair     = "etcd/apiserver-client"
	etcdServerPair     = "etcd/server"
	etcdPeerPair       = "etcd/peer"
	flannelPair        = "etcd/flannel-client"
	controllerPair     = "controller-manager"
	schedulerPair      = "scheduler"
	adminName          = "admin"
	managerName        = "manager"
	frontProxyUser     = "front-proxy-client"
	kubeletClientUser  = "seedbed:apiserver-kubelet-client"
	bootstrapUser      = "seedbed:bootstrap"
	privilegedGroup    = "system:masters"
	controllerUser     = "system:kube-controller-manager"
	schedulerUser      = "system:kube-scheduler"
	clusterDNSDomain   = "cluster.local"
	serviceAccountHost = "kubernetes.default.svc." + clusterDNSDomain
)

// authorities are made at the first start, in this order; the value is the common name.
func authorities() []struct{ name, commonName string } {
	return []struct{ name, commonName string }{
		{clusterAuthority, "seedbed-ca"},
		{etcdAuthority, "seedbed-etcd-ca"},
		{frontProxyAuthority, "seedbed-front-proxy-ca"},
	}
}

// certificate is a pair that the seed keeps: who signs it and what it says.
type certificate struct {
	name, authority string
	spec            pki.Spec
}

// certificates are the pairs that the components are given as files.
func certificates(s Settings) []certificate {
	loopback := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	local := func(name string) pki.Spec {
		return pki.Spec{CommonName: name, Usage: pki.Server, DNSNames: []string{"localhost"}, IPs: loopback}
	}
	etcdPeer := local("etcd")
	etcdPeer.Usage = pki.Peer
	return []certificate{
		{apiserverPair, clusterAuthority, apiserverSpec(s, loopback)},
		{kubeletClientPair, clusterAuthority, pki.Spec{CommonName: kubeletClientUser, Usage: pki.Client}},
		{frontProxyPair, frontProxyAuthority, pki.Spec{CommonName: frontProxyUser, Usage: pki.Client}},
		{etcdServerPair, etcdAuthority, etcdServerSpec(s, local("etcd"))},
		{etcdPeerPair, etcdAuthority, etcdPeer},
		{etcdClientPair, etcdAuthority, pki.Spec{CommonName: apiserverUser, Usage: pki.Client}},
		{flannelPair, etcdAuthority, flannelSpec()},
		{controllerPair, clusterAuthority, local("kube-controller-manager")},
		{schedulerPair, clusterAuthority, local("kube-scheduler")},
	}
}

// apiserverSpec names the API server as clients call it: by address from outside, by the Service
// "kubernetes" from pods.
func apiserverSpec(s Settings, loopback []netip.Addr) pki.Spec {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", serviceAccountHost}
	ips := append([]netip.Addr{s.ServiceIP()}, loopback...)
	for _, a := range []netip.Addr{s.Bind, s.Advertise} {
		if !a.IsUnspecified() {
			ips = append(ips, a)
		}
	}
	return pki.Spec{
		CommonName: "kube-apiserver",
		Usage:      pki.Server,
		DNSNames:   append(names, s.ExtraNames...),
		IPs:        unique(append(ips, s.ExtraIPs...)),
	}
}

// client is an identity with a kubeconfig.
type client struct {
	name string
	// local clients run beside the API server and use the address it has on this machine.
	local bool
	spec  pki.Spec
}

// clients are the identities whose kubeconfigs the seed keeps. None is in system:masters.
func clients() []client {
	return []client{
		{adminName, false, pki.Spec{CommonName: v1alpha1.AdminUser, Organizations: []string{v1alpha1.AdminsGroup}, Usage: pki.Client}},
		{managerName, false, pki.Spec{CommonName: v1alpha1.ManagerUser, Usage: pki.Client}},
		{controllerPair, true, pki.Spec{CommonName: controllerUser, Usage: pki.Client}},
		{schedulerPair, true, pki.Spec{CommonName: schedulerUser, Usage: pki.Client}},
	}
}

// nodeSpec is the identity of a node's agent.
func nodeSpec(node string) pki.Spec {
	return pki.Spec{CommonName: v1alpha1.NodeUser(node), Organizations: []string{v1alpha1.NodesGroup}, Usage: pki.Client}
}

// bootstrapSpec is the identity that installs the roles, before any role says who may. It lives in
// memory for a start and is never written down.
func bootstrapSpec() pki.Spec {
	return pki.Spec{CommonName: bootstrapUser, Organizations: []string{privilegedGroup}, Usage: pki.Client}
}

func unique(addrs []netip.Addr) []netip.Addr {
	seen := map[netip.Addr]bool{}
	kept := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		if !seen[a] {
			seen[a] = true
			kept = append(kept, a)
		}
	}
	return kept
}
