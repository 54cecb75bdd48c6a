package pki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func mustAuthority(t *testing.T, name string) Authority {
	t.Helper()
	a, err := NewAuthority(name, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serverSpec() Spec {
	return Spec{
		CommonName: "kube-apiserver", Usage: Server,
		DNSNames: []string{"localhost", "kubernetes"},
		IPs:      []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("10.254.0.1")},
	}
}

func TestAServingCertificateVerifiesForItsNamesAndNoOthers(t *testing.T) {
	a := mustAuthority(t, "ca")
	pair, err := a.Issue(serverSpec(), now, Validity)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	for name, want := range map[string]bool{
		"localhost": true, "kubernetes": true, "127.0.0.1": true, "::1": true, "10.254.0.1": true,
		"10.254.0.2": false, "example.com": false,
	} {
		_, err := pair.Cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now})
		if got := err == nil; got != want {
			t.Errorf("verifies for %s: got %v, want %v (%v)", name, got, want, err)
		}
	}
	_, err = pair.Cert.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: Client})
	if err == nil {
		t.Error("a serving certificate verifies as a client's")
	}
}

func TestAnAuthorityCannotSignAnotherAuthority(t *testing.T) {
	a := mustAuthority(t, "ca")
	if !a.Cert.MaxPathLenZero || a.Cert.MaxPathLen != 0 || !a.Cert.IsCA {
		t.Errorf("authority: IsCA %v, MaxPathLen %d, MaxPathLenZero %v", a.Cert.IsCA, a.Cert.MaxPathLen, a.Cert.MaxPathLenZero)
	}
}

func TestNoCertificateOutlivesItsAuthority(t *testing.T) {
	a := mustAuthority(t, "ca")
	late := a.Cert.NotAfter.Add(-time.Hour)
	pair, err := a.Issue(serverSpec(), late, Validity)
	if err != nil {
		t.Fatal(err)
	}
	if !pair.Cert.NotAfter.Equal(a.Cert.NotAfter) {
		t.Errorf("certificate ends %s, its authority %s", pair.Cert.NotAfter, a.Cert.NotAfter)
	}
	if why := a.Misfit(pair.Cert, serverSpec(), late); why != "" {
		t.Errorf("a certificate that cannot live longer would be issued at every start: %s", why)
	}
}

func TestMisfitSaysWhyACertificateIsIssuedAgain(t *testing.T) {
	a, other := mustAuthority(t, "ca"), mustAuthority(t, "ca")
	spec := serverSpec()
	pair, err := a.Issue(spec, now, Validity)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*Spec)) Spec {
		s := serverSpec()
		change(&s)
		return s
	}
	for _, tc := range []struct {
		reason    string
		authority Authority
		spec      Spec
		at        time.Time
		want      string
	}{
		{"nothing changed", a, spec, now, ""},
		{"order of names is no change", a, changed(func(s *Spec) { s.DNSNames = []string{"kubernetes", "localhost"} }), now, ""},
		{"a day before the margin", a, spec, pair.Cert.NotAfter.Add(-RenewBefore - 24*time.Hour), ""},
		{"inside the margin", a, spec, pair.Cert.NotAfter.Add(-RenewBefore + time.Hour), "about to expire"},
		{"after its end", a, spec, pair.Cert.NotAfter.Add(time.Hour), "expired"},
		{"clock set back", a, spec, now.Add(-24 * time.Hour), "not valid yet"},
		{"authority of the same name, other key", other, spec, now, "signed by another authority"},
		{"another user", a, changed(func(s *Spec) { s.CommonName = "x" }), now, "for another subject"},
		{"another group", a, changed(func(s *Spec) { s.Organizations = []string{"x"} }), now, "for another subject"},
		{"client instead of server", a, changed(func(s *Spec) { s.Usage = Client }), now, "for another usage"},
		{"a name more", a, changed(func(s *Spec) { s.DNSNames = append(s.DNSNames, "x") }), now, "for other names or addresses"},
		{"an address less", a, changed(func(s *Spec) { s.IPs = s.IPs[1:] }), now, "for other names or addresses"},
	} {
		if got := tc.authority.Misfit(pair.Cert, tc.spec, tc.at); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
		}
	}
}

func TestStoreKeepsWhatFitsAndIssuesWhatDoesNot(t *testing.T) {
	store := Store{Dir: filepath.Join(t.TempDir(), "pki")}
	a, made, err := store.EnsureAuthority("etcd/ca", "etcd-ca", now)
	if err != nil || !made {
		t.Fatalf("first: made %v, err %v", made, err)
	}
	again, made, err := store.EnsureAuthority("etcd/ca", "etcd-ca", now)
	if err != nil || made || !again.Cert.Equal(a.Cert) {
		t.Fatalf("second: made %v, err %v", made, err)
	}
	steps := []struct {
		reason string
		before func()
		at     time.Time
		want   string
	}{
		{"nothing there", nil, now, "new"},
		{"kept", nil, now, ""},
		{"near its end", nil, now.Add(Validity - RenewBefore + time.Hour), "about to expire"},
		{"kept until that one's end is near", nil, now.Add(Validity - RenewBefore + time.Hour), ""},
		{"certificate cut short by a power cut", func() { truncate(t, store.CertFile("etcd/server")) }, now.Add(Validity), "damaged"},
		{"key of another", func() { replaceKey(t, store.KeyFile("etcd/server")) }, now.Add(Validity), "damaged"},
		{"key gone", func() { remove(t, store.KeyFile("etcd/server")) }, now.Add(Validity), "new"},
	}
	for _, s := range steps {
		if s.before != nil {
			s.before()
		}
		_, got, err := store.EnsurePair("etcd/server", a, serverSpec(), s.at)
		if err != nil || got != s.want {
			t.Errorf("%s: got %q (%v), want %q", s.reason, got, err, s.want)
		}
	}
	checkModes(t, store.Dir)
}

func TestAnAuthorityIsNeverReplaced(t *testing.T) {
	for _, tc := range []struct {
		reason string
		damage func(s Store)
		at     time.Time
		want   string
	}{
		{"key gone", func(s Store) { remove(t, s.KeyFile("ca")) }, now, "ca.key"},
		{"certificate damaged", func(s Store) { truncate(t, s.CertFile("ca")) }, now, "not a PEM certificate"},
		{"key of another", func(s Store) { replaceKey(t, s.KeyFile("ca")) }, now, "do not belong together"},
		{"expired", func(Store) {}, now.Add(AuthorityValidity + time.Hour), "expired on 2036-"},
	} {
		store := Store{Dir: t.TempDir()}
		if _, _, err := store.EnsureAuthority("ca", "ca", now); err != nil {
			t.Fatal(err)
		}
		tc.damage(store)
		_, _, err := store.EnsureAuthority("ca", "ca", tc.at)
		var authorityErr *AuthorityError
		if !errors.As(err, &authorityErr) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "restore it from a backup") {
			t.Errorf("%s: got %v", tc.reason, err)
		}
	}
}

func TestACertificateLostFromAnAuthorityIsMadeAgainFromItsKey(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	a, _, err := store.EnsureAuthority("ca", "ca", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.Issue(serverSpec(), now, Validity)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, store.CertFile("ca"))
	again, made, err := store.EnsureAuthority("ca", "ca", now)
	if err != nil || !made {
		t.Fatalf("made %v, err %v", made, err)
	}
	if err := pair.Cert.CheckSignatureFrom(again.Cert); err != nil {
		t.Errorf("what the authority signed before is worthless: %v", err)
	}
}

// SB018: signer and verifier of service account tokens are one key pair.
func TestSB018ThePublicKeyAlwaysBelongsToThePrivateKey(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	for _, tc := range []struct {
		reason string
		before func()
		made   bool
	}{
		{"first start", func() {}, true},
		{"second start", func() {}, false},
		{"public key replaced", func() { truncate(t, store.PublicKeyFile("sa")) }, false},
		{"private key replaced", func() { replaceKey(t, store.KeyFile("sa")) }, false},
		{"public key gone", func() { remove(t, store.PublicKeyFile("sa")) }, false},
	} {
		tc.before()
		made, err := store.EnsureKeyPair("sa")
		if err != nil || made != tc.made {
			t.Fatalf("%s: made %v, want %v, err %v", tc.reason, made, tc.made, err)
		}
		key, err := parseKey(read(t, store.KeyFile("sa")))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(read(t, store.PublicKeyFile("sa")))
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || !key.PublicKey.Equal(public.(*ecdsa.PublicKey)) {
			t.Errorf("%s: public key is not the private key's (%v)", tc.reason, err)
		}
	}
	checkModes(t, store.Dir)
}

func TestADamagedServiceAccountKeyIsNotReplaced(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	if _, err := store.EnsureKeyPair("sa"); err != nil {
		t.Fatal(err)
	}
	truncate(t, store.KeyFile("sa"))
	_, err := store.EnsureKeyPair("sa")
	if err == nil || !strings.Contains(err.Error(), "sa.key") || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("got %v", err)
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := FileMode
		if e.IsDir() {
			want = fs.ModeDir | DirMode
		}
		// The test's own folder has the mode that testing gave it.
		if info.Mode() != want && path != dir {
			got[path] = info.Mode().String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{}, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func replaceKey(t *testing.T, path string) {
	t.Helper()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	content, err := encodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, FileMode); err != nil {
		t.Fatal(err)
	}
}
