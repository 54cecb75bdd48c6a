package seed

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"seedbed.dev/seedbed/controllers/seed/pki"
)

const clusterName = "seedbed"

// access is what a kubeconfig of this cluster is made from.
type access struct {
	server    string
	authority pki.Authority
}

// ensure keeps the kubeconfig at path when it is this identity's, at this server, and far from its
// end; otherwise it issues a certificate and writes it anew. The reason is "" when it was kept.
func (a access) ensure(path string, spec pki.Spec, now time.Time) (reason string, err error) {
	if reason = a.misfit(path, spec, now); reason == "" {
		return "", nil
	}
	content, err := a.issue(spec, now)
	if err != nil {
		return "", err
	}
	return reason, pki.WriteFile(path, content)
}

// misfit says why the kubeconfig at path has to be written, and "" when it has not to be.
func (a access) misfit(path string, spec pki.Spec, now time.Time) string {
	content, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return "new"
	}
	cert, cluster := readKubeconfig(content)
	switch {
	case err != nil || cert == nil:
		return "damaged"
	case cluster.Server != a.server:
		return "the server's address changed"
	case !bytes.Equal(cluster.CertificateAuthorityData, a.authority.CertPEM):
		return "the authority changed"
	}
	return a.authority.Misfit(cert, spec, now)
}

// issue signs a certificate and returns a kubeconfig with it and its key inside.
func (a access) issue(spec pki.Spec, now time.Time) ([]byte, error) {
	pair, err := a.authority.Issue(spec, now, pki.Validity)
	if err != nil {
		return nil, err
	}
	user := spec.CommonName
	content, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{clusterName: {Server: a.server, CertificateAuthorityData: a.authority.CertPEM}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: {ClientCertificateData: pair.CertPEM, ClientKeyData: pair.KeyPEM}},
		Contexts:       map[string]*clientcmdapi.Context{clusterName: {Cluster: clusterName, AuthInfo: user}},
		CurrentContext: clusterName,
	})
	if err != nil {
		return nil, fmt.Errorf("encode kubeconfig of %s: %w", user, err)
	}
	return content, nil
}

// inMemory is a client configuration for an identity that is never written down.
func (a access) inMemory(spec pki.Spec, now time.Time, validity time.Duration) (*rest.Config, error) {
	pair, err := a.authority.Issue(spec, now, validity)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            a.server,
		TLSClientConfig: rest.TLSClientConfig{CAData: a.authority.CertPEM, CertData: pair.CertPEM, KeyData: pair.KeyPEM},
		QPS:             -1,
	}, nil
}

// readKubeconfig returns the client certificate and the cluster of a kubeconfig as issue makes them,
// and nil when it is none.
func readKubeconfig(content []byte) (*x509.Certificate, *clientcmdapi.Cluster) {
	config, err := clientcmd.Load(content)
	if err != nil {
		return nil, nil
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil {
		return nil, nil
	}
	cluster, user := config.Clusters[current.Cluster], config.AuthInfos[current.AuthInfo]
	if cluster == nil || user == nil {
		return nil, nil
	}
	pair, err := pki.ParsePair(user.ClientCertificateData, user.ClientKeyData)
	if err != nil {
		return nil, nil
	}
	return pair.Cert, cluster
}
