package controllers

import (
	"context"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/controllers/approve"
)

// keepRequests is how long a request is kept once it is signed or refused, as
// kube-controller-manager keeps it, which is not there when this process signs.
const keepRequests = time.Hour

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

// expire deletes a request that has served.
func (r *CertificateReconciler) expire(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) (ctrl.Result, error) {
	left := csr.CreationTimestamp.Add(keepRequests).Sub(r.now())
	if left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	if err := client.IgnoreNotFound(r.client.Delete(ctx, csr)); err != nil {
		return ctrl.Result{}, fmt.Errorf("delete certificate signing request %s: %w", csr.Name, err)
	}
	return ctrl.Result{}, nil
}
