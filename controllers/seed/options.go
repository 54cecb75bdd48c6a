package seed

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Defaults of the options. The service range is the install guide's.
const (
	DefaultBindAddress  = "127.0.0.1"
	DefaultServiceRange = "10.254.0.0/16"
	DefaultNodeMaskSize = 24
)

// Options are what a user says about a seed, as given; each is named after its flag.
type Options struct {
	// DataDir holds all that the seed keeps.
	DataDir string
	// Components is a folder with the programs etcd and kube-apiserver, and kube-controller-manager
	// and kube-scheduler if they are to run.
	Components string
	// BindAddress is the IP address that kube-apiserver listens on.
	BindAddress string
	// AdvertiseAddress is the IP address that nodes and pods reach it by. Empty: the bind address.
	AdvertiseAddress string
	// SecurePort is kube-apiserver's port. 0: the one of the last start, else a free one.
	SecurePort int
	// ServiceRange is the CIDR of the services' cluster IPs. It cannot change later.
	ServiceRange string
	// ClusterRange is the CIDR of the pods. With it, controller-manager gives each node a share of
	// NodeMaskSize bits (node.spec.podCIDR), which flannel's Kubernetes subnet manager needs.
	ClusterRange string
	NodeMaskSize int
	// ExtraSANs are further DNS names or IP addresses that kube-apiserver's certificate is valid for.
	ExtraSANs []string
	// FlannelPrefixes are the prefixes in etcd that flannel's certificate is let into, as in a
	// NetworkConfig's subnetManager.etcd.prefix. Empty: the default there.
	FlannelPrefixes []string
	// FlannelEtcdPort is the port on the bind address where nodes' flannel reaches etcd. 0: only this
	// machine reaches etcd, which is enough for flannel's Kubernetes subnet manager.
	FlannelEtcdPort int
	// ReadyFile is written when the seed is ready and removed when it stops. Empty: none.
	ReadyFile string
}

// Settings are checked Options.
type Settings struct {
	DataDir      string
	Bind         netip.Addr
	Advertise    netip.Addr
	SecurePort   int
	ServiceRange netip.Prefix
	// ClusterRange is not valid when pods get no addresses from controller-manager.
	ClusterRange netip.Prefix
	NodeMaskSize int
	ExtraNames   []string
	ExtraIPs     []netip.Addr
	// FlannelPrefixes is never empty.
	FlannelPrefixes []string
	FlannelEtcdPort int
}

// Check returns the options as settings, or a *Problem that names the flag, its value and the cure.
func (o Options) Check() (Settings, error) {
	s := Settings{SecurePort: o.SecurePort, NodeMaskSize: o.NodeMaskSize}
	steps := []func(*Settings) *Problem{o.checkDataDir, o.checkAddresses, o.checkPort, o.checkServiceRange, o.checkClusterRange, o.checkSANs, o.checkFlannel}
	for _, step := range steps {
		if p := step(&s); p != nil {
			return Settings{}, p
		}
	}
	return s, nil
}

// Loopback is true when nothing but this machine can reach the API server.
func (s Settings) Loopback() bool { return s.Bind.IsLoopback() }

// ServiceIP is the address of the Service "kubernetes": the first of the range.
func (s Settings) ServiceIP() netip.Addr { return s.ServiceRange.Addr().Next() }

// server is the URL by which other machines reach the API server.
func (s Settings) server(port int) string { return serverURL(s.Advertise, port) }

// localServer is the URL by which this machine reaches it, which works even where the advertised
// address is one that something in front of this machine forwards.
func (s Settings) localServer(port int) string {
	switch {
	case !s.Bind.IsUnspecified():
		return serverURL(s.Bind, port)
	case s.Bind.Is4():
		return serverURL(loopback, port)
	}
	return serverURL(netip.IPv6Loopback(), port)
}

func serverURL(a netip.Addr, port int) string {
	return "https://" + netip.AddrPortFrom(a, uint16(port)).String()
}

func (o Options) checkDataDir(s *Settings) *Problem {
	if o.DataDir == "" {
		return problemf("give a folder; example: --data-dir /var/lib/seedbed/seed", "--data-dir is empty")
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return &Problem{What: fmt.Sprintf("--data-dir %s: %v", o.DataDir, err), Cure: "give an absolute path", Err: err}
	}
	s.DataDir = dir
	return nil
}

func (o Options) checkAddresses(s *Settings) *Problem {
	var p *Problem
	if s.Bind, p = address("--bind-address", o.BindAddress); p != nil {
		return p
	}
	if o.AdvertiseAddress == "" {
		if s.Bind.IsUnspecified() {
			return problemf("add the address that nodes and pods reach this machine by; example: --advertise-address 10.64.3.7",
				"--bind-address %s needs --advertise-address", s.Bind)
		}
		s.Advertise = s.Bind
		return nil
	}
	if s.Advertise, p = address("--advertise-address", o.AdvertiseAddress); p != nil {
		return p
	}
	switch {
	case s.Bind.IsUnspecified() && (s.Advertise.IsUnspecified() || s.Advertise.IsLoopback()):
		return problemf("give an address that other machines reach this one by; example: 10.64.3.7",
			"--advertise-address %s: not an address that another machine can use", s.Advertise)
	case !s.Bind.IsUnspecified() && s.Advertise != s.Bind:
		return problemf("leave --advertise-address out, or bind all addresses with --bind-address 0.0.0.0",
			"--advertise-address %s: nothing listens there while --bind-address is %s", s.Advertise, s.Bind)
	case s.Advertise.Is4() != s.Bind.Is4():
		return problemf("give both as IPv4 or both as IPv6",
			"--advertise-address %s and --bind-address %s are of different families", s.Advertise, s.Bind)
	}
	return nil
}

func (o Options) checkPort(*Settings) *Problem {
	if o.SecurePort < 0 || o.SecurePort > 65535 {
		return problemf("give 1 to 65535, or 0 for a free port", "--secure-port %d: not a port", o.SecurePort)
	}
	return nil
}

func (o Options) checkServiceRange(s *Settings) *Problem {
	const flag = "--service-cluster-ip-range"
	var p *Problem
	if s.ServiceRange, p = cidr(flag, o.ServiceRange, DefaultServiceRange); p != nil {
		return p
	}
	// kube-apiserver's own bounds: 8 addresses at least, 2^20 at most.
	if hostBits := s.ServiceRange.Addr().BitLen() - s.ServiceRange.Bits(); hostBits < 3 || hostBits > 20 {
		return problemf("give one of 8 to 1048576 addresses; example: "+DefaultServiceRange, "%s %s: too small or too large", flag, s.ServiceRange)
	}
	if s.ServiceRange.Addr().Is4() != s.Advertise.Is4() {
		return problemf("give both as IPv4 or both as IPv6", "%s %s and the address %s are of different families", flag, s.ServiceRange, s.Advertise)
	}
	return outside(flag, s.ServiceRange, s.Advertise)
}

func (o Options) checkClusterRange(s *Settings) *Problem {
	const flag = "--cluster-cidr"
	if o.ClusterRange == "" {
		return nil
	}
	var p *Problem
	if s.ClusterRange, p = cidr(flag, o.ClusterRange, "172.30.0.0/16"); p != nil {
		return p
	}
	if s.ClusterRange.Overlaps(s.ServiceRange) {
		return problemf("give ranges that share no address", "%s %s overlaps --service-cluster-ip-range %s", flag, s.ClusterRange, s.ServiceRange)
	}
	// controller-manager's own bound: 2^16 nodes.
	most := min(s.ClusterRange.Bits()+16, s.ClusterRange.Addr().BitLen()-2)
	if s.NodeMaskSize < s.ClusterRange.Bits() || s.NodeMaskSize > most {
		return problemf("give one of "+strconv.Itoa(s.ClusterRange.Bits())+" to "+strconv.Itoa(most),
			"--node-cidr-mask-size %d: does not divide --cluster-cidr %s", s.NodeMaskSize, s.ClusterRange)
	}
	return outside(flag, s.ClusterRange, s.Advertise)
}

func (o Options) checkSANs(s *Settings) *Problem {
	for _, san := range o.ExtraSANs {
		if ip, err := netip.ParseAddr(san); err == nil {
			s.ExtraIPs = append(s.ExtraIPs, ip.Unmap())
			continue
		}
		if len(validation.IsDNS1123Subdomain(san)) > 0 && len(validation.IsWildcardDNS1123Subdomain(san)) > 0 {
			return problemf("give an IP address or a DNS name; example: seed.example.com", "--tls-san %q: neither an IP address nor a DNS name", san)
		}
		s.ExtraNames = append(s.ExtraNames, san)
	}
	return nil
}

func address(flag, value string) (netip.Addr, *Problem) {
	a, err := netip.ParseAddr(value)
	if err != nil || a.Zone() != "" || a.IsMulticast() {
		return netip.Addr{}, &Problem{
			What: fmt.Sprintf("%s %q: not an IP address of a machine", flag, value),
			Cure: "give one without a port; example: 10.64.3.7", Err: err,
		}
	}
	return a.Unmap(), nil
}

func cidr(flag, value, example string) (netip.Prefix, *Problem) {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return netip.Prefix{}, &Problem{
			What: fmt.Sprintf("%s %q: not a CIDR", flag, value),
			Cure: "give address/length; example: " + example, Err: err,
		}
	}
	if p != p.Masked() {
		return netip.Prefix{}, problemf("write "+p.Masked().String(), "%s %s: has host bits", flag, value)
	}
	return p, nil
}

// isLoopback is true for a host of a URL that no other machine can reach.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost"
}

func outside(flag string, r netip.Prefix, a netip.Addr) *Problem {
	if r.Contains(a) {
		return problemf("give a range that no machine's address is in", "%s %s: holds this machine's address %s", flag, r, a)
	}
	return nil
}
