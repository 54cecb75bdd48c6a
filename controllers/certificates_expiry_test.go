package controllers

import (
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
	issued := []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved}}
	for _, tc := range []struct {
		reason     string
		authority  *sign.Authority
		after      time.Duration
		conditions []certificatesv1.CertificateSigningRequestCondition
		gone       bool
		again      time.Duration
	}{
		{"fresh", &sign.Authority{}, 20 * time.Minute, issued, false, 40 * time.Minute},
		{"served", &sign.Authority{}, time.Hour, issued, true, 0},
		{"refused long ago", &sign.Authority{}, 2 * time.Hour, []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied}}, true, 0},
		{"served, where kube-controller-manager cleans up", nil, 2 * time.Hour, issued, false, 0},
	} {
		scheme, err := NewScheme()
		if err != nil {
			t.Fatal(err)
		}
		csr := &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "csr-a", CreationTimestamp: metav1.NewTime(made)},
			Status:     certificatesv1.CertificateSigningRequestStatus{Certificate: []byte("certificate"), Conditions: tc.conditions},
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
