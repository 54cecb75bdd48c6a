package state

// Link is a network interface. A desired one is managed in what it sets and only looked at in the
// rest.
type Link struct {
	// Kind is observed only: the kernel's word for it, such as "bridge", "vxlan" or "veth".
	Kind string
	// Addresses is observed only: IPv4 addresses with the length of their network, sorted, such as
	// "172.30.38.1/24".
	Addresses []string
	// MTU is observed only, in bytes.
	MTU int
	// Promiscuous is whether the link takes in every packet, which makes a bridge give a pod's own
	// packets back to it (SB011). Desired nil: not managed.
	Promiscuous *bool
	// Local is the address that a tunnel sends from. Desired: what it is to be, though flannel alone
	// sets it; empty for links that are no tunnel.
	Local string
	// Ports is observed only: the links of a bridge, by name.
	Ports map[string]Port
	// Hairpin is desired only: the bridge sends packets back to the port that they came from. nil:
	// not managed.
	Hairpin *bool
	// Bridge is desired only: set for a bridge whose address comes from flannel's lease.
	Bridge *Bridge
	// Component the link belongs to; desired only.
	Component Component
}

// Port is a link of a bridge.
type Port struct {
	// MTU in bytes.
	MTU int
	// Hairpin is true if the bridge sends packets back to it.
	Hairpin bool
}

// Bridge says how a bridge comes to its address. The lease is in a file that flannel writes while
// the host runs, so what the address is to be is known only once the host has been observed.
type Bridge struct {
	// Lease is the path of flannel's subnet.env.
	Lease string
	// Options is the path of the environment file that Writer makes of the lease, and Writer the
	// unit.
	Options, Writer string
	// Giver is the unit that writes the lease. While it does not run the lease counts as old.
	Giver string
	// Maker is the unit that makes the bridge when it starts, with those options; Socket the unit
	// that would start it again when somebody connects, where the host has one.
	Maker, Socket string
	// Users are units that start containers by themselves and so must not run meanwhile.
	Users []string
	// Network is the range that every lease is in, such as "172.30.0.0/16".
	Network string
	// Length of every lease's subnet, and the MTU in it, in bytes; each 0 where that is not known, or
	// not flannel's to choose.
	Length, MTU int
	// ByNode is the input that Giver is started with only if a lease is the podCIDR of the Node, which it
	// is where Length is 0; without it the lease is one of etcd's.
	ByNode string
}

// Container is a container that runs. Only what decides about docker0 is in it.
type Container struct {
	// Name as docker shows it, without the slash.
	Name string
	// Kubernetes is true for those that the kubelet starts again by itself.
	Kubernetes bool
	// Sandbox is true for the one of a pod's containers that holds its network.
	Sandbox bool
}
