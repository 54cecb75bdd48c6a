package seed_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/keyutil"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/seed"
	"seedbed.dev/seedbed/controllers/seed/install"
	"seedbed.dev/seedbed/controllers/sign"
)

// A real seed with real tokens, and the manager's controllers beside it as its own identity.
var _ = Describe("A token", Ordered, func() {
	var (
		layout seed.Layout
		access seed.Access
		p      *process
		admin  client.Client
		made   seed.TokenResult
		bearer *rest.Config
	)
	BeforeAll(func(ctx context.Context) {
		layout = seed.Layout{Root: filepath.Join(GinkgoT().TempDir(), "data")}
		access = seed.Access{DataDir: layout.Root}
		p = startReady(options(layout.Root))
		admin = as(layout.Kubeconfig("admin"))
		var err error
		made, err = seed.CreateToken(ctx, seed.TokenOptions{
			Access: access, Labels: []string{"role=worker"}, Nodes: []string{"node-a"}, Addresses: []string{"10.64.3.0/26"}, TTL: time.Hour,
		}, time.Now())
		Expect(err).NotTo(HaveOccurred())
		bearer = rest.AnonymousClientConfig(config(layout.Kubeconfig("admin")))
		bearer.BearerToken = strings.Fields(made.Join)[4]
		startManager(layout, p)
	})

	It("comes with the command line that joins a node", func() {
		Expect(made.Join).To(MatchRegexp(`^seedbed join https://127\.0\.0\.1:\d+ --token [a-z0-9]{6}\.[a-z0-9]{16} --ca-cert-hash sha256:[0-9a-f]{64}$`))
		Expect(made.Loopback).To(BeTrue())
	})

	It("is taken by the API server, for requests of certificates and nothing else", func(ctx context.Context) {
		c := clientOf(bearer)
		me := whoAmI(ctx, c)
		Expect(me.Username).To(Equal("system:bootstrap:" + made.ID))
		Expect(me.Groups).To(ContainElement(v1alpha1.BootstrapGroup))
		for resource, allowed := range map[string]bool{
			"certificates.k8s.io certificatesigningrequests create":          true,
			"certificates.k8s.io certificatesigningrequests get":             true,
			"certificates.k8s.io certificatesigningrequests/approval update": false,
			"seedbed.dev nodestates list":                                    false,
			"events.k8s.io events create":                                    false,
		} {
			f := strings.Fields(resource)
			Expect(may(ctx, c, f[2], f[0], f[1], "")).To(Equal(allowed), resource)
		}
		Expect(may(ctx, c, "get", "", "configmaps", v1alpha1.Namespace)).To(BeFalse())
		Expect(may(ctx, c, "get", "", "secrets", "kube-system")).To(BeFalse())
	})

	It("is vouched for in kube-public/cluster-info by kube-controller-manager", func(ctx context.Context) {
		if _, there := p.children()["kube-controller-manager"]; !there {
			Skip("these components have no kube-controller-manager (envtest's)")
		}
		Eventually(func() map[string]string {
			info := &corev1.ConfigMap{}
			Expect(admin.Get(ctx, client.ObjectKey{Namespace: install.ClusterInfoNamespace, Name: install.ClusterInfoName}, info)).To(Succeed())
			return info.Data
		}).Should(HaveKey("jws-kubeconfig-" + made.ID))
	})

	It("buys a node its identity, by the manager's own rights", func(ctx context.Context) {
		key, request := newRequest("node-a")
		Expect(clientOf(bearer).Create(ctx, request)).To(Succeed())
		Eventually(func() []byte {
			Expect(clientOf(bearer).Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
			return request.Status.Certificate
		}).ShouldNot(BeEmpty(), "%v", request.Status.Conditions)
		agent := rest.AnonymousClientConfig(bearer)
		agent.CertData, agent.KeyData = request.Status.Certificate, key
		me := whoAmI(ctx, clientOf(agent))
		Expect(me.Username).To(Equal("seedbed:node:node-a"))
		Expect(me.Groups).To(ConsistOf("seedbed:nodes", "system:authenticated"))
		var node v1alpha1.NodeState
		Eventually(func() error { return clientOf(agent).Get(ctx, client.ObjectKey{Name: "node-a"}, &node) }).Should(Succeed())
		Expect(node.Labels).To(Equal(map[string]string{"role": "worker"}))
		Expect(node.Spec.Addresses).To(Equal([]string{"10.64.3.0/26"}))
	})

	It("is for the names that it names only", func(ctx context.Context) {
		_, request := newRequest("node-b")
		Expect(clientOf(bearer).Create(ctx, request)).To(Succeed())
		Eventually(func() string {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
			if len(request.Status.Conditions) == 0 {
				return ""
			}
			return string(request.Status.Conditions[0].Type) + ": " + request.Status.Conditions[0].Message
		}).Should(ContainSubstring("Denied: token " + made.ID + " is not for node node-b but for node-a"))
	})

	It("is listed without its secret, and with what is wrong with it", func(ctx context.Context) {
		tokens, err := seed.ListTokens(ctx, access, time.Now())
		Expect(err).NotTo(HaveOccurred())
		Expect(tokens).To(HaveLen(1))
		Expect(tokens[0].ID).To(Equal(made.ID))
		Expect(tokens[0].Scope.Nodes).To(Equal([]string{"node-a"}))
		Expect(tokens[0].Problem).To(BeEmpty())
		tokens, err = seed.ListTokens(ctx, access, time.Now().Add(2*time.Hour))
		Expect(err).NotTo(HaveOccurred())
		Expect(tokens[0].Problem).To(Equal("expired"))
	})

	It("is worth nothing once it is deleted", func(ctx context.Context) {
		Expect(seed.DeleteTokens(ctx, access, []string{made.ID})).To(Equal([]string{made.ID}))
		Eventually(func() error {
			return clientOf(bearer).Get(ctx, client.ObjectKey{Name: "any"}, &certificatesv1.CertificateSigningRequest{})
		}).Should(WithTransform(apierrors.IsUnauthorized, BeTrue()))
		Expect(seed.ListTokens(ctx, access, time.Now())).To(BeEmpty())
		_, err := seed.DeleteTokens(ctx, access, []string{made.ID})
		Expect(err).To(MatchError(ContainSubstring("token " + made.ID + ": there is none")))
	})

	It("cannot be made without a seed that runs", func(ctx context.Context) {
		p.stop()
		_, err := seed.CreateToken(ctx, seed.TokenOptions{Access: access, TTL: time.Hour}, time.Now())
		Expect(err).To(MatchError(ContainSubstring("is the seed running?")))
	})
})

// startManager runs the manager's controllers with the kubeconfig that the seed wrote for it.
func startManager(layout seed.Layout, p *process) {
	GinkgoHelper()
	o, err := controllers.ManagerOptions()
	Expect(err).NotTo(HaveOccurred())
	o.Metrics = metricsserver.Options{BindAddress: "0"}
	mgr, err := ctrl.NewManager(config(layout.Kubeconfig("manager")), o)
	Expect(err).NotTo(HaveOccurred())
	var services controllers.Services
	if _, there := p.children()["kube-controller-manager"]; !there {
		services.Authority, err = sign.Load(layout.PKI().CertFile("ca"), layout.PKI().KeyFile("ca"))
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(controllers.SetupManager(mgr, services)).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(done)
		Expect(mgr.Start(ctx)).To(Succeed())
	}()
	DeferCleanup(func() { cancel(); <-done })
}

// newRequest is what `seedbed join` asks for.
func newRequest(node string) (key []byte, csr *certificatesv1.CertificateSigningRequest) {
	GinkgoHelper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	key, err = keyutil.MarshalPrivateKeyToPEM(private)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: v1alpha1.NodeUser(node), Organization: []string{v1alpha1.NodesGroup}},
	}, private)
	Expect(err).NotTo(HaveOccurred())
	return key, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: v1alpha1.AgentRequestPrefix(node),
			Annotations:  map[string]string{v1alpha1.MachineIDAnnotation: "0123456789abcdef0123456789abcdef"},
		},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		},
	}
}
