package join

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Arguments are those of `seedbed join`, as typed.
type Arguments struct {
	URL    string
	Token  string
	Hashes []string
	// NodeName is empty for the host's name.
	NodeName string
	// HostName is the host's, from which the default of NodeName is made.
	HostName string
}

// Request is what is asked for, checked.
type Request struct {
	// Server is the URL of the API server, without a path.
	Server string
	// Node is the name of the NodeState to be.
	Node  string
	token string
	pins  pins
}

// tokenPattern is that of k8s.io/cluster-bootstrap/token/api.
var tokenPattern = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)

// Check returns the request, or a *Problem that names the argument, what is wrong and the cure.
func (a Arguments) Check() (Request, error) {
	server, err := checkURL(a.URL)
	if err != nil {
		return Request{}, err
	}
	if !tokenPattern.MatchString(a.Token) {
		return Request{}, problemf("give the one that `seedbed seed token create` printed",
			"--token is not of the form ID.SECRET, 6 and 16 lower-case letters and digits")
	}
	pins, err := checkHashes(a.Hashes)
	if err != nil {
		return Request{}, err
	}
	node, from := a.NodeName, "--node-name"
	if node == "" {
		node, from = strings.ToLower(a.HostName), "the host's name"
	}
	if errs := validation.IsDNS1123Label(node); len(errs) > 0 {
		return Request{}, problemf("give one with --node-name: at most 63 lower-case letters, digits and '-'; example: node-a",
			"%s %q cannot be a node's", from, node)
	}
	return Request{Server: server, Node: node, token: a.Token, pins: pins}, nil
}

// checkURL returns the server's URL in its shortest form, by which two of them can be compared.
func checkURL(raw string) (string, error) {
	const cure = "write it as https://HOST:PORT; example: https://10.64.3.7:6443"
	u, err := url.Parse(raw)
	if i := strings.LastIndexByte(raw, '@'); i >= 0 {
		raw = "https://…" + raw[i:] // what is before may be a password
	}
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", problemf(cure, "URL %q is not that of a server", raw)
	case u.Scheme != "https":
		return "", problemf(cure, "URL %q is not an https one", raw)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", problemf(cure, "URL %q has more than a host and a port", raw)
	}
	return "https://" + strings.ToLower(u.Host), nil
}

// pins are hashes of the public keys of authorities that are believed.
type pins []string

const hashPrefix = "sha256:"

var hashPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func checkHashes(hashes []string) (pins, error) {
	const cure = "give the one that `seedbed seed token create` printed"
	if len(hashes) == 0 {
		return nil, problemf(cure, "--ca-cert-hash is missing, without which the server could be anybody")
	}
	var p pins
	for _, h := range hashes {
		h = strings.ToLower(h)
		if !hashPattern.MatchString(h) {
			return nil, problemf(cure, "--ca-cert-hash %q is not of the form sha256:HEX with 64 hexadecimal digits", h)
		}
		p = append(p, h)
	}
	return p, nil
}

// HashOf a certificate is kubeadm's: SHA-256 of its SubjectPublicKeyInfo.
func HashOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hashPrefix + hex.EncodeToString(sum[:])
}

func hashesOf(certs []*x509.Certificate) []string {
	var hashes []string
	for _, c := range certs {
		hashes = append(hashes, HashOf(c))
	}
	return hashes
}

// believed are those of the certificates that are pinned.
func (p pins) believed(certs []*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range certs {
		if slices.Contains(p, HashOf(c)) {
			list = append(list, c)
		}
	}
	return list
}
