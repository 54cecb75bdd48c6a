package resolve

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// No message of this file has any of a Secret's content in it, nor an error of a parser, which may
// quote it.

// certificates returns PEM that holds certificates and nothing else. A private key in it would
// end up in a file that everybody can read.
func (r *resolver) certificates(field string, ref *v1alpha1.SecretKeyReference) state.Sensitive {
	content, real := r.sensitive(field, ref)
	if !real {
		return content
	}
	rest, count := content.Reveal(), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		_, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			r.invalid(field, ref.Name+"/"+ref.Key, "holds a PEM block that is not a certificate: put certificates alone into this key")
			return state.Sensitive{}
		}
		count++
	}
	if count == 0 || len(bytes.TrimSpace(rest)) > 0 {
		r.invalid(field, ref.Name+"/"+ref.Key, "not PEM certificates: begin with -----BEGIN CERTIFICATE-----, with nothing after the last block")
		return state.Sensitive{}
	}
	return content
}

// keyPair returns a certificate and its key after checking that they belong together.
func (r *resolver) keyPair(field string, ca, cert, key *v1alpha1.SecretKeyReference) *KeyPair {
	pair := &KeyPair{CA: r.certificates(field+".caSecretRef", ca), Cert: r.certificates(field+".certSecretRef", cert)}
	var real bool
	if pair.Key, real = r.sensitive(field+".keySecretRef", key); !real || pair.Cert.Empty() {
		return pair
	}
	if _, err := tls.X509KeyPair(pair.Cert.Reveal(), pair.Key.Reveal()); err != nil && r.isReal(cert) {
		r.invalid(field+".keySecretRef", key.Name+"/"+key.Key, "not the PEM private key of the certificate in %s/%s: put the pair into the Secret together", cert.Name, cert.Key)
	}
	return pair
}

// isReal is false for placeholders.
func (r *resolver) isReal(ref *v1alpha1.SecretKeyReference) bool {
	_, real, _ := r.in.Secrets.lookup(*ref)
	return real
}

// bootstrapToken is the grammar of kubeadm's and kube-apiserver's tokens
// (k8s.io/cluster-bootstrap/token/api, BootstrapTokenPattern).
var bootstrapToken = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)

func (r *resolver) token(field string, ref *v1alpha1.SecretKeyReference) state.Sensitive {
	content, real := r.sensitive(field, ref)
	trimmed := bytes.TrimSpace(content.Reveal())
	if real && !bootstrapToken.Match(trimmed) {
		r.invalid(field, ref.Name+"/"+ref.Key, "not a bootstrap token: six and sixteen lower-case letters or digits joined by a dot, as `kubeadm token create` prints it")
		return state.Sensitive{}
	}
	return state.NewSensitive(trimmed)
}

func (r *resolver) proxyURL(field string, ref *v1alpha1.SecretKeyReference) state.Sensitive {
	content, real := r.sensitive(field, ref)
	trimmed := bytes.TrimSpace(content.Reveal())
	if real {
		u, err := url.Parse(string(trimmed))
		switch {
		case badRune(string(trimmed)), err != nil, u.Host == "" || u.Opaque != "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "",
			u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5":
			r.invalid(field, ref.Name+"/"+ref.Key, "not the URL of a proxy: http, https or socks5, host and port, with a user if need be, for example http://proxy.example.com:3128")
			return state.Sensitive{}
		}
	}
	return state.NewSensitive(trimmed)
}

// login is one entry of docker's config.json.
type login struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
}

// credentials takes the entry for one host out of a dockerconfigjson Secret. Other entries stay
// behind: a node gets what its configuration names.
func (r *resolver) credentials(field, host string, ref *v1alpha1.SecretReference) (auth, token state.Sensitive) {
	if ref == nil {
		return auth, token
	}
	content, real := r.sensitive(field, &v1alpha1.SecretKeyReference{Name: ref.Name, Key: corev1.DockerConfigJsonKey})
	if content.Empty() {
		return auth, token
	}
	if !real {
		return state.NewSensitive([]byte(base64.StdEncoding.EncodeToString(bytes.TrimSpace(content.Reveal())))), token
	}
	var config struct {
		Auths map[string]login `json:"auths"`
	}
	if err := json.Unmarshal(content.Reveal(), &config); err != nil {
		r.invalid(field, ref.Name, "its key %s is not docker's config.json: make the Secret with `kubectl create secret docker-registry`", corev1.DockerConfigJsonKey)
		return auth, token
	}
	for _, server := range state.SortedKeys(config.Auths) {
		if registryOf(server) == host {
			return r.login(field, ref.Name, host, config.Auths[server])
		}
	}
	r.invalid(field, ref.Name, "has no entry for %s under auths: make the Secret with --docker-server=%s", host, host)
	return auth, token
}

// registryOf strips what some tools write around a registry's host: a scheme and a path.
func registryOf(server string) string {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	host, _, _ := strings.Cut(server, "/")
	return host
}

func (r *resolver) login(field, secret, host string, l login) (auth, token state.Sensitive) {
	if l.Auth == "" && l.Username != "" && l.Password != "" {
		l.Auth = base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password))
	}
	user, _ := base64.StdEncoding.DecodeString(l.Auth)
	if (l.Auth == "" && l.IdentityToken == "") || (l.Auth != "" && !bytes.Contains(user, []byte(":"))) || badRune(l.IdentityToken) {
		r.invalid(field, secret, "its entry for %s has neither a usable auth (base64 of user:password) nor username and password: make the Secret again", host)
		return auth, token
	}
	return state.NewSensitive([]byte(l.Auth)), state.NewSensitive([]byte(l.IdentityToken))
}
