package join

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// cause is the error below the one that only repeats the URL.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// explainTLS says what is wrong with a server's certificate; nil when that was not what failed.
func explainTLS(server string, err error) *Problem {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return because(e, "use a name or an address that is in the certificate", "the certificate of %s is for others", server)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return because(e, "somebody may stand between this host and the seed", "the certificate of %s is not signed by the authority with the given hash", server)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return because(e, "check this host's clock (timedatectl) and the seed's certificate", "the certificate of %s is not valid", server)
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return because(e, "check the seed's certificate", "the certificate of %s is not valid", server)
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return because(err, "give the URL of the API server's secure port; example: https://10.64.3.7:6443", "%s does not speak TLS", server)
	}
	return nil
}

// refusedToken explains the answers to the first request that has the token in it.
func refusedToken(server, id string, err error) error {
	const cure = "make a new one on the seed with `seedbed seed token create`"
	switch {
	case apierrors.IsUnauthorized(err):
		return &Problem{What: "token " + id + " is wrong or has expired", Cure: cure, Err: err}
	case apierrors.IsForbidden(err):
		return because(err, cure, "token %s may not be used to join", id)
	}
	return because(cause(err), "is the seed up? Run join again when it is", "asking %s for a certificate", server)
}
