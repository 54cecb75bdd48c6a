package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/testenv"
)

var _ = Describe("A network whose etcd is not where it was", func() {
	var etcd *testenv.Etcd
	start := func() *testenv.Etcd {
		GinkgoHelper()
		e, err := testenv.StartEtcd()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(e.Stop)
		return e
	}
	BeforeEach(func(ctx context.Context) {
		DeferCleanup(clean)
		etcd = start()
		createSecret(ctx)
	})
	at := func(e *testenv.Etcd) func(*v1alpha1.EtcdSubnetManager) {
		return func(m *v1alpha1.EtcdSubnetManager) {
			m.Endpoints, m.TLS = []v1alpha1.EtcdEndpoint{v1alpha1.EtcdEndpoint(e.PlainURL)}, nil
		}
	}
	move := func(ctx context.Context, to *testenv.Etcd) {
		GinkgoHelper()
		edit(ctx, networkInEtcd("default", etcd), func(n *v1alpha1.NetworkConfig) { at(to)(n.Spec.SubnetManager.Etcd) })
	}
	key := func(ctx context.Context, e *testenv.Etcd, name string) string {
		found, err := e.Root.Get(ctx, flannelPrefix+name)
		if err != nil || len(found.Kvs) == 0 {
			return ""
		}
		return string(found.Kvs[0].Value)
	}
	put := func(ctx context.Context, e *testenv.Etcd, name, value string) {
		GinkgoHelper()
		_, err := e.Root.Put(ctx, flannelPrefix+name, value)
		Expect(err).NotTo(HaveOccurred())
	}
	const lease = `{"PublicIP":"10.64.3.8","BackendType":"vxlan"}`
	// running is a node that has a lease in etcd. It returns the node's revision.
	running := func(ctx context.Context) string {
		GinkgoHelper()
		startManager()
		registerWorkers(ctx, "node-a")
		create(ctx, networkInEtcd("default", etcd, at(etcd)), workers())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdInsecure, "")
		before := assigned(ctx, "node-a")["node-a"]
		addresses(ctx, "node-a", "10.64.3.8/26")
		put(ctx, etcd, "/subnets/172.30.38.0-24", lease)
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(HaveField("Count", BeEquivalentTo(1)))
		return before
	}

	It("stays in the one that has its nodes' leases, until those are in the other", func(ctx context.Context) {
		before := running(ctx)
		Expect(networkConfig(ctx, "default").Status.Published.Endpoints).To(ConsistOf(etcd.PlainURL))
		other := start()
		Expect(clusterID(ctx, other)).To(Equal(networkConfig(ctx, "default").Status.Published.ClusterID), "started alike, they do not differ by that")
		put(ctx, other, "/config", published)

		move(ctx, other)
		refused := fmt.Sprintf("would change subnetManager.etcd.endpoints from %s to %s, another etcd, under 1 lease that it does not have", etcd.PlainURL, other.PlainURL)
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonNetworkChanged, refused)
		networkSays(ctx, "default", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkChanged, refused)
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkChanged, refused)
		put(ctx, other, "/subnets/172.30.40.0-24", `{"PublicIP":"10.64.9.9"}`) // another pass, for a machine that is not ours
		Consistently(func(g Gomega) {
			status := networkConfig(ctx, "default").Status
			g.Expect(status.Published.Endpoints).To(ConsistOf(etcd.PlainURL))
			g.Expect(status.Leases.Count).To(BeEquivalentTo(1))
			g.Expect(nodeState(ctx, "node-a").Spec.Revision).To(Equal(before))
		}).Should(Succeed())

		By("moving the lease, as a snapshot that is restored there does")
		put(ctx, other, "/subnets/172.30.38.0-24", lease)
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdInsecure, other.PlainURL)
		Expect(networkConfig(ctx, "default").Status.Published.Endpoints).To(ConsistOf(other.PlainURL))
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(before))
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(HaveField("Count", BeEquivalentTo(2)))
	})

	It("moves to an empty one when that is accepted", func(ctx context.Context) {
		before := running(ctx)
		other := start()
		move(ctx, other)
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonNetworkChanged, "subnetManager.etcd.endpoints")
		Expect(key(ctx, other, "/config")).To(BeEmpty())
		edit(ctx, networkInEtcd("default", etcd), func(n *v1alpha1.NetworkConfig) { n.Spec.AllowDisruptiveChange = true })
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdInsecure, other.PlainURL)
		Expect(key(ctx, other, "/config")).To(Equal(published))
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(before))
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(HaveField("Count", BeEquivalentTo(0)))
		Consistently(eventsOf(ctx, "default")).ShouldNot(ContainElement("Warning DriftCorrected"))
	})

	It("does not take its nodes along when it is deleted and created again with another one", func(ctx context.Context) {
		before := running(ctx)
		n := nodeState(ctx, "node-a")
		n.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionFlannelHealthy, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonHealthy, LastTransitionTime: metav1.Now()}}
		Expect(env.Client.Status().Update(ctx, n)).To(Succeed())
		other := start()
		Expect(env.Client.Delete(ctx, networkInEtcd("default", etcd))).To(Succeed())
		create(ctx, networkInEtcd("default", other, at(other)))
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkChanged, "an etcd without leases, under node-a")
		networkSays(ctx, "default", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkChanged, "NodeConfig workers")
		Consistently(func() string { return nodeState(ctx, "node-a").Spec.Revision }).Should(Equal(before))
		put(ctx, other, "/subnets/172.30.38.0-24", lease)
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).WithTimeout(30 * time.Second).ShouldNot(Equal(before))
	})

	It("is written again where the etcd lost its data", func(ctx context.Context) {
		before := running(ctx)
		Expect(etcd.Lose()).To(Succeed())
		Eventually(func() string { return key(ctx, etcd, "/config") }).WithTimeout(60 * time.Second).Should(Equal(published))
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(HaveField("Count", BeEquivalentTo(0)))
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdInsecure, "")
		Expect(nodeState(ctx, "node-a").Spec.Revision).To(Equal(before))
	})
})

func clusterID(ctx context.Context, e *testenv.Etcd) string {
	GinkgoHelper()
	found, err := e.Root.Get(ctx, "/")
	Expect(err).NotTo(HaveOccurred())
	return fmt.Sprintf("%x", found.Header.ClusterId)
}
