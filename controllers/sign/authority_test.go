package sign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/sign"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// authority writes an authority's files, as change wants it, and returns their paths and the
// certificate.
func authority(t *testing.T, key crypto.Signer, change func(*x509.Certificate)) (certFile, keyFile string, cert *x509.Certificate) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(10 * 365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, cert
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(t *testing.T) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "system:node:node-a", Organization: []string{"system:nodes"}},
		DNSNames: []string{"node-a"}, IPAddresses: []net.IP{net.ParseIP("10.64.3.8").To4()},
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Value: []byte{0x30, 3, 1, 1, 0xff}}},
	}, ecKey(t))
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestACertificateSaysWhatWasAskedAndNoMore(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for reason, key := range map[string]crypto.Signer{"an elliptic key": ecKey(t), "an RSA key": rsaKey} {
		certFile, keyFile, ca := authority(t, key, nil)
		a, err := sign.Load(certFile, keyFile)
		if err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		csr := request(t)
		content, err := a.Sign(csr, []string{"digital signature", "key encipherment", "server auth"}, time.Hour, now)
		if err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		block, _ := pem.Decode(content)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(ca)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, DNSName: "node-a", KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
		if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment || len(cert.ExtKeyUsage) != 1 {
			t.Errorf("%s: authority %v, usages %v %v", reason, cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage)
		}
		if diff := cmp.Diff(csr.Subject.String()+csr.DNSNames[0]+csr.IPAddresses[0].String(), cert.Subject.String()+cert.DNSNames[0]+cert.IPAddresses[0].String()); diff != "" {
			t.Errorf("%s:\n%s", reason, diff)
		}
		if !cert.PublicKey.(*ecdsa.PublicKey).Equal(csr.PublicKey) {
			t.Errorf("%s: another key", reason)
		}
	}
}

func TestACertificateIsValidAsLongAsAskedWithinBounds(t *testing.T) {
	certFile, keyFile, _ := authority(t, ecKey(t), nil)
	longLived, err := sign.Load(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, _ = authority(t, ecKey(t), func(c *x509.Certificate) { c.NotAfter = now.Add(48 * time.Hour) })
	old, err := sign.Load(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		reason      string
		by          *sign.Authority
		asked, want time.Duration
	}{
		{"not said", longLived, 0, sign.Longest},
		{"as asked", longLived, 24 * time.Hour, 24 * time.Hour},
		{"too long", longLived, 2 * sign.Longest, sign.Longest},
		{"too short", longLived, time.Second, sign.Shortest},
		{"longer than the authority", old, 24 * 30 * time.Hour, 48 * time.Hour},
	} {
		content, err := tc.by.Sign(request(t), []string{"client auth"}, tc.asked, now)
		if err != nil {
			t.Fatalf("%s: %v", tc.reason, err)
		}
		block, _ := pem.Decode(content)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if got := cert.NotAfter.Sub(now); got != tc.want || !cert.NotBefore.Before(now) {
			t.Errorf("%s: valid for %s from %s, want %s", tc.reason, got, cert.NotBefore, tc.want)
		}
	}
	if _, err := old.Sign(request(t), []string{"client auth"}, 0, now.Add(49*time.Hour)); err == nil || !strings.Contains(err.Error(), "the authority expired at 2026-05-03T12:00:00Z") {
		t.Errorf("an expired authority: %v", err)
	}
	if _, err := longLived.Sign(request(t), []string{"cert sign"}, 0, now); err == nil {
		t.Error("signed for an authority's usage")
	}
}

func TestWhatIsNoAuthorityIsRefusedByName(t *testing.T) {
	good, goodKey, _ := authority(t, ecKey(t), nil)
	leaf, leafKey, _ := authority(t, ecKey(t), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	for _, tc := range []struct{ reason, cert, key, want string }{
		{"no certificate", "/nowhere/ca.crt", goodKey, "/nowhere/ca.crt"},
		{"no key", good, "/nowhere/ca.key", "/nowhere/ca.key"},
		{"the key of another", good, leafKey, "private key does not match"},
		{"no authority", leaf, leafKey, "not an authority's certificate"},
	} {
		if _, err := sign.Load(tc.cert, tc.key); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.reason, err, tc.want)
		}
	}
}
