package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/testenv"
)

const (
	flannelPrefix = "/kube-centos/network"
	published     = `{
  "Network": "172.30.0.0/16",
  "SubnetLen": 24,
  "Backend": {
    "Type": "vxlan",
    "VNI": 1,
    "Port": 8472
  }
}
`
)

var _ = Describe("A network in flannel's etcd", func() {
	var etcd *testenv.Etcd
	BeforeEach(func(ctx context.Context) {
		DeferCleanup(clean)
		var err error
		etcd, err = testenv.StartEtcd(flannelPrefix)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() error { return etcd.Stop() })
		createSecret(ctx)
		shareFlannelEtcd(ctx, etcd, "flannel")
	})
	key := func(ctx context.Context, name string) func() string {
		return func() string {
			found, err := etcd.Root.Get(ctx, flannelPrefix+name)
			if err != nil || len(found.Kvs) == 0 {
				return ""
			}
			return string(found.Kvs[0].Value)
		}
	}
	put := func(ctx context.Context, name, value string, options ...clientv3.OpOption) {
		GinkgoHelper()
		_, err := etcd.Root.Put(ctx, flannelPrefix+name, value, options...)
		Expect(err).NotTo(HaveOccurred())
	}
	// lease makes one as flannel does.
	lease := func(ctx context.Context, subnet, publicIP string) {
		GinkgoHelper()
		granted, err := etcd.Root.Grant(ctx, 3600)
		Expect(err).NotTo(HaveOccurred())
		put(ctx, "/subnets/"+subnet, fmt.Sprintf(`{"PublicIP":%q,"BackendType":"vxlan"}`, publicIP), clientv3.WithLease(granted.ID))
	}
	inEtcd := func(change ...func(*v1alpha1.EtcdSubnetManager)) *v1alpha1.NetworkConfig {
		return networkInEtcd("default", etcd, change...)
	}

	It("is published with flannel's own certificate, and put right when somebody changes or deletes it", func(ctx context.Context) {
		startManager()
		create(ctx, inEtcd())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "/kube-centos/network/config holds the network in etcd at https://127.0.0.1:")
		Expect(key(ctx, "/config")()).To(Equal(published))
		Expect(networkConfig(ctx, "default").Status.Published).To(Equal(&v1alpha1.PublishedNetwork{
			Key: flannelPrefix + "/config", Config: published, Endpoints: []string{etcd.URL}, ClusterID: clusterID(ctx, etcd),
		}))

		put(ctx, "/config", `{"Network":"10.0.0.0/8"}`)
		Eventually(key(ctx, "/config")).Should(Equal(published))
		lease(ctx, "172.30.38.0-24", "10.64.3.8")
		_, err := etcd.Root.Delete(ctx, flannelPrefix+"/config")
		Expect(err).NotTo(HaveOccurred())
		Eventually(key(ctx, "/config")).Should(Equal(published))
		Eventually(eventsOf(ctx, "default")).Should(ContainElements("Normal NetworkPublished", "Warning DriftCorrected"))
	})

	It("is not written as fast as etcd can when somebody keeps changing it", func(ctx context.Context) {
		startManager()
		create(ctx, inEtcd())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")
		for i := range 7 {
			put(ctx, "/config", fmt.Sprintf(`{"Network":"10.%d.0.0/16"}`, i))
			time.Sleep(100 * time.Millisecond)
		}
		networkSays(ctx, "default", v1alpha1.ConditionStalled, v1alpha1.ReasonEtcdContended, "somebody else keeps changing /kube-centos/network/config")
		Eventually(key(ctx, "/config")).WithTimeout(30 * time.Second).Should(Equal(published))
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")
	})

	It("does not change under a lease, nor do its nodes, unless that is accepted", func(ctx context.Context) {
		startManager()
		registerWorkers(ctx, "node-a")
		create(ctx, inEtcd(), workers())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")
		before := assigned(ctx, "node-a")["node-a"]
		lease(ctx, "172.30.38.0-24", "10.64.3.8")
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(HaveField("Count", BeEquivalentTo(1)))

		other := inEtcd()
		other.Spec.PodCIDR = "172.31.0.0/16"
		Expect(env.Client.Delete(ctx, inEtcd())).To(Succeed())
		create(ctx, other)
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonNetworkChanged, "podCIDR from 172.30.0.0/16 to 172.31.0.0/16 under 1 lease")
		networkSays(ctx, "default", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkChanged, "")
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonNetworkChanged, "podCIDR from 172.30.0.0/16 to 172.31.0.0/16")
		Expect(key(ctx, "/config")()).To(Equal(published))
		Expect(nodeState(ctx, "node-a").Spec.Revision).To(Equal(before))

		edit(ctx, other, func(n *v1alpha1.NetworkConfig) { n.Spec.AllowDisruptiveChange = true })
		Eventually(key(ctx, "/config")).Should(ContainSubstring("172.31.0.0/16"))
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(before))
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases.First }).Should(ConsistOf(HaveField("Reason", v1alpha1.LeaseOutsideNetwork)))
	})

	It("keeps its prefix while nodes have leases there, and moves when none has", func(ctx context.Context) {
		startManager()
		create(ctx, inEtcd(func(e *v1alpha1.EtcdSubnetManager) { e.Prefix = new(flannelPrefix + "/a") }))
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")
		put(ctx, "/a/subnets/172.30.38.0-24", `{"PublicIP":"10.64.3.8"}`)
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(HaveField("Count", BeEquivalentTo(1)))
		edit(ctx, inEtcd(), func(n *v1alpha1.NetworkConfig) { n.Spec.SubnetManager.Etcd.Prefix = new(flannelPrefix + "/b") })
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonNetworkChanged, "prefix from /kube-centos/network/a to /kube-centos/network/b under 1 lease")
		Expect(key(ctx, "/b/config")()).To(BeEmpty())
		_, err := etcd.Root.Delete(ctx, flannelPrefix+"/a/subnets/172.30.38.0-24")
		Expect(err).NotTo(HaveOccurred())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "/kube-centos/network/b/config")
		Expect(key(ctx, "/b/config")()).To(Equal(published))
	})

	It("reaches nodes after it reached etcd", func(ctx context.Context) {
		startManager()
		registerWorkers(ctx, "node-a")
		create(ctx, inEtcd(), workers())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")
		before := assigned(ctx, "node-a")["node-a"]
		Expect(etcd.Pause()).To(Succeed())
		edit(ctx, inEtcd(), func(n *v1alpha1.NetworkConfig) { n.Spec.Backend = &v1alpha1.FlannelBackend{MTU: new(int32(1400))} })
		says(ctx, "workers", v1alpha1.ConditionReconciling, v1alpha1.ReasonProgressing, "NetworkConfig default was changed and is not in flannel's etcd yet")
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdUnreachable, "connection refused")
		Expect(nodeState(ctx, "node-a").Spec.Revision).To(Equal(before))
		Expect(etcd.Start()).To(Succeed())
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(before))
		Expect(key(ctx, "/config")()).To(ContainSubstring("1450"), "what is around the packets of pods has 50 bytes more")
	})

	It("says why its etcd is not reached, holds up no other network, and goes on when it is back", func(ctx context.Context) {
		startManager()
		Expect(etcd.Pause()).To(Succeed())
		registerWorkers(ctx, "node-a")
		create(ctx, inEtcd(), workers())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdUnreachable, "connection refused; it is tried again at least once a minute")
		assigned(ctx, "node-a") // flanneld waits for the network, docker does not come up without it: no harm
		other := network()
		other.Name = "other"
		create(ctx, other)
		networkSays(ctx, "other", v1alpha1.ConditionReady, v1alpha1.ReasonNoNodes, "")
		Expect(etcd.Start()).To(Succeed())
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")
		Eventually(eventsOf(ctx, "default")).Should(ContainElement("Warning EtcdUnreachable"))
	})

	It("shows whose leases are in order, and releases that of a node that was deleted", func(ctx context.Context) {
		startManager()
		registerWorkers(ctx, "node-a", "node-b")
		create(ctx, inEtcd(), workers())
		assigned(ctx, "node-a", "node-b")
		addresses(ctx, "node-a", "10.64.3.8/26", "120.92.8.115/28")
		addresses(ctx, "node-b", "10.64.3.9/26")
		for subnet, ip := range map[string]string{
			"172.30.1.0-24": "10.64.3.8", "172.30.2.0-24": "10.64.3.9", "172.30.3.0-24": "10.64.3.10", "172.30.4.0-24": "120.92.8.115",
		} {
			lease(ctx, subnet, ip)
		}
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(And(
			HaveField("Count", BeEquivalentTo(4)), HaveField("Conflicts", BeEquivalentTo(2)),
			HaveField("First", HaveExactElements(
				And(HaveField("Subnet", "172.30.3.0/24"), HaveField("PublicIP", "10.64.3.10"), HaveField("Reason", v1alpha1.LeaseNoNode)),
				And(HaveField("Subnet", "172.30.4.0/24"), HaveField("Reason", v1alpha1.LeaseWrongInterface)),
			)),
		))

		By("keeping the lease of a node whose registration makes it again")
		Expect(env.Client.Delete(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}})).To(Succeed())
		Consistently(key(ctx, "/subnets/172.30.1.0-24")).WithTimeout(8 * time.Second).ShouldNot(BeEmpty())

		By("releasing the lease of one that is gone")
		Expect(env.Client.Delete(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName("node-b")}})).To(Succeed())
		Expect(env.Client.Delete(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-b"}})).To(Succeed())
		Eventually(key(ctx, "/subnets/172.30.2.0-24")).WithTimeout(30 * time.Second).Should(BeEmpty())
		Eventually(eventsOf(ctx, "default")).Should(ContainElement("Normal LeaseReleased"))
		for _, kept := range []string{"172.30.1.0-24", "172.30.3.0-24", "172.30.4.0-24"} {
			Expect(key(ctx, "/subnets/"+kept)()).NotTo(BeEmpty(), kept)
		}
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(HaveField("Count", BeEquivalentTo(3)))
	})

	It("keeps the lease of a node that was deleted and stays, for as long as it does", func(ctx context.Context) {
		startManager()
		joined(ctx, "node-a")
		create(ctx, inEtcd(), workers())
		assigned(ctx, "node-a")
		addresses(ctx, "node-a", "10.64.3.8/26")
		lease(ctx, "172.30.1.0-24", "10.64.3.8")
		nodeOf(ctx, "node-a")
		kubelet(ctx, "node-a", corev1.ConditionTrue)
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(And(
			HaveField("Count", BeEquivalentTo(1)), HaveField("Conflicts", BeEquivalentTo(0)),
		))
		Expect(env.Client.Delete(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}})).To(Succeed())
		Consistently(key(ctx, "/subnets/172.30.1.0-24")).WithTimeout(8 * time.Second).ShouldNot(BeEmpty())

		By("a reboot")
		kubelet(ctx, "node-a", corev1.ConditionUnknown)
		Consistently(key(ctx, "/subnets/172.30.1.0-24")).ShouldNot(BeEmpty())

		By("releasing it once its host has left")
		hostLeft(ctx, "node-a")
		Eventually(key(ctx, "/subnets/172.30.1.0-24")).WithTimeout(30 * time.Second).Should(BeEmpty())
		Eventually(eventsOf(ctx, "default")).Should(ContainElement("Normal LeaseReleased"))
	})

	It("says what is wrong with its settings", func(ctx context.Context) {
		startManager()
		denied := inEtcd(func(e *v1alpha1.EtcdSubnetManager) { e.Prefix = new("/atomic.io/network") })
		create(ctx, denied)
		networkSays(ctx, "default", v1alpha1.ConditionStalled, v1alpha1.ReasonEtcdPermissionDenied, "does not let this client into /atomic.io/network: correct subnetManager.etcd, or give its role the prefix (a seed: --flannel-prefix /atomic.io/network)")

		By("a certificate that etcd does not know, which is then rotated")
		edit(ctx, inEtcd(), func(n *v1alpha1.NetworkConfig) { n.Spec.SubnetManager.Etcd.Prefix = new(flannelPrefix) })
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")
		stranger, err := testenv.StartEtcd()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(stranger.Stop)
		shareFlannelEtcd(ctx, stranger, "flannel")
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdUnreachable, "certificate")
		shareFlannelEtcd(ctx, etcd, "flannel")
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonSucceeded, "")

		By("two networks at one key")
		second := networkInEtcd("second", etcd)
		second.Spec.PodCIDR = "172.29.0.0/16"
		time.Sleep(time.Second) // ages are in seconds
		create(ctx, second)
		networkSays(ctx, "second", v1alpha1.ConditionStalled, v1alpha1.ReasonPrefixConflict, "NetworkConfig default, which is older, has another network at /kube-centos/network/config")
		Expect(key(ctx, "/config")()).To(Equal(published))

		By("no Secret")
		Expect(env.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: v1alpha1.FlannelEtcdSecret}})).To(Succeed())
		networkSays(ctx, "default", v1alpha1.ConditionStalled, v1alpha1.ReasonSecretNotFound, "no Secret flannel-etcd")
	})

	It("is published over http as the guide has it, with a warning", func(ctx context.Context) {
		open, err := testenv.StartEtcd()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(open.Stop)
		startManager()
		create(ctx, inEtcd(func(e *v1alpha1.EtcdSubnetManager) {
			e.Endpoints, e.TLS = []v1alpha1.EtcdEndpoint{v1alpha1.EtcdEndpoint(open.PlainURL)}, nil
		}))
		networkSays(ctx, "default", v1alpha1.ConditionPublished, v1alpha1.ReasonEtcdInsecure, "use https endpoints and tls (SB021)")
		found, err := open.Root.Get(ctx, flannelPrefix+"/config")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(found.Kvs[0].Value)).To(Equal(published))
		Eventually(eventsOf(ctx, "default")).Should(ContainElement("Warning EtcdInsecure"))
	})
})

var _ = Describe("A network whose subnets are Nodes'", func() {
	It("counts those of its nodes and of machines that Seedbed does not know", func(ctx context.Context) {
		DeferCleanup(clean)
		startManager()
		createSecret(ctx)
		for name, subnet := range map[string]string{"machine-a": "172.30.1.0/24", "machine-b": "172.30.1.0/24", "elsewhere": "10.1.1.0/24"} {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: subnet, PodCIDRs: []string{subnet}}}
			node.Annotations = map[string]string{"flannel.alpha.coreos.com/public-ip": "10.64.3.8"}
			create(ctx, node)
			DeferCleanup(func(ctx context.Context) { Expect(env.Client.Delete(ctx, node)).To(Succeed()) })
		}
		create(ctx, network())
		Eventually(func() any { return networkConfig(ctx, "default").Status.Leases }).Should(And(
			HaveField("Count", BeEquivalentTo(2)), HaveField("Conflicts", BeEquivalentTo(2)),
			HaveField("First", HaveEach(HaveField("Reason", v1alpha1.LeaseOverlap))),
		))
		Expect(meta.FindStatusCondition(networkConfig(ctx, "default").Status.Conditions, v1alpha1.ConditionPublished)).To(BeNil())
	})
})

// networkInEtcd is the network with its leases in an etcd, as the install guide has it.
func networkInEtcd(name string, etcd *testenv.Etcd, change ...func(*v1alpha1.EtcdSubnetManager)) *v1alpha1.NetworkConfig {
	of := func(key string) v1alpha1.SecretKeyReference {
		return v1alpha1.SecretKeyReference{Name: v1alpha1.FlannelEtcdSecret, Key: key}
	}
	manager := &v1alpha1.EtcdSubnetManager{
		Endpoints: []v1alpha1.EtcdEndpoint{v1alpha1.EtcdEndpoint(etcd.URL)}, Prefix: new(flannelPrefix),
		TLS: &v1alpha1.EtcdTLS{CASecretRef: of("ca.crt"), CertSecretRef: of("tls.crt"), KeySecretRef: of("tls.key")},
	}
	for _, f := range change {
		f(manager)
	}
	n := network()
	n.Name = name
	n.Spec.SubnetManager = &v1alpha1.SubnetManager{Type: new(v1alpha1.SubnetManagerEtcd), Etcd: manager}
	return n
}

// shareFlannelEtcd puts the certificate of a user of an etcd where NetworkConfigs refer to it.
func shareFlannelEtcd(ctx context.Context, etcd *testenv.Etcd, user string) {
	GinkgoHelper()
	ca, cert, key, err := etcd.Certificate(user)
	Expect(err).NotTo(HaveOccurred())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: v1alpha1.FlannelEtcdSecret}}
	secret.Data = map[string][]byte{"ca.crt": ca, "tls.crt": cert, "tls.key": key}
	if err := env.Client.Create(ctx, secret.DeepCopy()); err != nil {
		Expect(env.Client.Update(ctx, secret)).To(Succeed())
	}
}

func networkConfig(ctx context.Context, network string) *v1alpha1.NetworkConfig {
	GinkgoHelper()
	n := &v1alpha1.NetworkConfig{}
	Expect(env.Client.Get(ctx, name(network), n)).To(Succeed())
	return n
}

// networkSays waits for a condition of a NetworkConfig.
func networkSays(ctx context.Context, network, kind, reason, part string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var n v1alpha1.NetworkConfig
		g.Expect(env.Client.Get(ctx, name(network), &n)).To(Succeed())
		found := meta.FindStatusCondition(n.Status.Conditions, kind)
		g.Expect(found).NotTo(BeNil(), "%s of %v", kind, n.Status.Conditions)
		g.Expect(found.Reason).To(Equal(reason), found.Message)
		g.Expect(found.Message).To(ContainSubstring(part))
		g.Expect(found.ObservedGeneration).To(Equal(n.Generation))
	}).WithTimeout(60 * time.Second).Should(Succeed())
}

// eventsOf are type and reason of the events of an object of a story.
func eventsOf(ctx context.Context, name string) func() []string {
	return func() []string {
		var list eventsv1.EventList
		if err := env.Client.List(ctx, &list); err != nil {
			return []string{err.Error()}
		}
		var found []string
		for i := range list.Items {
			if list.Items[i].Regarding.Name == name {
				found = append(found, list.Items[i].Type+" "+list.Items[i].Reason)
			}
		}
		return found
	}
}

// addresses are reported as a node's agent does it.
func addresses(ctx context.Context, node string, cidrs ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		n := &v1alpha1.NodeState{}
		g.Expect(env.Client.Get(ctx, name(node), n)).To(Succeed())
		n.Status.Facts = &v1alpha1.Facts{}
		for i, cidr := range cidrs {
			n.Status.Facts.Interfaces = append(n.Status.Facts.Interfaces, v1alpha1.InterfaceFacts{Name: fmt.Sprintf("eth%d", i), Addresses: []string{cidr}})
		}
		g.Expect(env.Client.Status().Update(ctx, n)).To(Succeed())
	}).Should(Succeed())
}
