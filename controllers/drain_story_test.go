package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

const (
	aPlan   = v1alpha1.PlanHash("2c26b46b68ffc68f")
	another = v1alpha1.PlanHash("fcde2b2edba56bf4")
)

var _ = Describe("A node that asks for a permit", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	quick := withDrain(v1alpha1.DrainWhenNeeded, 10*time.Second)
	noDrain := func(ctx context.Context, n string) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			object := node(ctx, n)
			g.Expect(object.Spec.Unschedulable).To(BeFalse())
			g.Expect(object.Annotations).NotTo(HaveKey(nodeobject.AnnotationDrain))
			g.Expect(nodeState(ctx, n).Spec.Permit).To(BeEmpty())
		}).Should(Succeed())
	}

	It("is cordoned and drained, permitted, and uncordoned when it is well, one node after the other", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		for pod, change := range map[string]func(*corev1.Pod){
			"web-0": func(*corev1.Pod) {}, "agent": ofKind("DaemonSet"), "bare": ofNobody,
			"static": func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} },
		} {
			running(ctx, pod, "node-a", change)
		}
		running(ctx, "web-1", "node-b")
		askPermit(ctx, aPlan, "node-a", "node-b")
		Eventually(permitOf(ctx, "node-a")).Should(Equal(aPlan))
		Expect(cordoned(ctx, "node-a")()).To(BeTrue())
		Expect(pods(ctx)).To(ConsistOf("agent", "bare", "static", "web-1"))
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, "draining node-a; waiting for a drain node-b")
		Expect(nodeConfig(ctx, "workers").Status.Nodes.Draining).To(BeEquivalentTo(1))
		Consistently(permitOf(ctx, "node-b")).Should(BeEmpty())
		Expect(cordoned(ctx, "node-b")()).To(BeFalse())

		By("carrying it out, without being well at first")
		obeyed := nodeState(ctx, "node-a")
		obeyed.Status.Pending = nil
		acknowledge(obeyed, "False", v1alpha1.ReasonUnitNotActive)
		Expect(env.Client.Status().Update(ctx, obeyed)).To(Succeed())
		Consistently(cordoned(ctx, "node-a")).Should(BeTrue())
		reportReady(ctx, "node-a")
		noDrain(ctx, "node-a")

		By("acknowledging that the permit is gone: the next one's turn")
		reportReady(ctx, "node-a")
		obey(ctx, "node-b")
		noDrain(ctx, "node-b")
		reportReady(ctx, "node-b")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "2 of 2 nodes ready")
	})

	It("takes one of the slots that a rollout takes", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		before := assigned(ctx, "node-b")
		askPermit(ctx, aPlan, "node-a")
		Eventually(permitOf(ctx, "node-a")).Should(Equal(aPlan))
		editWorkers(ctx, motd("new"))
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(before["node-b"]), "it is down already")
		Consistently(func() string { return nodeState(ctx, "node-b").Spec.Revision }).Should(Equal(before["node-b"]))
	})

	It("keeps the pods that a budget protects, says which, gives up in time, and lets others go first", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(quick), "node-a", "node-b")
		running(ctx, "web-0", "node-a")
		running(ctx, "batch-0", "node-b", func(p *corev1.Pod) { p.Labels = nil })
		budget(ctx, 0)
		askPermit(ctx, aPlan, "node-a", "node-b")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonDrainBlocked,
			"drain blocked node-a (pod default/web-0: The disruption budget web needs 2 healthy pods and has 2 currently)")
		Expect(cordoned(ctx, "node-a")()).To(BeTrue())

		By("the time being over: it may run pods again, and node-b has its turn")
		Eventually(cordoned(ctx, "node-a")).Should(BeFalse())
		Eventually(permitOf(ctx, "node-b")).Should(Equal(aPlan))
		Expect(pods(ctx)).To(Equal([]string{"web-0"}))
		Expect(permitOf(ctx, "node-a")()).To(BeEmpty())
		out, err := env.Kubectl("get", "events", "-A", "-o", "jsonpath={.items[*].reason}")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(And(ContainSubstring("DrainBlocked"), ContainSubstring("DrainGivenUp")))

		By("the budget having room: the next attempt succeeds by itself")
		allow(ctx, 1)
		obey(ctx, "node-b")
		noDrain(ctx, "node-b")
		reportReady(ctx, "node-b")
		Eventually(permitOf(ctx, "node-a")).WithTimeout(40 * time.Second).Should(Equal(aPlan))
		Expect(pods(ctx)).To(BeEmpty())
	})

	It("waits for pods that take their time to end", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		long := int64(300)
		running(ctx, "slow", "node-a", func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &long })
		askPermit(ctx, aPlan, "node-a")
		Eventually(func() *corev1.Pod {
			p := &corev1.Pod{}
			_ = env.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "slow"}, p)
			return p
		}).Should(HaveField("DeletionTimestamp", Not(BeNil())))
		Consistently(permitOf(ctx, "node-a")).Should(BeEmpty())
		Expect(env.Client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace("default"), client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(permitOf(ctx, "node-a")).Should(Equal(aPlan))
	})

	It("is permitted without a drain when the policy is Never", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(withDrain(v1alpha1.DrainNever, time.Minute)), "node-a", "node-b")
		running(ctx, "web-0", "node-a")
		askPermit(ctx, aPlan, "node-a", "node-b")
		Eventually(permitOf(ctx, "node-a")).Should(Equal(aPlan))
		Expect(cordoned(ctx, "node-a")()).To(BeFalse())
		Consistently(permitOf(ctx, "node-b")).Should(BeEmpty())
		Expect(pods(ctx)).To(Equal([]string{"web-0"}))
		obey(ctx, "node-a")
		noDrain(ctx, "node-a")
	})

	It("waits while the rollout is paused", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout = &v1alpha1.Rollout{Paused: true} })
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "2 of 2")
		askPermit(ctx, aPlan, "node-a")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonPaused, "paused, not drained: node-a")
		Consistently(cordoned(ctx, "node-a")).Should(BeFalse())
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout.Paused = false })
		Eventually(permitOf(ctx, "node-a")).Should(Equal(aPlan))
	})

	It("is uncordoned as it was when the rollout is paused in the middle of its drain", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		running(ctx, "web-0", "node-a")
		budget(ctx, 0)
		askPermit(ctx, aPlan, "node-a")
		Eventually(cordoned(ctx, "node-a")).Should(BeTrue())
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout = &v1alpha1.Rollout{Paused: true} })
		noDrain(ctx, "node-a")
		Consistently(cordoned(ctx, "node-a")).Should(BeFalse()) // an eviction under way comes to its end
		allow(ctx, 1)
		Consistently(permitOf(ctx, "node-a")).Should(BeEmpty())
		Expect(pods(ctx)).To(Equal([]string{"web-0"}))

		By("going on")
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout.Paused = false })
		Eventually(permitOf(ctx, "node-a")).Should(Equal(aPlan))

		By("pausing with the permit given")
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Rollout.Paused = true })
		Consistently(permitOf(ctx, "node-a")).Should(Equal(aPlan))
		obey(ctx, "node-a")
		noDrain(ctx, "node-a")
	})

	It("gets its permit for the plan that it asks for in the end, and is uncordoned when it asks no more", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		running(ctx, "web-0", "node-a")
		budget(ctx, 0)
		askPermit(ctx, aPlan, "node-a")
		Eventually(cordoned(ctx, "node-a")).Should(BeTrue())
		askPermit(ctx, another, "node-a")
		allow(ctx, 1)
		Eventually(permitOf(ctx, "node-a")).Should(Equal(another))

		By("asking for yet another one, with the permit for the one before")
		askPermit(ctx, aPlan, "node-a")
		Eventually(permitOf(ctx, "node-a")).Should(Equal(aPlan))
		obey(ctx, "node-a")
		noDrain(ctx, "node-a")

		By("taking the question back")
		running(ctx, "web-0", "node-a")
		allow(ctx, 0)
		reportReady(ctx, "node-a")
		askPermit(ctx, aPlan, "node-a")
		Eventually(cordoned(ctx, "node-a")).Should(BeTrue())
		state := nodeState(ctx, "node-a")
		state.Status.Pending = nil
		Expect(env.Client.Status().Update(ctx, state)).To(Succeed())
		noDrain(ctx, "node-a")
		Expect(pods(ctx)).To(Equal([]string{"web-0"}))
	})

	It("stays cordoned when somebody else cordoned it", func(ctx context.Context) {
		startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		edit(ctx, &corev1.Node{ObjectMeta: node(ctx, "node-a").ObjectMeta}, func(n *corev1.Node) { n.Spec.Unschedulable = true })
		askPermit(ctx, aPlan, "node-a")
		obey(ctx, "node-a")
		Eventually(permitOf(ctx, "node-a")).Should(BeEmpty())
		Expect(node(ctx, "node-a").Annotations).NotTo(HaveKey(nodeobject.AnnotationDrain))
		Consistently(cordoned(ctx, "node-a")).Should(BeTrue())
	})

	It("is uncordoned when its NodeState, or its NodeConfig, goes in the middle", func(ctx context.Context) {
		startManager()
		both := intstr.FromInt32(2)
		fleetOf(ctx, workers(func(c *v1alpha1.NodeConfig) { c.Spec.Rollout = &v1alpha1.Rollout{MaxUnavailable: &both} }), "node-a", "node-b")
		running(ctx, "web-0", "node-a")
		running(ctx, "web-1", "node-b")
		budget(ctx, 0)
		askPermit(ctx, aPlan, "node-a", "node-b")
		Eventually(cordoned(ctx, "node-a")).Should(BeTrue())
		Eventually(cordoned(ctx, "node-b")).Should(BeTrue())
		Expect(env.Client.Delete(ctx, nodeState(ctx, "node-a"))).To(Succeed())
		Eventually(cordoned(ctx, "node-a")).Should(BeFalse(), "its kubelet lives, so that the Node stays")
		Expect(env.Client.Delete(ctx, workers())).To(Succeed())
		allow(ctx, 5)
		obey(ctx, "node-b")
		noDrain(ctx, "node-b")
	})

	It("comes to the same end wherever the manager is killed", func(ctx context.Context) {
		m := startManager()
		fleetOf(ctx, workers(), "node-a", "node-b")
		want := everything(ctx)
		drain := func() {
			GinkgoHelper()
			running(ctx, "web-0", "node-a")
			running(ctx, "web-1", "node-a")
			askPermit(ctx, aPlan, "node-a")
		}
		before := m.writes.Load()
		drain()
		obey(ctx, "node-a")
		noDrain(ctx, "node-a")
		reportReady(ctx, "node-a")
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "2 of 2 nodes ready")
		writes := m.writes.Load() - before
		m.stop()
		Expect(writes).To(BeNumerically(">=", 8))
		for after := int64(1); after < writes; after++ {
			drain()
			GinkgoWriter.Printf("=== killed after %d of %d\n", after, writes)
			first := startManager(func(m *runningManager) { m.dieAfter = after })
			obeyed := make(chan struct{})
			go func() {
				defer GinkgoRecover()
				defer close(obeyed)
				obey(ctx, "node-a")
			}()
			select {
			case <-first.done:
			case <-obeyed:
				Eventually(func() bool { return first.dead.Load() || !node(ctx, "node-a").Spec.Unschedulable }).Should(BeTrue())
			}
			first.stop()
			second := startManager()
			Eventually(obeyed).WithTimeout(time.Minute).Should(BeClosed())
			noDrain(ctx, "node-a")
			reportReady(ctx, "node-a")
			Eventually(func() map[string]string { return everything(ctx) }).Should(Equal(want), "killed after write %d of %d", after, writes)
			Expect(pods(ctx)).To(BeEmpty())
			second.stop()
		}
	})
})
