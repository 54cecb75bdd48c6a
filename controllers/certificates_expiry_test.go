package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"seedbed.dev/seedbed/controllers/sign"
)

// The clock of an API server cannot be set, so this is held to a fake one.
func TestAManagerThatSignsDeletesRequestsThatHaveServed(t *testing.T) {
	made := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	old := certificatesv1.CertificateSigningRequestStatus{
		Certificate: []byte("certificate"), Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved}},
	}
	decided := func(kind certificatesv1.RequestConditionType, after time.Duration, certificate []byte) certificatesv1.CertificateSigningRequestStatus {
		return certificatesv1.CertificateSigningRequestStatus{
			Certificate: certificate,
			Conditions:  []certificatesv1.CertificateSigningRequestCondition{{Type: kind, LastUpdateTime: metav1.NewTime(made.Add(after))}},
		}
	}
	waits := certificatesv1.CertificateSigningRequestStatus{}
	for _, tc := range []struct {
		reason    string
		authority *sign.Authority
		after     time.Duration
		status    certificatesv1.CertificateSigningRequestStatus
		gone      bool
		again     time.Duration
	}{
		{"fresh", &sign.Authority{}, 20 * time.Minute, old, false, 40 * time.Minute},
		{"served", &sign.Authority{}, time.Hour, old, true, 0},
		{"approved by hand, long after it was made", &sign.Authority{}, 2 * time.Hour, decided(certificatesv1.CertificateApproved, 2*time.Hour, []byte("certificate")), false, time.Hour},
		{"approved and served", &sign.Authority{}, 3 * time.Hour, decided(certificatesv1.CertificateApproved, 2*time.Hour, []byte("certificate")), true, 0},
		{
			"signed long after it was approved", &sign.Authority{}, 5 * time.Hour,
			decided(certificatesv1.CertificateApproved, 0, certificateFrom(t, made.Add(5*time.Hour-5*time.Minute))), false, 55 * time.Minute,
		},
		{"refused just now", &sign.Authority{}, 2 * time.Hour, decided(certificatesv1.CertificateDenied, 2*time.Hour, nil), false, time.Hour},
		{"refused long ago", &sign.Authority{}, 2 * time.Hour, decided(certificatesv1.CertificateDenied, 0, nil), true, 0},
		{"undecided for most of a day", &sign.Authority{}, 23 * time.Hour, waits, false, time.Hour},
		{"undecided for a day", &sign.Authority{}, 24 * time.Hour, waits, true, 0},
		{"served, where kube-controller-manager cleans up", nil, 2 * time.Hour, old, false, 0},
		{"undecided, where kube-controller-manager cleans up", nil, 48 * time.Hour, waits, false, 0},
	} {
		scheme, err := NewScheme()
		if err != nil {
			t.Fatal(err)
		}
		csr := &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "csr-a", CreationTimestamp: metav1.NewTime(made)},
			Status:     tc.status,
		}
		c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(csr).Build()
		r := &CertificateReconciler{client: c, now: func() time.Time { return made.Add(tc.after) }, authority: tc.authority}
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "csr-a"}})
		if err != nil || result.RequeueAfter != tc.again {
			t.Errorf("%s: again after %s, %v; want %s", tc.reason, result.RequeueAfter, err, tc.again)
		}
		err = c.Get(t.Context(), client.ObjectKeyFromObject(csr), csr)
		if apierrors.IsNotFound(err) != tc.gone {
			t.Errorf("%s: %v, want gone %v", tc.reason, err, tc.gone)
		}
	}
}

// certificateFrom is one that is valid from a time on.
func certificateFrom(t *testing.T, notBefore time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notBefore.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
