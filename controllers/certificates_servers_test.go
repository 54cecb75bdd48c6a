package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
)

// A real API server puts its endpoints back, so that they are missing is held to a fake one.
func TestAKubeletsServerWaitsUntilItIsKnownWhereTheAPIServerIs(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	node := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}, Spec: v1alpha1.NodeStateSpec{Addresses: []string{"10.64.3.0/26"}}}
	csr := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "csr-a"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: approve.SignerKubeletServing, Username: v1alpha1.KubeletUser("node-a"), Groups: []string{v1alpha1.KubeletsGroup},
			Usages:  []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
			Request: servingPEM(t, "node-a", "10.64.3.7"),
		},
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(node, csr).Build()
	said := events.NewFakeRecorder(1)
	r := &CertificateReconciler{client: c, live: c, events: said, now: time.Now}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "csr-a"}})
	if err != nil || result.RequeueAfter != serverPause {
		t.Errorf("again after %s, %v; want %s", result.RequeueAfter, err, serverPause)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(csr), csr); err != nil || len(csr.Status.Conditions) > 0 {
		t.Errorf("decided: %v, %v", csr.Status.Conditions, err)
	}
	if event := <-said.Events; !strings.Contains(event, "APIServerUnknown") || !strings.Contains(event, "the endpoints of Service default/kubernetes") {
		t.Errorf("event %q does not say what it waits for", event)
	}
}

func servingPEM(t *testing.T, node, ip string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: v1alpha1.KubeletUser(node), Organization: []string{v1alpha1.KubeletsGroup}},
		IPAddresses: []net.IP{net.ParseIP(ip)},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
