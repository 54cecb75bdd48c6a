package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/hack/lab"
)

// identities tests what the certificates on a node open.
func identities() {
	const agentPEM = "/var/lib/seedbed/pki/agent-client-current.pem"
	BeforeEach(func() { only(scopeShort) })

	It("keeps node A's certificate from writing NodeState B", func(ctx context.Context) {
		as := made.as(ctx, "node-a", agentPEM)
		for node, allowed := range map[string]bool{"node-a": true, "node-b": false} {
			state := made.state(ctx, node)
			change := client.MergeFrom(state.DeepCopy())
			state.Status.ObservedGeneration++
			err := as.Status().Patch(ctx, state, change, client.DryRunAll)
			if allowed {
				Expect(err).NotTo(HaveOccurred())
			} else {
				Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
			}
		}
	})

	It("keeps node A's certificate from Secrets that are not assigned to it", func(ctx context.Context) {
		secret := &corev1.Secret{}
		secret.Namespace, secret.Name = v1alpha1.Namespace, "not-for-nodes"
		secret.StringData = map[string]string{"key": "value"}
		Expect(made.api.Create(ctx, secret)).To(Succeed())
		as := made.as(ctx, "node-a", agentPEM)
		err := as.Get(ctx, client.ObjectKeyFromObject(secret), &corev1.Secret{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(apierrors.IsForbidden(as.List(ctx, &corev1.SecretList{}))).To(BeTrue())
		Expect(as.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: "cluster-ca"}, &corev1.Secret{})).To(Succeed())
	})

	It("keeps flannel's certificate from what the API server has in etcd", func(ctx context.Context) {
		needsEtcd()
		etcd := made.etcd(ctx)
		found, err := etcd.Get(ctx, flannelPrefix+"/config")
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Kvs).To(HaveLen(1))
		for _, key := range []string{"/registry/secrets/kube-system/x", "/registry/", "/", "\x00"} {
			_, err = etcd.Get(ctx, key, clientv3.WithFromKey())
			Expect(err).To(MatchError(ContainSubstring("permission denied")), "key %q", key)
		}
		_, err = etcd.Put(ctx, "/registry/seedbed-test", "x")
		Expect(err).To(MatchError(ContainSubstring("permission denied")))
	})

	It("leaves no bootstrap token on a node, and keys to root alone", func(ctx context.Context) {
		for _, h := range hosts(ctx) {
			_, err := on.Exec(ctx, h.Name, "grep", "-rlE", `\b[a-z0-9]{6}\.[a-z0-9]{16}\b`, "/etc", "/var/lib/seedbed", "/var/lib/kubelet/pki")
			Expect(err).To(HaveOccurred(), "a token is on %s", h.Name)
			for _, folder := range []string{"/var/lib/seedbed/pki", "/var/lib/kubelet/pki"} {
				Expect(host(ctx, h.Name, "find", folder, "-type", "f", "-perm", "/077", "-name", "*.pem")).To(BeEmpty())
			}
		}
	})

	It("does nothing when a joined host joins again, and refuses another name", func(ctx context.Context) {
		arguments := append([]string{"/root/seedbed"}, made.joinArguments(ctx)...)
		invocation := unit(ctx, "node-a", "seedbed-agent", "InvocationID")
		out, err := on.Exec(ctx, "node-a", arguments...)
		Expect(err).NotTo(HaveOccurred())
		GinkgoWriter.Print(out)
		_, err = on.Exec(ctx, "node-a", append(arguments, "--node-name", "node-z")...)
		Expect(err).To(MatchError(ContainSubstring("leave")))
		Expect(unit(ctx, "node-a", "seedbed-agent", "InvocationID")).To(Equal(invocation))
	})
}

// as is a client with a certificate of a host.
func (c *cluster) as(ctx context.Context, node, pem string) client.Client {
	GinkgoHelper()
	content := []byte(host(ctx, node, "cat", pem))
	config := rest.AnonymousClientConfig(c.config)
	config.Dial = on.DialContext
	config.CertData, config.KeyData = content, content
	api, err := client.New(config, client.Options{Scheme: c.api.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return api
}

// flannelPEM are the certificate, key and authority that flanneld reads on a node.
func (c *cluster) flannelPEM(ctx context.Context) (cert, key, ca []byte) {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(c.api.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: "flannel-etcd"}, secret)).To(Succeed())
	return secret.Data["tls.crt"], secret.Data["tls.key"], secret.Data["ca.crt"]
}

// etcd is a client of the seed's etcd, with the certificate that nodes have for it.
func (c *cluster) etcd(ctx context.Context) *clientv3.Client {
	GinkgoHelper()
	cert, key, ca := c.flannelPEM(ctx)
	pair, err := tls.X509KeyPair(cert, key)
	Expect(err).NotTo(HaveOccurred())
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(ca)).To(BeTrue())
	etcd, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + lab.SeedAddress + ":2379"}, DialTimeout: 10 * time.Second,
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return on.DialContext(ctx, "tcp", address)
		})},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { _ = etcd.Close() })
	return etcd
}

func raw(text string) *runtime.RawExtension {
	GinkgoHelper()
	Expect(json.Valid([]byte(text))).To(BeTrue())
	return &runtime.RawExtension{Raw: bytes.Clone([]byte(text))}
}
