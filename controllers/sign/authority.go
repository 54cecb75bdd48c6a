package sign

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// How long certificates are valid. The API server takes no request for less than the shortest.
const (
	Longest  = 365 * 24 * time.Hour
	Shortest = 10 * time.Minute
)

// backdate is for machines whose clock is a little behind the one that signs.
const backdate = 5 * time.Minute

// Authority is a certificate that signs others, and its key.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Load reads an authority from PEM files: its certificate first in the one, its key, of any kind that
// TLS uses, in the other.
func Load(certFile, keyFile string) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("authority %s with key %s: %w", certFile, keyFile, err)
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", certFile, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("authority %s: its key cannot sign", keyFile)
	}
	if !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, fmt.Errorf("authority %s: not an authority's certificate: give the one that kube-apiserver has as --client-ca-file", certFile)
	}
	return &Authority{cert: cert, key: key}, nil
}

// Sign issues a certificate with the request's key, subject and alternative names, and nothing else
// of it. It is valid for as long as asked, between Shortest and Longest, Longest when that is 0, and
// never longer than the authority. An authority that has expired, and a usage that is not one of the
// API's for client and server certificates, is an error.
func (a *Authority) Sign(request *x509.CertificateRequest, usages []string, validity time.Duration, now time.Time) ([]byte, error) {
	if !now.Before(a.cert.NotAfter) {
		return nil, fmt.Errorf("the authority expired at %s", a.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	template := &x509.Certificate{
		Subject:               request.Subject,
		NotBefore:             now.Add(-backdate),
		NotAfter:              a.end(validity, now),
		BasicConstraintsValid: true,
		DNSNames:              request.DNSNames,
		IPAddresses:           request.IPAddresses,
		EmailAddresses:        request.EmailAddresses,
		URIs:                  request.URIs,
	}
	for _, usage := range usages {
		if err := allow(template, usage); err != nil {
			return nil, err
		}
	}
	// The serial number is left to x509, which draws a random one.
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, request.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// end is when a certificate ends that is asked for now.
func (a *Authority) end(validity time.Duration, now time.Time) time.Time {
	switch {
	case validity == 0 || validity > Longest:
		validity = Longest
	case validity < Shortest:
		validity = Shortest
	}
	if end := now.Add(validity); end.Before(a.cert.NotAfter) {
		return end
	}
	return a.cert.NotAfter
}

var errUsage = errors.New("not a usage of client or server certificates")

func allow(template *x509.Certificate, usage string) error {
	switch usage {
	case "digital signature":
		template.KeyUsage |= x509.KeyUsageDigitalSignature
	case "key encipherment":
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	case "client auth":
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	case "server auth":
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	default:
		return fmt.Errorf("usage %q: %w", usage, errUsage)
	}
	return nil
}
