package cluster

import (
	"context"
	"errors"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"seedbed.dev/seedbed/hack/lab"
)

// interruptions tests that a node does without the seed, and that nothing that is killed is missed.
func interruptions() {
	const node = "node-b"

	It("keeps everything running when the seed is restarted", func(ctx context.Context) {
		before, ran := made.runs(ctx), made.running(ctx)
		made.manager.end()
		made.seed.end()
		made.startSeed(ctx)
		made.startManager()
		made.settled(ctx, hosts(ctx)...)
		Expect(made.runs(ctx)).To(Equal(before))
		Expect(made.running(ctx)).To(Equal(ran))
	})

	It("brings a node back that is rebooted while the seed is away: same subnet, local containers, in sync", func(ctx context.Context) {
		was := subnet(ctx, node)
		host(ctx, node, "docker", "run", "--detach", "--name", "local", "--restart", "always", lab.TestImage, "netexec", "--http-port=8099")
		made.manager.end()
		made.seed.end()
		stage("docker on the right subnet after a reboot without the seed", func() { reboot(ctx, node, "docker") })
		Expect(bridge(ctx, node)).To(Equal(was))
		Eventually(func() string { return host(ctx, node, "docker", "ps", "--format", "{{.Names}}") }).Should(ContainSubstring("local"))
		reaches(ctx, node, "http://"+host(ctx, node, "docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", "local")+":8099/hostname", "")

		By("repairing drift without the API")
		const file = "/etc/docker/daemon.json"
		content := host(ctx, node, "cat", file)
		host(ctx, node, "cp", "/dev/null", file)
		Eventually(func() string { return host(ctx, node, "cat", file) }).Should(Equal(content))

		made.startSeed(ctx)
		made.startManager()
		stage("Ready again once the seed is back", func() {
			// Until its agent has reported again, the objects say what was true before.
			for _, name := range chain {
				Eventually(func() string { return orEmpty(on.Exec(ctx, node, "systemctl", "is-active", name)) }).
					WithTimeout(3*time.Minute).Should(Equal("active"), name)
			}
			made.settled(ctx, hosts(ctx)...)
		})
		host(ctx, node, "docker", "rm", "--force", "local")
	})

	It("puts a host back when it leaves, and releases what it had", func(ctx context.Context) {
		leased := leaseName(subnet(ctx, node))
		stage(node+" left", func() { GinkgoWriter.Print(host(ctx, node, "seedbed", "leave")) })
		for _, name := range append([]string{"seedbed-agent"}, chain...) {
			Expect(orEmpty(on.Exec(ctx, node, "systemctl", "is-active", name))).NotTo(Equal("active"), name)
		}
		for _, path := range []string{"/etc/docker/daemon.json", "/etc/kubernetes", "/var/lib/seedbed", "/etc/systemd/system/seedbed-agent.service"} {
			_, err := on.Exec(ctx, node, "stat", path)
			Expect(err).To(HaveOccurred(), "%s is still there", path)
		}
		stage("its Node and its lease gone", func() { made.forgets(ctx, node, leased) })
		GinkgoWriter.Print(host(ctx, node, "/root/seedbed", "leave"))
	})

	It("brings a node up although its agent is killed again and again, and starts no unit twice", func(ctx context.Context) {
		arguments := made.joinArguments(ctx)
		since := host(ctx, node, "date", "+%s")
		_, err := on.Exec(ctx, node, append([]string{"/root/seedbed"}, arguments...)...)
		succeed(err)
		killed := 0
		for range 20 {
			time.Sleep(700 * time.Millisecond)
			if _, err := on.Exec(ctx, node, "systemctl", "kill", "--signal", "KILL", "seedbed-agent"); err == nil {
				killed++
			}
		}
		Expect(killed).To(BeNumerically(">", 5))
		Eventually(func() error { return made.nodeReady(ctx, node) }).WithTimeout(5 * readyTarget).Should(Succeed())
		made.settled(ctx, hosts(ctx)...)
		for _, name := range chain {
			log := host(ctx, node, "journalctl", "--unit", name, "--since", "@"+since, "--output", "cat", "--no-pager", "_PID=1")
			Expect(strings.Count(log, "Started "+name+".service")).To(Equal(1), "%s:\n%s", name, log)
		}
	})
}

// forgets waits until nothing is left in the cluster of a node that has left.
func (c *cluster) forgets(ctx context.Context, node, lease string) {
	GinkgoHelper()
	Eventually(func() string { return c.kubectl(ctx, "get", "nodes,nodestates", "-o", "name") }).ShouldNot(ContainSubstring(node))
	if subnetManager() != etcdManager {
		return
	}
	etcd := c.etcd(ctx)
	Eventually(func() (int64, error) {
		found, err := etcd.Get(ctx, flannelPrefix+"/subnets/"+lease)
		if err != nil {
			return 0, err
		}
		return found.Count, nil
	}).Should(BeZero(), "the lease of a node that left")
}

// reboot reboots a host and waits until a unit is active in the new boot. Booted in systemd's sense is a
// host later: that is when flanneld's start has failed, which lasts its 90 s while the seed is away.
func reboot(ctx context.Context, node, unit string) {
	GinkgoHelper()
	const bootID = "/proc/sys/kernel/random/boot_id"
	was := host(ctx, node, "cat", bootID)
	rebooted := make(chan error, 1)
	go func() { rebooted <- on.Reboot(ctx, node) }()
	DeferCleanup(func() { Expect(<-rebooted).To(Succeed()) })
	Eventually(func() error {
		if is, err := on.Exec(ctx, node, "cat", bootID); err != nil || strings.TrimSpace(is) == was {
			return errors.Join(err, errors.New(node+" is not up again"))
		}
		_, err := on.Exec(ctx, node, "systemctl", "is-active", unit)
		return err
	}).WithTimeout(3 * time.Minute).Should(Succeed())
}

// last is the last host of the lab.
func last(ctx context.Context) string {
	GinkgoHelper()
	all := hosts(ctx)
	return all[len(all)-1].Name
}

// orEmpty is for programs whose exit code says what they print.
func orEmpty(out string, _ error) string { return strings.TrimSpace(out) }
