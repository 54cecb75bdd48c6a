package resolve

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/revision"
)

// candidate is one IPv4 address of one interface.
type candidate struct {
	iface string
	addr  netip.Prefix
}

func (c candidate) String() string { return c.iface + " " + c.addr.String() }

// address chooses the node's interface and address. None or several is an error, never a guess
// (SB007).
func (r *resolver) address() {
	field, value, candidates, ok := r.choose()
	if !ok {
		return
	}
	switch len(candidates) {
	case 0:
		r.add(v1alpha1.ReasonInterfaceNotFound, field, value, "chooses none of this node's addresses (%s): correct network.interface", list(r.candidates()))
		return
	case 1:
	default:
		r.add(v1alpha1.ReasonInterfaceAmbiguous, field, value, "chooses several of this node's addresses (%s): narrow it down, for example with interface.cidr", list(candidates))
		return
	}
	r.node.Interface, r.node.IP = candidates[0].iface, candidates[0].addr.Addr()
	if !interfaceName.MatchString(r.node.Interface) {
		r.invalid("facts.interfaces", r.node.Interface, "not an interface name of Linux: correct the facts")
	}
	r.outsidePodRanges("facts.interfaces."+r.node.Interface, r.node.IP)
}

// NodeIP is the address that a network's interface chooses on a host, and false where it chooses none
// or several, or the facts do not say.
func NodeIP(selector v1alpha1.InterfaceSelector, facts v1alpha1.Facts) (netip.Addr, bool) {
	r := &resolver{in: Input{Revision: revision.Revision{Network: v1alpha1.NetworkConfigSpec{Interface: selector}}, Facts: facts}}
	_, _, picked, ok := r.choose()
	if !ok || len(picked) != 1 {
		return netip.Addr{}, false
	}
	return picked[0].addr.Addr(), true
}

// interfaceName is what can also be part of a sysctl's name and of an argument.
var interfaceName = regexp.MustCompile(`^[a-zA-Z0-9_.@-]{1,15}$`)

// choose returns the addresses that the selector picks; ok is false if the selector is not usable.
func (r *resolver) choose() (field, value string, picked []candidate, ok bool) {
	sel := r.in.Revision.Network.Interface
	all := r.candidates()
	const root = "network.interface"
	set := 0
	for _, s := range []*string{sel.Name, sel.NameRegex, sel.CIDR, sel.CanReach} {
		if s != nil {
			set++
		}
	}
	if set != 1 {
		r.invalid(root, "", "needs exactly one of name, nameRegex, cidr and canReach, and has %d", set)
		return "", "", nil, false
	}
	switch {
	case sel.Name != nil:
		return root + ".name", *sel.Name, keep(all, func(c candidate) bool { return c.iface == *sel.Name }), true
	case sel.NameRegex != nil:
		re, err := regexp.Compile(`^(?:` + *sel.NameRegex + `)$`)
		if err != nil {
			r.invalid(root+".nameRegex", *sel.NameRegex, "not a regular expression of Go's RE2: for example eth[04]")
			return "", "", nil, false
		}
		return root + ".nameRegex", *sel.NameRegex, keep(all, func(c candidate) bool { return re.MatchString(c.iface) }), true
	case sel.CIDR != nil:
		p := r.prefix(root+".cidr", *sel.CIDR)
		return root + ".cidr", *sel.CIDR, keep(all, func(c candidate) bool { return p.Contains(c.addr.Addr()) }), p.IsValid()
	}
	picked, ok = r.reaching(root+".canReach", *sel.CanReach, all)
	return root + ".canReach", *sel.CanReach, picked, ok
}

// candidates lists the node's IPv4 addresses that another machine could use, sorted.
func (r *resolver) candidates() []candidate {
	var all []candidate
	for _, iface := range r.in.Facts.Interfaces {
		for _, a := range iface.Addresses {
			p, err := netip.ParsePrefix(a)
			if err != nil {
				r.invalid("facts.interfaces."+show(iface.Name), a, "not an address in CIDR notation: correct the facts, for example 10.64.3.8/26")
				continue
			}
			if addr := p.Addr(); addr.Is4() && addr.IsGlobalUnicast() {
				all = append(all, candidate{iface.Name, p})
			}
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// reaching picks by the routes: the longest prefix that contains the target, then the least
// metric, as the kernel does. Where the interface has several addresses, the one whose own network
// contains the target counts, since that is the source the kernel would take.
func (r *resolver) reaching(field, value string, all []candidate) ([]candidate, bool) {
	target, err := netip.ParseAddr(value)
	if err != nil || !target.Is4() {
		r.invalid(field, value, "not an IPv4 address: for example 10.64.3.1")
		return nil, false
	}
	best := r.routesTo(target)
	if len(best) == 0 {
		r.add(v1alpha1.ReasonInterfaceNotFound, field, value, "none of this node's routes leads to it: correct network.interface, or the facts' routes")
		return nil, false
	}
	picked := keep(all, func(c candidate) bool { return slices.Contains(best, c.iface) })
	if local := keep(picked, func(c candidate) bool { return c.addr.Masked().Contains(target) }); len(best) == 1 && len(local) > 0 {
		return local, true
	}
	return picked, true
}

// routesTo returns the interfaces of the best routes to the target, without doubles.
func (r *resolver) routesTo(target netip.Addr) []string {
	bits, metric := -1, int32(0)
	var best []string
	for i, route := range r.in.Facts.Routes {
		dst, err := netip.ParsePrefix(route.Destination)
		if err != nil {
			r.invalid(fmt.Sprintf("facts.routes[%d]", i), route.Destination, "not a range in CIDR notation: correct the facts; the default route is 0.0.0.0/0")
			continue
		}
		if !dst.Contains(target) || dst.Bits() < bits || dst.Bits() == bits && route.Metric > metric {
			continue
		}
		if dst.Bits() > bits || route.Metric < metric {
			best = nil
		}
		bits, metric = dst.Bits(), route.Metric
		best = append(best, route.Interface)
	}
	slices.Sort(best)
	return slices.Compact(best)
}

func keep(all []candidate, want func(candidate) bool) []candidate {
	var kept []candidate
	for _, c := range all {
		if want(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

// list prints candidates for a message, at most eight.
func list(all []candidate) string {
	if len(all) == 0 {
		return "it has no IPv4 address"
	}
	var words []string
	for _, c := range all {
		if len(words) == 8 {
			words = append(words, "…")
			break
		}
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}
