package approve

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// superusers is the group that RBAC does not limit.
const superusers = "system:masters"

// Signable returns what a signer may sign of an approved request, or says why it may not, whoever
// approved it: these are Kubernetes' own rules for its signers ("Certificates and Certificate Signing
// Requests"), and this package's for the kubelet's.
func Signable(r Request) (*x509.CertificateRequest, error) {
	csr, err := parse(r.PEM)
	if err != nil {
		return nil, fmt.Errorf("spec.request: %w", err)
	}
	switch r.Signer {
	case SignerKubeletClient, SignerKubeletServing:
		kind, node := subject(r.Signer, csr)
		if d := checkForm(r, Claim{Kind: kind, Node: node}, csr); d != nil {
			return nil, errors.New(d.Message)
		}
		return csr, nil
	case SignerClient:
		allowed := []string{usageClientAuth, usageDigitalSignature, usageKeyEncipherment}
		tooMuch := slices.ContainsFunc(r.Usages, func(u string) bool { return !slices.Contains(allowed, u) })
		switch {
		case tooMuch || !slices.Contains(r.Usages, usageClientAuth):
			return nil, fmt.Errorf("usages %s: a client certificate has %q, and at most %q and %q besides",
				clip(strings.Join(r.Usages, ", ")), usageClientAuth, usageDigitalSignature, usageKeyEncipherment)
		case slices.Contains(csr.Subject.Organization, superusers):
			return nil, fmt.Errorf("organization %s: no request may ask for it", superusers)
		}
		return csr, nil
	}
	return nil, fmt.Errorf("signer %s: not one of %s", clip(r.Signer), strings.Join(Signers(), ", "))
}
