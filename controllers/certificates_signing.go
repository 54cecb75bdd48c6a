package controllers

import (
	"context"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/controllers/approve"
)

// How long requests are kept once they are signed or refused, and while nobody decides them, as
// kube-controller-manager keeps them, which is not there when this process signs.
const (
	keepRequests  = time.Hour
	keepUndecided = 24 * time.Hour
)

// toBeSigned is true for a request that was approved and has got nothing yet.
func toBeSigned(csr *certificatesv1.CertificateSigningRequest) bool {
	return has(csr, certificatesv1.CertificateApproved) && !has(csr, certificatesv1.CertificateDenied) &&
		!has(csr, certificatesv1.CertificateFailed) && len(csr.Status.Certificate) == 0
}

// sign issues the certificate of an approved request, whoever approved it. One that the signer's rules
// do not allow fails for good.
func (r *CertificateReconciler) sign(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
	signed := csr.DeepCopy()
	certificate, err := r.issue(csr)
	if err != nil {
		signed.Status.Conditions = append(signed.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure",
			Message: err.Error(), LastUpdateTime: metav1.NewTime(r.now()),
		})
	} else {
		signed.Status.Certificate = certificate
	}
	if err := r.client.Status().Update(ctx, signed); err != nil {
		return fmt.Errorf("write the certificate of certificate signing request %s: %w", csr.Name, err)
	}
	if err != nil {
		publish(r.events, certificateFailed(csr, err))
	}
	return nil
}

func (r *CertificateReconciler) issue(csr *certificatesv1.CertificateSigningRequest) ([]byte, error) {
	request := requestOf(csr)
	checked, err := approve.Signable(request)
	if err != nil {
		return nil, err
	}
	var validity time.Duration
	if seconds := csr.Spec.ExpirationSeconds; seconds != nil {
		validity = time.Duration(*seconds) * time.Second
	}
	return r.authority.Sign(checked, request.Usages, validity, r.now())
}

// endOf is when a request is deleted. One that waited for long before it was decided or signed stays
// for its requester to see that.
func endOf(csr *certificatesv1.CertificateSigningRequest) time.Time {
	if undecided(csr) {
		return csr.CreationTimestamp.Add(keepUndecided)
	}
	last := csr.CreationTimestamp.Time
	later := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	for i := range csr.Status.Conditions {
		later(csr.Status.Conditions[i].LastUpdateTime.Time)
	}
	// Another signer's may be anything; then the conditions say enough.
	if certs, err := cert.ParseCertsPEM(csr.Status.Certificate); err == nil {
		later(certs[0].NotBefore)
	}
	return last.Add(keepRequests)
}

func (r *CertificateReconciler) discard(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
	if err := client.IgnoreNotFound(r.client.Delete(ctx, csr, as(csr))); err != nil {
		return fmt.Errorf("delete certificate signing request %s: %w", csr.Name, err)
	}
	return nil
}
