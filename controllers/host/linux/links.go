package linux

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// netLinks is host.Links by rtnetlink(7).
type netLinks struct{}

// Get implements host.Links.
func (netLinks) Get(name string) (state.Link, bool, error) {
	found, err := linkNamed(name)
	if err != nil || found == nil {
		return state.Link{}, false, err
	}
	attrs := found.Attrs()
	promiscuous := attrs.RawFlags&unix.IFF_PROMISC != 0
	link := state.Link{Kind: found.Type(), MTU: attrs.MTU, Promiscuous: &promiscuous}
	if tunnel, ok := found.(*netlink.Vxlan); ok && tunnel.SrcAddr != nil {
		link.Local = tunnel.SrcAddr.String()
	}
	addresses, err := netlink.AddrList(found, netlink.FAMILY_V4)
	if err != nil {
		return state.Link{}, false, fmt.Errorf("link %s: addresses: %w", name, err)
	}
	for _, a := range addresses {
		link.Addresses = append(link.Addresses, a.IPNet.String())
	}
	slices.Sort(link.Addresses)
	if link.Kind == "bridge" {
		if link.Ports, err = portsOf(attrs.Index); err != nil {
			return state.Link{}, false, fmt.Errorf("link %s: ports: %w", name, err)
		}
	}
	return link, true, nil
}

// linkNamed returns nil when there is no such link.
func linkNamed(name string) (netlink.Link, error) {
	if err := host.CheckLink(name); err != nil {
		return nil, err
	}
	found, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	return found, nil
}

// portsOf asks for all ports of bridges in one dump; the library asks once for each.
func portsOf(bridge int) (map[string]state.Port, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_BRIDGE))
	answers, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if err != nil {
		return nil, err
	}
	ports := map[string]state.Port{}
	for _, answer := range answers {
		attributes, err := nl.ParseRouteAttr(answer[nl.DeserializeIfInfomsg(answer).Len():])
		if err != nil {
			return nil, err
		}
		var name string
		var port state.Port
		master := 0
		for _, a := range attributes {
			switch a.Attr.Type &^ unix.NLA_F_NESTED {
			case unix.IFLA_IFNAME:
				name = unix.ByteSliceToString(a.Value)
			case unix.IFLA_MTU:
				port.MTU = int(nl.NativeEndian().Uint32(a.Value))
			case unix.IFLA_MASTER:
				master = int(nl.NativeEndian().Uint32(a.Value))
			case unix.IFLA_PROTINFO:
				if port.Hairpin, err = hairpin(a.Value); err != nil {
					return nil, err
				}
			}
		}
		if master == bridge && name != "" {
			ports[name] = port
		}
	}
	return ports, nil
}

func hairpin(protinfo []byte) (bool, error) {
	attributes, err := nl.ParseRouteAttr(protinfo)
	if err != nil {
		return false, err
	}
	for _, a := range attributes {
		if a.Attr.Type == nl.IFLA_BRPORT_MODE && len(a.Value) > 0 {
			return a.Value[0] != 0, nil
		}
	}
	return false, nil
}

var errNoLink = errors.New("there is no such network interface")

// SetPromiscuous implements host.Links.
func (netLinks) SetPromiscuous(name string, on bool) error {
	link, err := linkNamed(name)
	if err != nil {
		return err
	}
	if link == nil {
		return fmt.Errorf("link %s: %w", name, errNoLink)
	}
	set := netlink.SetPromiscOff
	if on {
		set = netlink.SetPromiscOn
	}
	if err := set(link); err != nil {
		return fmt.Errorf("link %s: promiscuous %v: %w", name, on, err)
	}
	return nil
}

// SetHairpin implements host.Links. A port that goes away meanwhile is no error.
func (l netLinks) SetHairpin(bridge string, on bool) error {
	seen, there, err := l.Get(bridge)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("link %s: %w", bridge, errNoLink)
	}
	var errs []error
	for _, name := range state.SortedKeys(seen.Ports) {
		if seen.Ports[name].Hairpin == on {
			continue
		}
		port := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: name}}
		if err := netlink.LinkSetHairpin(port, on); err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("link %s: port %s: hairpin %v: %w", bridge, name, on, err))
		}
	}
	return errors.Join(errs...)
}

// gone is true for errors about a link that is not there, or not a port any more.
func gone(err error) bool {
	_, missing := errors.AsType[netlink.LinkNotFoundError](err)
	return missing || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}

// Delete implements host.Links.
func (netLinks) Delete(name string) error {
	link, err := linkNamed(name)
	if err != nil || link == nil {
		return err
	}
	if link.Type() != "bridge" {
		return fmt.Errorf("link %s: is a %s; only bridges are deleted", name, link.Type())
	}
	if err := netlink.LinkDel(link); err != nil && !gone(err) {
		return fmt.Errorf("link %s: cannot be deleted: %w", name, err)
	}
	return nil
}
