package testenv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"seedbed.dev/seedbed/controllers/seed/etcdauth"
	"seedbed.dev/seedbed/controllers/seed/pki"
)

// Etcd is a running etcd of flannel's, apart from the control plane's.
type Etcd struct {
	// URL wants a client certificate; PlainURL is http. With authentication on, nobody gets in there.
	URL, PlainURL string
	// Root may do anything.
	Root *clientv3.Client

	etcd      *envtest.Etcd
	authority pki.Authority
	dir       string
}

// StartEtcd runs an etcd. With prefixes its authentication is on, and the user "flannel" is let into
// them alone; without, it is open. The caller must Stop what it returns.
func StartEtcd(prefixes ...string) (*Etcd, error) {
	assets, err := assetsFolder(os.Getenv(assetsVariable))
	if err != nil {
		return nil, err
	}
	e := &Etcd{URL: strings.Replace(freeURL(), "http:", "https:", 1), etcd: &envtest.Etcd{Path: filepath.Join(assets, "etcd"), StartTimeout: startTimeout, StopTimeout: startTimeout}}
	if e.authority, err = pki.NewAuthority("etcd", time.Now()); err != nil {
		return nil, err
	}
	if e.dir, err = os.MkdirTemp("", "seedbed-etcd-"); err != nil {
		return nil, err
	}
	if err := e.start(prefixes); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Etcd) start(prefixes []string) error {
	server, err := e.authority.Issue(pki.Spec{CommonName: "etcd", Usage: pki.Server, IPs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}}, time.Now(), pki.Validity)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"ca.crt": e.authority.CertPEM, "tls.crt": server.CertPEM, "tls.key": server.KeyPEM} {
		if err := pki.WriteFile(filepath.Join(e.dir, name), content); err != nil {
			return err
		}
	}
	e.PlainURL = freeURL()
	e.etcd.DataDir = filepath.Join(e.dir, "data")
	e.etcd.Configure().
		Set("listen-client-urls", e.PlainURL+","+e.URL).
		Set("cert-file", filepath.Join(e.dir, "tls.crt")).
		Set("key-file", filepath.Join(e.dir, "tls.key")).
		Set("trusted-ca-file", filepath.Join(e.dir, "ca.crt")).
		Set("client-cert-auth", "true")
	if err := e.Start(); err != nil {
		return err
	}
	if e.Root, err = e.Client(etcdauth.Root); err != nil || len(prefixes) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	_, err = etcdauth.Ensure(ctx, e.Root, []etcdauth.Role{{Name: "flannel", Prefixes: prefixes}}, []etcdauth.User{{Name: "flannel", Role: "flannel"}})
	return err
}

// freeURL is where nobody listened a moment ago.
func freeURL() string {
	s := httptest.NewServer(nil)
	defer s.Close()
	return s.URL
}

// Start lets it run again after Pause, with what it held.
func (e *Etcd) Start() error {
	plain, err := url.Parse(e.PlainURL)
	if err != nil {
		return err
	}
	e.etcd.URL = plain
	if err := e.etcd.Start(); err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	return nil
}

// Pause ends it for a while. What it holds is kept.
func (e *Etcd) Pause() error {
	if err := e.etcd.Stop(); err != nil {
		return fmt.Errorf("stop etcd: %w", err)
	}
	return nil
}

// Lose lets it run again without what it held, as after a disk was replaced. It must be an open one.
func (e *Etcd) Lose() error {
	if err := e.Pause(); err != nil {
		return err
	}
	if err := os.RemoveAll(e.etcd.DataDir); err != nil {
		return fmt.Errorf("etcd's data: %w", err)
	}
	return e.Start()
}

// Stop ends it and deletes its data.
func (e *Etcd) Stop() error {
	if e.Root != nil {
		_ = e.Root.Close()
	}
	return errors.Join(e.Pause(), os.RemoveAll(e.dir))
}

// Certificate is a client certificate of a user, as PEM.
func (e *Etcd) Certificate(user string) (ca, cert, key []byte, err error) {
	pair, err := e.authority.Issue(pki.Spec{CommonName: user, Usage: pki.Client}, time.Now(), pki.Validity)
	return e.authority.CertPEM, pair.CertPEM, pair.KeyPEM, err
}

// Client connects as a user.
func (e *Etcd) Client(user string) (*clientv3.Client, error) {
	_, certPEM, keyPEM, err := e.Certificate(user)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", user, err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(e.authority.Cert)
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{e.URL}, Logger: zap.NewNop(),
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: pool},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd as %s: %w", user, err)
	}
	return c, nil
}
