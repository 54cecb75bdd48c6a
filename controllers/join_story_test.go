package controllers_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/join"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/schema"
	"seedbed.dev/seedbed/controllers/seed/pki"
	"seedbed.dev/seedbed/controllers/state"
)

// The stories must see a certificate that was renewed within their few seconds.
func init() { transport.CertCallbackRefreshDuration = 200 * time.Millisecond }

// mirrors are folders that the suite removes.
var mirrors []string

var _ = AfterSuite(func() {
	for _, dir := range mirrors {
		Expect(os.RemoveAll(dir)).To(Succeed())
	}
})

const joinSecret = "0123456789abcdef"

// shortSigner signs what the manager approves, for so few seconds that agents have to renew.
type shortSigner struct {
	authority pki.Authority
	mu        sync.Mutex
	validity  time.Duration
	serial    int64
}

func startSigner(validity time.Duration) *shortSigner {
	GinkgoHelper()
	authority, err := pki.NewAuthority("signer", time.Now())
	Expect(err).NotTo(HaveOccurred())
	Expect(env.TrustClients(authority.CertPEM)).To(Succeed())
	s := &shortSigner{authority: authority, validity: validity, serial: time.Now().UnixNano()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			s.signAll(ctx)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	DeferCleanup(func() { cancel(); <-done })
	return s
}

func (s *shortSigner) signAll(ctx context.Context) {
	var list certificatesv1.CertificateSigningRequestList
	if env.Client.List(ctx, &list) != nil {
		return
	}
	for i := range list.Items {
		csr := &list.Items[i]
		if len(csr.Status.Certificate) > 0 || len(csr.Status.Conditions) != 1 || csr.Status.Conditions[0].Type != certificatesv1.CertificateApproved {
			continue
		}
		csr.Status.Certificate = s.sign(csr.Spec.Request)
		_ = env.Client.Status().Update(ctx, csr) // another look follows
	}
}

func (s *shortSigner) sign(requestPEM []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	block, _ := pem.Decode(requestPEM)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil
	}
	s.serial++
	der, err := x509.CreateCertificate(nil, &x509.Certificate{
		SerialNumber: big.NewInt(s.serial), Subject: request.Subject, NotBefore: time.Now().Add(-time.Second), NotAfter: time.Now().Add(s.validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, s.authority.Cert, request.PublicKey, s.authority.Key)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// offerJoining makes what `seedbed seed` and `seedbed seed token create` make.
func offerJoining(ctx context.Context, scope approve.Scope) {
	GinkgoHelper()
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"": {Server: env.Config.Host, CertificateAuthorityData: env.Config.CAData}},
	})
	Expect(err).NotTo(HaveOccurred())
	info := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: "cluster-info"}, Data: map[string]string{"kubeconfig": string(kubeconfig)},
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "bootstrap-token-" + joinToken}, Type: "bootstrap.kubernetes.io/token",
		StringData: map[string]string{
			"token-id": joinToken, "token-secret": joinSecret, "usage-bootstrap-authentication": "true", "auth-extra-groups": v1alpha1.BootstrapGroup,
		},
	}
	for _, object := range []client.Object{info, secret} {
		Eventually(func() error { return env.Client.Create(ctx, object) }).Should(Or(Succeed(), Satisfy(apierrors.IsAlreadyExists)))
		DeferCleanup(func(ctx context.Context) { Expect(env.Client.Delete(ctx, object)).To(Succeed()) })
	}
	makeToken(ctx, scope)
}

// member is a host that joins with the real seed; its systemd, when it starts the agent, runs a real one.
type member struct {
	fake   *hosttest.Fake
	node   *join.Node
	mirror *mirrored
	mu     sync.Mutex
	said   []string
}

// mirrored also writes the agent's certificate to this machine's disk, where client-go reads it.
type mirrored struct {
	host.Files
	path string
}

func (m *mirrored) Write(p string, f state.File) ([]string, error) {
	made, err := m.Files.Write(p, f)
	if err == nil && p == resolve.PathAgentClient {
		err = os.WriteFile(m.path+".new", f.Content, 0o600)
		if err == nil {
			err = os.Rename(m.path+".new", m.path)
		}
	}
	return made, err
}

func newMember() *member {
	GinkgoHelper()
	f := machineOfGuide()
	for _, path := range []string{resolve.PathAgentClient, resolve.PathFlannelClient, resolve.PathKubeProxyClient} {
		f.Delete(path)
	}
	f.Delete(resolve.PathClientPKI)
	f.Delete("/var/lib/seedbed")
	f.Put("/etc/machine-id", state.File{Content: []byte(machineA + "\n"), Mode: 0o444})
	h := f.Host()
	// Connections to it outlive the story, so its folder does, too.
	dir, err := os.MkdirTemp("", "seedbed-test-")
	Expect(err).NotTo(HaveOccurred())
	mirrors = append(mirrors, dir)
	m := &member{fake: f, mirror: &mirrored{h.Files, filepath.Join(dir, "agent.pem")}}
	h.Files = m.mirror
	m.node = &join.Node{Host: h, Machine: f.Membership(), Now: time.Now, Poll: 50 * time.Millisecond, Say: func(format string, args ...any) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.said = append(m.said, fmt.Sprintf(format, args...))
		GinkgoWriter.Println(m.said[len(m.said)-1])
	}}
	return m
}

func joinRequest(node string) join.Request {
	GinkgoHelper()
	block, _ := pem.Decode(env.Config.CAData)
	authority, err := x509.ParseCertificate(block.Bytes)
	Expect(err).NotTo(HaveOccurred())
	url := env.Config.Host
	if !strings.HasPrefix(url, "https://") {
		url = "https://" + url
	}
	r, err := join.Arguments{URL: url, Token: joinToken + "." + joinSecret, Hashes: []string{join.HashOf(authority)}, NodeName: node}.Check()
	Expect(err).NotTo(HaveOccurred())
	return r
}

// follow runs a real agent for as long as systemd says that its unit is active.
func (m *member) follow(node string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(done)
		for ctx.Err() == nil {
			if m.fake.Unit(resolve.UnitAgent).Activity == state.Active {
				m.agent(ctx, node)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	DeferCleanup(func() { cancel(); <-done })
}

func (m *member) agent(ctx context.Context, node string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		for m.fake.Unit(resolve.UnitAgent).Activity == state.Active && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}()
	h := m.fake.Host()
	h.Files = m.mirror
	book, err := apply.Open(h.Store)
	Expect(err).NotTo(HaveOccurred())
	validator, err := schema.New()
	Expect(err).NotTo(HaveOccurred())
	events := &liveAgent{events: make(chan struct{}, 1)}
	agent := &controllers.Agent{
		Pipeline: &controllers.Pipeline{NodeName: node, Host: h, Book: book, Validate: validator.ValidateRevision, Now: time.Now, Log: GinkgoLogr},
		Cache:    controllers.AssignmentCache{Store: h.Store}, Watcher: events, Resync: 300 * time.Millisecond, Certificates: true,
		Jitter: func() float64 { return 0 }, Log: GinkgoLogr,
	}
	Expect(agent.Init()).To(Succeed())
	options, err := controllers.AgentOptions(node)
	Expect(err).NotTo(HaveOccurred())
	options.Metrics = server.Options{BindAddress: "0"}
	again := true
	options.Controller.SkipNameValidation = &again
	config := &rest.Config{Host: env.Config.Host, TLSClientConfig: rest.TLSClientConfig{
		CAData: env.Config.CAData, CertFile: m.mirror.path, KeyFile: m.mirror.path,
	}}
	Expect(controllers.RunAgent(ctx, config, agent, options)).To(Succeed())
}

func (m *member) certificate(path string) *x509.Certificate {
	pair, err := credentials.Store{Files: m.fake.Host().Files, Path: path}.Current()
	if err != nil {
		return nil
	}
	return pair.Leaf
}

// persistent is the machine without what the components themselves keep in /run and in the kernel.
func persistent(f *hosttest.Fake) string {
	lines := strings.Split(f.Dump(), "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "file /run/") || strings.HasPrefix(line, "link ")
	}), "\n")
}

var _ = Describe("A bare host", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("joins with a token, gets what its components need, renews without a restart, and leaves as it was", func(ctx context.Context) {
		startManager()
		startSigner(8 * time.Second)
		createRealSecret(ctx)
		create(ctx, network(), workers())
		offerJoining(ctx, approve.Scope{Labels: worker()})
		m := newMember()
		Expect(m.node.Host.Modules.Load(ctx, "br_netfilter")).To(Succeed())
		Expect(m.node.Host.Modules.Load(ctx, "overlay")).To(Succeed())
		before := persistent(m.fake)
		m.follow("node-a")
		joinCtx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		Expect(m.node.Join(joinCtx, joinRequest("node-a"))).To(Succeed())
		first := m.certificate(resolve.PathAgentClient)
		Expect(first.Subject.CommonName).To(Equal("seedbed:node:node-a"))
		Expect(nodeState(ctx, "node-a").Labels).To(Equal(worker()))
		Expect(nodeState(ctx, "node-a").Status.Facts.Hostname).NotTo(BeEmpty())

		By("being assigned: kube-proxy starts once it has its own certificate")
		nodeSays(ctx, "node-a", v1alpha1.ConditionPrepared, v1alpha1.ReasonSucceeded, "")
		Expect(m.fake.Unit("kube-proxy.service").Activity).To(Equal(state.Active))
		Expect(m.certificate(resolve.PathKubeProxyClient).Subject.CommonName).To(Equal("seedbed:kube-proxy:node-a"))
		runs := len(m.fake.Jobs(resolve.UnitAgent))

		By("outliving its first certificate")
		Eventually(func() bool { return time.Now().After(first.NotAfter.Add(time.Second)) }).Should(BeTrue())
		Expect(m.certificate(resolve.PathAgentClient).NotAfter).To(BeTemporally(">", first.NotAfter))
		m.fake.Delete(daemonJSON)
		Eventually(func() *v1alpha1.DriftStatus { return nodeState(ctx, "node-a").Status.Drift }).Should(HaveField("Corrected", BeNumerically(">", 0)))
		Expect(m.fake.Jobs(resolve.UnitAgent)).To(HaveLen(runs), "the agent was restarted")

		By("leaving")
		Expect(m.node.Leave(ctx, join.LeaveOptions{})).To(Succeed())
		Expect(apierrors.IsNotFound(env.Client.Get(ctx, name("node-a"), &v1alpha1.NodeState{}))).To(BeTrue())
		Expect(cmp.Diff(before, persistent(m.fake))).To(BeEmpty())
		Expect(m.fake.StoreNames()).To(BeEmpty())
	})

	It("is told why it may not join, and has nothing left of it", func(ctx context.Context) {
		startManager()
		offerJoining(ctx, approve.Scope{Labels: worker(), Nodes: []string{"node-b", "taken"}})
		create(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "taken", Annotations: map[string]string{v1alpha1.MachineIDAnnotation: machineOther}}})
		m := newMember()
		before := m.fake.Dump()
		Expect(m.node.Join(ctx, joinRequest("node-a"))).To(MatchError(ContainSubstring("is not for node node-a but for node-b")))
		Expect(m.node.Join(ctx, joinRequest("taken"))).To(MatchError(ContainSubstring("choose another one with --node-name")))
		wrong, err := join.Arguments{
			URL: joinRequest("node-b").Server, Token: joinToken + ".aaaaaaaaaaaaaaaa", Hashes: []string{hashOfServer()}, NodeName: "node-b",
		}.Check()
		Expect(err).NotTo(HaveOccurred())
		Expect(m.node.Join(ctx, wrong)).To(MatchError("token abcdef is wrong or has expired: make a new one on the seed with `seedbed seed token create`"))
		Expect(m.fake.Dump()).To(Equal(before))
		Expect(m.fake.StoreNames()).To(BeEmpty())
	})
})

func hashOfServer() string {
	block, _ := pem.Decode(env.Config.CAData)
	authority, err := x509.ParseCertificate(block.Bytes)
	Expect(err).NotTo(HaveOccurred())
	return join.HashOf(authority)
}
