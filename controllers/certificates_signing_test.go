package controllers_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/seed/pki"
	"seedbed.dev/seedbed/controllers/sign"
)

var _ = Describe("A manager that signs", func() {
	var (
		authority pki.Authority
		signs     func(*runningManager)
	)
	BeforeEach(func(ctx context.Context) {
		DeferCleanup(clean)
		store := pki.Store{Dir: GinkgoT().TempDir()}
		var err error
		authority, _, err = store.EnsureAuthority("ca", "seedbed-ca", time.Now())
		Expect(err).NotTo(HaveOccurred())
		loaded, err := sign.Load(store.CertFile("ca"), store.KeyFile("ca"))
		Expect(err).NotTo(HaveOccurred())
		signs = func(m *runningManager) { m.services.Authority = loaded }
		makeToken(ctx, approve.Scope{Labels: worker()})
	})
	certificate := func(ctx context.Context, csr string) []byte {
		var got certificatesv1.CertificateSigningRequest
		Expect(env.Client.Get(ctx, name(csr), &got)).To(Succeed())
		return got.Status.Certificate
	}
	issued := func(ctx context.Context, csr string) *x509.Certificate {
		GinkgoHelper()
		Eventually(certificate).WithArguments(ctx, csr).ShouldNot(BeEmpty())
		block, _ := pem.Decode(certificate(ctx, csr))
		cert, err := x509.ParseCertificate(block.Bytes)
		Expect(err).NotTo(HaveOccurred())
		Expect(cert.CheckSignatureFrom(authority.Cert)).To(Succeed())
		return cert
	}
	approveByHand := func(ctx context.Context, csr string) {
		GinkgoHelper()
		var got certificatesv1.CertificateSigningRequest
		Expect(env.Client.Get(ctx, name(csr), &got)).To(Succeed())
		got.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "ByHand"}}
		Expect(env.Client.SubResource("approval").Update(ctx, &got)).To(Succeed())
	}

	It("issues what it approved, for as long as was asked", func(ctx context.Context) {
		startManager(signs)
		request := agentRequest("node-a", machineA)
		seconds := int32(7200)
		request.Spec.ExpirationSeconds = &seconds
		cert := issued(ctx, ask(ctx, joiningClient(), request))
		Expect(cert.Subject.String()).To(Equal("CN=seedbed:node:node-a,O=seedbed:nodes"))
		Expect(cert.ExtKeyUsage).To(Equal([]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}))
		Expect(cert.IsCA).To(BeFalse())
		Expect(time.Until(cert.NotAfter)).To(BeNumerically("~", 2*time.Hour, time.Minute))

		By("as well what its kubelet serves with")
		edit(ctx, nodeState(ctx, "node-a"), func(n *v1alpha1.NodeState) { n.Spec.Addresses = []string{"10.64.3.8"} })
		serving := issued(ctx, ask(ctx, kubeletClient("node-a"), servingRequest("node-a", "10.64.3.8")))
		Expect(serving.VerifyHostname("10.64.3.8")).To(Succeed())
	})

	It("signs nothing that is refused or that nobody has approved", func(ctx context.Context) {
		startManager(signs)
		undecided := ask(ctx, env.Client, csrOf(approve.SignerClient, "jane", "developers"))
		refused := ask(ctx, joiningClient(), agentRequest("node-a", ""))
		Expect(decisionOn(ctx, refused).Type).To(Equal(certificatesv1.CertificateDenied))
		issued(ctx, ask(ctx, joiningClient(), agentRequest("node-b", machineA)))
		Consistently(func() [][]byte { return [][]byte{certificate(ctx, undecided), certificate(ctx, refused)} }).Should(Equal([][]byte{nil, nil}))
	})

	It("signs what an administrator approved, within the signer's rules", func(ctx context.Context) {
		startManager(signs)
		jane := ask(ctx, env.Client, csrOf(approve.SignerClient, "jane", "developers"))
		approveByHand(ctx, jane)
		Expect(issued(ctx, jane).Subject.CommonName).To(Equal("jane"))
		server := csrOf(approve.SignerClient, "jane", "developers")
		server.Spec.Usages = []certificatesv1.KeyUsage{certificatesv1.UsageServerAuth, certificatesv1.UsageDigitalSignature}
		broken := ask(ctx, env.Client, server)
		approveByHand(ctx, broken)
		Eventually(conditionsOf).WithArguments(ctx, broken).Should(ContainElement(And(
			HaveField("Type", certificatesv1.CertificateFailed), HaveField("Message", ContainSubstring(`a client certificate has "client auth"`)),
		)))
		Expect(certificate(ctx, broken)).To(BeEmpty())
		own := ask(ctx, env.Client, csrOf("example.com/own", "jane", "developers"))
		approveByHand(ctx, own)
		Consistently(certificate).WithArguments(ctx, own).Should(BeEmpty(), "another signer's")
	})
})

var _ = Describe("A manager without an authority", func() {
	It("signs nothing: kube-controller-manager does", func(ctx context.Context) {
		DeferCleanup(clean)
		m := startManager()
		makeToken(ctx, approve.Scope{Labels: worker()})
		csr := ask(ctx, joiningClient(), agentRequest("node-a", machineA))
		Expect(decisionOn(ctx, csr).Type).To(Equal(certificatesv1.CertificateApproved))
		Consistently(func() []byte {
			var got certificatesv1.CertificateSigningRequest
			Expect(env.Client.Get(ctx, name(csr), &got)).To(Succeed())
			return got.Status.Certificate
		}).Should(BeEmpty())
		Expect(m.dead.Load()).To(BeFalse())
	})
})
