package seed_test

import (
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/join"
	"seedbed.dev/seedbed/controllers/seed"
	"seedbed.dev/seedbed/controllers/seed/install"
	"seedbed.dev/seedbed/controllers/seed/pki"
)

// What docs/how-to/run-a-seed.md says to do.
var _ = Describe("A seed without its authority's certificate and key", func() {
	It("makes another one, which its own identities have at once and no other has", func(ctx context.Context) {
		layout := seed.Layout{Root: filepath.Join(GinkgoT().TempDir(), "data")}
		o := options(layout.Root)
		p := startReady(o)
		Expect(as(layout.Kubeconfig("admin")).Create(ctx, network("default", "172.30.0.0/16"))).To(Succeed())
		stolen, server := config(layout.Kubeconfig("admin")), config(layout.Kubeconfig("admin")).Host
		p.stop()
		Expect(os.Remove(layout.PKI().CertFile("ca"))).To(Succeed())
		Expect(os.Remove(layout.PKI().KeyFile("ca"))).To(Succeed())
		p = startReady(o)
		DeferCleanup(p.stop)

		admin := as(layout.Kubeconfig("admin"))
		Expect(admin.Get(ctx, client.ObjectKey{Name: "default"}, &v1alpha1.NetworkConfig{})).To(Succeed())
		Expect(config(layout.Kubeconfig("admin")).Host).To(Equal(server))
		Expect(whoAmI(ctx, as(layout.Kubeconfig("manager"))).Username).To(Equal(v1alpha1.ManagerUser))
		ca, err := os.ReadFile(layout.PKI().CertFile("ca"))
		Expect(err).NotTo(HaveOccurred())
		Expect(ca).NotTo(Equal(stolen.CAData))

		By("letting nobody in whom the old one has signed")
		knowing := rest.CopyConfig(stolen)
		knowing.CAData = ca
		Expect(apierrors.IsUnauthorized(clientOf(knowing).Get(ctx, client.ObjectKey{Name: "default"}, &v1alpha1.NetworkConfig{}))).To(BeTrue())

		By("telling nodes, by whatever way they ask")
		var secret corev1.Secret
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: v1alpha1.ClusterCASecret}, &secret)).To(Succeed())
		Expect(secret.Data).To(HaveKeyWithValue(v1alpha1.ClusterCAKey, ca))
		var info corev1.ConfigMap
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: install.ClusterInfoNamespace, Name: install.ClusterInfoName}, &info)).To(Succeed())
		kubeconfig, err := clientcmd.Load([]byte(info.Data[install.ClusterInfoKey]))
		Expect(err).NotTo(HaveOccurred())
		Expect(kubeconfig.Clusters[""].CertificateAuthorityData).To(Equal(ca))
		cert, err := pki.ParseCert(ca)
		Expect(err).NotTo(HaveOccurred())
		token, err := seed.CreateToken(ctx, seed.TokenOptions{Access: seed.Access{DataDir: layout.Root}, Nodes: []string{"node-a"}, TTL: time.Hour}, time.Now())
		Expect(err).NotTo(HaveOccurred())
		Expect(token.Join).To(ContainSubstring(join.HashOf(cert)))
	})
})
