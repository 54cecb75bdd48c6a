package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"seedbed.dev/seedbed/hack/lab"
)

// One cluster is made in the order of the specs below; each file adds a part of its life.
var _ = Describe("A cluster of bare hosts", Ordered, ContinueOnFailure, func() {
	Describe("made by one join each and one kubectl apply", Ordered, joining)
	Describe("with pods on it", Ordered, pods)
	Describe("whose certificates open what they must", Ordered, identities)
	Describe("that is changed", Ordered, changes)
	Describe("to which the guide's accidents happen", Ordered, accidents)
	Describe("whose nodes and seed come and go", Ordered, interruptions)
})

// readyTarget is how long a node may take from its join to Ready (the figure for this kind of
// machine). It is reported and not asserted: a machine under load is slower.
const readyTarget = time.Minute

func joining() {
	It("starts from hosts without docker, kubelet and flannel", func(ctx context.Context) {
		for _, h := range hosts(ctx) {
			for _, name := range []string{"dockerd", "kubelet", "flanneld", "kube-proxy", "cri-dockerd", "seedbed"} {
				_, err := on.Exec(ctx, h.Name, "which", name)
				Expect(err).To(HaveOccurred(), "%s has %s already", h.Name, name)
			}
		}
	})

	It("has Ready nodes within about a minute of joining", func(ctx context.Context) {
		made.applyCluster(ctx, subnetManager())
		arguments := made.joinArguments(ctx)
		var all sync.WaitGroup
		var mu sync.Mutex
		for _, h := range hosts(ctx) {
			all.Go(func() {
				defer GinkgoRecover()
				joined, nodeReady := join(ctx, h, arguments)
				mu.Lock()
				defer mu.Unlock()
				noteStage(h.Name+" joined", joined)
				noteStage(h.Name+" Node Ready after its join began", nodeReady)
			})
		}
		all.Wait()
		made.settled(ctx, hosts(ctx)...)
		GinkgoWriter.Print(made.kubectl(ctx, "get", "nodes", "-o", "wide"))
		GinkgoWriter.Print(made.kubectl(ctx, "get", "nodestates,nodeconfigs,networkconfigs"))
	})

	It("gives docker0 the subnet that flannel leased, each node another", func(ctx context.Context) {
		seen := map[string]string{}
		for _, h := range hosts(ctx) {
			leased := subnet(ctx, h.Name)
			Expect(leased).To(HavePrefix("172.30."))
			Expect(bridge(ctx, h.Name)).To(Equal(leased))
			Expect(seen).NotTo(HaveKey(leased))
			seen[leased] = h.Name
		}
	})

	It("has flannel speak over the cluster's network, not over the public one (SB007)", func(ctx context.Context) {
		for _, h := range hosts(ctx) {
			Expect(host(ctx, h.Name, "ip", "-details", "link", "show", "flannel.1")).To(ContainSubstring("local " + h.Address))
		}
	})

	It("runs each program with the configuration that was rendered for it (SB005, SB010, SB015, SB024)", func(ctx context.Context) {
		for _, h := range hosts(ctx) {
			host(ctx, h.Name, "dockerd", "--validate", "--config-file", "/etc/docker/daemon.json")
			Expect(host(ctx, h.Name, "docker", "info", "--format", "{{.RegistryConfig.Mirrors}} {{.LiveRestoreEnabled}} {{.CgroupDriver}}")).
				To(Equal("[https://mirror.example.com/] true cgroupfs"))
			Expect(made.kubectl(ctx, "get", "--raw", "/api/v1/nodes/"+h.Name+"/proxy/configz")).To(And(
				ContainSubstring(`"clusterDomain":"cluster.local"`), ContainSubstring(`"clusterDNS":["10.254.0.2"]`),
				ContainSubstring(`"nodefs.available":"1%"`)))
			Expect(host(ctx, h.Name, "curl", "--silent", "--show-error", "--fail", "http://127.0.0.1:10249/configz")).To(And(
				ContainSubstring(`"clusterCIDR":"172.30.0.0/16"`), ContainSubstring(`"hostnameOverride":"`+h.Name+`"`)))
			for _, name := range chain {
				Expect(host(ctx, h.Name, "systemd-analyze", "verify", "--man=no", name+".service")).To(BeEmpty())
			}
		}
	})

	It("says so where a user looks", func(ctx context.Context) {
		n := len(hosts(ctx))
		Eventually(func() string { return made.kubectl(ctx, "get", "nodeconfig", "workers") }).
			Should(ContainSubstring(fmt.Sprintf("%d of %d nodes ready", n, n)))
		made.kubectl(ctx, "wait", "--for=condition=Ready", "nodeconfig/workers", "networkconfig/default", "--timeout=60s")
		labels := made.kubectl(ctx, "get", "nodes", "-l", "example.com/pool=workers", "-o", "name")
		Expect(strings.Fields(labels)).To(HaveLen(n))
	})
}

// join joins a host and waits until its Node is Ready. Both times are counted from the start of join.
func join(ctx context.Context, h lab.Host, arguments []string) (joined, nodeReady time.Duration) {
	GinkgoHelper()
	began := time.Now()
	out, err := on.Exec(ctx, h.Name, append([]string{"/root/seedbed"}, arguments...)...)
	succeed(err)
	joined = time.Since(began)
	GinkgoWriter.Printf("--- join on %s\n%s", h.Name, out)
	Eventually(func() error { return made.nodeReady(ctx, h.Name) }).WithTimeout(5 * readyTarget).Should(Succeed())
	return joined, time.Since(began)
}
