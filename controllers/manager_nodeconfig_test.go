package controllers_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/revision"
)

var _ = Describe("A NodeConfig", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	// fleet is three ready nodes at the first revision.
	fleet := func(ctx context.Context, change ...func(*v1alpha1.NodeConfig)) string {
		GinkgoHelper()
		startManager()
		createSecret(ctx)
		registerWorkers(ctx, "node-a", "node-b", "node-c")
		create(ctx, network(), workers(change...))
		at := assigned(ctx, "node-a", "node-b", "node-c")
		reportReady(ctx, "node-a", "node-b", "node-c")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "3 of 3 nodes ready")
		return at["node-a"]
	}
	revisionOf := func(ctx context.Context, node string) func() string {
		return func() string { return nodeState(ctx, node).Spec.Revision }
	}

	It("is assigned to the nodes that it selects, as a revision that holds both objects", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		registerWorkers(ctx, "node-a", "node-b")
		register(ctx, "node-m", map[string]string{"role": "master"})
		create(ctx, network(), workers())
		at := assigned(ctx, "node-a", "node-b")
		Expect(at["node-a"]).To(Equal(at["node-b"]))
		Expect(nodeState(ctx, "node-m").Spec).To(BeZero())

		stored := &appsv1.ControllerRevision{}
		Expect(env.Client.Get(ctx, inSystem(at["node-a"]), stored)).To(Succeed())
		Expect(stored.OwnerReferences).To(BeEmpty(), "garbage collection must not eat what a node is assigned")
		Expect(stored.Labels).To(HaveKeyWithValue(controllers.NodeConfigLabel, "workers"))
		Expect(stored.Revision).To(BeEquivalentTo(1))
		rev, err := revision.Decode(stored.Data.Raw)
		Expect(err).NotTo(HaveOccurred())
		want, _, err := revision.New(workers().Spec, network().Spec).Encode("workers")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(stored.Data.Raw)).To(Equal(string(want)), "an agent gets the very bytes that the name is the hash of")
		Expect(rev.Network.PodCIDR).To(Equal("172.30.0.0/16"))

		secret := &corev1.Secret{}
		Expect(env.Client.Get(ctx, inSystem("cluster-ca"), secret)).To(Succeed())
		Expect(nodeState(ctx, "node-a").Spec.Secrets).To(ConsistOf(v1alpha1.PinnedSecret{
			Name: "cluster-ca", UID: secret.UID, ResourceVersion: secret.ResourceVersion,
		}))
		says(ctx, "workers", v1alpha1.ConditionReconciling, v1alpha1.ReasonProgressing, "updating node-a, node-b")
		reportReady(ctx, "node-a", "node-b")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "2 of 2 nodes ready")
		config := nodeConfig(ctx, "workers")
		Expect(meta.FindStatusCondition(config.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeNil())
		Expect(config.Status.Nodes).To(Equal(v1alpha1.NodeCounts{Matched: 2, Updated: 2, Prepared: 2, Ready: 2}))
		Expect(config.Status.Revision).To(Equal(at["node-a"]))
		Expect(env.Kubectl("wait", "--for=condition=Ready", "nodeconfig/workers", "--timeout=5s")).To(ContainSubstring("condition met"))
		Eventually(func(g Gomega) {
			var n v1alpha1.NetworkConfig
			g.Expect(env.Client.Get(ctx, name("default"), &n)).To(Succeed())
			g.Expect(n.Status.Nodes).To(BeEquivalentTo(2))
			g.Expect(n.Status.NodeConfigs).To(BeEquivalentTo(1))
			g.Expect(meta.IsStatusConditionTrue(n.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}).Should(Succeed())
	})

	It("says what it did in events, once", func(ctx context.Context) {
		fleet(ctx)
		reasons := func() map[string]int {
			var list eventsv1.EventList
			Expect(env.Client.List(ctx, &list, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
			seen := map[string]int{}
			for _, e := range list.Items {
				seen[e.Reason]++
			}
			return seen
		}
		Eventually(reasons).Should(And(HaveKeyWithValue("RevisionCreated", 1), HaveKeyWithValue("NodeAssigned", 3), HaveKeyWithValue("NodeRegistered", 3)))
		Expect(env.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "cluster-ca"}})).To(Succeed())
		Eventually(reasons).Should(HaveKeyWithValue(v1alpha1.ReasonSecretNotFound, 1))
		reportReady(ctx, "node-a")
		Consistently(reasons).Should(HaveKeyWithValue(v1alpha1.ReasonSecretNotFound, 1))
	})

	It("counts its nodes in metrics, until it is gone", func(ctx context.Context) {
		fleet(ctx)
		ready := func() []float64 { return gauges("seedbed_nodeconfig_nodes", "workers", "ready") }
		Eventually(ready).Should(Equal([]float64{3}))
		Expect(gauges("seedbed_nodeconfig_nodes", "workers", "unavailable")).To(Equal([]float64{0}))
		Expect(gauges("seedbed_revisions", "workers")).To(Equal([]float64{1}))
		Expect(env.Client.Delete(ctx, workers())).To(Succeed())
		Eventually(ready).Should(BeEmpty())
	})

	It("hands a change to one node at a time and goes on when that is ready", func(ctx context.Context) {
		first := fleet(ctx)
		editWorkers(ctx, motd("new"))
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
		second := revisionOf(ctx, "node-a")()
		Consistently(revisionOf(ctx, "node-b")).Should(Equal(first), "node-a has not acknowledged")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, "2 of 3 nodes ready")

		report(ctx, "node-a", metav1.ConditionFalse, v1alpha1.ReasonUnitNotActive)
		Consistently(revisionOf(ctx, "node-b")).Should(Equal(first), "node-a is not ready")
		reportReady(ctx, "node-a")
		Eventually(revisionOf(ctx, "node-b")).Should(Equal(second))
		Consistently(revisionOf(ctx, "node-c")).Should(Equal(first))
		reportReady(ctx, "node-b")
		Eventually(revisionOf(ctx, "node-c")).Should(Equal(second))
		reportReady(ctx, "node-c")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "3 of 3 nodes ready")
	})

	It("hands a change to as many nodes as maxUnavailable says", func(ctx context.Context) {
		limit := intstr.FromString("67%")
		first := fleet(ctx, func(c *v1alpha1.NodeConfig) { c.Spec.Rollout = &v1alpha1.Rollout{MaxUnavailable: &limit} })
		editWorkers(ctx, motd("new"))
		Eventually(revisionOf(ctx, "node-b")).ShouldNot(Equal(first))
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
		Consistently(revisionOf(ctx, "node-c")).Should(Equal(first))
	})

	It("gives nobody anything while it is paused", func(ctx context.Context) {
		first := fleet(ctx)
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout = &v1alpha1.Rollout{Paused: true}; motd("new")(s) })
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonPaused, "paused, not updated: node-a, node-b, node-c")
		Consistently(revisionOf(ctx, "node-a")).Should(Equal(first))
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout.Paused = false })
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
	})

	It("counts no host root that does not run as ready, and waits for none", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		registerWorkers(ctx, "node-a", "node-b")
		create(ctx, network(), workers())
		first := assigned(ctx, "node-a", "node-b")["node-a"]
		for _, n := range []string{"node-a", "node-b"} {
			report(ctx, n, metav1.ConditionFalse, v1alpha1.ReasonOfflineRoot)
		}
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonOfflineRoot, "0 of 2 nodes ready: 2 prepared host roots do not run")
		says(ctx, "workers", v1alpha1.ConditionPrepared, v1alpha1.ReasonSucceeded, "2 of 2 nodes prepared")
		editWorkers(ctx, motd("new"))
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
		Eventually(revisionOf(ctx, "node-b")).ShouldNot(Equal(first))
	})

	It("heals the nodes that a bad object broke when it is fixed", func(ctx context.Context) {
		limit := intstr.FromInt32(2)
		fleet(ctx, func(c *v1alpha1.NodeConfig) { c.Spec.Rollout = &v1alpha1.Rollout{MaxUnavailable: &limit} })
		good := revisionOf(ctx, "node-c")()
		editWorkers(ctx, motd("bad"))
		Eventually(revisionOf(ctx, "node-b")).ShouldNot(Equal(good))
		for _, n := range []string{"node-a", "node-b"} {
			report(ctx, n, metav1.ConditionFalse, v1alpha1.ReasonUnitNotActive)
		}
		Consistently(revisionOf(ctx, "node-c")).Should(Equal(good))
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Files = nil })
		Eventually(revisionOf(ctx, "node-a")).Should(Equal(good), "it is at the old revision again, at once")
		Eventually(revisionOf(ctx, "node-b")).Should(Equal(good), "both, since neither has anything to lose")
		Eventually(func() string { return nodeConfig(ctx, "workers").Status.Revision }).Should(Equal(good))
		reportReady(ctx, "node-a", "node-b")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "3 of 3 nodes ready")
	})

	It("takes a Secret that is rotated as a change to roll out", func(ctx context.Context) {
		first := fleet(ctx)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "cluster-ca"}}
		edit(ctx, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"ca.crt": "renewed"} })
		version := func(node string) func() string {
			return func() string { return nodeState(ctx, node).Spec.Secrets[0].ResourceVersion }
		}
		Eventually(version("node-a")).Should(Equal(secret.ResourceVersion))
		Expect(revisionOf(ctx, "node-a")()).To(Equal(first))
		Consistently(version("node-b")).ShouldNot(Equal(secret.ResourceVersion))
		reportReady(ctx, "node-a")
		Eventually(version("node-b")).Should(Equal(secret.ResourceVersion))
	})

	It("says which Secret is missing, leaves nodes with what they have, and goes on when it is there", func(ctx context.Context) {
		first := fleet(ctx)
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Kubernetes.CASecretRef.Name = "other-ca" })
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonSecretNotFound, "no Secret other-ca in namespace seedbed-system")
		Expect(nodeConfig(ctx, "workers").Status.Nodes.Ready).To(BeEquivalentTo(3))
		Consistently(revisionOf(ctx, "node-a")).Should(Equal(first))
		create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "other-ca"}})
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
	})

	It("says that its network is missing and goes on when it is there", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		registerWorkers(ctx, "node-a")
		create(ctx, workers())
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkNotFound, "networkRef.name default")
		create(ctx, network())
		assigned(ctx, "node-a")
	})

	It("refuses a revision that is too large before any node has it", func(ctx context.Context) {
		first := fleet(ctx)
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) {
			for _, path := range []string{"/etc/a", "/etc/b", "/etc/c", "/etc/d"} {
				contents := strings.Repeat("x", 60<<10)
				s.Files = append(s.Files, v1alpha1.File{Path: path, Contents: &contents})
			}
		})
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonRevisionTooLarge, "move large files into Secrets")
		Expect(revisionOf(ctx, "node-a")()).To(Equal(first))
	})

	It("refuses another pod network that was slipped in by deleting and creating the NetworkConfig", func(ctx context.Context) {
		first := fleet(ctx)
		Expect(env.Client.Delete(ctx, network())).To(Succeed())
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkNotFound, "default")
		other := network()
		other.Spec.PodCIDR = "172.31.0.0/16"
		create(ctx, other)
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkChanged, "podCIDR from 172.30.0.0/16 to 172.31.0.0/16 under node-a, node-b, node-c")
		Eventually(func() bool {
			var n v1alpha1.NetworkConfig
			Expect(env.Client.Get(ctx, name("default"), &n)).To(Succeed())
			return meta.IsStatusConditionTrue(n.Status.Conditions, v1alpha1.ConditionStalled)
		}).Should(BeTrue())
		Expect(revisionOf(ctx, "node-a")()).To(Equal(first))

		By("being told that it is meant, and then by Nodes that have a share of the old network")
		edit(ctx, other, func(n *v1alpha1.NetworkConfig) { n.Spec.AllowDisruptiveChange = true })
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonPodCIDROutside, "spec.podCIDR of Node node-a, node-b, node-c is outside podCIDR 172.31.0.0/16")
		Expect(env.Client.Delete(ctx, node(ctx, "node-a"))).To(Succeed())
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
	})

	It("gives way to one of higher priority, and takes its nodes back", func(ctx context.Context) {
		first := fleet(ctx)
		special := workers(func(c *v1alpha1.NodeConfig) {
			c.Name, c.Spec.Priority = "special", 10
			c.Spec.NodeSelector.MatchLabels["gpu"] = "yes"
		})
		create(ctx, special)
		says(ctx, "special", v1alpha1.ConditionReady, v1alpha1.ReasonNoNodes, "no NodeState matches")
		edit(ctx, nodeState(ctx, "node-b"), func(n *v1alpha1.NodeState) { n.Labels["gpu"] = "yes" })
		Eventually(func() string { return nodeState(ctx, "node-b").Spec.Config }).Should(Equal("special"))
		reportReady(ctx, "node-b")
		says(ctx, "special", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "1 of 1 node ready")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "2 of 2 nodes ready")
		Expect(env.Client.Delete(ctx, special)).To(Succeed())
		Eventually(revisionOf(ctx, "node-b")).Should(Equal(first))
	})

	It("is conflicted with one of the same priority, on both, and the node keeps what it has", func(ctx context.Context) {
		first := fleet(ctx)
		create(ctx, workers(func(c *v1alpha1.NodeConfig) { c.Name = "rival"; motd("rival")(&c.Spec) }))
		for config, other := range map[string]string{"workers": "rival", "rival": "workers"} {
			says(ctx, config, v1alpha1.ConditionConflicted, v1alpha1.ReasonPriorityConflict, "NodeConfig "+other)
			says(ctx, config, v1alpha1.ConditionReady, v1alpha1.ReasonPriorityConflict, "node-a, node-b, node-c")
		}
		editWorkers(ctx, motd("while in conflict"))
		Consistently(revisionOf(ctx, "node-a")).Should(Equal(first))
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Priority = 1 })
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
		says(ctx, "rival", v1alpha1.ConditionReady, v1alpha1.ReasonNoNodes, "")
	})

	It("keeps a node that it selects no more at what it has, and says so", func(ctx context.Context) {
		first := fleet(ctx)
		edit(ctx, nodeState(ctx, "node-c"), func(n *v1alpha1.NodeState) { n.Labels = nil })
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "kept as assigned: node-c")
		editWorkers(ctx, motd("new"))
		Eventually(revisionOf(ctx, "node-a")).ShouldNot(Equal(first))
		Consistently(revisionOf(ctx, "node-c")).Should(Equal(first))
		Expect(env.Client.Delete(ctx, workers())).To(Succeed())
		Consistently(revisionOf(ctx, "node-b")).Should(Equal(first), "deleting the NodeConfig removes nothing either")
		Expect(env.Client.Get(ctx, inSystem(first), &appsv1.ControllerRevision{})).To(Succeed())
	})

	It("says what is wrong with a selector and keeps its nodes meanwhile", func(ctx context.Context) {
		first := fleet(ctx)
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) {
			motd("new")(s)
			s.NodeSelector = metav1.LabelSelector{MatchLabels: map[string]string{"role": "not a label"}}
		})
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonInvalid, `"not a label"`)
		Expect(nodeConfig(ctx, "workers").Status.Nodes.Matched).To(BeEquivalentTo(3))
		Consistently(revisionOf(ctx, "node-a")).Should(Equal(first))
	})

	It("keeps ten old revisions besides those in use", func(ctx context.Context) {
		first := fleet(ctx)
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout = &v1alpha1.Rollout{Paused: true} })
		for i := range 13 {
			editWorkers(ctx, motd(strings.Repeat("x", i+1)))
			Eventually(func() bool {
				c := nodeConfig(ctx, "workers")
				return c.Status.ObservedGeneration == c.Generation
			}).Should(BeTrue())
		}
		var stored appsv1.ControllerRevisionList
		Eventually(func() []appsv1.ControllerRevision {
			Expect(env.Client.List(ctx, &stored, client.InNamespace(v1alpha1.Namespace))).To(Succeed())
			return stored.Items
		}).Should(HaveLen(12), "ten old ones, the newest, and the one the nodes have")
		Expect(env.Client.Get(ctx, inSystem(first), &appsv1.ControllerRevision{})).To(Succeed())
		Expect(env.Client.Get(ctx, inSystem(nodeConfig(ctx, "workers").Status.Revision), &appsv1.ControllerRevision{})).To(Succeed())
	})

	It("cuts a revision anew when somebody deletes it", func(ctx context.Context) {
		first := fleet(ctx)
		Expect(env.Client.Delete(ctx, &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: first}})).To(Succeed())
		Eventually(func() error { return env.Client.Get(ctx, inSystem(first), &appsv1.ControllerRevision{}) }).Should(Succeed())
	})

	DescribeTable("does not assign a revision that is not the one it cut", func(ctx context.Context, labels map[string]string) {
		createSecret(ctx)
		registerWorkers(ctx, "node-a")
		_, revisionName, err := revision.New(workers().Spec, network().Spec).Encode("workers")
		Expect(err).NotTo(HaveOccurred())
		forged := &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: revisionName, Labels: labels},
			Revision:   1,
		}
		forged.Data.Raw = []byte(`{"renderer":1,"forged":true}`)
		create(ctx, forged, network(), workers())
		startManager()
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonInvalid, revisionName+" in seedbed-system is not the one")
		Expect(nodeState(ctx, "node-a").Spec).To(BeZero())
		Expect(env.Client.Delete(ctx, forged)).To(Succeed())
		assigned(ctx, "node-a")
	},
		Entry("with its label", map[string]string{controllers.NodeConfigLabel: "workers"}),
		Entry("without", nil),
	)
})
