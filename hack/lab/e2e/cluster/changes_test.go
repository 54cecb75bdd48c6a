package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// changes tests that a change disturbs what it must and nothing else.
func changes() {
	BeforeEach(func() { only(scopeShort) })
	It("reloads dockerd for a reloadable key, as planned: its process and all containers stay", func(ctx context.Context) {
		before, ran := made.runs(ctx), made.running(ctx)
		change := func(s *v1alpha1.NodeConfigSpec) { s.Docker.MaxConcurrentDownloads = new(int32(20)) }
		plan := made.plan(ctx, "node-a", change)
		Expect(plan.Disruption).To(Equal("Reload"))
		Expect(plan.disturbed()).To(Equal([]string{"docker"}))
		made.edit(ctx, change)
		made.settled(ctx, hosts(ctx)...)
		for _, h := range hosts(ctx) {
			Expect(host(ctx, h.Name, "cat", "/etc/docker/daemon.json")).To(ContainSubstring(`"max-concurrent-downloads": 20`))
			Expect(host(ctx, h.Name, "journalctl", "--unit", "docker", "--boot", "--output", "cat")).To(ContainSubstring("Reloaded configuration"))
			made.came(ctx, h.Name, plan)
		}
		Expect(made.runs(ctx)).To(Equal(before))
		Expect(made.running(ctx)).To(Equal(ran))
	})

	It("restarts the kubelet alone for a kubelet change, as planned", func(ctx context.Context) {
		ran := made.running(ctx)
		made.restarts(ctx, "kubelet", func(s *v1alpha1.NodeConfigSpec) { s.Kubelet.MaxPods = new(int32(100)) })
		Expect(made.running(ctx)).To(Equal(ran))
		for _, h := range hosts(ctx) {
			Eventually(func() string {
				return made.kubectl(ctx, "get", "node", h.Name, "-o", "jsonpath={.status.capacity.pods}")
			}).Should(Equal("100"))
		}
	})

	It("restarts kube-proxy alone for a kube-proxy change, as planned", func(ctx context.Context) {
		made.restarts(ctx, "kube-proxy", func(s *v1alpha1.NodeConfigSpec) {
			s.KubeProxy = &v1alpha1.KubeProxy{Conntrack: &v1alpha1.Conntrack{Min: new(int32(131073))}}
		})
	})

	It("disturbs nothing for a label of the Node and a sysctl, as planned", func(ctx context.Context) {
		before, ran := made.runs(ctx), made.running(ctx)
		change := func(s *v1alpha1.NodeConfigSpec) {
			s.Node.Labels["example.com/rack"] = "7"
			s.Sysctls = map[string]v1alpha1.SysctlValue{"net.core.somaxconn": "5000"}
		}
		plan := made.plan(ctx, "node-a", change)
		Expect(plan.Disruption).To(Equal("None"))
		made.edit(ctx, change)
		made.settled(ctx, hosts(ctx)...)
		for _, h := range hosts(ctx) {
			made.came(ctx, h.Name, plan)
			Expect(host(ctx, h.Name, "sysctl", "-n", "net.core.somaxconn")).To(Equal("5000"))
			Eventually(func() string {
				return made.kubectl(ctx, "get", "node", h.Name, "-o", `jsonpath={.metadata.labels.example\.com/rack}`)
			}).Should(Equal("7"))
		}
		Expect(made.runs(ctx)).To(Equal(before))
		Expect(made.running(ctx)).To(Equal(ran))
	})

	It("writes nothing and restarts nothing in a second pass", func(ctx context.Context) {
		const node = "node-a"
		before := made.runs(ctx)
		host(ctx, node, "touch", "/run/second-pass")
		time.Sleep(1100 * time.Millisecond) // the grain of what find compares, and more
		host(ctx, node, "systemctl", "restart", "seedbed-agent")
		time.Sleep(10 * time.Second) // several passes
		written := host(ctx, node, "find", "/etc", "/usr", "/var/lib/seedbed", "/run/flannel", "-newer", "/run/second-pass", "-type", "f")
		Expect(strings.Fields(written)).To(BeEmpty())
		Expect(made.runs(ctx)).To(Equal(before))
	})

	It("touches nothing for a kubelet configuration that the kubelet would refuse", func(ctx context.Context) {
		made.refuses(ctx, "/var/lib/kubelet/config.yaml", "NoSuchGate", func(s *v1alpha1.NodeConfigSpec) {
			s.Kubelet.Config = raw(`{"featureGates": {"NoSuchGate": true}}`)
		})
	})

	It("touches nothing for a docker configuration that dockerd would refuse", func(ctx context.Context) {
		made.refuses(ctx, "/etc/docker/daemon.json", "max download attempts", func(s *v1alpha1.NodeConfigSpec) {
			s.Docker.DaemonConfig = raw(`{"max-download-attempts": -1}`)
		})
	})
}

// restarts makes a change that restarts one unit on each node, and is planned to.
func (c *cluster) restarts(ctx context.Context, unit string, change func(*v1alpha1.NodeConfigSpec)) {
	GinkgoHelper()
	before, plan := c.runs(ctx), c.plan(ctx, "node-a", change)
	Expect(plan.Disruption).To(Equal("Restart"))
	Expect(plan.disturbed()).To(Equal([]string{unit}))
	c.edit(ctx, change)
	c.settled(ctx, hosts(ctx)...)
	Expect(changed(before, c.runs(ctx))).To(Equal([]string{unit}))
	for _, h := range hosts(ctx) {
		c.came(ctx, h.Name, plan)
	}
}

// refuses makes a change whose file its own program refuses, and takes it back: the message names what is
// wrong, the rollout stops at the first node, and neither a file nor a unit is touched.
func (c *cluster) refuses(ctx context.Context, file, because string, change func(*v1alpha1.NodeConfigSpec)) {
	GinkgoHelper()
	before, was, kept := c.runs(ctx), c.sums(ctx, file), c.spec(ctx)
	back := func(ctx context.Context) { c.edit(ctx, func(s *v1alpha1.NodeConfigSpec) { *s = *kept.DeepCopy() }) }
	DeferCleanup(back) // also when this fails: what comes next begins with a cluster that works
	c.change(ctx, change)
	Eventually(func() string { return c.kubectl(ctx, "get", "nodestates", "-o", "wide") }).Should(ContainSubstring(because))
	Expect(strings.Count(c.kubectl(ctx, "get", "nodestates"), v1alpha1.ReasonConfigRefused)).To(Equal(1), "the rollout stops at the first node")
	Expect(c.sums(ctx, file)).To(Equal(was))
	Expect(c.runs(ctx)).To(Equal(before))
	back(ctx)
	c.settled(ctx, hosts(ctx)...)
	c.kubectl(ctx, "wait", "--for=condition=Ready", "nodeconfig/workers", "networkconfig/default", "--timeout=60s")
	Expect(c.runs(ctx)).To(Equal(before))
}

// sums are the digests of a file, by host.
func (c *cluster) sums(ctx context.Context, file string) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	for _, h := range hosts(ctx) {
		found[h.Name] = host(ctx, h.Name, "sha256sum", file)
	}
	return found
}

// change changes the NodeConfig.
func (c *cluster) change(ctx context.Context, change func(*v1alpha1.NodeConfigSpec)) *v1alpha1.NodeConfig {
	GinkgoHelper()
	config := &v1alpha1.NodeConfig{}
	config.Name = "workers"
	Eventually(func() error {
		_, err := controllerutil.CreateOrUpdate(ctx, c.api, config, func() error {
			change(&config.Spec)
			return nil
		})
		return err
	}).Should(Succeed())
	return config
}

// edit changes the NodeConfig and waits until all nodes are assigned it.
func (c *cluster) edit(ctx context.Context, change func(*v1alpha1.NodeConfigSpec)) {
	GinkgoHelper()
	config := c.change(ctx, change)
	// The nodes are asked about this change, and not about the state before it.
	Eventually(func() (int64, error) {
		err := c.api.Get(ctx, client.ObjectKey{Name: config.Name}, config)
		return config.Status.ObservedGeneration - config.Generation, err
	}).Should(BeZero())
	Eventually(func() error {
		for _, h := range hosts(ctx) {
			if s := c.state(ctx, h.Name); s.Spec.Revision != config.Status.Revision {
				return fmt.Errorf("%s is assigned %s, not %s", h.Name, s.Spec.Revision, config.Status.Revision)
			}
		}
		return nil
	}).WithTimeout(3 * time.Minute).Should(Succeed())
}

func (c *cluster) spec(ctx context.Context) v1alpha1.NodeConfigSpec {
	GinkgoHelper()
	config := &v1alpha1.NodeConfig{}
	Expect(c.api.Get(ctx, client.ObjectKey{Name: "workers"}, config)).To(Succeed())
	return config.Spec
}

// runs are the present runs of all units of the chain, by "host/unit": process and invocation.
func (c *cluster) runs(ctx context.Context) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	for _, h := range hosts(ctx) {
		invocation := invocations(ctx, h.Name)
		for name, pid := range pids(ctx, h.Name) {
			found[h.Name+"/"+name] = pid + " " + invocation[name]
		}
	}
	return found
}

// running are the containers of all hosts.
func (c *cluster) running(ctx context.Context) map[string][]string {
	GinkgoHelper()
	found := map[string][]string{}
	for _, h := range hosts(ctx) {
		found[h.Name] = slices.Sorted(slices.Values(containers(ctx, h.Name)))
	}
	return found
}

// changed lists the units whose run differs on any host; it must differ on all of them.
func changed(before, after map[string]string) []string {
	GinkgoHelper()
	units, hosts := map[string]int{}, map[string]bool{}
	for key := range before {
		node, name, _ := strings.Cut(key, "/")
		hosts[node] = true
		if before[key] != after[key] {
			units[name]++
		}
	}
	for name, n := range units {
		Expect(n).To(Equal(len(hosts)), "%s was restarted on some hosts only", name)
	}
	return slices.Sorted(maps.Keys(units))
}
