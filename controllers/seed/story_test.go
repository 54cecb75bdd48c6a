package seed_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/seed"
	"seedbed.dev/seedbed/controllers/seed/install"
)

// One seed lives through the whole story, so the order of its parts counts.
var _ = Describe("A seed", Ordered, func() {
	var (
		layout seed.Layout
		o      seed.Options
		p      *process
		admin  client.Client
	)
	BeforeAll(func() {
		layout = seed.Layout{Root: filepath.Join(GinkgoT().TempDir(), "data")}
		o = options(layout.Root)
		p = startReady(o)
		admin = as(layout.Kubeconfig("admin"))
	})
	AfterEach(func() {
		if CurrentSpecReport().Failed() {
			AddReportEntry("output of the seed", string(p.out.Contents())+string(p.err.Contents()))
		}
	})

	It("says what it does, where the kubeconfig is, what it does not run, and SB017", func() {
		out := string(p.out.Contents())
		GinkgoWriter.Println(out)
		for _, want := range []string{
			"etcd answers", "kube-apiserver answers", "3 kinds of seedbed.dev/v1alpha1 are served",
			"export KUBECONFIG=" + layout.Kubeconfig("admin"), "not run here:", "warning:         SB017",
		} {
			Expect(out).To(ContainSubstring(want))
		}
		Expect(os.ReadFile(o.ReadyFile)).To(BeEquivalentTo(layout.Kubeconfig("admin") + "\n"))
	})

	It("takes objects of our kinds at once, with their defaults and rules", func(ctx context.Context) {
		Expect(admin.Create(ctx, network("default", "172.30.0.0/16"))).To(Succeed())
		err := admin.Create(ctx, network("broken", "172.30.0.1/16"))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
	})

	It("is refused to a second seed, which names the process that has it", func() {
		second := start(o)
		Eventually(second.exited).Should(BeClosed())
		Expect(second.cmd.ProcessState.ExitCode()).To(Equal(1))
		Expect(second.err).To(gbytes.Say(`in use by another seed, process %d: stop that one`, p.cmd.Process.Pid))
	})

	It("keeps everything below its data dir to itself (SB020)", func() {
		Expect(filepath.WalkDir(layout.Root, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if want := map[bool]fs.FileMode{true: fs.ModeDir | 0o700, false: 0o600}[e.IsDir()]; info.Mode() != want {
				return fmt.Errorf("%s: mode %s, want %s", path, info.Mode(), want)
			}
			return nil
		})).To(Succeed())
	})

	Describe("its certificates", func() {
		It("let nobody into etcd but the API server", func(ctx context.Context) {
			server, err := os.ReadFile(layout.StateFile())
			Expect(err).NotTo(HaveOccurred())
			var port int
			_, err = fmt.Sscanf(after(string(server), `"etcd":`), "%d", &port)
			Expect(err).NotTo(HaveOccurred())
			url := fmt.Sprintf("https://127.0.0.1:%d/health", port)
			pki := layout.PKI()
			own := keyPair(pki.CertFile("etcd/apiserver-client"), pki.KeyFile("etcd/apiserver-client"))
			Expect(get(ctx, url, pki.CertFile("etcd/ca"), own)).To(Equal(http.StatusOK))
			strangers := map[string][]tls.Certificate{
				"nobody":                nil,
				"the admin":             fromConfig(config(layout.Kubeconfig("admin"))),
				"the API server's TLS":  keyPair(pki.CertFile("apiserver"), pki.KeyFile("apiserver")),
				"the kubelet client":    keyPair(pki.CertFile("apiserver-kubelet-client"), pki.KeyFile("apiserver-kubelet-client")),
				"the cluster authority": keyPair(pki.CertFile("ca"), pki.KeyFile("ca")),
			}
			for who, certificates := range strangers {
				_, err := get(ctx, url, pki.CertFile("etcd/ca"), certificates)
				Expect(err).To(MatchError(MatchRegexp("certificate required|bad certificate|unknown certificate authority")), who)
			}
		})

		It("are asked for by the API server, except for its health and what a node must know to join (SB021)", func(ctx context.Context) {
			host := config(layout.Kubeconfig("admin")).Host
			for path, want := range map[string]int{
				"/readyz": http.StatusOK, "/livez": http.StatusOK, "/healthz": http.StatusOK,
				"/": http.StatusUnauthorized, "/version": http.StatusUnauthorized, "/api": http.StatusUnauthorized, "/metrics": http.StatusUnauthorized,
				"/apis/seedbed.dev/v1alpha1/nodeconfigs": http.StatusUnauthorized, "/readyz/etcd": http.StatusUnauthorized,
				install.ClusterInfoPath: http.StatusOK, "/api/v1/namespaces/kube-public/configmaps": http.StatusUnauthorized,
				"/api/v1/namespaces/kube-public/configmaps/kube-root-ca.crt": http.StatusUnauthorized,
			} {
				Expect(get(ctx, host+path, layout.PKI().CertFile("ca"), nil)).To(Equal(want), path)
			}
			plain := strings.Replace(host, "https:", "http:", 1)
			Expect(get(ctx, plain+"/version", layout.PKI().CertFile("ca"), nil)).To(Equal(http.StatusBadRequest))
		})

		It("are verified by clients and in pods (SB018, SB019)", func(ctx context.Context) {
			if _, there := p.children()["kube-controller-manager"]; !there {
				Skip("these components have no kube-controller-manager (envtest's)")
			}
			ca, err := os.ReadFile(layout.PKI().CertFile("ca"))
			Expect(err).NotTo(HaveOccurred())
			inPods := &corev1.ConfigMap{}
			Eventually(func() error {
				return admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: "kube-root-ca.crt"}, inPods)
			}).Should(Succeed())
			Expect(inPods.Data["ca.crt"]).To(BeEquivalentTo(ca))

			By("signing a service account's token that the API server takes")
			account := &corev1.ServiceAccount{}
			Eventually(func() error {
				return admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: "default"}, account)
			}).Should(Succeed())
			request := &authenticationv1.TokenRequest{}
			Expect(admin.SubResource("token").Create(ctx, account, request)).To(Succeed())
			bearer := rest.AnonymousClientConfig(config(layout.Kubeconfig("admin")))
			bearer.BearerToken = request.Status.Token
			Expect(whoAmI(ctx, clientOf(bearer)).Username).To(Equal("system:serviceaccount:default:default"))
		})

		It("are in the Secret that kubelets get the authority from, without the key", func(ctx context.Context) {
			ca, err := os.ReadFile(layout.PKI().CertFile("ca"))
			Expect(err).NotTo(HaveOccurred())
			secret := &corev1.Secret{}
			Expect(admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: v1alpha1.ClusterCASecret}, secret)).To(Succeed())
			Expect(secret.Data).To(Equal(map[string][]byte{v1alpha1.ClusterCAKey: ca}))
		})
	})

	It("tells a node that joins where it is and who signed its certificate", func(ctx context.Context) {
		ca, err := os.ReadFile(layout.PKI().CertFile("ca"))
		Expect(err).NotTo(HaveOccurred())
		info := &corev1.ConfigMap{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: install.ClusterInfoNamespace, Name: install.ClusterInfoName}, info)).To(Succeed())
		kubeconfig, err := clientcmd.Load([]byte(info.Data[install.ClusterInfoKey]))
		Expect(err).NotTo(HaveOccurred())
		Expect(kubeconfig.Clusters).To(HaveLen(1))
		Expect(kubeconfig.Clusters[""].Server).To(Equal(config(layout.Kubeconfig("admin")).Host))
		Expect(kubeconfig.Clusters[""].CertificateAuthorityData).To(Equal(ca))
		Expect(kubeconfig.AuthInfos).To(BeEmpty())
	})

	Describe("a node that is added", func() {
		node := seed.NodeOptions{Name: "node-a", Labels: []string{"role=worker"}}
		var agent client.Client
		BeforeAll(func(ctx context.Context) {
			node.DataDir = layout.Root
			result, err := seed.AddNode(ctx, node)
			Expect(err).NotTo(HaveOccurred())
			Expect(result).To(Equal(seed.NodeResult{Kubeconfig: layout.NodeKubeconfig("node-a"), Registered: true, Issued: "new"}))
			agent = as(result.Kubeconfig)
		})

		It("is registered with its labels", func(ctx context.Context) {
			registration := &corev1.ConfigMap{}
			Expect(admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName("node-a")}, registration)).To(Succeed())
			Expect(v1alpha1.IsRegistration(registration)).To(BeTrue())
			Expect(registration.Data).To(Equal(map[string]string{"nodeName": "node-a", "labels": `{"role":"worker"}`}))
		})

		It("is who it is", func(ctx context.Context) {
			me := whoAmI(ctx, agent)
			Expect(me.Username).To(Equal("seedbed:node:node-a"))
			Expect(me.Groups).To(ConsistOf("seedbed:nodes", "system:authenticated"))
		})

		It("may write events, ask for certificates and nothing else until the manager gives it more", func(ctx context.Context) {
			for _, tc := range []struct {
				verb, group, resource, namespace string
				allowed                          bool
			}{
				{"create", "", "events", "default", false},
				{"create", "events.k8s.io", "events", "default", true},
				{"patch", "events.k8s.io", "events", "default", false},
				{"create", "", "events", "kube-system", false},
				{"list", "", "secrets", v1alpha1.Namespace, false},
				{"get", "", "secrets", v1alpha1.Namespace, false},
				{"get", "", "configmaps", v1alpha1.Namespace, false},
				{"update", "", "configmaps", v1alpha1.Namespace, false},
				{"list", "seedbed.dev", "nodestates", "", false},
				{"patch", "seedbed.dev", "nodestates/status", "", false},
				{"get", "apps", "controllerrevisions", v1alpha1.Namespace, false},
				{"create", "certificates.k8s.io", "certificatesigningrequests", "", true},
				{"update", "certificates.k8s.io", "certificatesigningrequests/approval", "", false},
			} {
				Expect(may(ctx, agent, tc.verb, tc.group, tc.resource, tc.namespace)).To(Equal(tc.allowed), "%+v", tc)
			}
			err := agent.List(ctx, &corev1.SecretList{}, client.InNamespace(v1alpha1.Namespace))
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		})

		It("is added again to no effect, unless with other labels", func(ctx context.Context) {
			before, err := os.ReadFile(layout.NodeKubeconfig("node-a"))
			Expect(err).NotTo(HaveOccurred())
			result, err := seed.AddNode(ctx, node)
			Expect(err).NotTo(HaveOccurred())
			Expect(result).To(Equal(seed.NodeResult{Kubeconfig: layout.NodeKubeconfig("node-a")}))
			Expect(os.ReadFile(layout.NodeKubeconfig("node-a"))).To(Equal(before))

			other := node
			other.Labels = []string{"role=master"}
			_, err = seed.AddNode(ctx, other)
			var taken *install.TakenError
			Expect(err).To(BeAssignableToTypeOf(taken))
			Expect(err).To(MatchError(ContainSubstring("node node-a: the name is taken, registered with the labels role=worker")))
		})

		It("cannot have the name of a node that joined with a token", func(ctx context.Context) {
			joined := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-j"}}
			Expect(admin.Create(ctx, joined)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(admin.Delete(ctx, joined)).To(Succeed()) })
			_, err := seed.AddNode(ctx, seed.NodeOptions{DataDir: layout.Root, Name: "node-j", Labels: []string{"role=master"}})
			Expect(err).To(MatchError(ContainSubstring("node node-j: the name is taken by a node that joined with a token")))
			registration := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName("node-j")}
			Expect(apierrors.IsNotFound(admin.Get(ctx, registration, &corev1.ConfigMap{}))).To(BeTrue())
			Expect(layout.NodeKubeconfig("node-j")).NotTo(BeAnExistingFile())
		})

		It("may have its kubeconfig elsewhere", func(ctx context.Context) {
			other := node
			other.Output = filepath.Join(GinkgoT().TempDir(), "elsewhere.kubeconfig")
			_, err := seed.AddNode(ctx, other)
			Expect(err).NotTo(HaveOccurred())
			info, err := os.Stat(other.Output)
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Mode()).To(Equal(fs.FileMode(0o600)))
			Expect(whoAmI(ctx, as(other.Output)).Username).To(Equal("seedbed:node:node-a"))
		})
	})

	Describe("its manager", func() {
		It("may do its work and not more", func(ctx context.Context) {
			manager := as(layout.Kubeconfig("manager"))
			Expect(whoAmI(ctx, manager).Username).To(Equal(v1alpha1.ManagerUser))
			for _, tc := range []struct {
				verb, group, resource, namespace string
				allowed                          bool
			}{
				{"create", "seedbed.dev", "nodestates", "", true},
				{"watch", "seedbed.dev", "nodeconfigs", "", true},
				{"patch", "seedbed.dev", "nodeconfigs/status", "", true},
				{"patch", "seedbed.dev", "nodeconfigs", "", false},
				{"watch", "", "configmaps", v1alpha1.Namespace, true},
				{"create", "", "configmaps", v1alpha1.Namespace, false},
				{"watch", "", "secrets", v1alpha1.Namespace, true},
				{"update", "", "secrets", v1alpha1.Namespace, false},
				{"get", "", "secrets", "kube-system", false},
				{"create", "apps", "controllerrevisions", v1alpha1.Namespace, true},
				{"update", "coordination.k8s.io", "leases", v1alpha1.Namespace, true},
				{"create", "", "pods", "default", false},
				{"update", "certificates.k8s.io", "certificatesigningrequests/approval", "", true},
				{"create", "certificates.k8s.io", "certificatesigningrequests", "", false},
			} {
				Expect(may(ctx, manager, tc.verb, tc.group, tc.resource, tc.namespace)).To(Equal(tc.allowed), "%+v", tc)
			}
		})

		It("may give an agent its own objects but nobody what it has not itself", func(ctx context.Context) {
			manager := as(layout.Kubeconfig("manager"))
			own := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "seedbed-node-a"}, Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"seedbed.dev"}, Resources: []string{"nodestates"}, ResourceNames: []string{"node-a"}, Verbs: []string{"get", "list", "watch"}},
				{APIGroups: []string{"seedbed.dev"}, Resources: []string{"nodestates/status"}, ResourceNames: []string{"node-a"}, Verbs: []string{"get", "update", "patch"}},
			}}
			Expect(manager.Create(ctx, own)).To(Succeed())
			Expect(manager.Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "seedbed-node-a", Namespace: v1alpha1.Namespace}, Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"cluster-ca"}, Verbs: []string{"get"}},
				{APIGroups: []string{"apps"}, Resources: []string{"controllerrevisions"}, ResourceNames: []string{"workers-1"}, Verbs: []string{"get"}},
			}})).To(Succeed())
			err := manager.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "everything"}, Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}},
			}})
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
			err = manager.Create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "everything"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: v1alpha1.ManagerUser}},
			})
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		})
	})

	It("starts each component again that dies", func(ctx context.Context) {
		before := p.children()
		Expect(keys(before)).To(ContainElements("etcd", "kube-apiserver"))
		for name, pid := range before {
			Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
			Eventually(p.exitedOr(p.out), soon).Should(gbytes.Say(name+` ended by itself \(signal: killed\); starting it again in 500ms`), name)
			Eventually(p.exitedOr(p.out), soon).Should(gbytes.Say(name+` answers again`), name)
		}
		after := p.children()
		Expect(keys(after)).To(Equal(keys(before)))
		for name, pid := range after {
			Expect(pid).NotTo(Equal(before[name]), name)
		}
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Name: "default"}, &v1alpha1.NetworkConfig{})
		}).Should(Succeed())
	})

	It("stops cleanly and leaves no process", func() {
		p.stop()
		Expect(p.out).To(gbytes.Say(`stopped\n`))
		Expect(string(p.out.Contents())).NotTo(ContainSubstring("was killed"))
		Expect(o.ReadyFile).NotTo(BeAnExistingFile())
	})

	It("keeps objects, addresses and identities over a restart", func(ctx context.Context) {
		kept := []string{layout.Kubeconfig("admin"), layout.Kubeconfig("manager"), layout.NodeKubeconfig("node-a"), layout.PKI().KeyFile("apiserver"), layout.StateFile()}
		before := contents(kept)
		p = startReady(o)
		Expect(contents(kept)).To(Equal(before))
		Expect(admin.Get(ctx, client.ObjectKey{Name: "default"}, &v1alpha1.NetworkConfig{})).To(Succeed())
		Expect(whoAmI(ctx, as(layout.NodeKubeconfig("node-a"))).Username).To(Equal("seedbed:node:node-a"))
		Expect(p.out.Contents()).To(ContainSubstring("certificates: 13 kept"))
	})

	It("is killed, takes its components with it, and starts again with what was there", func(ctx context.Context) {
		Expect(admin.Create(ctx, network("late", "172.29.0.0/16"))).To(Succeed())
		// As a data dir of a seedbed that did not have these yet.
		ours := []client.Object{
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "seedbed-manager"}},
			&admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "seedbed-events"}},
			&admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "seedbed-events"}},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: install.ClusterInfoNamespace, Name: install.ClusterInfoName}},
		}
		for _, o := range ours {
			Expect(admin.Delete(ctx, o)).To(Succeed())
		}
		children := p.children()
		p.signal(syscall.SIGKILL)
		Eventually(p.exited).Should(BeClosed())
		for name, pid := range children {
			Eventually(func() bool { return running(pid) }).Should(BeFalse(), name)
		}
		p = startReady(o)
		Expect(admin.Get(ctx, client.ObjectKey{Name: "late"}, &v1alpha1.NetworkConfig{})).To(Succeed())

		By("putting right what somebody deleted of ours")
		for _, o := range ours {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
		}
		p.stop()
	})

	It("refuses another service range for the cluster it has", func() {
		other := o
		other.ServiceRange = "10.96.0.0/12"
		Expect(fails(other)).To(ContainSubstring("start with --service-cluster-ip-range 10.254.0.0/16"))
	})

	It("says which port is in use, and does not start", func() {
		other := o
		other.SecurePort = listen()
		Expect(fails(other)).To(Equal(fmt.Sprintf(
			"kube-apiserver cannot listen on 127.0.0.1:%d: the port is in use: stop what listens there, or choose another port with --secure-port\n", other.SecurePort)))
	})

	It("ends when told to before it is ready", func() {
		other := options(filepath.Join(GinkgoT().TempDir(), "other"))
		q := start(other)
		Eventually(q.exitedOr(q.out)).Should(gbytes.Say("etcd answers"))
		children := q.children()
		q.signal(syscall.SIGINT)
		Eventually(q.exited, soon).Should(BeClosed())
		Expect(q.cmd.ProcessState.ExitCode()).To(Equal(0), "%s", q.err.Contents())
		for name, pid := range children {
			Expect(running(pid)).To(BeFalse(), name)
		}
		Expect(other.ReadyFile).NotTo(BeAnExistingFile())
	})

	It("says why a component ended, in one line", func() {
		other := options(filepath.Join(GinkgoT().TempDir(), "other"))
		Expect(os.MkdirAll(filepath.Join(other.DataDir, "etcd", "member", "snap"), 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(other.DataDir, "VERSION"), []byte("1\n"), 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(other.DataDir, "etcd", "member", "snap", "db"), []byte("not a database"), 0o600)).To(Succeed())
		message := fails(other)
		Expect(message).To(HavePrefix("etcd ended before it answered ("))
		Expect(message).To(ContainSubstring(filepath.Join(other.DataDir, "logs", "etcd.log")))
		Expect(strings.Count(message, "\n")).To(Equal(1), message)
	})
})

// fails runs a seed that is not to start, and returns what it says.
func fails(o seed.Options) string {
	GinkgoHelper()
	p := start(o)
	Eventually(p.exited, soon).Should(BeClosed())
	Expect(p.cmd.ProcessState.ExitCode()).To(Equal(1), "%s", p.out.Contents())
	Expect(p.children()).To(BeEmpty())
	return string(p.err.Contents())
}

func network(name, podCIDR string) *v1alpha1.NetworkConfig {
	return &v1alpha1.NetworkConfig{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.NetworkConfigSpec{
			PodCIDR: podCIDR, ServiceCIDR: "10.254.0.0/16",
			Interface: v1alpha1.InterfaceSelector{Name: new("eth4")},
		},
	}
}

func whoAmI(ctx context.Context, c client.Client) authenticationv1.UserInfo {
	GinkgoHelper()
	review := &authenticationv1.SelfSubjectReview{}
	Expect(c.Create(ctx, review)).To(Succeed())
	return review.Status.UserInfo
}

func may(ctx context.Context, c client.Client, verb, group, resource, namespace string) bool {
	GinkgoHelper()
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: namespace,
		},
	}}
	Expect(c.Create(ctx, review)).To(Succeed())
	return review.Status.Allowed
}

// get asks a URL, as the holder of the certificates, and returns the status.
func get(ctx context.Context, url, caFile string, certificates []tls.Certificate) (int, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return 0, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			RootCAs: pool, MinVersion: tls.VersionTLS12,
			// Presented whatever the server asks for, as an intruder would.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(certificates) == 0 {
					return &tls.Certificate{}, nil
				}
				return &certificates[0], nil
			},
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func keyPair(certFile, keyFile string) []tls.Certificate {
	GinkgoHelper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	Expect(err).NotTo(HaveOccurred())
	return []tls.Certificate{pair}
}

func fromConfig(c *rest.Config) []tls.Certificate {
	GinkgoHelper()
	pair, err := tls.X509KeyPair(c.CertData, c.KeyData)
	Expect(err).NotTo(HaveOccurred())
	return []tls.Certificate{pair}
}

func contents(paths []string) map[string]string {
	GinkgoHelper()
	m := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		m[path] = string(content)
	}
	return m
}

func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}
