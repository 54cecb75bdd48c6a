package controllers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/approve"
)

const (
	joinToken    = "abcdef"
	otherToken   = "ghijkl"
	machineA     = "0123456789abcdef0123456789abcdef"
	machineOther = "fedcba9876543210fedcba9876543210"
)

var _ = Describe("A node that joins", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("gets a NodeState with the token's labels and addresses, then its certificate", func(ctx context.Context) {
		var unregistered []string
		startManager(func(m *runningManager) {
			m.audit = func(verb string, o client.Object) {
				if verb == "update approval" && apierrors.IsNotFound(env.Client.Get(ctx, name("node-a"), &v1alpha1.NodeState{})) {
					unregistered = append(unregistered, o.GetName())
				}
			}
		})
		makeToken(ctx, approve.Scope{Labels: worker(), Addresses: []string{"10.64.3.0/26"}})
		request := ask(ctx, joiningClient(), agentRequest("node-a", machineA))
		c := decisionOn(ctx, request)
		Expect(c.Type).To(Equal(certificatesv1.CertificateApproved))
		Expect(c.Reason).To(Equal(approve.ReasonJoins))
		Expect(c.Message).To(Equal("node node-a joins with token abcdef"))
		n := nodeState(ctx, "node-a")
		Expect(n.Labels).To(Equal(worker()))
		Expect(n.Annotations).To(HaveKeyWithValue(v1alpha1.MachineIDAnnotation, machineA))
		Expect(n.Spec.Addresses).To(Equal([]string{"10.64.3.0/26"}))
		Expect(unregistered).To(BeEmpty(), "approved before the NodeState was there")
		Eventually(eventReasons).WithArguments(ctx, "node-a").Should(ContainElements("NodeJoined", "CertificateApproved"))

		By("joining again, as the same machine")
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("node-a", machineA))).Type).To(Equal(certificatesv1.CertificateApproved))

		By("joining again with another token for any name, which anybody could who saw its request")
		makeTokenOf(ctx, otherToken, approve.Scope{Labels: worker()})
		c = decisionOn(ctx, ask(ctx, userClient(v1alpha1.BootstrapUser(otherToken), v1alpha1.BootstrapGroup), agentRequest("node-a", machineA)))
		Expect(c.Reason).To(Equal(approve.ReasonNameTaken))
		Expect(c.Message).To(ContainSubstring("is joining with token abcdef"))

		By("being assigned something, which leaves the addresses alone")
		createSecret(ctx)
		create(ctx, network(), workers())
		assigned(ctx, "node-a")
		Expect(nodeState(ctx, "node-a").Spec.Addresses).To(Equal([]string{"10.64.3.0/26"}))

		By("joining again once it reports, which takes a token that names it")
		report(ctx, "node-a", metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("node-a", machineA))).Message).To(ContainSubstring("has joined already"))
		Expect(env.Client.Delete(ctx, scopeOf(joinToken))).To(Succeed())
		makeToken(ctx, approve.Scope{Nodes: []string{"node-a"}})
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("node-a", machineA))).Type).To(Equal(certificatesv1.CertificateApproved))
	})

	It("takes over the NodeState that an administrator registered, if the token names it", func(ctx context.Context) {
		startManager()
		register(ctx, "node-a", map[string]string{"role": "master"})
		Eventually(func() error { return env.Client.Get(ctx, name("node-a"), &v1alpha1.NodeState{}) }).Should(Succeed())
		makeToken(ctx, approve.Scope{Labels: worker(), Addresses: []string{"10.64.3.8"}})
		c := decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("node-a", machineA)))
		Expect(c.Type).To(Equal(certificatesv1.CertificateDenied))
		Expect(c.Message).To(ContainSubstring("a token made with --nodes node-a"))

		Expect(env.Client.Delete(ctx, scopeOf(joinToken))).To(Succeed())
		makeToken(ctx, approve.Scope{Labels: worker(), Nodes: []string{"node-a"}, Addresses: []string{"10.64.3.8"}})
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("node-a", machineA))).Type).To(Equal(certificatesv1.CertificateApproved))
		n := nodeState(ctx, "node-a")
		Expect(n.Labels).To(Equal(map[string]string{"role": "master"}), "an administrator's labels")
		Expect(n.Annotations).To(HaveKeyWithValue(v1alpha1.MachineIDAnnotation, machineA))
		Expect(n.Spec.Addresses).To(Equal([]string{"10.64.3.8"}))
	})

	DescribeTable("is refused, makes nothing, and is told what to do",
		func(ctx context.Context, scope *approve.Scope, request func() *certificatesv1.CertificateSigningRequest, reason, says string) {
			startManager()
			create(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "taken", Annotations: map[string]string{v1alpha1.MachineIDAnnotation: machineOther}}})
			if scope != nil {
				makeToken(ctx, *scope)
			}
			csr := ask(ctx, joiningClient(), request())
			c := decisionOn(ctx, csr)
			Expect(c.Type).To(Equal(certificatesv1.CertificateDenied))
			Expect(c.Reason).To(Equal(reason))
			Expect(c.Message).To(ContainSubstring(says))
			var nodes v1alpha1.NodeStateList
			Expect(env.Client.List(ctx, &nodes)).To(Succeed())
			Expect(nodes.Items).To(HaveLen(1))
			Expect(nodes.Items[0].Annotations).To(HaveKeyWithValue(v1alpha1.MachineIDAnnotation, machineOther))
			Eventually(eventReasons).WithArguments(ctx, csr).Should(ContainElement(reason))
		},
		Entry("without a scope", nil, func() *certificatesv1.CertificateSigningRequest { return agentRequest("node-a", machineA) },
			approve.ReasonTokenUnknown, "seedbed seed token create"),
		Entry("after the token's end", &approve.Scope{Expires: time.Now().Add(-time.Minute)}, func() *certificatesv1.CertificateSigningRequest { return agentRequest("node-a", machineA) },
			approve.ReasonTokenExpired, "expired at"),
		Entry("by a name that the token does not give", &approve.Scope{Nodes: []string{"node-b"}}, func() *certificatesv1.CertificateSigningRequest { return agentRequest("node-a", machineA) },
			approve.ReasonTokenScope, "is not for node node-a but for node-b"),
		Entry("by a name that another machine has", &approve.Scope{}, func() *certificatesv1.CertificateSigningRequest { return agentRequest("taken", machineA) },
			approve.ReasonNameTaken, "choose another one with --node-name"),
		Entry("without a machine-id", &approve.Scope{}, func() *certificatesv1.CertificateSigningRequest { return agentRequest("node-a", "") },
			approve.ReasonMachineID, "systemd-machine-id-setup"),
		Entry("as somebody else", &approve.Scope{}, func() *certificatesv1.CertificateSigningRequest {
			return csrOf(approve.SignerClient, "seedbed:admin", v1alpha1.AdminsGroup)
		}, approve.ReasonSubject, `"seedbed:admin"`),
		Entry("in another group", &approve.Scope{}, func() *certificatesv1.CertificateSigningRequest {
			return csrOf(approve.SignerClient, v1alpha1.NodeUser("node-a"), v1alpha1.AdminsGroup)
		}, approve.ReasonSubject, "the organization seedbed:nodes"),
	)

	It("gets no name that the cluster has a machine for, unless the token names it or that machine left", func(ctx context.Context) {
		makeToken(ctx, approve.Scope{Labels: worker()})
		registered := func(o *corev1.Node) {
			create(ctx, o)
			o.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", MachineID: machineA}
			// A Node of ours that is not ready goes at once.
			o.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			Expect(env.Client.Status().Update(ctx, o)).To(Succeed())
		}
		registered(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "cp-1"}})
		registered(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "left", Labels: map[string]string{controllers.NodeLabel: "left"}}})
		create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "made-before"}})
		startManager()
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("left", machineOther))).Reason).To(Equal(approve.ReasonNameTaken))
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("left", machineA))).Type).To(Equal(certificatesv1.CertificateApproved))
		c := decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("cp-1", machineA)))
		Expect(c.Reason).To(Equal(approve.ReasonNameTaken))
		Expect(c.Message).To(ContainSubstring("use a token made with --nodes cp-1"))
		Expect(env.Client.Get(ctx, name("cp-1"), &v1alpha1.NodeState{})).To(WithTransform(apierrors.IsNotFound, BeTrue()))
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("made-before", machineA))).Type).To(Equal(certificatesv1.CertificateApproved))

		Expect(env.Client.Delete(ctx, scopeOf(joinToken))).To(Succeed())
		makeToken(ctx, approve.Scope{Nodes: []string{"cp-1"}})
		Expect(decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("cp-1", machineA))).Type).To(Equal(certificatesv1.CertificateApproved))
	})

	It("joins in spite of a manager that is killed between the NodeState and the approval", func(ctx context.Context) {
		makeToken(ctx, approve.Scope{Labels: worker()})
		m := startManager(func(m *runningManager) { m.dieAfter = 1 })
		csr := ask(ctx, joiningClient(), agentRequest("node-a", machineA))
		Eventually(m.done).Should(BeClosed())
		Expect(nodeState(ctx, "node-a").Annotations).To(HaveKey(v1alpha1.MachineIDAnnotation))
		Expect(conditionsOf(ctx, csr)).To(BeEmpty())
		startManager()
		Expect(decisionOn(ctx, csr).Type).To(Equal(certificatesv1.CertificateApproved))
	})
})

var _ = Describe("A node that has joined", func() {
	BeforeEach(func(ctx context.Context) {
		DeferCleanup(clean)
		create(ctx, &v1alpha1.NodeState{
			ObjectMeta: metav1.ObjectMeta{Name: "node-a", Annotations: map[string]string{v1alpha1.MachineIDAnnotation: machineA}},
			Spec:       v1alpha1.NodeStateSpec{Addresses: []string{"10.64.3.8"}},
		}, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-b"}})
	})

	It("gets the certificates of its own processes, and of no other node's", func(ctx context.Context) {
		startManager()
		a := agentClient("node-a")
		for _, csr := range ownRequests("node-a") {
			csr := ask(ctx, a, csr)
			Expect(decisionOn(ctx, csr).Type).To(Equal(certificatesv1.CertificateApproved), csr)
		}
		for _, csr := range ownRequests("node-b") {
			c := decisionOn(ctx, ask(ctx, a, csr))
			Expect(c.Type).To(Equal(certificatesv1.CertificateDenied))
			Expect(c.Reason).To(Equal(approve.ReasonRequester))
		}
	})

	It("gets none once its NodeState is gone", func(ctx context.Context) {
		startManager()
		Expect(env.Client.Delete(ctx, nodeState(ctx, "node-a"))).To(Succeed())
		for _, csr := range ownRequests("node-a") {
			Expect(decisionOn(ctx, ask(ctx, agentClient("node-a"), csr)).Reason).To(Equal(approve.ReasonNotJoined))
		}
	})

	It("has a kubelet that renews, and that serves at its own addresses only", func(ctx context.Context) {
		startManager()
		k := kubeletClient("node-a")
		Expect(decisionOn(ctx, ask(ctx, k, csrOf(approve.SignerKubeletClient, v1alpha1.KubeletUser("node-a"), v1alpha1.KubeletsGroup))).Reason).To(Equal(approve.ReasonRenews))
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-a", "10.64.3.8"))).Type).To(Equal(certificatesv1.CertificateApproved))
		c := decisionOn(ctx, ask(ctx, k, servingRequest("node-a", "10.64.3.9")))
		Expect(c.Type).To(Equal(certificatesv1.CertificateDenied))
		Expect(c.Message).To(ContainSubstring("10.64.3.9: not in spec.addresses of NodeState node-a (10.64.3.8)"))
	})

	It("has a kubelet that a range lets serve anywhere but where the API server and named nodes do", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		create(ctx, network(), workers(func(c *v1alpha1.NodeConfig) { c.Spec.Kubernetes.APIServer = "https://10.64.3.7:6443" }))
		edit(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-b"}}, func(n *v1alpha1.NodeState) { n.Spec.Addresses = []string{"10.64.3.0/26"} })
		k := kubeletClient("node-b")
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-b", "10.64.3.9"))).Type).To(Equal(certificatesv1.CertificateApproved))
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-b", "10.64.3.7"))).Message).To(ContainSubstring("10.64.3.7: belongs to the API server"))
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-b", "10.64.3.8"))).Message).To(ContainSubstring("10.64.3.8: belongs to node node-a"))
	})

	It("has a kubelet that no range lets serve where the cluster says that its API servers are", func(ctx context.Context) {
		startManager()
		edit(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-b"}}, func(n *v1alpha1.NodeState) { n.Spec.Addresses = []string{"0.0.0.0/0"} })
		k := kubeletClient("node-b")
		kubernetes := client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}
		var service corev1.Service
		Expect(env.Client.Get(ctx, kubernetes, &service)).To(Succeed())
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-b", service.Spec.ClusterIP))).Message).To(ContainSubstring("belongs to the Service of the API server"))
		// The API server's own word, but on a machine that has no address beside loopback.
		var slice discoveryv1.EndpointSlice
		if err := env.Client.Get(ctx, kubernetes, &slice); apierrors.IsNotFound(err) {
			slice = discoveryv1.EndpointSlice{
				ObjectMeta:  metav1.ObjectMeta{Namespace: kubernetes.Namespace, Name: kubernetes.Name},
				AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.64.3.7"}}},
			}
			create(ctx, &slice)
		}
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-b", slice.Endpoints[0].Addresses[0]))).Message).To(ContainSubstring("belongs to the API server"))
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-b", "10.64.3.9"))).Type).To(Equal(certificatesv1.CertificateApproved))

		By("the balancer at which nodes join")
		info := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: "cluster-info"},
			Data:       map[string]string{"kubeconfig": `{"clusters":[{"name":"","cluster":{"server":"https://10.64.3.10:6443"}}]}`},
		}
		create(ctx, info)
		DeferCleanup(func(ctx context.Context) { Expect(env.Client.Delete(ctx, info)).To(Succeed()) })
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("node-b", "10.64.3.10"))).Message).To(ContainSubstring("10.64.3.10: belongs to the API server"))
	})

	It("has a kubelet that serves by the API server's name only where the API server is", func(ctx context.Context) {
		startManager()
		create(ctx, network(), workers(func(c *v1alpha1.NodeConfig) { c.Spec.Kubernetes.APIServer = "https://10.64.3.7:6443" }))
		info := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: "cluster-info"},
			Data:       map[string]string{"kubeconfig": `{"clusters":[{"name":"","cluster":{"server":"https://seed:6443"}}]}`},
		}
		create(ctx, info)
		DeferCleanup(func(ctx context.Context) { Expect(env.Client.Delete(ctx, info)).To(Succeed()) })
		makeToken(ctx, approve.Scope{Labels: worker(), Addresses: []string{"10.64.3.0/26"}})
		for _, taken := range []string{"seed", "kubernetes", "localhost"} {
			c := decisionOn(ctx, ask(ctx, joiningClient(), agentRequest(taken, machineA)))
			Expect(c.Reason).To(Equal(approve.ReasonNameTaken))
			Expect(c.Message).To(ContainSubstring("use a token made with --nodes " + taken))
		}

		By("a node that an administrator lets have it")
		makeTokenOf(ctx, otherToken, approve.Scope{Nodes: []string{"seed"}, Addresses: []string{"10.64.3.0/26"}})
		named := userClient(v1alpha1.BootstrapUser(otherToken), v1alpha1.BootstrapGroup)
		Expect(decisionOn(ctx, ask(ctx, named, agentRequest("seed", machineA))).Type).To(Equal(certificatesv1.CertificateApproved))
		k := kubeletClient("seed")
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("seed", "10.64.3.9"))).Message).To(ContainSubstring("DNS name seed: belongs to the API server"))
		edit(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "seed"}}, func(n *v1alpha1.NodeState) { n.Spec.Addresses = []string{"10.64.3.7"} })
		Expect(decisionOn(ctx, ask(ctx, k, servingRequest("seed", "10.64.3.7"))).Type).To(Equal(certificatesv1.CertificateApproved))
	})

	It("has a kubelet whose server waits for addresses, and gets its certificate when they are set", func(ctx context.Context) {
		startManager()
		csr := ask(ctx, kubeletClient("node-b"), servingRequest("node-b", "10.64.3.9"))
		Eventually(eventReasons).WithArguments(ctx, csr).Should(ContainElement(approve.ReasonNoAddresses))
		Expect(conditionsOf(ctx, csr)).To(BeEmpty())
		edit(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-b"}}, func(n *v1alpha1.NodeState) { n.Spec.Addresses = []string{"10.64.3.9"} })
		Expect(decisionOn(ctx, csr).Type).To(Equal(certificatesv1.CertificateApproved))
	})

	It("is not taken for by a stranger", func(ctx context.Context) {
		startManager()
		config, err := env.User("jane", "system:masters")
		Expect(err).NotTo(HaveOccurred())
		jane, err := client.New(config, client.Options{Scheme: env.Scheme})
		Expect(err).NotTo(HaveOccurred())
		Expect(decisionOn(ctx, ask(ctx, jane, agentRequest("node-a", machineA))).Reason).To(Equal(approve.ReasonRequester))
	})
})

var _ = Describe("A certificate signing request that is not a node's", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("is left to others, also once it is decided", func(ctx context.Context) {
		m := startManager()
		foreign := []string{
			ask(ctx, env.Client, csrOf(approve.SignerClient, "jane", "developers")),
			ask(ctx, env.Client, csrOf("example.com/own", v1alpha1.NodeUser("node-a"), v1alpha1.NodesGroup)),
			ask(ctx, kubeletClient("node-of-others"), csrOf(approve.SignerKubeletClient, v1alpha1.KubeletUser("node-of-others"), v1alpha1.KubeletsGroup)),
			ask(ctx, kubeletClient("node-of-others"), servingRequest("node-of-others", "10.64.3.8")),
		}
		// Ours comes last, so that the others have been looked at.
		decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("node-a", machineA)))
		for _, csr := range foreign {
			Consistently(func() []certificatesv1.CertificateSigningRequestCondition { return conditionsOf(ctx, csr) }).Should(BeEmpty())
		}
		Expect(m.writes.Load()).To(BeEquivalentTo(1))
	})

	It("is not decided a second time, whoever decided it, and makes no NodeState then", func(ctx context.Context) {
		csr := ask(ctx, joiningClient(), agentRequest("node-a", machineA))
		approved := &certificatesv1.CertificateSigningRequest{}
		Expect(env.Client.Get(ctx, name(csr), approved)).To(Succeed())
		approved.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "ByHand",
		}}
		Expect(env.Client.SubResource("approval").Update(ctx, approved)).To(Succeed())
		m := startManager()
		decisionOn(ctx, ask(ctx, joiningClient(), agentRequest("node-b", machineA)))
		Expect(conditionsOf(ctx, csr)).To(HaveLen(1))
		Expect(m.writes.Load()).To(BeEquivalentTo(1))
		Expect(env.Client.Get(ctx, name("node-a"), &v1alpha1.NodeState{})).To(WithTransform(apierrors.IsNotFound, BeTrue()), "a node that nobody registered")
	})
})

// makeToken makes the scope of joinToken; the Secret is the API server's business.
func makeToken(ctx context.Context, scope approve.Scope) {
	GinkgoHelper()
	makeTokenOf(ctx, joinToken, scope)
}

func makeTokenOf(ctx context.Context, id string, scope approve.Scope) {
	GinkgoHelper()
	if scope.Expires.IsZero() {
		scope.Expires = time.Now().Add(time.Hour)
	}
	data, err := scope.Data()
	Expect(err).NotTo(HaveOccurred())
	c := scopeOf(id)
	c.Data = data
	create(ctx, c)
}

func scopeOf(token string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: v1alpha1.Namespace, Name: v1alpha1.JoinName(token), Labels: map[string]string{v1alpha1.JoinTokenLabel: "true"},
	}}
}

func userClient(user, group string) client.Client {
	GinkgoHelper()
	config, err := env.User(user, group)
	Expect(err).NotTo(HaveOccurred())
	c, err := client.New(config, client.Options{Scheme: env.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func joiningClient() client.Client {
	return userClient(v1alpha1.BootstrapUser(joinToken), v1alpha1.BootstrapGroup)
}

func kubeletClient(node string) client.Client {
	return userClient(v1alpha1.KubeletUser(node), v1alpha1.KubeletsGroup)
}

// ownRequests are those that an agent makes.
func ownRequests(node string) []*certificatesv1.CertificateSigningRequest {
	return []*certificatesv1.CertificateSigningRequest{
		csrOf(approve.SignerClient, v1alpha1.NodeUser(node), v1alpha1.NodesGroup),
		csrOf(approve.SignerClient, v1alpha1.KubeProxyUser(node), v1alpha1.KubeProxiesGroup),
		csrOf(approve.SignerClient, v1alpha1.FlannelUser(node), v1alpha1.FlannelsGroup),
		csrOf(approve.SignerKubeletClient, v1alpha1.KubeletUser(node), v1alpha1.KubeletsGroup),
	}
}

func agentRequest(node, machineID string) *certificatesv1.CertificateSigningRequest {
	csr := csrOf(approve.SignerClient, v1alpha1.NodeUser(node), v1alpha1.NodesGroup)
	csr.GenerateName = v1alpha1.AgentRequestPrefix(node)
	csr.Annotations = map[string]string{v1alpha1.MachineIDAnnotation: machineID}
	return csr
}

func servingRequest(node string, ips ...string) *certificatesv1.CertificateSigningRequest {
	return csrOf(approve.SignerKubeletServing, v1alpha1.KubeletUser(node), v1alpha1.KubeletsGroup, func(r *x509.CertificateRequest) {
		r.DNSNames = []string{node}
		for _, ip := range ips {
			r.IPAddresses = append(r.IPAddresses, net.ParseIP(ip))
		}
	})
}

func csrOf(signer, cn, o string, change ...func(*x509.CertificateRequest)) *certificatesv1.CertificateSigningRequest {
	GinkgoHelper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn, Organization: []string{o}}}
	for _, f := range change {
		f(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	Expect(err).NotTo(HaveOccurred())
	auth := certificatesv1.UsageClientAuth
	if signer == approve.SignerKubeletServing {
		auth = certificatesv1.UsageServerAuth
	}
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "csr-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: signer, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, auth},
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		},
	}
}

// ask makes a request and returns its name.
func ask(ctx context.Context, c client.Client, csr *certificatesv1.CertificateSigningRequest) string {
	GinkgoHelper()
	// The authorizer learns of a young user's roles through a watch.
	Eventually(func() error { return c.Create(ctx, csr) }).Should(Succeed())
	return csr.Name
}

func conditionsOf(ctx context.Context, csr string) []certificatesv1.CertificateSigningRequestCondition {
	GinkgoHelper()
	var got certificatesv1.CertificateSigningRequest
	Expect(env.Client.Get(ctx, name(csr), &got)).To(Succeed())
	return got.Status.Conditions
}

// decisionOn waits for the one condition that says what was decided.
func decisionOn(ctx context.Context, csr string) certificatesv1.CertificateSigningRequestCondition {
	GinkgoHelper()
	var got []certificatesv1.CertificateSigningRequestCondition
	Eventually(func() []certificatesv1.CertificateSigningRequestCondition {
		got = conditionsOf(ctx, csr)
		return got
	}).Should(HaveLen(1))
	return got[0]
}

// eventReasons are the reasons of the events about an object.
func eventReasons(ctx context.Context, about string) []string {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(env.Client.List(ctx, &list, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
	var reasons []string
	for i := range list.Items {
		if list.Items[i].Regarding.Name == about && strings.HasPrefix(list.Items[i].ReportingController, "seedbed") {
			reasons = append(reasons, list.Items[i].Reason)
		}
	}
	slices.Sort(reasons)
	return reasons
}
