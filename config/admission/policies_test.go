package admission_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var _ = Describe("Whatever RBAC allows, an agent", func() {
	var a client.Client
	own, other := "node-a", "node-b"
	BeforeEach(func(ctx SpecContext) {
		a = agent(own)
		for _, name := range []string{own, other} {
			n := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"role": "worker"}}}
			Expect(env.Client.Create(ctx, n)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(env.Client.Delete(ctx, n))).To(Succeed()) })
		}
	})
	status := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"role":"master"}},"status":{"revision":"r"}}`))

	It("writes the status of its own NodeState, nothing else of it, and nothing of another", func(ctx SpecContext) {
		mine, others := state(own), state(other)
		Expect(a.Status().Patch(ctx, mine, status)).To(Succeed())
		Expect(mine.Status.Revision).To(Equal("r"))
		Expect(mine.Labels).To(Equal(map[string]string{"role": "worker"}), "labels decide who governs it")
		Expect(a.Status().Patch(ctx, others, status)).To(refusedWith("may write no NodeState but its own"))
		Expect(a.Patch(ctx, state(own), status)).To(refusedWith("no more of its NodeState than the status"))
		Expect(a.Create(ctx, state("node-c"))).To(refusedWith("no NodeState but its own"))
	})

	It("deletes its own NodeState and no other", func(ctx SpecContext) {
		Expect(a.Delete(ctx, state(other))).To(refusedWith("no NodeState but its own"))
		Expect(a.DeleteAllOf(ctx, &v1alpha1.NodeState{}, client.MatchingFields{"metadata.name": other})).To(refusedWith("no NodeState but its own"))
		Expect(a.Delete(ctx, state(own))).To(Succeed())
	})

	It("writes events about its own NodeState, in its own name", func(ctx SpecContext) {
		Expect(a.Create(ctx, event("node-a.1", "NodeState", own))).To(Succeed())
		Expect(a.Create(ctx, event("node-a.2", "NodeState", other))).To(refusedWith("not about NodeState node-b"))
		Expect(a.Create(ctx, event("node-a.3", "Node", own))).To(refusedWith("not about Node node-a"))
		Expect(a.Create(ctx, event("node-b.4", "NodeState", own))).To(refusedWith("named after its node"))
		disguised := event("node-a.5", "NodeState", own)
		disguised.ReportingController = "seedbed-manager"
		Expect(a.Create(ctx, disguised)).To(refusedWith("as seedbed-agent only"))
		foreign := event("node-a.6", "NodeState", own)
		foreign.Regarding.APIVersion = "example.com/v1"
		Expect(a.Create(ctx, foreign)).To(refusedWith("its own NodeState only"))
		Expect(a.Create(ctx, &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "node-a.7"},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p", Namespace: metav1.NamespaceDefault},
			Source:         corev1.EventSource{Component: "kubelet"},
		})).To(refusedWith("not about Pod p"), "the core group's events are the same objects")
	})

	It("rewrites no event of another", func(ctx SpecContext) {
		others := event("node-b.1", "NodeState", other)
		Expect(agent(other).Create(ctx, others)).To(Succeed())
		others.Series = series(2)
		Expect(a.Update(ctx, others)).To(refusedWith("its own NodeState only"))
	})

	It("asks for client certificates only", func(ctx SpecContext) {
		Expect(a.Create(ctx, request("kubernetes.io/kube-apiserver-client", "client auth", "digital signature"))).To(Succeed())
		Expect(a.Create(ctx, request("kubernetes.io/kube-apiserver-client-kubelet", "client auth", "digital signature", "key encipherment"))).To(Succeed())
		Expect(a.Create(ctx, request("kubernetes.io/kubelet-serving", "server auth"))).To(refusedWith("may not ask signer kubernetes.io/kubelet-serving"))
		Expect(a.Create(ctx, request("example.com/own", "client auth"))).To(refusedWith("may not ask signer"))
		Expect(a.Create(ctx, request("kubernetes.io/kube-apiserver-client", "client auth", "server auth"))).To(refusedWith("client certificates only"))
		Expect(a.Create(ctx, request("kubernetes.io/kube-apiserver-client", "digital signature"))).To(refusedWith("client certificates only"))
	})
})

var _ = Describe("Whatever RBAC allows, who presents a token", func() {
	It("asks for client certificates only, and for no kubelet's", func(ctx SpecContext) {
		c := joining("abcdef")
		Expect(c.Create(ctx, request("kubernetes.io/kube-apiserver-client-kubelet", "client auth", "digital signature"))).To(refusedWith("leave kubelet.bootstrapTokenSecretRef out"))
		Expect(c.Create(ctx, request("kubernetes.io/kube-apiserver-client", "client auth"))).To(Succeed())
		Expect(c.Create(ctx, request("kubernetes.io/kubelet-serving", "server auth"))).To(refusedWith("may not ask signer"))
	})
})

var _ = Describe("Whatever RBAC allows, a kube-proxy", func() {
	It("writes events about its own Node only", func(ctx SpecContext) {
		c := kubeProxy("node-a")
		mine := event("node-a.p1", "Node", "node-a")
		mine.ReportingController = "kube-proxy"
		Expect(c.Create(ctx, mine)).To(Succeed())
		mine.Series = series(2)
		Expect(c.Update(ctx, mine)).To(Succeed())
		others := event("node-b.p1", "Node", "node-b")
		Expect(env.Client.Create(ctx, others)).To(Succeed())
		others.Series = series(2)
		Expect(c.Update(ctx, others)).To(refusedWith("not about Node node-b"))
		Expect(c.Create(ctx, event("node-a.p2", "Node", "node-b"))).To(refusedWith("not about Node node-b"))
		Expect(c.Create(ctx, event("node-a.p3", "NodeState", "node-a"))).To(refusedWith("its own Node only"))
	})
})

var _ = Describe("Whatever RBAC allows, a flannel", func() {
	BeforeEach(func(ctx SpecContext) {
		for _, name := range []string{"node-a", "node-b"} {
			n := node(name)
			Expect(env.Client.Create(ctx, n)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, n)).To(Succeed()) })
			n.Status = corev1.NodeStatus{
				Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.64.3.8"}},
				Capacity:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			}
			Expect(env.Client.Status().Update(ctx, n)).To(Succeed())
		}
	})
	patch := func(ctx context.Context, name, patch string) error {
		return flannel("node-a").Status().Patch(ctx, node(name), client.RawPatch(types.StrategicMergePatchType, []byte(patch)))
	}
	const lease = `{"metadata":{"annotations":{"flannel.alpha.coreos.com/public-ip":"10.64.3.8"}}}`

	It("writes its lease and the network's condition on its own Node", func(ctx SpecContext) {
		Expect(patch(ctx, "node-a", lease)).To(Succeed())
		Expect(patch(ctx, "node-a", `{"status":{"conditions":[{"type":"NetworkUnavailable","status":"False","reason":"FlannelIsUp"}]}}`)).To(Succeed())
		Expect(patch(ctx, "node-b", lease)).To(refusedWith("may write the status of its own Node only, not UPDATE Node node-b"))
	})

	DescribeTable("changes nothing else of its own Node", func(ctx SpecContext, what, says string) {
		Expect(patch(ctx, "node-a", what)).To(refusedWith(says))
	},
		Entry("a label", `{"metadata":{"labels":{"role":"master"}}}`, "no labels"),
		Entry("an annotation of another", `{"metadata":{"annotations":{"kubeadm.alpha.kubernetes.io/cri-socket":"x"}}}`, "no annotations but flannel.alpha.coreos.com/*"),
		Entry("an annotation of another, removed", `{"metadata":{"annotations":{"example.com/kept":null}}}`, "no annotations but flannel.alpha.coreos.com/*"),
		Entry("an address", `{"status":{"addresses":[{"type":"InternalIP","address":"10.64.3.99"}]}}`, "nothing of the status but"),
		Entry("what the kubelet's port is", `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":22}}}}`, "nothing of the status but"),
		Entry("what it can hold", `{"status":{"capacity":{"cpu":"64"}}}`, "nothing of the status but"),
		Entry("whether it is ready", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`, "nothing of the status but"),
	)

	It("neither makes, changes nor deletes a Node otherwise", func(ctx SpecContext) {
		f := flannel("node-a")
		Expect(f.Create(ctx, node("node-c"))).To(refusedWith("CREATE Node node-c"))
		Expect(f.Patch(ctx, node("node-a"), client.RawPatch(types.StrategicMergePatchType, []byte(`{"spec":{"unschedulable":true}}`)))).To(refusedWith("may write the status"))
		Expect(f.Delete(ctx, node("node-a"))).To(refusedWith("may write the status"))
	})
})

var _ = Describe("The policies", func() {
	It("do not apply to anybody else", func(ctx SpecContext) {
		n := state("node-z")
		Expect(env.Client.Create(ctx, n)).To(Succeed())
		Expect(env.Client.Create(ctx, event("z.1", "NodeState", "any"), client.DryRunAll)).To(Succeed())
		Expect(env.Client.Create(ctx, request("example.com/own", "server auth"), client.DryRunAll)).To(Succeed())
		Expect(env.Client.Delete(ctx, n)).To(Succeed())
	})
})

func state(name string) *v1alpha1.NodeState {
	return &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"example.com/kept": "x"}}}
}

func event(name, kind, about string) *eventsv1.Event {
	apiVersion := "v1"
	if kind == "NodeState" {
		apiVersion = v1alpha1.GroupVersion.String()
	}
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name},
		EventTime:           metav1.NewMicroTime(time.Now()),
		ReportingController: "seedbed-agent", ReportingInstance: about,
		Type: "Normal", Reason: "Test", Action: "Test", Note: "test",
		Regarding: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Name: about},
	}
}

func series(count int32) *eventsv1.EventSeries {
	return &eventsv1.EventSeries{Count: count, LastObservedTime: metav1.NewMicroTime(time.Now())}
}

// request is a certificate signing request for those usages; what its PEM says is not the policies'.
func request(signer string, usages ...certificatesv1.KeyUsage) *certificatesv1.CertificateSigningRequest {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "anybody"}}, key)
	Expect(err).NotTo(HaveOccurred())
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("test-%x", der[len(der)-8:])},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: signer, Usages: usages,
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		},
	}
}
