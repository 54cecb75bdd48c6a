package chain

import (
	"net/netip"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// bridgeNames are the links that come from a lease.
func (e *examiner) bridgeNames() []string {
	var names []string
	for _, name := range state.SortedKeys(e.desired.Links) {
		if e.desired.Links[name].Bridge != nil {
			names = append(names, name)
		}
	}
	return names
}

// lease: flannel has one, and of the network that is in force.
func (e *examiner) lease() {
	for _, name := range e.bridgeNames() {
		want := e.desired.Links[name].Bridge
		is := LookAt(name, want, e.seen)
		if is.LeaseErr != nil {
			e.add(v1alpha1.ReasonLeaseMissing, "SB025", "%s: %s; journalctl -u %s says what it waits for: its network config, or the node's podCIDR", want.Lease, is.LeaseErr, want.Giver)
			continue
		}
		network, err := netip.ParsePrefix(want.Network)
		if err == nil && (network.Bits() > is.Lease.Network.Bits() || !network.Contains(is.Lease.Network.Addr()) || !network.Contains(is.Lease.Bridge.Addr())) {
			e.add(v1alpha1.ReasonLeaseMismatch, "SB025", "flannel's lease %s is of network %s, and podCIDR is %s: the network config that flannel reads is another one", is.Lease.Bridge, is.Lease.Network, network)
		}
	}
}

// tunnels are flannel's own links.
func (e *examiner) tunnels() {
	for _, name := range state.SortedKeys(e.desired.Links) {
		want := e.desired.Links[name]
		if want.Component != state.ComponentFlannel || want.Bridge != nil {
			continue
		}
		if why, unknown := e.seen.Unknown[state.Ref{Kind: state.KindLink, Name: name}]; unknown {
			e.add(v1alpha1.ReasonTunnelMismatch, "", "link %s cannot be looked at: %s", name, why)
			continue
		}
		link, there := e.seen.Links[name]
		unit, _ := UnitOf(e.desired, e.component)
		if !there {
			if e.seen.Units[unit].Activity == state.Active {
				e.add(v1alpha1.ReasonTunnelMismatch, "", "link %s is gone: systemctl restart %s makes it", name, unit)
			}
			continue
		}
		if want.Local != "" && link.Local != want.Local {
			e.add(v1alpha1.ReasonTunnelMismatch, "SB007", "%s sends from %s, and the node's address is %s: systemctl restart %s", name, link.Local, want.Local, unit)
		}
		for _, a := range link.Addresses {
			if !strings.HasSuffix(a, "/32") {
				e.add(v1alpha1.ReasonTunnelMismatch, "SB008", "%s has %s, which is not one address: flannel before 0.7.0 does that; update it", name, a)
			}
		}
		e.tunnelMTU(name, link)
	}
}

func (e *examiner) tunnelMTU(name string, link state.Link) {
	for _, bridge := range e.bridgeNames() {
		if is := LookAt(bridge, e.desired.Links[bridge].Bridge, e.seen); is.LeaseErr == nil && link.MTU != is.Lease.MTU {
			e.add(v1alpha1.ReasonMTUMismatch, "SB026", "%s has MTU %d, and the lease says %d: large packets hang; restart flanneld", name, link.MTU, is.Lease.MTU)
		}
	}
}

// bridges: docker0 is as the lease has it, and docker's options too.
func (e *examiner) bridges() {
	for _, name := range e.bridgeNames() {
		desired := e.desired.Links[name]
		want := desired.Bridge
		if why, unknown := e.seen.Unknown[state.Ref{Kind: state.KindLink, Name: name}]; unknown {
			e.add(v1alpha1.ReasonBridgeMismatch, "", "link %s cannot be looked at: %s", name, why)
			continue
		}
		is := LookAt(name, want, e.seen)
		link, there := e.seen.Links[name]
		switch {
		case is.LeaseErr != nil:
			continue // flannel's finding
		case is.Fault != "":
			reason := v1alpha1.ReasonBridgeMismatch
			if is.Rule == "SB026" {
				reason = v1alpha1.ReasonMTUMismatch
			}
			e.add(reason, is.Rule, "%s: %s; it is made anew%s", name, is.Fault, when(is))
		case is.Stale && e.seen.Units[want.Maker].Activity == state.Active:
			e.add(v1alpha1.ReasonBridgeMismatch, "SB002", "%s is not what flannel's lease says, and docker starts with it: systemctl restart %s, which restarts docker", want.Options, want.Writer)
		}
		if there && desired.Promiscuous != nil && *desired.Promiscuous && (link.Promiscuous == nil || !*link.Promiscuous) {
			e.add(v1alpha1.ReasonHairpinOff, "SB011", "%s is not promiscuous: a pod does not reach itself through its own Service", name)
		}
	}
}

func when(is Bridge) string {
	if is.Old != "" {
		return " once that is over: " + is.Old
	}
	return ", with the manager's permit where containers run"
}

// chains: the policy of FORWARD is the declared one.
func (e *examiner) chains() {
	for _, name := range state.SortedKeys(e.desired.Chains) {
		want := e.desired.Chains[name].Policy
		if why, unknown := e.seen.Unknown[state.Ref{Kind: state.KindChain, Name: name}]; unknown {
			e.add(v1alpha1.ReasonForwardPolicy, "SB003", "chain %s: %s", name, why)
			continue
		}
		if is, there := e.seen.Chains[name]; there && is.Policy != want {
			e.add(v1alpha1.ReasonForwardPolicy, "SB003", "chain %s has policy %s, and %s is declared", name, is.Policy, want)
		}
	}
}
