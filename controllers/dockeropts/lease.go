package dockeropts

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Lease is what flannel writes into subnet.env.
type Lease struct {
	// Network is the pod network.
	Network netip.Prefix
	// Bridge is docker0's address with the length of the node's subnet.
	Bridge netip.Prefix
	// MTU of the pod network in bytes.
	MTU int
	// Masquerade is true if flannel masquerades what leaves the pod network.
	Masquerade bool
}

// The bounds of an MTU: IPv4's least (RFC 791) and the longest packet.
const minMTU, maxMTU = 68, 65535

// Parse reads subnet.env as flannel writes it (flannel, pkg/subnet, WriteSubnetFile): plain
// KEY=VALUE lines. A key that is missing, unknown or there twice, or a value that does not fit the
// others, is an error: half a lease would give docker the wrong subnet.
func Parse(text []byte) (Lease, error) {
	values, err := fields(string(text))
	if err != nil {
		return Lease{}, err
	}
	var l Lease
	if l.Network, err = netip.ParsePrefix(values["FLANNEL_NETWORK"]); err != nil || !l.Network.Addr().Is4() {
		return Lease{}, fmt.Errorf("FLANNEL_NETWORK %q: not an IPv4 range", values["FLANNEL_NETWORK"])
	}
	if l.Bridge, err = netip.ParsePrefix(values["FLANNEL_SUBNET"]); err != nil || !l.Bridge.Addr().Is4() {
		return Lease{}, fmt.Errorf("FLANNEL_SUBNET %q: not an IPv4 address with a length", values["FLANNEL_SUBNET"])
	}
	if l.Bridge.Addr() == l.Bridge.Masked().Addr() || !l.Network.Contains(l.Bridge.Addr()) || l.Bridge.Bits() < l.Network.Bits() {
		return Lease{}, fmt.Errorf("FLANNEL_SUBNET %s: not an address of a subnet inside FLANNEL_NETWORK %s", l.Bridge, l.Network)
	}
	if l.MTU, err = strconv.Atoi(values["FLANNEL_MTU"]); err != nil || l.MTU < minMTU || l.MTU > maxMTU {
		return Lease{}, fmt.Errorf("FLANNEL_MTU %q: not between %d and %d", values["FLANNEL_MTU"], minMTU, maxMTU)
	}
	switch v := values["FLANNEL_IPMASQ"]; v {
	case "true", "false":
		l.Masquerade = v == "true"
	default:
		return Lease{}, fmt.Errorf("FLANNEL_IPMASQ %q: neither true nor false", v)
	}
	return l, nil
}

// known keys; the IPv6 ones are flannel's, and of no use to docker0 here.
var known = map[string]bool{
	"FLANNEL_NETWORK": true, "FLANNEL_SUBNET": true, "FLANNEL_MTU": true, "FLANNEL_IPMASQ": true,
	"FLANNEL_IPV6_NETWORK": true, "FLANNEL_IPV6_SUBNET": true,
}

func fields(text string) (map[string]string, error) {
	values := map[string]string{}
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line has no end: the file is empty or cut off")
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		key, value, ok := strings.Cut(line, "=")
		if !ok || !known[key] {
			return nil, fmt.Errorf("line %d: not one of flannel's settings", i+1)
		}
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", i+1, key)
		}
		values[key] = value
	}
	return values, nil
}

// Options are dockerd's options for the lease. Exactly one of flannel and docker masquerades: two
// would hide pods from each other, none would leave them without a way out.
func (l Lease) Options() []string {
	return []string{
		"--bip=" + l.Bridge.String(),
		"--ip-masq=" + strconv.FormatBool(!l.Masquerade),
		"--mtu=" + strconv.Itoa(l.MTU),
	}
}

// EnvFile is the environment file that docker.service reads. No option has a character that needs
// an escape.
func (l Lease) EnvFile() []byte {
	return []byte("# Managed by Seedbed: docker's options from flannel's lease, written before each start.\n" +
		Variable + `="` + strings.Join(l.Options(), " ") + "\"\n")
}

// Variable of the environment file.
const Variable = "SEEDBED_DOCKER_OPTS"
