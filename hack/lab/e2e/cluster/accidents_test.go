package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/hack/lab"
)

// accidents stages the accidents of the install guide on purpose, on hosts that work, and waits for the
// cure. How long each took is in the table of times.
func accidents() {
	const node = "node-b"
	BeforeEach(func() { only() })

	It("opens FORWARD again when docker or somebody shuts it (SB003)", func(ctx context.Context) {
		host(ctx, node, "iptables", "-P", "FORWARD", "DROP")
		stage("FORWARD DROP cured (SB003)", func() {
			Eventually(func() string { return host(ctx, node, "iptables", "-S", "FORWARD") }).
				WithTimeout(2 * time.Minute).Should(HavePrefix("-P FORWARD ACCEPT"))
		})
		made.podAnswers(ctx, "node-a", node)
	})

	It("loosens a reverse-path filter that became strict (SB004)", func(ctx context.Context) {
		made.editNetwork(ctx, func(s *v1alpha1.NetworkConfigSpec) { s.ReversePathFilter = new(v1alpha1.ReversePathLoose) })
		made.settled(ctx, hosts(ctx)...)
		host(ctx, node, "sysctl", "-w", "net.ipv4.conf.all.rp_filter=1")
		stage("strict rp_filter cured (SB004)", func() {
			Eventually(func() string { return host(ctx, node, "sysctl", "-n", "net.ipv4.conf.all.rp_filter") }).
				WithTimeout(2 * time.Minute).Should(Equal("2"))
		})
	})

	It("gives docker0 its subnet back after docker was started without flannel's (SB001, SB002)", func(ctx context.Context) {
		wrongBridge(ctx, node)
		stage("docker0 on the wrong subnet cured (SB001)", func() {
			Eventually(func() string { return bridge(ctx, node) }).WithTimeout(5 * time.Minute).Should(Equal(subnet(ctx, node)))
			made.settled(ctx, hosts(ctx)...)
		})
		made.uncordoned(ctx, node)
		made.restorePods(ctx)
		made.podAnswers(ctx, "node-a", node)
	})

	It("takes a host on which docker ran before flannel, with a container on it (SB001, SB002)", func(ctx context.Context) {
		node := last(ctx) // not one of which a later test says what it was before
		host(ctx, node, "seedbed", "leave")
		dockerWithoutFlannel(ctx, node)
		_, err := on.Exec(ctx, node, append([]string{"/root/seedbed"}, made.joinArguments(ctx)...)...)
		succeed(err)
		stage("docker0 of a host that had docker before cured (SB001)", func() {
			Eventually(func() error { return made.nodeReady(ctx, node) }).WithTimeout(5 * readyTarget).Should(Succeed())
			made.settled(ctx, hosts(ctx)...)
		})
		Expect(bridge(ctx, node)).To(Equal(subnet(ctx, node)))
		Expect(host(ctx, node, "docker", "ps", "--format", "{{.Names}}")).To(And(ContainSubstring("older"), ContainSubstring("plain")), "the containers that ran before")
		reaches(ctx, node, "http://"+host(ctx, node, "docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", "older")+":8099/hostname", "")
		host(ctx, node, "docker", "rm", "--force", "older", "plain")
		made.uncordoned(ctx, node)
		made.restorePods(ctx)
		made.podAnswers(ctx, "node-a", node)
	})

	It("follows a lease that moved: drains the node, rebuilds docker0, and lets pods back (SB009)", func(ctx context.Context) {
		needsEtcd()
		old := subnet(ctx, node)
		host(ctx, node, "systemctl", "stop", "seedbed-agent")
		made.loseLease(ctx, node, old)
		Eventually(func() string { return subnet(ctx, node) }).ShouldNot(Equal(old))
		plan := made.plan(ctx, node, func(*v1alpha1.NodeConfigSpec) {})
		Expect(plan.Disruption).To(Equal("Recreate"), "docker0 is planned to be made anew")
		host(ctx, node, "systemctl", "start", "seedbed-agent")
		stage("a lease that moved followed (SB009)", func() {
			Eventually(func() string { return bridge(ctx, node) }).WithTimeout(5 * time.Minute).Should(Equal(subnet(ctx, node)))
		})
		made.settled(ctx, hosts(ctx)...)
		made.uncordoned(ctx, node)
		Expect(made.kubectl(ctx, "get", "events", "-A", "--field-selector", "involvedObject.name="+node)).To(ContainSubstring("Drain"))
		made.restorePods(ctx)
		made.podAnswers(ctx, "node-a", node)
	})

	It("reports a lease that belongs to no node (SB009)", func(ctx context.Context) {
		needsEtcd()
		etcd := made.etcd(ctx)
		const key = flannelPrefix + "/subnets/172.30.250.0-24"
		const day = 24 * 60 * 60 // seconds, as flannel's leases; without an end it would be a reservation
		ends, err := etcd.Grant(ctx, day)
		Expect(err).NotTo(HaveOccurred())
		_, err = etcd.Put(ctx, key, `{"PublicIP":"10.64.3.60","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}}`, clientv3.WithLease(ends.ID))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) { _, _ = etcd.Delete(ctx, key) })
		Eventually(func() string { return made.kubectl(ctx, "get", "networkconfig", "default", "-o", "yaml") }).
			WithTimeout(2 * time.Minute).Should(And(ContainSubstring("172.30.250.0"), ContainSubstring(string(v1alpha1.LeaseNoNode))))
	})
}

// wrongBridge does what the guide's author met: dockerd starts without flannel's options, and docker0 is
// made with its own default address.
func wrongBridge(ctx context.Context, node string) {
	GinkgoHelper()
	const folder = "/run/systemd/system/docker.service.d"
	const dropIn = folder + "/zzzz-accident.conf"
	remove := func(ctx context.Context) {
		host(ctx, node, "rm", "--force", dropIn)
		host(ctx, node, "systemctl", "daemon-reload")
	}
	DeferCleanup(remove)
	_, _ = on.Exec(ctx, node, "systemctl", "stop", "kubelet") // the agent may start it at once, and cancel this
	// With live-restore dockerd would keep the bridge of containers that go on.
	if ids := containers(ctx, node); len(ids) > 0 {
		host(ctx, node, append([]string{"docker", "kill"}, ids...)...)
	}
	host(ctx, node, "mkdir", "-p", folder)
	host(ctx, node, "bash", "-c", "printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd\\n' > "+dropIn)
	host(ctx, node, "systemctl", "daemon-reload")
	host(ctx, node, "systemctl", "stop", "docker.service", "docker.socket")
	// dockerd remembers the address of its bridge, in the link and in its own files.
	host(ctx, node, "ip", "link", "delete", "docker0")
	host(ctx, node, "rm", "-r", "/var/lib/docker/network/files")
	host(ctx, node, "systemctl", "start", "docker.service")
	Expect(bridge(ctx, node)).To(And(Not(BeEmpty()), Not(HavePrefix("172.30."))), "the accident did not happen")
	remove(ctx)
}

// dockerWithoutFlannel is a host as many are before they join: docker installed by hand, and in use.
func dockerWithoutFlannel(ctx context.Context, node string) {
	GinkgoHelper()
	// What the docker before has left is not of such a host.
	_, _ = on.Exec(ctx, node, "ip", "link", "delete", "docker0")
	host(ctx, node, "find", "/var/lib/docker", "-mindepth", "1", "-delete")
	host(ctx, node, "apt-get", "install", "--yes", "--no-install-recommends", "docker.io", "docker-cli")
	host(ctx, node, "systemctl", "start", "docker.service")
	loadImages(ctx, node)
	host(ctx, node, "docker", "run", "--detach", "--name", "older", "--restart", "always", lab.TestImage, "netexec", "--http-port=8099")
	host(ctx, node, "docker", "run", "--detach", "--name", "plain", lab.TestImage, "netexec", "--http-port=8098")
	Expect(bridge(ctx, node)).To(And(Not(BeEmpty()), Not(HavePrefix("172.30."))), "the accident did not happen")
}

// loseLease deletes a node's lease by hand, as the guide does, and gives its subnet to nobody; flanneld
// starts again without what it remembers, and gets another.
func (c *cluster) loseLease(ctx context.Context, node, subnet string) {
	GinkgoHelper()
	etcd := c.etcd(ctx)
	host(ctx, node, "systemctl", "stop", "flanneld")
	key := flannelPrefix + "/subnets/" + leaseName(subnet)
	deleted, err := etcd.Delete(ctx, key)
	Expect(err).NotTo(HaveOccurred())
	Expect(deleted.Deleted).To(BeEquivalentTo(1), key)
	_, err = etcd.Put(ctx, key, `{"PublicIP":"10.64.3.61","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:02"}}`)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) { _, _ = etcd.Delete(ctx, key) })
	host(ctx, node, "rm", "/run/flannel/subnet.env")
	host(ctx, node, "systemctl", "start", "flanneld")
}

// leaseName turns 172.30.5.1/24 into 172.30.5.0-24, as flannel names the lease.
func leaseName(subnet string) string {
	address, length, _ := strings.Cut(subnet, "/")
	return address[:strings.LastIndex(address, ".")] + ".0-" + length
}

// restorePods makes the test's pods again where they were evicted: no controller has them.
func (c *cluster) restorePods(ctx context.Context) {
	GinkgoHelper()
	for _, h := range hosts(ctx) {
		c.runPod(ctx, h.Name)
		Eventually(func() error {
			_, err := c.tryKubectl(ctx, "wait", "--for=condition=Ready", "pod/"+podOn(h.Name), "--timeout=5s")
			if err != nil {
				c.runPod(ctx, h.Name)
			}
			return err
		}).WithTimeout(2 * time.Minute).Should(Succeed())
	}
}

// podAnswers waits until a node's pod answers the pod of another, where it may just be getting an address.
func (c *cluster) podAnswers(ctx context.Context, from, to string) {
	GinkgoHelper()
	Eventually(func() (string, error) {
		url := fmt.Sprintf("http://%s:%d/hostname", c.podIP(ctx, to), webPort)
		return c.tryKubectl(ctx, append(append([]string{"exec", podOn(from), "--"}, curl...), url)...)
	}).Should(ContainSubstring(podOn(to)))
}

// uncordoned waits until pods are let onto a node that was drained.
func (c *cluster) uncordoned(ctx context.Context, node string) {
	GinkgoHelper()
	Eventually(func() string {
		return c.kubectl(ctx, "get", "node", node, "-o", "jsonpath={.spec.unschedulable}")
	}).Should(BeEmpty(), "%s is left cordoned", node)
}

// editNetwork changes the NetworkConfig.
func (c *cluster) editNetwork(ctx context.Context, change func(*v1alpha1.NetworkConfigSpec)) {
	GinkgoHelper()
	network := &v1alpha1.NetworkConfig{}
	network.Name = "default"
	Eventually(func() error {
		_, err := controllerutil.CreateOrUpdate(ctx, c.api, network, func() error {
			change(&network.Spec)
			return nil
		})
		return err
	}).Should(Succeed())
	c.edit(ctx, func(*v1alpha1.NodeConfigSpec) {}) // and waits until it is assigned
}
