package credentials_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/client-go/util/certificate"

	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/seed/pki"
	"seedbed.dev/seedbed/controllers/state"
)

func pair(t *testing.T, client credentials.Client) pki.Pair {
	t.Helper()
	authority, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(pki.Spec{CommonName: client.User, Organizations: []string{client.Group}, Usage: pki.Client}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestStoredCertificateIsPrivateDurableAndReadBack(t *testing.T) {
	f := hosttest.New()
	agent := credentials.Agent("node-a")
	p := pair(t, agent)
	store := credentials.Store{Files: f.Host().Files, Path: agent.Path}
	if _, err := store.Update(p.CertPEM, p.KeyPEM); err != nil {
		t.Fatal(err)
	}
	f = f.PowerCut()
	file, found := f.File(agent.Path)
	if !found || file.Mode != 0o600 || file.Owner != "root" || file.Type != state.Regular {
		t.Errorf("after a power cut: found %v, %s", found, file.Describe())
	}
	got, err := credentials.Store{Files: f.Host().Files, Path: agent.Path}.Current()
	if err != nil || !got.Leaf.Equal(p.Cert) || !agent.Fits(got.Leaf) {
		t.Errorf("read back: %v", err)
	}
}

func TestCertificateThatIsMissingOrDamagedIsAskedForAnew(t *testing.T) {
	for name, content := range map[string]string{"missing": "", "damaged": "-----BEGIN CERTIFICATE-----\ntorn"} {
		f := hosttest.New()
		if content != "" {
			f.Put(resolve.PathFlannelClient, state.File{Content: []byte(content), Mode: 0o600})
		}
		_, err := credentials.Store{Files: f.Host().Files, Path: resolve.PathFlannelClient}.Current()
		var none *certificate.NoCertKeyError
		// client-go looks at the error itself, not at what it wraps.
		if !errors.As(err, &none) || error(none) != err { //nolint:errorlint // on purpose
			t.Errorf("%s: got %v (%T)", name, err, err)
		}
	}
}

func TestCertificateForAnotherKeyIsRefusedAndTheOldOneStays(t *testing.T) {
	f := hosttest.New()
	agent := credentials.Agent("node-a")
	store := credentials.Store{Files: f.Host().Files, Path: agent.Path}
	first, second := pair(t, agent), pair(t, agent)
	if _, err := store.Update(first.CertPEM, first.KeyPEM); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Update(second.CertPEM, first.KeyPEM); err == nil {
		t.Error("a certificate that does not fit its key was stored")
	}
	if got, err := store.Current(); err != nil || !got.Leaf.Equal(first.Cert) {
		t.Errorf("the old one is gone: %v", err)
	}
}

func TestEveryCertificateIsForThisNodeAndThisProgram(t *testing.T) {
	clients := credentials.Clients("node-a")
	for _, c := range clients {
		own := pair(t, c).Cert
		for _, other := range append(clients, credentials.Agent("node-b")) {
			if same := other.User == c.User; other.Fits(own) != same {
				t.Errorf("the certificate of %s fits %s: %v", c.User, other.User, !same)
			}
		}
	}
}
