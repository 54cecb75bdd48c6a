package credentials

import (
	"crypto/x509"
	"crypto/x509/pkix"

	certificatesv1 "k8s.io/api/certificates/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
)

// Signer signs all client certificates of a node but the kubelet's.
const Signer = certificatesv1.KubeAPIServerClientSignerName

// Usages of a client certificate.
func Usages() []certificatesv1.KeyUsage {
	return []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth}
}

// Client is one client certificate of a node.
type Client struct {
	// Name of the program that uses it: agent, flannel or kube-proxy.
	Name string
	// Path of the file with the certificate and its key.
	Path string
	// User and Group that the API server takes its bearer for.
	User, Group string
	// RequestPrefix begins the names of the requests for it.
	RequestPrefix string
}

// Agent is the certificate of a node's agent, by which it asks for the others.
func Agent(node string) Client {
	return Client{
		Name: "agent", Path: resolve.PathAgentClient, RequestPrefix: v1alpha1.AgentRequestPrefix(node),
		User: v1alpha1.NodeUser(node), Group: v1alpha1.NodesGroup,
	}
}

// Clients are all certificates that a node's agent obtains.
func Clients(node string) []Client {
	return []Client{
		Agent(node),
		{
			Name: "flannel", Path: resolve.PathFlannelClient, RequestPrefix: v1alpha1.FlannelRequestPrefix(node),
			User: v1alpha1.FlannelUser(node), Group: v1alpha1.FlannelsGroup,
		},
		{
			Name: "kube-proxy", Path: resolve.PathKubeProxyClient, RequestPrefix: v1alpha1.KubeProxyRequestPrefix(node),
			User: v1alpha1.KubeProxyUser(node), Group: v1alpha1.KubeProxiesGroup,
		},
	}
}

// Template is what is asked for.
func (c Client) Template() *x509.CertificateRequest {
	return &x509.CertificateRequest{Subject: pkix.Name{CommonName: c.User, Organization: []string{c.Group}}}
}

// Fits says whether a certificate is this one.
func (c Client) Fits(cert *x509.Certificate) bool {
	return cert.Subject.CommonName == c.User && len(cert.Subject.Organization) == 1 && cert.Subject.Organization[0] == c.Group
}
