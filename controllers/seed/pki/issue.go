package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// How long certificates live. A certificate is issued again once less than RenewBefore is left of it,
// which a seed that is restarted a few times a year never gets close to.
const (
	AuthorityValidity = 10 * 365 * 24 * time.Hour
	Validity          = 365 * 24 * time.Hour
	RenewBefore       = 120 * 24 * time.Hour
)

// backdate is for machines whose clock is a little behind the one that signs.
const backdate = 5 * time.Minute

// Usage is what a certificate may be used for.
type Usage []x509.ExtKeyUsage

// The usages a control plane has. A member of etcd is server and client to the others.
var (
	Client = Usage{x509.ExtKeyUsageClientAuth}
	Server = Usage{x509.ExtKeyUsageServerAuth}
	Peer   = Usage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
)

// Spec is what a certificate says.
type Spec struct {
	// CommonName is the user name that the API server takes from a client certificate.
	CommonName string
	// Organizations are the groups that the API server takes from a client certificate.
	Organizations []string
	Usage         Usage
	// DNSNames and IPs are the names a serving certificate is valid for.
	DNSNames []string
	IPs      []netip.Addr
}

// Pair is a certificate and its key.
type Pair struct {
	Cert    *x509.Certificate
	Key     *ecdsa.PrivateKey
	CertPEM []byte
	KeyPEM  []byte
}

// Authority is a certificate that signs others, and its key.
type Authority struct{ Pair }

// NewAuthority makes a self-signed authority that signs certificates and no further authorities.
func NewAuthority(name string, now time.Time) (Authority, error) {
	key, err := newKey()
	if err != nil {
		return Authority{}, err
	}
	return newAuthority(name, key, now)
}

func newAuthority(name string, key *ecdsa.PrivateKey, now time.Time) (Authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(AuthorityValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	pair, err := sign(template, template, key, key)
	if err != nil {
		return Authority{}, fmt.Errorf("authority %s: %w", name, err)
	}
	return Authority{Pair: pair}, nil
}

// Issue signs a certificate for a new key. It is valid for the given time, but never longer than the
// authority itself.
func (a Authority) Issue(spec Spec, now time.Time, validity time.Duration) (Pair, error) {
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	notAfter := now.Add(validity)
	if notAfter.After(a.Cert.NotAfter) {
		notAfter = a.Cert.NotAfter
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: spec.CommonName, Organization: spec.Organizations},
		NotBefore:             now.Add(-backdate),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           spec.Usage,
		BasicConstraintsValid: true,
		DNSNames:              spec.DNSNames,
		IPAddresses:           netIPs(spec.IPs),
	}
	pair, err := sign(template, a.Cert, key, a.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("certificate %s: %w", spec.CommonName, err)
	}
	return pair, nil
}

// Misfit says in a few words why a certificate has to be issued again, and "" when it has not to be.
func (a Authority) Misfit(cert *x509.Certificate, spec Spec, now time.Time) string {
	switch {
	case cert.CheckSignatureFrom(a.Cert) != nil:
		return "signed by another authority"
	case now.Before(cert.NotBefore):
		return "not valid yet"
	case now.After(cert.NotAfter):
		return "expired"
	case cert.NotAfter.Sub(now) < RenewBefore && cert.NotAfter.Before(a.Cert.NotAfter):
		return "about to expire"
	case cert.Subject.CommonName != spec.CommonName,
		!sameSet(cert.Subject.Organization, spec.Organizations):
		return "for another subject"
	case !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage(spec.Usage)):
		return "for another usage"
	case !sameSet(cert.DNSNames, spec.DNSNames), !sameSet(ipStrings(cert.IPAddresses), ipStrings(netIPs(spec.IPs))):
		return "for other names or addresses"
	}
	return ""
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

// sign leaves the serial number to x509, which draws a random one.
func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("sign: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Pair{}, fmt.Errorf("parse what was signed: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: cert, Key: key, CertPEM: encodeCert(der), KeyPEM: keyPEM}, nil
}

func netIPs(addrs []netip.Addr) []net.IP {
	var ips []net.IP
	for _, a := range addrs {
		ips = append(ips, a.AsSlice())
	}
	return ips
}

func ipStrings(ips []net.IP) []string {
	var s []string
	for _, ip := range ips {
		s = append(s, ip.String())
	}
	return s
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
