package credentials

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedv1 "k8s.io/client-go/kubernetes/typed/certificates/v1"
)

// named is a clientset whose requests for certificates say in their names whose they are: client-go
// calls all of them csr-, and whoever approves by hand would have to decode each.
type named struct {
	kubernetes.Interface
	prefix string
}

func (n named) CertificatesV1() typedv1.CertificatesV1Interface {
	return namedV1{n.Interface.CertificatesV1(), n.prefix}
}

type namedV1 struct {
	typedv1.CertificatesV1Interface
	prefix string
}

func (n namedV1) CertificateSigningRequests() typedv1.CertificateSigningRequestInterface {
	return namedRequests{n.CertificatesV1Interface.CertificateSigningRequests(), n.prefix}
}

type namedRequests struct {
	typedv1.CertificateSigningRequestInterface
	prefix string
}

func (n namedRequests) Create(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, o metav1.CreateOptions) (*certificatesv1.CertificateSigningRequest, error) {
	csr.GenerateName = n.prefix
	return n.CertificateSigningRequestInterface.Create(ctx, csr, o)
}
