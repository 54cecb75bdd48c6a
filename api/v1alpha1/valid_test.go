package v1alpha1_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/schema"
)

// valid is an object at the edge of what is allowed.
type valid struct{ reason, patch string }

var validNetworks = []valid{
	{"the smallest object", `{}`},
	{"the widest pod range", `{spec: {podCIDR: 12.0.0.0/8}}`},
	{"ranges that touch and share nothing", `{spec: {podCIDR: 10.0.0.0/9, serviceCIDR: 10.128.0.0/12}}`},
	{"the smallest subnets", `{spec: {podCIDR: 172.30.0.0/28, podSubnetLength: 30}}`},
	{"a DNS address at the end of the range", `{spec: {dns: {serviceIP: 10.254.255.254}}}`},
	{"a service range that starts off zero", `{spec: {serviceCIDR: 10.0.0.16/28, dns: {serviceIP: 10.0.0.20}}}`},
	{"masquerade None with a loose filter", `{spec: {masquerade: None, reversePathFilter: Loose}}`},
	{"an MTU left to flannel", `{spec: {backend: {type: HostGateway, mtu: 0}}}`},
	{"an etcd at an IPv6 address and the last port", `{spec: {subnetManager: {type: Etcd, etcd: {endpoints: ["https://[fd00::7]:65535", "http://etcd-1.example.com:1"]}}}}`},
	{"an interface by expression", `{spec: {interface: {name: null, nameRegex: "^(eth|ens)[0-9]+$"}}}`},
	{"an interface by its own address", `{spec: {interface: {name: null, cidr: 10.64.3.8/32}}}`},
	{"a name of 63 characters", `{metadata: {name: ` + strings.Repeat("a", 63) + `}}`},
}

var validNodes = []valid{
	{"the smallest object", `{}`},
	{"every node", `{spec: {nodeSelector: {matchLabels: null}}}`},
	{"every kind of requirement", `{spec: {nodeSelector: {matchExpressions: [{key: a, operator: In, values: [x]}, {key: a, operator: NotIn, values: [z]}, {key: a, operator: Exists}, {key: b, operator: DoesNotExist}]}}}`},
	{"the oldest version that is served", `{spec: {kubernetes: {version: v1.29.0}}}`},
	{"a pre-release", `{spec: {kubernetes: {version: v1.38.0-alpha.1}}}`},
	{"an API server on the default port", `{spec: {kubernetes: {apiServer: "https://api.example.com"}}}`},
	{"an API server at an IPv6 address", `{spec: {kubernetes: {apiServer: "https://[fd00::1]:6443"}}}`},
	{"labels that users set under kubernetes.io", `{spec: {node: {labels: {node-role.kubernetes.io/worker: "", node-restriction.kubernetes.io/tier: a, node.kubernetes.io/instance-type: m1, topology.kubernetes.io/zone: a, foo.kubelet.kubernetes.io/x: "", example.com/rack: a3}}}}`},
	{"a taint of a role", `{spec: {node: {taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]}}}`},
	{"one taint key with two effects", `{spec: {node: {taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoExecute}]}}}`},
	{"a mirror with a trailing slash, as docker info prints it", `{spec: {docker: {registryMirrors: ["http://mirror:5000/"]}}}`},
	{"a registry at an IPv6 address", `{spec: {docker: {registries: [{host: "[fd00::1]:8000"}]}}}`},
	{"free configuration of any depth", `{spec: {docker: {daemonConfig: {debug: true, log-opts: {a: {b: [1, two, null]}}}}, kubelet: {config: {evictionHard: {memory.available: 200Mi}}}}}`},
	{"an argument whose value has quotes and specifiers", `{spec: {kubelet: {extraArgs: ["--node-status=\"%H\" $HOME '=,"]}}}`},
	{"all nodes at once", `{spec: {rollout: {maxUnavailable: "100%"}}}`},
	{"one node in a hundred", `{spec: {rollout: {maxUnavailable: "1%", paused: true}}}`},
	{"a drain as long as may be", `{spec: {rollout: {drain: {policy: WhenNeeded, timeout: 24h}}}}`},
	{"a drain that never happens", `{spec: {rollout: {drain: {policy: Never, timeout: 10s}}}}`},
	{"ten days of idle connections", `{spec: {kubeProxy: {conntrack: {tcpEstablishedTimeout: 240h, min: 0, maxPerCore: 0}}}}`},
	{"a sysctl of an interface with a dot", `{spec: {sysctls: {net.ipv4.conf.eth0/100.rp_filter: "2", net.ipv4.tcp_rmem: "4096 87380 6291456"}}}`},
	{"an empty file", `{spec: {files: [{path: /etc/cron.deny, contents: ""}]}}`},
	{"names that share a beginning, not a folder", `{spec: {files: [{path: /etc/a, contents: x}, {path: /etc/ab, contents: x}, {path: /etc/a.d/x, contents: x}]}}`},
	{"a file with numeric owners", `{spec: {files: [{path: /etc/x, contents: x, owner: "1000", group: "1000", mode: "0000"}]}}`},
	{"contents of 64 KiB", `{spec: {files: [{path: /etc/x, contents: ` + strings.Repeat("a", 65536) + `}]}}`},
	{"128 files", `{spec: {files: [` + manyFiles(128) + `]}}`},
	{"a template that is only written", `{spec: {units: [{name: a@.service, contents: "[Unit]"}, {name: a@1.service, state: Running}]}}`},
	{"a unit that is only extended", `{spec: {units: [{name: ssh.service, dropIns: [{name: 10-limits.conf, contents: "[Service]"}]}]}}`},
	{"a package of any version, with a name that ends in +", present(`name: g++`)},
	{"an rpm's version and name", present(`name: NetworkManager_x.y, version: "1:2.3~rc1^git4_5-6.el9"`)},
	{"a repository in a folder of the node", repository(`gpgKeySecretRef: null, signed: false, baseURL: "file:///srv/packages", suite: ./, components: null`)},
	{"a repository in the root folder", repository(`gpgKeySecretRef: null, signed: false, baseURL: "file:///", suite: ./, components: null`)},
	{"a Dnf repository by release and architecture", repository(`type: Dnf, suite: null, components: null, baseURL: "https://[fd00::1]:8443/linux/centos/$releasever/$basearch/stable"`)},
	{"a signed repository over http", repository(`baseURL: "http://deb.debian.org/debian", suite: stable/updates`)},
	{"a binary over http, which the checksum verifies", binary(`url: "http://10.64.3.7:8000/v1.37.2/kubelet", mode: "0750"`)},
	{"a binary from the node's own disk", binary(`url: "file:///srv/kubelet"`)},
	{"a name of 52 characters", `{metadata: {name: ` + strings.Repeat("a", 52) + `}}`},
}

var validStates = []valid{
	{"the smallest object", `{}`},
	{"serving addresses and ranges of each family", `{spec: {addresses: [10.64.3.8, 10.64.4.0/26, "fd00::8", "fd00:1::/64"]}}`},
	{"an address of each family", `{status: {facts: {interfaces: [{name: eth4, addresses: [10.64.3.8/26, "fe80::1/64"]}], routes: [{destination: 0.0.0.0/0, interface: eth5}]}}}`},
	{"a program from a package", `{status: {facts: {components: [{name: docker, path: /usr/bin/dockerd, source: Package, execStart: [/usr/bin/dockerd, -H, "fd://"]}]}}}`},
}

var _ = Describe("A valid object is taken by the API server and offline alike", func() {
	for _, table := range []struct {
		kind, base string
		cases      []valid
	}{
		{"NetworkConfig", networkConfig, validNetworks},
		{"NodeConfig", nodeConfig, validNodes},
		{"NodeState", nodeState, validStates},
	} {
		Context(table.kind, func() {
			for _, c := range table.cases {
				It(c.reason, func(ctx SpecContext) {
					object := patched(table.base, c.patch)
					if _, found := object.Object["status"]; found {
						Expect(writeStatus(ctx, object)).To(Succeed())
					} else {
						Expect(env.Client.Create(ctx, object.DeepCopy(), client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))).To(Succeed())
					}
					Expect(offline.Validate(object)).To(BeEmpty())
				})
			}
		})
	}

	// What a rule costs at run time depends on the object; a rule that is over its budget refuses it.
	It("and the longest lists of the longest paths stay within CEL's budget", func(ctx SpecContext) {
		var files, units []string
		for i := range 128 {
			files = append(files, fmt.Sprintf(`{path: "/etc/systemd/system/%0235d", contents: x}`, i))
		}
		for i := range 64 {
			units = append(units, fmt.Sprintf(`{name: "%0247d.service", enabled: true}`, i))
		}
		object := patched(nodeConfig, `{spec: {files: [`+strings.Join(files, ", ")+`], units: [`+strings.Join(units, ", ")+`]}}`)
		Expect(env.Client.Create(ctx, object.DeepCopy(), client.DryRunAll)).To(Succeed())
		Expect(offline.Validate(object)).To(BeEmpty())
	})
})

var _ = Describe("The samples", func() {
	for _, sample := range []string{"guide", "minimal"} {
		It(sample+" are taken by the API server and offline alike", func() {
			folder := filepath.Join("..", "..", "config", "samples", sample)
			paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
			Expect(err).NotTo(HaveOccurred())
			Expect(paths).NotTo(BeEmpty())
			for _, path := range paths {
				_, err := env.Kubectl("apply", "--dry-run=server", "--validate=strict", "-f", path)
				Expect(err).NotTo(HaveOccurred())
				data, err := os.ReadFile(path)
				Expect(err).NotTo(HaveOccurred())
				Expect(string(data)).NotTo(ContainSubstring("PRIVATE KEY"))
				_, err = schema.Load(path, strings.NewReader(string(data)))
				Expect(err).NotTo(HaveOccurred())
			}
		})
	}

	It("have facts files that the API server takes as a NodeState's", func(ctx SpecContext) {
		paths, err := filepath.Glob(filepath.Join("..", "..", "config", "samples", "guide", "facts", "*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(paths).To(HaveLen(2))
		for _, path := range paths {
			data, err := os.ReadFile(path)
			Expect(err).NotTo(HaveOccurred())
			facts, err := schema.LoadFacts(path, strings.NewReader(string(data)))
			Expect(err).NotTo(HaveOccurred())
			Expect(facts.Components).To(HaveLen(5))
			state := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: facts.Hostname}}
			Expect(env.Client.Create(ctx, state)).To(Succeed())
			state.Status.Facts = &facts
			Expect(env.Client.Status().Update(ctx, state)).To(Succeed())
			Expect(env.Client.Delete(ctx, state)).To(Succeed())
		}
	})
})

var _ = Describe("A network in use", func() {
	const disruptive = `{spec: {allowDisruptiveChange: true}}`
	for _, c := range []struct{ reason, before, patch, field, want string }{
		{"keeps its podCIDR", `{}`, `{spec: {podCIDR: 172.31.0.0/16}}`, "spec.podCIDR", "podCIDR cannot change from 172.30.0.0/16 to 172.31.0.0/16 under running pods: keep it, or set allowDisruptiveChange: true to accept that every pod loses its address"},
		{"keeps its podSubnetLength", `{}`, `{spec: {podSubnetLength: 25}}`, "spec.podSubnetLength", "podSubnetLength cannot change under running pods: keep it, or set allowDisruptiveChange: true"},
		{"keeps its serviceCIDR", `{}`, `{spec: {serviceCIDR: 10.96.0.0/12}}`, "spec.serviceCIDR", "serviceCIDR cannot change from 10.254.0.0/16 to 10.96.0.0/12 under running Services"},
		{"keeps the type of its backend", `{}`, `{spec: {backend: {type: WireGuard}}}`, "spec.backend", "backend.type cannot change to WireGuard without downtime"},
		{"keeps the default type too", `{spec: {backend: {type: UDP}}}`, `{spec: {backend: null}}`, "spec.backend", "backend.type cannot change to VXLAN without downtime"},
		{"keeps its VNI", `{}`, `{spec: {backend: {vxlan: {vni: 2}}}}`, "spec.backend", "backend.vxlan.vni cannot change under running pods, since nodes drop each other's packets until the last one has the new value: keep it, or set allowDisruptiveChange: true"},
		{"keeps the default VNI too", `{spec: {backend: {vxlan: {vni: 2}}}}`, `{spec: {backend: null}}`, "spec.backend", "backend.vxlan.vni cannot change"},
		{"keeps its VXLAN port", `{}`, `{spec: {backend: {vxlan: {port: 4789}}}}`, "spec.backend", "backend.vxlan.port cannot change under running pods"},
	} {
		It(c.reason+", unless downtime is accepted", func(ctx SpecContext) {
			before := patched(networkConfig, c.before)
			Expect(env.Client.Create(ctx, before)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, before)).To(Succeed()) })

			after := before.DeepCopy()
			apply(after, c.patch)
			err := env.Client.Update(ctx, after.DeepCopy(), client.DryRunAll)
			Expect(err).To(MatchError(And(ContainSubstring(c.field), ContainSubstring(c.want))))
			Expect(sorted(offline.ValidateUpdate(after, before))).To(ContainElement(ContainSubstring(c.want)))

			apply(after, disruptive)
			Expect(env.Client.Update(ctx, after, client.DryRunAll)).To(Succeed())
			Expect(offline.ValidateUpdate(after, before)).To(BeEmpty())
		})
	}

	It("may write its defaults out", func(ctx SpecContext) {
		before := patched(networkConfig, `{}`)
		Expect(env.Client.Create(ctx, before)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, before)).To(Succeed()) })
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec": {"podSubnetLength": 24, "backend": {"type": "VXLAN", "vxlan": {"vni": 1, "port": 8472}}}}`))
		Expect(env.Client.Patch(ctx, before.DeepCopy(), patch, client.DryRunAll)).To(Succeed())
	})
})
