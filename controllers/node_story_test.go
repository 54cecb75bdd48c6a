package controllers_test

import (
	"context"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
)

var _ = Describe("The Node of a machine", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	declaring := func(c *v1alpha1.NodeConfig) {
		c.Spec.Node = &v1alpha1.NodeRegistration{
			Labels: map[string]v1alpha1.LabelValue{"example.com/rack": "a3"},
			Taints: []v1alpha1.Taint{{Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule}},
		}
	}
	dedicated := corev1.Taint{Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule}
	objects := func(ctx context.Context, change ...func(*v1alpha1.NodeConfig)) {
		GinkgoHelper()
		createSecret(ctx)
		create(ctx, network(), workers(change...))
	}

	It("is there before its agent has said a word, with labels, taints and a share of the network of its own", func(ctx context.Context) {
		startManager()
		objects(ctx, declaring)
		joined(ctx, "node-a", "node-b")
		seen := map[string]bool{}
		for _, n := range []string{"node-a", "node-b"} {
			object := nodeOf(ctx, n)
			Expect(object.Labels).To(HaveKeyWithValue("example.com/rack", "a3"))
			Expect(object.Labels).To(HaveKeyWithValue(controllers.NodeLabel, n))
			Expect(object.Spec.Taints).To(ContainElement(dedicated))
			share, err := netip.ParsePrefix(object.Spec.PodCIDR)
			Expect(err).NotTo(HaveOccurred())
			Expect(share.Bits()).To(Equal(24))
			Expect(netip.MustParsePrefix("172.30.0.0/16").Contains(share.Addr())).To(BeTrue())
			Expect(object.Spec.PodCIDRs).To(Equal([]string{object.Spec.PodCIDR}))
			Expect(seen).NotTo(HaveKey(object.Spec.PodCIDR))
			seen[object.Spec.PodCIDR] = true
		}
	})

	It("is not there for a host root that does not run, nor for one that has not shown yet what it is", func(ctx context.Context) {
		startManager()
		objects(ctx)
		registerWorkers(ctx, "root", "unknown", "machine")
		assigned(ctx, "root", "unknown", "machine")
		report(ctx, "root", metav1.ConditionFalse, v1alpha1.ReasonOfflineRoot)
		report(ctx, "machine", metav1.ConditionFalse, v1alpha1.ReasonUnitNotActive)
		nodeOf(ctx, "machine")
		Consistently(func() bool { return noNode(ctx, "root") && noNode(ctx, "unknown") }).Should(BeTrue())
	})

	It("has no share of the network when flannel's etcd has the subnets", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		n := network()
		etcd := v1alpha1.SubnetManagerEtcd
		n.Spec.SubnetManager = &v1alpha1.SubnetManager{Type: &etcd, Etcd: &v1alpha1.EtcdSubnetManager{Endpoints: []v1alpha1.EtcdEndpoint{"http://127.0.0.1:1"}}}
		create(ctx, n, workers())
		joined(ctx, "node-a")
		Expect(nodeOf(ctx, "node-a").Spec.PodCIDR).To(BeEmpty())
	})

	It("is adopted when it was there, and keeps what others set, its podCIDR too", func(ctx context.Context) {
		create(ctx, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-a", Labels: map[string]string{"theirs": "1", "example.com/rack": "old"}, Annotations: map[string]string{"theirs": "1"}},
			Spec:       corev1.NodeSpec{PodCIDR: "172.30.9.0/24", Taints: []corev1.Taint{{Key: "theirs", Effect: corev1.TaintEffectNoSchedule}}},
		})
		startManager()
		objects(ctx, declaring)
		joined(ctx, "node-a")
		Eventually(func() map[string]string { return node(ctx, "node-a").Labels }).Should(HaveKeyWithValue("example.com/rack", "a3"))
		object := node(ctx, "node-a")
		Expect(object.Labels).To(HaveKeyWithValue("theirs", "1"))
		Expect(object.Annotations).To(HaveKeyWithValue("theirs", "1"))
		Expect(object.Spec.PodCIDR).To(Equal("172.30.9.0/24"))
		Expect(object.Spec.Taints).To(ContainElements(dedicated, HaveField("Key", "theirs")))
	})

	It("keeps its machine from being given a network that its podCIDR is outside of, until it is deleted", func(ctx context.Context) {
		object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}, Spec: corev1.NodeSpec{PodCIDR: "10.9.0.0/24"}}
		create(ctx, object)
		startManager()
		objects(ctx, declaring)
		joined(ctx, "node-a", "node-b")
		assigned(ctx, "node-b")
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonPodCIDROutside, "spec.podCIDR of Node node-a is outside podCIDR 172.30.0.0/16")

		Consistently(func() string { return nodeState(ctx, "node-a").Spec.Revision }).Should(BeEmpty())
		Expect(node(ctx, "node-a").Labels).NotTo(HaveKey("example.com/rack"))

		By("being deleted, as the message says")
		Expect(env.Client.Delete(ctx, object)).To(Succeed())
		assigned(ctx, "node-a")
		Eventually(func() string {
			object := &corev1.Node{}
			_ = env.Client.Get(ctx, name("node-a"), object)
			return object.Spec.PodCIDR
		}).Should(HavePrefix("172.30."))
		Eventually(func() []metav1.Condition { return nodeConfig(ctx, "workers").Status.Conditions }).ShouldNot(ContainElement(HaveField("Type", v1alpha1.ConditionStalled)))
	})

	It("is made anew with a share of the next network, which its machine is given then, and no other one", func(ctx context.Context) {
		startManager()
		objects(ctx)
		joined(ctx, "node-a", "node-b", "node-c")
		before := map[string]string{}
		for _, n := range []string{"node-a", "node-b", "node-c"} {
			nodeOf(ctx, n)
			kubelet(ctx, n, corev1.ConditionTrue)
			report(ctx, n, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			before[n] = nodeState(ctx, n).Spec.Revision
		}
		edit(ctx, network(), func(n *v1alpha1.NetworkConfig) { n.Spec.PodCIDR, n.Spec.AllowDisruptiveChange = "172.31.0.0/16", true })
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonPodCIDROutside, "spec.podCIDR of Node node-a, node-b, node-c is outside podCIDR 172.31.0.0/16")

		Expect(env.Client.Delete(ctx, node(ctx, "node-b"))).To(Succeed())
		Eventually(func() string { return nodeState(ctx, "node-b").Spec.Revision }).ShouldNot(Equal(before["node-b"]))
		Eventually(func() bool { return noNode(ctx, "node-b") }).Should(BeFalse())
		Expect(node(ctx, "node-b").Spec.PodCIDR).To(HavePrefix("172.31."))
		report(ctx, "node-b", metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonPodCIDROutside, "spec.podCIDR of Node node-a, node-c is outside")
		for _, n := range []string{"node-a", "node-c"} {
			Expect(nodeState(ctx, n).Spec.Revision).To(Equal(before[n]))
			Expect(node(ctx, n).Spec.PodCIDR).To(HavePrefix("172.30."))
		}
		Expect(nodeConfig(ctx, "workers").Status.Nodes.Ready).To(BeEquivalentTo(3))

		By("taking the change back, which needs no Node deleted but those that had it")
		edit(ctx, network(), func(n *v1alpha1.NetworkConfig) { n.Spec.PodCIDR = "172.30.0.0/16" })
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonPodCIDROutside, "spec.podCIDR of Node node-b is outside podCIDR 172.30.0.0/16")
	})

	It("loses what is declared no more, and nothing that others set", func(ctx context.Context) {
		startManager()
		objects(ctx, declaring)
		joined(ctx, "node-a")
		nodeOf(ctx, "node-a")
		edit(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}}, func(n *corev1.Node) {
			n.Labels["theirs"], n.Labels["example.com/rack"] = "1", "moved"
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "theirs", Effect: corev1.TaintEffectNoSchedule})
		})
		Eventually(func() map[string]string { return node(ctx, "node-a").Labels }).Should(HaveKeyWithValue("example.com/rack", "a3"))
		reportReady(ctx, "node-a")
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Node = nil })
		Eventually(func(g Gomega) {
			object := node(ctx, "node-a")
			g.Expect(object.Labels).NotTo(HaveKey("example.com/rack"))
			g.Expect(object.Spec.Taints).NotTo(ContainElement(HaveField("Key", "dedicated")))
			g.Expect(object.Labels).To(HaveKeyWithValue("theirs", "1"))
			g.Expect(object.Spec.Taints).To(ContainElement(HaveField("Key", "theirs")))
			g.Expect(nodeState(ctx, "node-a").Annotations).NotTo(HaveKey(controllers.AnnotationOwned))
		}).Should(Succeed())
	})

	It("keeps, as its NodeState does, what the manager's cache leaves out", func(ctx context.Context) {
		theirs := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-a", Finalizers: []string{"example.com/theirs"}, Annotations: map[string]string{"theirs": "1"}},
			Spec:       corev1.NodeSpec{ProviderID: "theirs://1"},
		}
		create(ctx, theirs)
		DeferCleanup(func(ctx context.Context) { edit(ctx, theirs, func(n *corev1.Node) { n.Finalizers = nil }) })
		theirs.Status.Images = []corev1.ContainerImage{{Names: []string{"theirs:1"}}}
		Expect(env.Client.Status().Update(ctx, theirs)).To(Succeed())
		startManager()
		objects(ctx)
		joined(ctx, "node-a")
		first := assigned(ctx, "node-a")["node-a"]
		edit(ctx, nodeState(ctx, "node-a"), func(n *v1alpha1.NodeState) { n.Finalizers = []string{"example.com/theirs"} })
		DeferCleanup(func(ctx context.Context) {
			edit(ctx, nodeState(ctx, "node-a"), func(n *v1alpha1.NodeState) { n.Finalizers = nil })
		})
		said := nodeState(ctx, "node-a")
		said.Status = v1alpha1.NodeStateStatus{
			Facts: &v1alpha1.Facts{OS: "debian 12"}, Drift: &v1alpha1.DriftStatus{Corrected: 3},
			Apply: &v1alpha1.ApplyStatus{Started: metav1.Now().Rfc3339Copy(), Finished: metav1.Now().Rfc3339Copy(), Steps: 7},
		}
		acknowledge(said, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(env.Client.Status().Update(ctx, said)).To(Succeed())
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) {
			s.Node = &v1alpha1.NodeRegistration{Labels: map[string]v1alpha1.LabelValue{"example.com/rack": "a3"}}
		})
		Eventually(func() map[string]string { return node(ctx, "node-a").Labels }).Should(HaveKeyWithValue("example.com/rack", "a3"))

		after := nodeState(ctx, "node-a")
		Expect(after.Spec.Revision).NotTo(Equal(first))
		Expect(after.Status).To(Equal(said.Status))
		Expect(after.Finalizers).To(Equal([]string{"example.com/theirs"}))
		object := node(ctx, "node-a")
		Expect(object.Status.Images).To(Equal(theirs.Status.Images))
		Expect(object.Spec.ProviderID).To(Equal("theirs://1"))
		Expect(object.Finalizers).To(Equal(theirs.Finalizers))
		Expect(object.Annotations).To(HaveKeyWithValue("theirs", "1"))
	})

	It("goes after its NodeState when its host has left or never came, and else stays, however silent", func(ctx context.Context) {
		startManager()
		objects(ctx)
		joined(ctx, "never", "left", "silent", "alive")
		for _, n := range []string{"never", "left", "silent", "alive"} {
			nodeOf(ctx, n)
		}
		for n, ready := range map[string]corev1.ConditionStatus{"left": corev1.ConditionTrue, "alive": corev1.ConditionTrue, "silent": corev1.ConditionUnknown} {
			kubelet(ctx, n, ready)
		}
		create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}})
		hostLeft(ctx, "left")
		Expect(env.Client.DeleteAllOf(ctx, &v1alpha1.NodeState{})).To(Succeed())
		Eventually(func() bool { return noNode(ctx, "never") && noNode(ctx, "left") }).Should(BeTrue())
		Eventually(eventsOf(ctx, "silent")).Should(ContainElement("Warning NodeKept"))

		By("a reboot of one that goes on, as after leave --keep")
		kubelet(ctx, "alive", corev1.ConditionUnknown)
		Consistently(func() bool { return noNode(ctx, "alive") || noNode(ctx, "silent") || noNode(ctx, "theirs") }).Should(BeFalse())
		kubelet(ctx, "alive", corev1.ConditionTrue)

		By("leaving at last")
		hostLeft(ctx, "alive")
		Eventually(func() bool { return noNode(ctx, "alive") }).Should(BeTrue())
	})

	It("is not taken for one whose host left after that host came again", func(ctx context.Context) {
		startManager()
		objects(ctx)
		joined(ctx, "node-a")
		nodeOf(ctx, "node-a")
		kubelet(ctx, "node-a", corev1.ConditionTrue)
		hostLeft(ctx, "node-a")
		Consistently(func() map[string]string { return node(ctx, "node-a").Annotations }).Should(HaveKey(v1alpha1.LeftAnnotation), "its NodeState is still there")
		kubelet(ctx, "node-a", corev1.ConditionTrue)
		Eventually(func() map[string]string { return node(ctx, "node-a").Annotations }).ShouldNot(HaveKey(v1alpha1.LeftAnnotation))
	})

	It("has no share when none is left, says so, and gets one that is given back", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		n, length := network(), int32(25)
		n.Spec.PodCIDR, n.Spec.PodSubnetLength = "172.30.0.0/24", &length
		create(ctx, n, workers())
		joined(ctx, "node-a", "node-b")
		nodeOf(ctx, "node-a")
		nodeOf(ctx, "node-b")
		joined(ctx, "node-c")
		Expect(nodeOf(ctx, "node-c").Spec.PodCIDR).To(BeEmpty())
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonPodCIDRExhausted, "no podCIDR is left for Node node-c: 172.30.0.0/24 in shares of /25")
		given := node(ctx, "node-a").Spec.PodCIDR
		Expect(env.Client.Delete(ctx, nodeState(ctx, "node-a"))).To(Succeed())
		Eventually(func() string { return node(ctx, "node-c").Spec.PodCIDR }).Should(Equal(given))
	})

	It("tells of an agent that is dead, whose last word was Ready", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		before := assigned(ctx, "node-a", "node-b")
		kubelet(ctx, "node-a", corev1.ConditionUnknown)
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonWaiting, "1 of 2 nodes ready; kubelet not ready node-a (Test: reported by a test)")
		Expect(nodeConfig(ctx, "workers").Status.Nodes).To(Equal(v1alpha1.NodeCounts{Matched: 2, Updated: 2, Prepared: 2, Ready: 1, Unavailable: 1}))

		By("a change: the dead node has the only slot")
		editWorkers(ctx, motd("new"))
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(before["node-a"]))
		Consistently(func() string { return nodeState(ctx, "node-b").Spec.Revision }).Should(Equal(before["node-b"]))
		reportReady(ctx, "node-a")
		Consistently(func() string { return nodeState(ctx, "node-b").Spec.Revision }).Should(Equal(before["node-b"]), "node-a's kubelet is still silent")
		kubelet(ctx, "node-a", corev1.ConditionTrue)
		Eventually(func() string { return nodeState(ctx, "node-b").Spec.Revision }).ShouldNot(Equal(before["node-b"]))
	})
})
