package linux

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/host/hosttest"
)

func TestLinksKeepTheContract(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	hosttest.LinksContract(t, func(t *testing.T) hosttest.LinksFixture {
		makeBridge(t)
		return hosttest.LinksFixture{
			Links: netLinks{}, Bridge: "br0", Address: "172.30.38.1/24", MTU: 1400, PortMTU: 1450,
			Ports: []string{"p0", "p1"}, Other: "p0",
		}
	})
}

// makeBridge makes br0 with two ports, anew.
func makeBridge(t *testing.T) {
	t.Helper()
	for _, name := range []string{"br0", "p0", "p1"} {
		if old, err := netlink.LinkByName(name); err == nil {
			if err := netlink.LinkDel(old); err != nil {
				t.Fatal(err)
			}
		}
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Skipf("bridges cannot be made here: %v", err)
	}
	for _, name := range []string{"p0", "p1"} {
		port := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 1450}, PeerName: "peer" + name}
		must(t, netlink.LinkAdd(port))
		must(t, netlink.LinkSetMaster(port, bridge))
		must(t, netlink.LinkSetUp(port))
	}
	must(t, netlink.LinkSetMTU(bridge, 1400))
	must(t, netlink.AddrAdd(bridge, &netlink.Addr{IPNet: mustNet(t, "172.30.38.1/24")}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestATunnelIsSeenWithTheAddressItSendsFrom(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	tunnel := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "flannel.1", MTU: 1450}, VxlanId: 1, SrcAddr: mustNet(t, "10.64.3.7/26").IP, Port: 8472}
	if err := netlink.LinkAdd(tunnel); err != nil {
		t.Skipf("tunnels cannot be made here: %v", err)
	}
	must(t, netlink.AddrAdd(tunnel, &netlink.Addr{IPNet: mustNet(t, "172.30.38.0/32")}))
	link, found, err := netLinks{}.Get("flannel.1")
	if err != nil || !found || link.Kind != "vxlan" || link.Local != "10.64.3.7" || link.MTU != 1450 || len(link.Addresses) != 1 || link.Addresses[0] != "172.30.38.0/32" {
		t.Errorf("Get = %+v, %v, %v", link, found, err)
	}
}
