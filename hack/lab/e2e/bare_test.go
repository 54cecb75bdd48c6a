package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"seedbed.dev/seedbed/hack/lab"
)

// This is what everything else here stands on: hosts as bare as a new machine. They are a lab of their
// own, which no other test has changed.
var _ = Describe("Bare hosts", Ordered, func() {
	var (
		bare *lab.Lab
		all  []lab.Host
	)

	BeforeAll(func(ctx SpecContext) {
		var err error
		bare, err = lab.Start(ctx, lab.Options{Name: hosts.Name() + "-bare", Nodes: 2, Progress: GinkgoWriter})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(bare.Down)
		all, err = bare.Hosts(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("run systemd, with nothing failed", func(ctx SpecContext) {
		for _, host := range all {
			Expect(bare.Exec(ctx, host.Name, "systemctl", "is-system-running", "--wait")).To(Equal("running\n"))
		}
	})

	It("have nothing that Seedbed is to bring", func(ctx SpecContext) {
		for _, host := range all {
			programs, err := bare.Exec(ctx, host.Name, "find", "/usr/bin", "/usr/sbin", "/usr/local", "/opt", "/etc/systemd",
				"(", "-name", "*docker*", "-o", "-name", "*kube*", "-o", "-name", "*flannel*", "-o", "-name", "*containerd*", "-o", "-name", "*seedbed*", ")")
			Expect(err).NotTo(HaveOccurred())
			Expect(programs).To(BeEmpty())
			Expect(bare.Exec(ctx, host.Name, "sysctl", "-n", "net.ipv4.ip_forward")).To(Equal("0\n"))
			Expect(bare.Exec(ctx, host.Name, "iptables", "-S")).To(Equal("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"))
		}
	})

	It("are different machines", func(ctx SpecContext) {
		ids := map[string]string{}
		for _, host := range all {
			id, err := bare.Exec(ctx, host.Name, "cat", "/etc/machine-id")
			Expect(err).NotTo(HaveOccurred())
			Expect(ids).NotTo(HaveKey(id))
			ids[id] = host.Name
		}
	})

	It("reach each other and the seed at the guide's addresses", func(ctx SpecContext) {
		Expect(all[0].Address).To(Equal("10.64.3.7"))
		for _, host := range all {
			for _, other := range append([]lab.Host{{Address: lab.SeedAddress}}, all...) {
				_, err := bare.Exec(ctx, host.Name, "ping", "-c", "1", "-W", "2", other.Address)
				Expect(err).NotTo(HaveOccurred(), "from %s", host.Name)
			}
		}
	})

	It("keep their kernel settings to themselves", func(ctx SpecContext) {
		before, err := bare.Seed(ctx, "cat", "/proc/sys/vm/overcommit_memory")
		Expect(err).NotTo(HaveOccurred())
		_, err = bare.Exec(ctx, "node-a", "sysctl", "-q", "-w", "vm.overcommit_memory=2", "net.ipv4.ip_default_ttl=77")
		Expect(err).NotTo(HaveOccurred())
		Expect(bare.Exec(ctx, "node-a", "sysctl", "-n", "vm.overcommit_memory", "net.ipv4.ip_default_ttl")).To(Equal("2\n77\n"))
		Expect(bare.Seed(ctx, "cat", "/proc/sys/vm/overcommit_memory")).To(Equal(before))
		Expect(bare.Seed(ctx, "cat", "/proc/sys/net/ipv4/ip_default_ttl")).To(Equal("64\n"))
		Expect(bare.Exec(ctx, "node-b", "sysctl", "-n", "vm.overcommit_memory")).To(Equal(before))
	})

	It("can download what the seed's side serves, and its sum is known", func(ctx SpecContext) {
		for _, name := range []string{"kubelet", "kube-proxy", "flanneld", "cri-dockerd", "seedbed"} {
			url, sum, err := bare.Download(name)
			Expect(err).NotTo(HaveOccurred())
			got, err := bare.Exec(ctx, "node-a", "bash", "-o", "pipefail", "-c", "curl -sSf "+url+" | sha256sum")
			Expect(err).NotTo(HaveOccurred())
			Expect(strings.Fields(got)[0]).To(Equal(sum), name)
		}
	})

	It("can be dialed by the tests", func(ctx SpecContext) {
		client := http.Client{Transport: &http.Transport{DialContext: bare.DialContext, DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, lab.FilesURL()+"/images/pause.tar", http.NoBody)
		Expect(err).NotTo(HaveOccurred())
		response, err := client.Do(request)
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = response.Body.Close() }()
		size, err := io.Copy(io.Discard, response.Body)
		Expect(err).NotTo(HaveOccurred())
		Expect(size).To(BeNumerically(">", 1<<20))
	})

	It("pass on a program's code, its words, and that it is told to stop", func(ctx SpecContext) {
		_, err := bare.Exec(ctx, "node-a", "bash", "-c", "echo trouble >&2; exit 7")
		Expect(err).To(MatchError(And(ContainSubstring("exit status 7"), ContainSubstring("trouble"))))
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err = bare.Exec(short, "node-a", "sleep", "60")
		Expect(err).To(HaveOccurred())
		Expect(time.Since(began)).To(BeNumerically("<", 5*time.Second))
		// pgrep ends with 1 when it finds none.
		Eventually(bare.Exec).WithArguments(ctx, "node-a", "bash", "-c", "pgrep -c sleep || true").
			WithTimeout(10 * time.Second).Should(Equal("0\n"))
	})

	It("keep their files over a reboot and when the plug is pulled, but no kernel state", func(ctx SpecContext) {
		_, err := bare.Exec(ctx, "node-b", "bash", "-c", "echo kept > /root/file; sync; ip link add old type dummy; iptables -P FORWARD DROP; touch /run/gone")
		Expect(err).NotTo(HaveOccurred())
		Expect(bare.Reboot(ctx, "node-b")).To(Succeed())
		expectFreshBoot(ctx, bare)
		Expect(bare.Kill(ctx, "node-b")).To(Succeed())
		_, err = bare.Exec(ctx, "node-b", "true")
		Expect(err).To(MatchError(ContainSubstring("is off")))
		Expect(bare.Boot(ctx, "node-b")).To(Succeed())
		expectFreshBoot(ctx, bare)
	})
})

func expectFreshBoot(ctx context.Context, bare *lab.Lab) {
	GinkgoHelper()
	Expect(bare.Exec(ctx, "node-b", "cat", "/root/file")).To(Equal("kept\n"))
	Expect(bare.Exec(ctx, "node-b", "bash", "-c", "ls -d /sys/class/net/old /run/gone 2>/dev/null | wc -l")).To(Equal("0\n"))
	Expect(bare.Exec(ctx, "node-b", "iptables", "-S", "FORWARD")).To(Equal("-P FORWARD ACCEPT\n"))
	Expect(bare.Exec(ctx, "node-b", "systemctl", "is-system-running", "--wait")).To(Equal("running\n"))
}
