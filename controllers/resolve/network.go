package resolve

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/revision"
)

const (
	defaultSubnetLength = 24
	defaultDomain       = "cluster.local"
	defaultVNI          = 1
	defaultVXLANPort    = 8472
	defaultEtcdPrefix   = v1alpha1.DefaultEtcdPrefix
)

func (r *resolver) network() {
	spec, n := r.in.Revision.Network, &r.node.Network
	n.PodCIDR = r.prefix("network.podCIDR", spec.PodCIDR)
	n.ServiceCIDR = r.prefix("network.serviceCIDR", spec.ServiceCIDR)
	n.PodSubnetLength = int(or(spec.PodSubnetLength, defaultSubnetLength))
	if n.PodCIDR.IsValid() && n.ServiceCIDR.IsValid() && n.PodCIDR.Overlaps(n.ServiceCIDR) {
		r.invalid("network.serviceCIDR", spec.ServiceCIDR, "overlaps podCIDR %s: choose ranges that share no address", spec.PodCIDR)
	}
	if n.PodCIDR.IsValid() && n.PodSubnetLength <= n.PodCIDR.Bits() || n.PodSubnetLength > 30 {
		r.invalid("network.podSubnetLength", strconv.Itoa(n.PodSubnetLength), "does not divide podCIDR %s: use a length between its own and 30", spec.PodCIDR)
	}
	r.dns(spec.DNS)
	r.backend(orZero(spec.Backend))
	n.Masquerade = or(spec.Masquerade, v1alpha1.MasqueradeClusterCIDR)
	r.oneOf("network.masquerade", string(n.Masquerade), "None", "ClusterCIDR", "All")
	n.Hairpin = or(spec.Hairpin, v1alpha1.HairpinVeth)
	r.oneOf("network.hairpin", string(n.Hairpin), "PromiscuousBridge", "HairpinVeth", "None")
}

func (r *resolver) dns(spec *v1alpha1.ClusterDNS) {
	if spec == nil {
		return
	}
	dns := &DNS{Domain: or(spec.Domain, defaultDomain)}
	ip, err := netip.ParseAddr(spec.ServiceIP)
	if err != nil || !r.node.Network.ServiceCIDR.IsValid() || !r.node.Network.ServiceCIDR.Contains(ip) {
		r.invalid("network.dns.serviceIP", spec.ServiceIP, "not an address inside serviceCIDR %s: choose one of it", r.in.Revision.Network.ServiceCIDR)
	}
	if len(validation.IsDNS1123Subdomain(dns.Domain)) > 0 {
		r.invalid("network.dns.domain", dns.Domain, "not a domain name: lower-case labels joined by dots, for example %s", defaultDomain)
	}
	dns.ServiceIP = ip
	r.node.Network.DNS = dns
}

func (r *resolver) backend(spec v1alpha1.FlannelBackend) {
	vxlan := orZero(spec.VXLAN)
	r.node.Network.Backend = Backend{
		Type:          or(spec.Type, v1alpha1.BackendVXLAN),
		VNI:           or(vxlan.VNI, defaultVNI),
		Port:          or(vxlan.Port, defaultVXLANPort),
		DirectRouting: vxlan.DirectRouting,
		MTU:           or(spec.MTU, 0),
	}
	b := r.node.Network.Backend
	r.oneOf("network.backend.type", string(b.Type), "VXLAN", "HostGateway", "WireGuard", "UDP")
	if b.MTU != 0 && b.Type != v1alpha1.BackendVXLAN && b.Type != v1alpha1.BackendWireGuard {
		r.invalid("network.backend.mtu", strconv.Itoa(int(b.MTU)), "has no effect with backend.type %s: remove it", b.Type)
	}
}

// podMTU is what flannel will find out of the interface, where no MTU is set.
func (r *resolver) podMTU() {
	b := &r.node.Network.Backend
	b.PodMTU = int(b.MTU)
	for _, i := range r.in.Facts.Interfaces {
		if b.PodMTU == 0 && i.MTU != 0 && i.Name == r.node.Interface {
			b.PodMTU = int(i.MTU - b.Overhead())
		}
	}
}

// Overhead is what a backend takes of the MTU below it, in bytes (flannel, pkg/backend).
func (b Backend) Overhead() int32 {
	return map[v1alpha1.BackendType]int32{v1alpha1.BackendVXLAN: 50, v1alpha1.BackendWireGuard: 80, v1alpha1.BackendUDP: 28}[b.Type]
}

// NetworkOf resolves what of a network is the same for every node: its ranges and backend, and where
// flannel's etcd is (nil with the Kubernetes subnet manager), so that what is published there is what
// nodes are configured for. All that is wrong is returned at once, as Errors.
func NetworkOf(spec v1alpha1.NetworkConfigSpec, secrets Secrets) (Network, *Etcd, error) {
	r := &resolver{in: Input{Revision: revision.Revision{Network: spec}, Secrets: secrets}}
	r.network()
	etcd := r.etcd()
	if err := r.err(); err != nil {
		return Network{}, nil, err
	}
	return r.node.Network, etcd, nil
}

// etcdPrefix repeats the CRD's grammar, since flannel joins it with "/config" unchecked.
var etcdPrefix = regexp.MustCompile(`^(/[a-zA-Z0-9_.-]+)+$`)

// etcd resolves flannel's subnet manager; nil is the Kubernetes one.
func (r *resolver) etcd() *Etcd {
	spec := orZero(r.in.Revision.Network.SubnetManager)
	const field = "network.subnetManager"
	switch kind := or(spec.Type, v1alpha1.SubnetManagerKubernetes); kind {
	case v1alpha1.SubnetManagerKubernetes:
		return nil
	case v1alpha1.SubnetManagerEtcd:
	default:
		r.oneOf(field+".type", string(kind), "Kubernetes", "Etcd")
		return nil
	}
	if spec.Etcd == nil || len(spec.Etcd.Endpoints) == 0 {
		r.invalid(field+".etcd", "", "type Etcd has no endpoints: add subnetManager.etcd.endpoints, for example [\"https://10.64.3.7:2379\"]")
		return nil
	}
	// flannel, pkg/subnet/config.go, CheckNetworkConfig.
	if n := r.node.Network; n.PodCIDR.IsValid() && n.PodSubnetLength < n.PodCIDR.Bits()+2 {
		r.invalid("network.podSubnetLength", strconv.Itoa(n.PodSubnetLength), "makes fewer than four subnets of podCIDR %s, which flannel refuses with subnetManager.type Etcd: use at least %d", n.PodCIDR, n.PodCIDR.Bits()+2)
	}
	etcd := &Etcd{Prefix: or(spec.Etcd.Prefix, defaultEtcdPrefix)}
	if !etcdPrefix.MatchString(etcd.Prefix) {
		r.invalid(field+".etcd.prefix", etcd.Prefix, "not a key prefix: start with /, use letters, digits, _ . -, for example %s", defaultEtcdPrefix)
	}
	schemes := []string{"http", "https"}
	if tls := spec.Etcd.TLS; tls != nil {
		schemes = []string{"https"}
		etcd.TLS = r.keyPair(field+".etcd.tls", &tls.CASecretRef, &tls.CertSecretRef, &tls.KeySecretRef)
	}
	for i, endpoint := range spec.Etcd.Endpoints {
		r.url(fmt.Sprintf("%s.etcd.endpoints[%d]", field, i), string(endpoint), schemes...)
		etcd.Endpoints = append(etcd.Endpoints, string(endpoint))
	}
	return etcd
}

// prefix parses an IPv4 range without host bits.
func (r *resolver) prefix(field, value string) netip.Prefix {
	p, err := netip.ParsePrefix(value)
	if err != nil || !p.Addr().Is4() || p != p.Masked() {
		r.invalid(field, value, "not an IPv4 range without host bits: write address/length, for example 172.30.0.0/16")
		return netip.Prefix{}
	}
	return p
}

// url checks that a value is scheme://host[:port] and nothing more, and returns the host.
func (r *resolver) url(field, value string, schemes ...string) (host string, ok bool) {
	if !r.text(field, value) {
		return "", false
	}
	u, err := url.Parse(value)
	want := strings.Join(schemes, " or ")
	if err != nil {
		r.invalid(field, value, "not a URL: write %s://host:port", schemes[len(schemes)-1])
		return "", false
	}
	plain := url.URL{Scheme: u.Scheme, Host: u.Host}
	if !slices.Contains(schemes, u.Scheme) || !registryHost.MatchString(u.Host) || strings.TrimSuffix(value, "/") != plain.String() {
		r.invalid(field, value, "not a URL of just %s, host and port: for example %s://10.64.3.1:6443", want, schemes[len(schemes)-1])
		return "", false
	}
	return u.Hostname(), true
}

// outsidePodRanges refuses addresses that pods or Services would take from the host.
func (r *resolver) outsidePodRanges(field string, addr netip.Addr) {
	for name, value := range map[string]string{"podCIDR": r.in.Revision.Network.PodCIDR, "serviceCIDR": r.in.Revision.Network.ServiceCIDR} {
		p, err := netip.ParsePrefix(value)
		if err == nil && p.Contains(addr) {
			r.invalid(field, addr.String(), "is inside %s %s, which the cluster gives out: choose a range that no host of the network is in", name, value)
		}
	}
}

// oneOf refuses a value that is not among those the API has.
func (r *resolver) oneOf(field, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	r.invalid(field, value, "not one of %s", strings.Join(allowed, ", "))
}
