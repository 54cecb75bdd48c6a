package pki

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// Modes of what a seed keeps: keys are among it, so nobody else reads any of it.
const (
	DirMode  fs.FileMode = 0o700
	FileMode fs.FileMode = 0o600
)

// AuthorityError says that an authority in the folder cannot be used. It is never replaced by itself.
type AuthorityError struct {
	// File is the certificate or key that is missing, broken or expired.
	File string
	Err  error
}

func (e *AuthorityError) Error() string {
	return fmt.Sprintf("authority %s: %v: restore it from a backup, or start with another data dir "+
		"(a new authority would make every certificate and kubeconfig made so far worthless)", e.File, e.Err)
}

func (e *AuthorityError) Unwrap() error { return e.Err }

// Store keeps pairs in a folder, as NAME.crt and NAME.key. NAME may have folders in it.
type Store struct {
	Dir string
}

// CertFile is where the certificate of a pair of that name is.
func (s Store) CertFile(name string) string { return filepath.Join(s.Dir, name+".crt") }

// KeyFile is where the key of a pair of that name is.
func (s Store) KeyFile(name string) string { return filepath.Join(s.Dir, name+".key") }

// PublicKeyFile is where EnsureKeyPair keeps the public half of a key.
func (s Store) PublicKeyFile(name string) string { return filepath.Join(s.Dir, name+".pub") }

// EnsureAuthority returns the authority kept under name, and makes it when its certificate is not
// there. When its key is, the certificate is made again from it: what the key signed stays valid. A
// certificate without its key, or one that cannot be used, is an *AuthorityError.
func (s Store) EnsureAuthority(name, commonName string, now time.Time) (a Authority, made bool, err error) {
	if _, err = os.Lstat(s.CertFile(name)); !errors.Is(err, fs.ErrNotExist) {
		a, err = s.LoadAuthority(name, now)
		return a, false, err
	}
	var key *ecdsa.PrivateKey
	keyPEM, err := os.ReadFile(s.KeyFile(name))
	switch {
	case err == nil:
		key, err = parseKey(keyPEM)
	case errors.Is(err, fs.ErrNotExist):
		key, err = newKey()
	}
	if err != nil {
		return Authority{}, false, &AuthorityError{File: s.KeyFile(name), Err: err}
	}
	if a, err = newAuthority(commonName, key, now); err != nil {
		return Authority{}, false, err
	}
	return a, true, s.write(name, a.Pair)
}

// LoadAuthority returns the authority kept under name.
func (s Store) LoadAuthority(name string, now time.Time) (Authority, error) {
	pair, err := s.load(name)
	if err != nil {
		return Authority{}, &AuthorityError{File: s.CertFile(name), Err: err}
	}
	if !pair.Cert.IsCA {
		return Authority{}, &AuthorityError{File: s.CertFile(name), Err: errors.New("is not an authority's certificate")}
	}
	if now.After(pair.Cert.NotAfter) {
		return Authority{}, &AuthorityError{File: s.CertFile(name), Err: fmt.Errorf("expired on %s", pair.Cert.NotAfter.Format(time.DateOnly))}
	}
	return Authority{Pair: pair}, nil
}

// EnsurePair returns the pair kept under name when it fits the spec, and issues it otherwise. The
// reason is "" when it was kept, else a few words on why it was issued.
func (s Store) EnsurePair(name string, a Authority, spec Spec, now time.Time) (p Pair, reason string, err error) {
	p, err = s.load(name)
	switch {
	case err == nil:
		if reason = a.Misfit(p.Cert, spec, now); reason == "" {
			return p, "", nil
		}
	case errors.Is(err, fs.ErrNotExist):
		reason = "new"
	case errors.Is(err, fs.ErrPermission):
		return Pair{}, "", err
	default:
		reason = "damaged"
	}
	if p, err = a.Issue(spec, now, Validity); err != nil {
		return Pair{}, "", err
	}
	return p, reason, s.write(name, p)
}

// EnsureKeyPair keeps NAME.key and NAME.pub, a key without a certificate: what signs and verifies the
// tokens of service accounts. The public half is derived from the key whenever the two differ, so
// that signer and verifier cannot disagree.
func (s Store) EnsureKeyPair(name string) (made bool, err error) {
	keyFile, pubFile := s.KeyFile(name), s.PublicKeyFile(name)
	keyPEM, err := os.ReadFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		key, keyErr := newKey()
		if keyErr != nil {
			return false, keyErr
		}
		if keyPEM, err = encodeKey(key); err != nil {
			return false, err
		}
		made, err = true, WriteFile(keyFile, keyPEM)
	}
	if err != nil {
		return false, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return false, fmt.Errorf("%s: %w: restore it, or remove it to have a new one made (tokens of service accounts then have to be made again)", keyFile, err)
	}
	pubPEM, err := encodePublic(key)
	if err != nil {
		return false, err
	}
	if old, readErr := os.ReadFile(pubFile); readErr == nil && bytes.Equal(old, pubPEM) {
		return made, nil
	}
	return made, WriteFile(pubFile, pubPEM)
}

func (s Store) load(name string) (Pair, error) {
	certPEM, err := os.ReadFile(s.CertFile(name))
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := os.ReadFile(s.KeyFile(name))
	if err != nil {
		return Pair{}, err
	}
	return ParsePair(certPEM, keyPEM)
}

// write puts the key first: after a crash in between, the next start sees a key without a certificate,
// or with one that does not belong to it, and issues again.
func (s Store) write(name string, p Pair) error {
	if err := WriteFile(s.KeyFile(name), p.KeyPEM); err != nil {
		return err
	}
	return WriteFile(s.CertFile(name), p.CertPEM)
}

// WriteFile makes path the given file of mode 0600, atomically, and its folder, of mode 0700, when it
// is missing.
func WriteFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), DirMode); err != nil {
		return err
	}
	return renameio.WriteFile(path, content, FileMode, renameio.WithStaticPermissions(FileMode))
}
