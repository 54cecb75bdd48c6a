package v1alpha1_test

var invalidNetworks = []invalid{
	// podCIDR
	{"podCIDR is no range", `{spec: {podCIDR: "172.30.0.0"}}`, "spec.podCIDR", "podCIDR 172.30.0.0 is not an IPv4 range in CIDR notation: write address/length, for example 172.30.0.0/16"},
	{"podCIDR has a length over 32", `{spec: {podCIDR: 172.30.0.0/33}}`, "spec.podCIDR", "podCIDR 172.30.0.0/33 is not an IPv4 range"},
	{"podCIDR is IPv6", `{spec: {podCIDR: "fd00:10::/48"}}`, "spec.podCIDR", "podCIDR fd00:10::/48 is not an IPv4 range"},
	{"podCIDR is IPv4 written as IPv6", `{spec: {podCIDR: "::ffff:10.0.0.0/104"}}`, "spec.podCIDR", "is not an IPv4 range"},
	{"podCIDR has host bits", `{spec: {podCIDR: 172.30.5.1/16}}`, "spec.podCIDR", "podCIDR 172.30.5.1/16 has host bits set: write the first address of the range, as in 172.30.0.0/16"},
	{"podCIDR has leading zeros", `{spec: {podCIDR: 172.030.0.0/16}}`, "spec.podCIDR", "podCIDR 172.030.0.0/16 is not an IPv4 range"},
	{"podCIDR is every address", `{spec: {podCIDR: 0.0.0.0/0, podSubnetLength: 24}}`, "spec.podCIDR", "podCIDR 0.0.0.0/0 is not between /8 and /28"},
	{"podCIDR is one address", `{spec: {podCIDR: 172.30.0.1/32}}`, "spec.podCIDR", "podCIDR 172.30.0.1/32 is not between /8 and /28"},
	{"podCIDR is loopback", `{spec: {podCIDR: 127.0.0.0/8}}`, "spec.podCIDR", "podCIDR 127.0.0.0/8 is in a range that no host can have"},
	{"podCIDR is link-local", `{spec: {podCIDR: 169.254.0.0/16}}`, "spec.podCIDR", "podCIDR 169.254.0.0/16 is in a range that no host can have"},
	{"podCIDR is multicast", `{spec: {podCIDR: 224.0.0.0/8}}`, "spec.podCIDR", "use a private range, for example 172.30.0.0/16"},
	{"podCIDR is reserved", `{spec: {podCIDR: 240.0.0.0/8}}`, "spec.podCIDR", "podCIDR 240.0.0.0/8 is in a range that no host can have"},
	{"podCIDR is missing", `{spec: {podCIDR: null}}`, "spec.podCIDR", "Required value"},
	{"podCIDR ends in a newline", `{spec: {podCIDR: "172.30.0.0/16\n"}}`, "spec.podCIDR", "Invalid value: \"172.30.0.0/16\\n\""},
	{"podCIDR is a megabyte long", `{spec: {podCIDR: "` + long(1<<20) + `"}}`, "spec.podCIDR", "Too long: may not be more than 43"},
	// podSubnetLength
	{"podSubnetLength is podCIDR's own", `{spec: {podSubnetLength: 16}}`, "spec.podSubnetLength", "podSubnetLength 16 is not longer than the prefix of podCIDR 172.30.0.0/16, so nodes cannot share it: use a greater length, such as 24 in a /16"},
	{"podSubnetLength is outside podCIDR", `{spec: {podSubnetLength: 9}}`, "spec.podSubnetLength", "podSubnetLength 09 is not longer"},
	{"podSubnetLength leaves no pod", `{spec: {podSubnetLength: 31}}`, "spec.podSubnetLength", "should be less than or equal to 30"},
	{"podCIDR has no room for the default subnet", `{spec: {podCIDR: 172.30.0.0/24}}`, "spec.podCIDR", "podCIDR 172.30.0.0/24 has no room for subnets of the default length 24: set podSubnetLength"},
	// serviceCIDR
	{"serviceCIDR is no range", `{spec: {serviceCIDR: services}}`, "spec.serviceCIDR", "serviceCIDR services is not an IPv4 range in CIDR notation: write address/length, for example 10.254.0.0/16"},
	{"serviceCIDR is IPv6", `{spec: {serviceCIDR: "fd00::/108"}}`, "spec.serviceCIDR", "serviceCIDR fd00::/108 is not an IPv4 range"},
	{"serviceCIDR has host bits", `{spec: {serviceCIDR: 10.254.0.2/16}}`, "spec.serviceCIDR", "serviceCIDR 10.254.0.2/16 has host bits set"},
	{"serviceCIDR is larger than kube-apiserver takes", `{spec: {serviceCIDR: 10.0.0.0/8}}`, "spec.serviceCIDR", "serviceCIDR 10.0.0.0/8 is not between /12 and /28, which kube-apiserver wants"},
	{"serviceCIDR is loopback", `{spec: {serviceCIDR: 127.16.0.0/16}}`, "spec.serviceCIDR", "serviceCIDR 127.16.0.0/16 is in a range that no host can have"},
	{"serviceCIDR lies in podCIDR", `{spec: {serviceCIDR: 172.30.128.0/20}}`, "spec.serviceCIDR", "serviceCIDR 172.30.128.0/20 overlaps podCIDR 172.30.0.0/16: choose ranges that share no address"},
	{"podCIDR lies in serviceCIDR", `{spec: {podCIDR: 10.254.16.0/20, podSubnetLength: 26}}`, "spec.serviceCIDR", "serviceCIDR 10.254.0.0/16 overlaps podCIDR 10.254.16.0/20"},
	{"serviceCIDR is podCIDR", `{spec: {serviceCIDR: 172.30.0.0/16}}`, "spec.serviceCIDR", "overlaps podCIDR"},
	// dns
	{"dns.serviceIP is no address", `{spec: {dns: {serviceIP: kube-dns}}}`, "spec.dns.serviceIP", "dns.serviceIP kube-dns is not an IPv4 address: write one inside serviceCIDR"},
	{"dns.serviceIP is IPv6", `{spec: {dns: {serviceIP: "fd00::2"}}}`, "spec.dns.serviceIP", "dns.serviceIP fd00::2 is not an IPv4 address"},
	{"dns.serviceIP is a range", `{spec: {dns: {serviceIP: 10.254.0.2/32}}}`, "spec.dns.serviceIP", "dns.serviceIP 10.254.0.2/32 is not an IPv4 address"},
	{"dns.serviceIP is outside the services", `{spec: {dns: {serviceIP: 10.96.0.10}}}`, "spec.dns.serviceIP", "dns.serviceIP 10.96.0.10 is outside serviceCIDR 10.254.0.0/16: choose an address inside it"},
	{"dns.serviceIP is the range's own address", `{spec: {dns: {serviceIP: 10.254.0.0}}}`, "spec.dns.serviceIP", "dns.serviceIP 10.254.0.0 is taken"},
	{"dns.serviceIP is the Service kubernetes", `{spec: {dns: {serviceIP: 10.254.0.1}}}`, "spec.dns.serviceIP", "dns.serviceIP 10.254.0.1 is taken: the first address of serviceCIDR 10.254.0.0/16 names the range and the next is the Service kubernetes"},
	{"dns without serviceIP resolves nothing", `{spec: {dns: {domain: cluster.local}}}`, "spec.dns.serviceIP", "Required value"},
	{"dns.domain has a trailing dot", `{spec: {dns: {serviceIP: 10.254.0.2, domain: cluster.local.}}}`, "spec.dns.domain", "dns.domain cluster.local. is not a domain name: write lower-case labels joined by dots, without a trailing dot"},
	{"dns.domain has upper case", `{spec: {dns: {serviceIP: 10.254.0.2, domain: Cluster.local}}}`, "spec.dns.domain", "dns.domain Cluster.local is not a domain name"},
	{"dns.domain is empty", `{spec: {dns: {serviceIP: 10.254.0.2, domain: ""}}}`, "spec.dns.domain", "is not a domain name"},
	// backend
	{"backend.type is unknown", `{spec: {backend: {type: ipip}}}`, "spec.backend.type", `Unsupported value: "ipip": supported values: "VXLAN", "HostGateway", "WireGuard", "UDP"`},
	{"backend.vxlan without VXLAN", `{spec: {backend: {type: WireGuard, vxlan: {vni: 2}}}}`, "spec.backend.vxlan", "backend.vxlan is set but backend.type is WireGuard: remove backend.vxlan, or set backend.type: VXLAN"},
	{"vxlan.vni is over 24 bits", `{spec: {backend: {vxlan: {vni: 16777216}}}}`, "spec.backend.vxlan.vni", "Invalid value: 16777216: spec.backend.vxlan.vni in body should be less than or equal to 16777215"},
	{"vxlan.port is zero", `{spec: {backend: {vxlan: {port: 0}}}}`, "spec.backend.vxlan.port", "should be greater than or equal to 1"},
	{"vxlan.port is over 65535", `{spec: {backend: {vxlan: {port: 65536}}}}`, "spec.backend.vxlan.port", "should be less than or equal to 65535"},
	{"backend.mtu is tiny", `{spec: {backend: {mtu: 100}}}`, "spec.backend.mtu", "Invalid value: 100: backend.mtu must be 0 (flannel works it out) or from 576 to 65535 bytes, for example 1450"},
	{"backend.mtu is negative", `{spec: {backend: {mtu: -1}}}`, "spec.backend.mtu", "backend.mtu must be 0"},
	{"backend.mtu of a type that looks at the interface alone", `{spec: {backend: {type: HostGateway, mtu: 1400}}}`, "spec.backend.mtu", "backend.mtu is set and has no effect with backend.type HostGateway: remove backend.mtu"},
	// subnetManager
	{"etcd without its settings", `{spec: {subnetManager: {type: Etcd}}}`, "spec.subnetManager", "subnetManager.type Etcd needs subnetManager.etcd: set etcd.endpoints"},
	{"etcd settings without the type", `{spec: {subnetManager: {etcd: {endpoints: ["http://10.64.3.7:2379"]}}}}`, "spec.subnetManager", "subnetManager.etcd is set but subnetManager.type is not Etcd: set type: Etcd, or remove etcd"},
	{"fewer than four subnets in etcd", `{spec: {podSubnetLength: 17, subnetManager: {type: Etcd, etcd: {endpoints: ["https://a:2379"]}}}}`, "spec.podCIDR", "podCIDR 172.30.0.0/16 has room for fewer than four subnets of podSubnetLength, which flannel refuses with subnetManager.type Etcd"},
	{"fewer than four subnets of the default length in etcd", `{spec: {podCIDR: 172.30.0.0/23, subnetManager: {type: Etcd, etcd: {endpoints: ["https://a:2379"]}}}}`, "spec.podCIDR", "make podSubnetLength (24 if not set) at least 2 longer than the prefix of podCIDR"},
	{"no etcd endpoint", `{spec: {subnetManager: {type: Etcd, etcd: {endpoints: []}}}}`, "spec.subnetManager.etcd.endpoints", "should have at least 1 items"},
	{"an etcd endpoint without scheme", etcd(`endpoints: ["10.64.3.7:2379"]`), "spec.subnetManager.etcd.endpoints[0]", "etcd endpoint 10.64.3.7:2379 is not scheme://host:port with http or https and a port from 1 to 65535: for example https://10.64.3.7:2379"},
	{"an etcd endpoint without port", etcd(`endpoints: ["https://10.64.3.7"]`), "spec.subnetManager.etcd.endpoints[0]", "etcd endpoint https://10.64.3.7 is not scheme://host:port"},
	{"an etcd endpoint with port 0", etcd(`endpoints: ["https://10.64.3.7:0"]`), "spec.subnetManager.etcd.endpoints[0]", "a port from 1 to 65535"},
	{"an etcd endpoint with port 65536", etcd(`endpoints: ["https://10.64.3.7:65536"]`), "spec.subnetManager.etcd.endpoints[0]", "a port from 1 to 65535"},
	{"an etcd endpoint with a path", etcd(`endpoints: ["https://10.64.3.7:2379/v3"]`), "spec.subnetManager.etcd.endpoints[0]", "is not scheme://host:port"},
	{"an etcd endpoint with a user", etcd(`endpoints: ["https://root:pw@10.64.3.7:2379"]`), "spec.subnetManager.etcd.endpoints[0]", "is not scheme://host:port"},
	{"an etcd endpoint twice", etcd(`endpoints: ["https://a:2379", "https://a:2379"]`), "spec.subnetManager.etcd.endpoints[1]", `Duplicate value: "https://a:2379"`},
	{"an etcd prefix without leading slash", etcd(`endpoints: ["https://a:2379"], prefix: kube-centos/network`), "spec.subnetManager.etcd.prefix", "subnetManager.etcd.prefix kube-centos/network is not a key prefix: start with /"},
	{"an etcd prefix that climbs", etcd(`endpoints: ["https://a:2379"], prefix: /a/../registry`), "spec.subnetManager.etcd.prefix", "is not a key prefix"},
	{"TLS for an http endpoint", etcd(`endpoints: ["http://a:2379"], tls: {caSecretRef: {name: a, key: b}, certSecretRef: {name: a, key: b}, keySecretRef: {name: a, key: b}}`), "spec.subnetManager.etcd.endpoints", "subnetManager.etcd.tls is set but an endpoint is not https://"},
	{"a Secret's name in upper case", etcd(`endpoints: ["https://a:2379"], tls: {caSecretRef: {name: CA, key: b}, certSecretRef: {name: a, key: b}, keySecretRef: {name: a, key: b}}`), "spec.subnetManager.etcd.tls.caSecretRef.name", "secret name CA is not an object name: lower-case letters, digits, - and . , starting and ending with a letter or digit, for example cluster-ca"},
	{"a Secret in another namespace", etcd(`endpoints: ["https://a:2379"], tls: {caSecretRef: {name: kube-system/ca, key: b}, certSecretRef: {name: a, key: b}, keySecretRef: {name: a, key: b}}`), "spec.subnetManager.etcd.tls.caSecretRef.name", "secret name kube-system/ca is not an object name"},
	{"a Secret's key with a slash", etcd(`endpoints: ["https://a:2379"], tls: {caSecretRef: {name: a, key: ../b}, certSecretRef: {name: a, key: b}, keySecretRef: {name: a, key: b}}`), "spec.subnetManager.etcd.tls.caSecretRef.key", "secret key ../b is not a key of a Secret: letters, digits, - _ and . only, for example ca.crt"},
	// interface
	{"no interface chosen", `{spec: {interface: {name: null}}}`, "spec.interface", "interface needs exactly one of name, nameRegex, cidr and canReach, for example cidr: 10.64.3.0/26"},
	{"two ways to choose an interface", `{spec: {interface: {cidr: 10.64.3.0/26}}}`, "spec.interface", "interface needs exactly one of"},
	{"interface.name has a slash", `{spec: {interface: {name: eth0/1}}}`, "spec.interface.name", "interface.name eth0/1 is not an interface name: 1 to 15 letters, digits, _ . - @, for example eth4"},
	{"interface.name is 16 long", `{spec: {interface: {name: abcdefghijklmnop}}}`, "spec.interface.name", "interface.name abcdefghijklmnop is not an interface name"},
	{"interface.nameRegex is no expression", `{spec: {interface: {name: null, nameRegex: "eth[04"}}}`, "spec.interface.nameRegex", "interface.nameRegex must be a regular expression in RE2 syntax, for example eth[04]"},
	{"interface.nameRegex has a newline", `{spec: {interface: {name: null, nameRegex: "eth\n4"}}}`, "spec.interface.nameRegex", "interface.nameRegex has spaces or control characters, which no interface name has: remove them"},
	{"interface.cidr is no range", `{spec: {interface: {name: null, cidr: 10.64.3.8}}}`, "spec.interface.cidr", "interface.cidr 10.64.3.8 is not an IPv4 range in CIDR notation: write address/length, for example 10.64.3.0/26"},
	{"interface.cidr has host bits", `{spec: {interface: {name: null, cidr: 10.64.3.8/26}}}`, "spec.interface.cidr", "interface.cidr 10.64.3.8/26 has host bits set: write the first address of the range"},
	{"interface.cidr is every address", `{spec: {interface: {name: null, cidr: 0.0.0.0/0}}}`, "spec.interface.cidr", "interface.cidr 0.0.0.0/0 is not between /8 and /32"},
	{"interface.canReach is a name", `{spec: {interface: {name: null, canReach: gateway}}}`, "spec.interface.canReach", "interface.canReach gateway is not the IPv4 address of a host: write one that the nodes reach over the wanted interface, such as 10.64.3.1"},
	{"interface.canReach is loopback", `{spec: {interface: {name: null, canReach: 127.0.0.1}}}`, "spec.interface.canReach", "interface.canReach 127.0.0.1 is not the IPv4 address of a host"},
	{"interface.canReach is multicast", `{spec: {interface: {name: null, canReach: 224.0.0.1}}}`, "spec.interface.canReach", "is not the IPv4 address of a host"},
	// policies
	{"masquerade None without a reverse path filter", `{spec: {masquerade: None}}`, "spec.masquerade", "masquerade None needs reversePathFilter Loose or Off, not Unmanaged: otherwise replies to a node that called a Service are dropped (SB004)"},
	{"masquerade None with Strict", `{spec: {masquerade: None, reversePathFilter: Strict}}`, "spec.masquerade", "masquerade None needs reversePathFilter Loose or Off, not Strict"},
	{"forwardPolicy in iptables' spelling", `{spec: {forwardPolicy: ACCEPT}}`, "spec.forwardPolicy", `Unsupported value: "ACCEPT": supported values: "Accept", "Drop", "Unmanaged"`},
	{"hairpin in the kubelet's spelling", `{spec: {hairpin: promiscuous-bridge}}`, "spec.hairpin", `supported values: "PromiscuousBridge", "HairpinVeth", "None"`},
	{"allowDisruptiveChange as text", `{spec: {allowDisruptiveChange: "true"}}`, "spec.allowDisruptiveChange", `must be of type boolean: "string"`},
	// metadata
	{"a name over 63 characters", `{metadata: {name: ` + long(64) + `}}`, "<nil>", "metadata.name " + long(64) + " is longer than 63 characters: shorten it"},
	{"a name with upper case", `{metadata: {name: Default}}`, "metadata.name", "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters"},
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a'
	}
	return string(b)
}

func etcd(settings string) string {
	return `{spec: {subnetManager: {type: Etcd, etcd: {` + settings + `}}}}`
}
