package resolvetest

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

//go:embed testdata
var testdata embed.FS

// Cases are the names that Load knows.
var Cases = []string{"guide", "minimal", "full", "install"}

// The secrets of the case "full". Each is unlike any other text, so that a test can look for it
// where it must not be.
const (
	Token         = "canary.tokentokentoken1"
	ProxyURL      = "http://user:canary-proxy$'%25!@proxy.example.com:3128"
	RegistryAuth  = "Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBhc3N3b3Jk" // canary-user:canary-password
	FileSecret    = "canary-file-content\n"
	IdentityToken = "canary-identity-token"
)

// Load returns a case.
func Load(t testing.TB, name string) resolve.Input {
	t.Helper()
	var node v1alpha1.NodeConfig
	var network v1alpha1.NetworkConfig
	var facts v1alpha1.Facts
	for file, into := range map[string]any{"nodeconfig.yaml": &node, "networkconfig.yaml": &network, "facts.yaml": &facts} {
		content, err := testdata.ReadFile("testdata/" + name + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(content, into); err != nil {
			t.Fatalf("%s/%s: %v", name, file, err)
		}
	}
	return resolve.Input{
		NodeName: facts.Hostname,
		Revision: revision.New(node.Spec, network.Spec),
		Facts:    facts,
		Secrets:  resolve.NewSecrets(Secrets(t)),
	}
}

// Secrets returns every Secret that the cases refer to, and those that a seed makes.
func Secrets(t testing.TB) map[v1alpha1.SecretKeyReference]state.Sensitive {
	t.Helper()
	etcdCert, etcdKey := Pair(t, 2)
	servingCert, servingKey := Pair(t, 3)
	ca, _ := Pair(t, 1)
	registryCA, _ := Pair(t, 4)
	clientCA, _ := Pair(t, 5)
	secrets := map[v1alpha1.SecretKeyReference]state.Sensitive{}
	for ref, content := range map[[2]string]string{
		{"cluster-ca", "ca.crt"}:                  ca,
		{"client-ca", "ca.crt"}:                   clientCA,
		{"etcd-client", "ca.crt"}:                 ca,
		{"etcd-client", "tls.crt"}:                etcdCert,
		{"etcd-client", "tls.key"}:                etcdKey,
		{"flannel-etcd", "ca.crt"}:                ca,
		{"flannel-etcd", "tls.crt"}:               etcdCert,
		{"flannel-etcd", "tls.key"}:               etcdKey,
		{"serving", "tls.crt"}:                    servingCert,
		{"serving", "tls.key"}:                    servingKey,
		{"registry", "ca.crt"}:                    registryCA,
		{"registry-login", ".dockerconfigjson"}:   `{"auths":{"10.64.3.7:8000":{"auth":"` + RegistryAuth + `"},"other.example.com":{"auth":"b3RoZXI6b3RoZXI="}}}`,
		{"registry-login-2", ".dockerconfigjson"}: `{"auths":{"https://registry.example.com/v1/":{"identitytoken":"` + IdentityToken + `"}}}`,
		{"bootstrap", "token"}:                    Token + "\n",
		{"proxy", "url"}:                          ProxyURL + "\n",
		{"motd", "text"}:                          FileSecret,
		{"docker-ce-key", "key.asc"}:              "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ0\n-----END PGP PUBLIC KEY BLOCK-----\n",
	} {
		secrets[v1alpha1.SecretKeyReference{Name: ref[0], Key: ref[1]}] = state.NewSensitive([]byte(content))
	}
	return secrets
}

// Pair returns a self-signed certificate and its key, as PEM, from a seed.
func Pair(t testing.TB, seed byte) (cert, key string) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(append([]byte{seed}, make([]byte, ed25519.SeedSize-1)...))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(seed)),
		Subject:      pkix.Name{CommonName: "seedbed test"},
		NotBefore:    time.Unix(1700000000, 0).UTC(), NotAfter: time.Unix(4000000000, 0).UTC(),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
