package credentials

import (
	"bytes"
	"crypto/tls"
	"fmt"

	"k8s.io/client-go/util/certificate"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

var _ certificate.Store = Store{}

// Store keeps one certificate with its key in one file of mode 0600. Unlike client-go's FileStore it
// replaces the file whole and makes it durable: a power cut in the wrong moment would otherwise leave
// a node with an empty file and no way to ask for another certificate. Nor do old keys pile up.
type Store struct {
	Files host.Files
	Path  string
}

// Current implements certificate.Store. A file that is damaged is as good as none: both are
// *certificate.NoCertKeyError, after which a new one is asked for.
func (s Store) Current() (*tls.Certificate, error) {
	file, found, err := s.Files.Read(s.Path)
	if err != nil {
		return nil, err
	}
	if !found {
		none := certificate.NoCertKeyError("certificate " + s.Path + ": none yet")
		return nil, &none
	}
	pair, err := tls.X509KeyPair(file.Content, file.Content)
	if err != nil {
		damaged := certificate.NoCertKeyError(fmt.Sprintf("certificate %s: damaged: %v", s.Path, err))
		return nil, &damaged
	}
	return &pair, nil
}

// Update implements certificate.Store. It returns when the file is durable.
func (s Store) Update(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: what was signed does not fit the key: %w", s.Path, err)
	}
	content := append(bytes.TrimRight(certPEM, "\n"), '\n')
	content = append(content, keyPEM...)
	file := state.File{Content: content, Mode: 0o600, Owner: "root", Group: "root", Secret: true}
	if _, err := s.Files.Write(s.Path, file); err != nil {
		return nil, err
	}
	if err := s.Files.Sync(); err != nil {
		return nil, fmt.Errorf("certificate %s: make it durable: %w", s.Path, err)
	}
	return &pair, nil
}
