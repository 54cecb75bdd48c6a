package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

const (
	// clusterBridge joins the hosts and the seed.
	clusterBridge = "cluster"
	// publicBridge is the way out of hosts with two interfaces. Hosts do not reach each other on it.
	publicBridge = "public"
)

// cable is one interface of a host and where it is plugged in.
type cable struct {
	inside  string // its name in the host
	bridge  string
	address string
	bits    int
	gateway string // the default route goes here when it is set
}

// cables are the interfaces of a host.
func cables(lab layout.Lab, node layout.Node) []cable {
	cluster := cable{inside: "eth0", bridge: clusterBridge, address: node.Address, bits: layout.PrefixLength, gateway: layout.SeedAddress}
	if !lab.TwoInterfaces {
		return []cable{cluster}
	}
	cluster.inside, cluster.gateway = "eth1", ""
	return []cable{
		{inside: "eth0", bridge: publicBridge, address: node.Public, bits: layout.PublicPrefixLength, gateway: layout.PublicGateway},
		cluster,
	}
}

// makeSeedNetwork makes the bridges in the namespace of the lab's init, which is the seed's.
func makeSeedNetwork(lab layout.Lab) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	if err := makeBridge(clusterBridge, layout.SeedAddress, layout.PrefixLength); err != nil {
		return err
	}
	if !lab.TwoInterfaces {
		return nil
	}
	return makeBridge(publicBridge, layout.PublicGateway, layout.PublicPrefixLength)
}

func makeBridge(name, address string, bits int) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	if err := netlink.AddrAdd(bridge, ip(address, bits)); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	return netlink.LinkSetUp(bridge)
}

func ip(address string, bits int) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(address).To4(), Mask: net.CIDRMask(bits, 32)}}
}

// namespaceFile is where a host's network namespace is held. The mount is in the lab's own mount
// namespace and goes with it.
func namespaceFile(lab layout.Lab, node string) string {
	return filepath.Join(lab.Disk(node), "netns")
}

// makeHostNetwork makes a new network namespace for the host, in place of the one that its last boot
// had, and plugs it in.
func makeHostNetwork(lab layout.Lab, node layout.Node) error {
	file := namespaceFile(lab, node.Name)
	if err := dropHostNetwork(file); err != nil {
		return err
	}
	if err := newNamespace(file); err != nil {
		return fmt.Errorf("host %s: network namespace: %w", node.Name, err)
	}
	for _, c := range cables(lab, node) {
		if err := plugIn(file, node, c); err != nil {
			return fmt.Errorf("host %s: interface %s: %w", node.Name, c.inside, err)
		}
	}
	return nil
}

func dropHostNetwork(file string) error {
	if err := unix.Unmount(file, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// newNamespace makes a network namespace and binds it to the file. The thread that made it is never
// given back, so it ends with the goroutine and no other work lands in the wrong namespace.
func newNamespace(file string) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		made <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			// A new namespace copies the machine's own setting; a bare host forwards nothing.
			if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0); err != nil {
				return err
			}
			return unix.Mount("/proc/thread-self/ns/net", file, "", unix.MS_BIND, "")
		}()
	}()
	return <-made
}

// plugIn makes a pair of interfaces: one on the bridge, the other in the host with its address and route.
func plugIn(file string, node layout.Node, c cable) error {
	outside := strings.ReplaceAll(node.Name, "node-", c.bridge+"-")
	// The end on the bridge of the boot before goes with its namespace, but only a moment later.
	if old, err := netlink.LinkByName(outside); err == nil {
		if err := netlink.LinkDel(old); err != nil && !errors.Is(err, unix.ENODEV) {
			return err
		}
	}
	handle, err := netns.GetFromPath(file)
	if err != nil {
		return err
	}
	defer func() { _ = handle.Close() }()
	bridge, err := netlink.LinkByName(c.bridge)
	if err != nil {
		return err
	}
	pair := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: outside, MasterIndex: bridge.Attrs().Index},
		PeerName:         c.inside,
		PeerNamespace:    netlink.NsFd(int(handle)),
		PeerHardwareAddr: hardwareAddress(c.address),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	if c.bridge == publicBridge {
		if err := netlink.LinkSetIsolated(pair, true); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		return err
	}
	return configure(handle, c)
}

// configure sets up the host's end of a cable.
func configure(handle netns.NsHandle, c cable) error {
	host, err := netlink.NewHandleAt(handle)
	if err != nil {
		return err
	}
	defer host.Close()
	for _, name := range []string{"lo", c.inside} {
		link, err := host.LinkByName(name)
		if err != nil {
			return err
		}
		if err := host.LinkSetUp(link); err != nil {
			return err
		}
	}
	link, err := host.LinkByName(c.inside)
	if err != nil {
		return err
	}
	if err := host.AddrAdd(link, ip(c.address, c.bits)); err != nil {
		return err
	}
	if c.gateway == "" {
		return nil
	}
	return host.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(c.gateway)})
}

// hardwareAddress is the same at every boot, as a network card's is; it is made from the IPv4 address.
func hardwareAddress(address string) net.HardwareAddr {
	return append(net.HardwareAddr{0x02, 0x5e}, net.ParseIP(address).To4()...)
}
