package hosttest

import (
	"slices"
	"testing"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// LinksFixture is one implementation of host.Links with links that the contract may change.
type LinksFixture struct {
	Links host.Links
	// Bridge is a bridge that is not promiscuous, with Address, MTU and two Ports of PortMTU without
	// hairpin. Each call of open makes it anew.
	Bridge, Address string
	MTU, PortMTU    int
	Ports           []string
	// Other is a link that is no bridge.
	Other string
}

func (x LinksFixture) get(t *testing.T) state.Link {
	t.Helper()
	link, found, err := x.Links.Get(x.Bridge)
	if err != nil || !found {
		t.Fatalf("Get(%s) = %v, %v", x.Bridge, found, err)
	}
	return link
}

// LinksContract is what every host.Links promises.
func LinksContract(t *testing.T, open func(t *testing.T) LinksFixture) {
	t.Helper()
	for name, promise := range map[string]func(*testing.T, LinksFixture){
		"a bridge is seen with its address, MTU and ports": seenBridge,
		"a link that is not there is absent, not an error": absentLink,
		"promiscuous is set, and read back":                promiscuous,
		"hairpin is set on every port":                     hairpinPorts,
		"a bridge is deleted, twice without an error":      deletedBridge,
		"only bridges are deleted":                         keptLink,
		"bad names are refused":                            badLinkNames,
	} {
		t.Run(name, func(t *testing.T) { promise(t, open(t)) })
	}
}

func seenBridge(t *testing.T, x LinksFixture) {
	link := x.get(t)
	if link.Kind != "bridge" || link.MTU != x.MTU || !slices.Equal(link.Addresses, []string{x.Address}) || link.Promiscuous == nil || *link.Promiscuous {
		t.Errorf("Get = %+v", link)
	}
	if !slices.Equal(state.SortedKeys(link.Ports), x.Ports) {
		t.Errorf("ports are %v; want %v", link.Ports, x.Ports)
	}
	for name, port := range link.Ports {
		if port.MTU != x.PortMTU || port.Hairpin {
			t.Errorf("port %s is %+v; want MTU %d without hairpin", name, port, x.PortMTU)
		}
	}
}

func absentLink(t *testing.T, x LinksFixture) {
	if link, found, err := x.Links.Get("seedbed-none"); found || err != nil {
		t.Errorf("Get = %+v, %v, %v; want absent", link, found, err)
	}
	if x.Links.SetPromiscuous("seedbed-none", true) == nil || x.Links.SetHairpin("seedbed-none", true) == nil {
		t.Error("a link that is not there was changed")
	}
}

func promiscuous(t *testing.T, x LinksFixture) {
	for _, on := range []bool{true, true, false, false, true} {
		if err := x.Links.SetPromiscuous(x.Bridge, on); err != nil {
			t.Fatal(err)
		}
		if got := x.get(t).Promiscuous; *got != on {
			t.Errorf("promiscuous is %v after setting %v", *got, on)
		}
	}
}

func hairpinPorts(t *testing.T, x LinksFixture) {
	for _, on := range []bool{true, true, false} {
		if err := x.Links.SetHairpin(x.Bridge, on); err != nil {
			t.Fatal(err)
		}
		ports := x.get(t).Ports
		if len(ports) != len(x.Ports) {
			t.Fatalf("ports are %v", ports)
		}
		for name, port := range ports {
			if port.Hairpin != on {
				t.Errorf("hairpin of %s is %v after setting %v", name, port.Hairpin, on)
			}
		}
	}
}

func deletedBridge(t *testing.T, x LinksFixture) {
	for range 2 {
		if err := x.Links.Delete(x.Bridge); err != nil {
			t.Fatal(err)
		}
		if _, found, err := x.Links.Get(x.Bridge); found || err != nil {
			t.Errorf("Get = %v, %v after Delete; want absent", found, err)
		}
	}
}

func keptLink(t *testing.T, x LinksFixture) {
	if err := x.Links.Delete(x.Other); err == nil {
		t.Error("a link that is no bridge was deleted")
	}
	if _, found, err := x.Links.Get(x.Other); !found || err != nil {
		t.Errorf("Get = %v, %v", found, err)
	}
}

func badLinkNames(t *testing.T, x LinksFixture) {
	for _, name := range []string{"", ".", "..", "a/b", "a b", "sixteen-letters-", "a\x00"} {
		if _, _, err := x.Links.Get(name); err == nil {
			t.Errorf("Get(%q) gave no error", name)
		}
		if x.Links.Delete(name) == nil || x.Links.SetPromiscuous(name, true) == nil || x.Links.SetHairpin(name, true) == nil {
			t.Errorf("%q was changed", name)
		}
	}
}
