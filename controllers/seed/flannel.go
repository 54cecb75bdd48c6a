package seed

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/seed/etcdauth"
	"seedbed.dev/seedbed/controllers/seed/pki"
)

// Users and roles of etcd. A user is the common name of a client certificate of etcd's authority.
const (
	apiserverUser = "kube-apiserver"
	flannelUser   = "flannel"
	flannelRole   = "flannel"
	// apiserverPrefix is where kube-apiserver keeps everything (its --etcd-prefix).
	apiserverPrefix = "/registry"
)

// flannelSpec is the identity of flannel on every node, and of the manager where it publishes the
// network: only etcd knows it, and lets it into flannel's prefixes.
func flannelSpec() pki.Spec { return pki.Spec{CommonName: flannelUser, Usage: pki.Client} }

// etcdAccess is who may do what in the seed's etcd. A certificate alone lets nobody in.
func etcdAccess(s Settings) ([]etcdauth.Role, []etcdauth.User) {
	return []etcdauth.Role{{Name: flannelRole, Prefixes: s.FlannelPrefixes}},
		[]etcdauth.User{{Name: apiserverUser, Role: etcdauth.Root}, {Name: flannelUser, Role: flannelRole}}
}

// flannelPrefix is the grammar of a NetworkConfig's subnetManager.etcd.prefix.
var flannelPrefix = regexp.MustCompile(`^(/[a-zA-Z0-9_.-]+)+$`)

func (o Options) checkFlannel(s *Settings) *Problem {
	s.FlannelPrefixes = slices.Clone(o.FlannelPrefixes)
	if len(s.FlannelPrefixes) == 0 {
		s.FlannelPrefixes = []string{v1alpha1.DefaultEtcdPrefix}
	}
	slices.Sort(s.FlannelPrefixes)
	s.FlannelPrefixes = slices.Compact(s.FlannelPrefixes)
	for _, p := range s.FlannelPrefixes {
		if len(p) > 200 || !flannelPrefix.MatchString(p) || slices.ContainsFunc(strings.Split(p, "/"), func(e string) bool { return e == "." || e == ".." }) {
			return problemf("start with /, use letters, digits, _ . -, and no trailing /; example: "+v1alpha1.DefaultEtcdPrefix,
				"--flannel-prefix %q: not a key prefix", p)
		}
		if p == apiserverPrefix || strings.HasPrefix(p, apiserverPrefix+"/") {
			return problemf("choose one elsewhere; example: "+v1alpha1.DefaultEtcdPrefix,
				"--flannel-prefix %s: kube-apiserver keeps the cluster there, with every Secret", p)
		}
	}
	s.FlannelEtcdPort = o.FlannelEtcdPort
	switch {
	case o.FlannelEtcdPort < 0 || o.FlannelEtcdPort > 65535:
		return problemf("give 1 to 65535, or 0 for none; example: 2379", "--flannel-etcd-port %d: not a port", o.FlannelEtcdPort)
	case o.FlannelEtcdPort != 0 && o.FlannelEtcdPort == o.SecurePort:
		return problemf("choose another; etcd's usual one is 2379", "--flannel-etcd-port %d: is --secure-port as well", o.FlannelEtcdPort)
	}
	return nil
}

// flannelEtcd is the URL by which nodes reach etcd, and "" when they do not.
func (s Settings) flannelEtcd() string {
	if s.FlannelEtcdPort == 0 {
		return ""
	}
	return serverURL(s.Advertise, s.FlannelEtcdPort)
}

// etcdServerSpec names etcd as kube-apiserver calls it, on loopback, and as nodes do, if they do.
func etcdServerSpec(s Settings, local pki.Spec) pki.Spec {
	if s.FlannelEtcdPort == 0 {
		return local
	}
	local.DNSNames = append(slices.Clone(local.DNSNames), s.ExtraNames...)
	local.IPs = slices.Clone(local.IPs)
	for _, a := range []netip.Addr{s.Bind, s.Advertise} {
		if !a.IsUnspecified() {
			local.IPs = append(local.IPs, a)
		}
	}
	local.IPs = unique(append(local.IPs, s.ExtraIPs...))
	return local
}

// etcdClientURLs are where etcd listens for clients.
func etcdClientURLs(s Settings, p Ports) string {
	urls := localURL(p.Etcd, "")
	if s.FlannelEtcdPort != 0 {
		urls += "," + serverURL(s.Bind, s.FlannelEtcdPort)
	}
	return urls
}

// flannelSummary says how nodes' flannel reaches etcd.
func flannelSummary(s Settings) string {
	where := s.flannelEtcd()
	if where == "" {
		return "not reachable from nodes; for subnetManager.type Etcd start with --flannel-etcd-port " + strconv.Itoa(2379)
	}
	return where + ", prefix " + strings.Join(s.FlannelPrefixes, " or ") + ", with the certificate in Secret " +
		v1alpha1.Namespace + "/" + v1alpha1.FlannelEtcdSecret
}
