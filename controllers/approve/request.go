package approve

import (
	"crypto/x509"
	"encoding/pem"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// The signers whose certificates Seedbed's nodes have (Kubernetes, "Certificates and Certificate
// Signing Requests").
const (
	SignerClient         = "kubernetes.io/kube-apiserver-client"
	SignerKubeletClient  = "kubernetes.io/kube-apiserver-client-kubelet"
	SignerKubeletServing = "kubernetes.io/kubelet-serving"
)

// Signers are all of them.
func Signers() []string { return []string{SignerClient, SignerKubeletClient, SignerKubeletServing} }

// Request is a certificate signing request: what it asks for, and what the API server says of who made it.
type Request struct {
	Signer string
	// User and Groups are the API server's, not the requester's word.
	User   string
	Groups []string
	// Usages as in the API. Example: "client auth".
	Usages []string
	// PEM is the PKCS #10 request.
	PEM []byte
	// Made is when, by the API server's clock.
	Made time.Time
	// MachineID is the annotation of that name, in the requester's words.
	MachineID string
}

// Kind is what a certificate is for.
type Kind string

// The kinds of certificate that a node has. None is a request that is for no such thing.
const (
	None           Kind = ""
	Agent          Kind = "agent"
	KubeProxy      Kind = "kube-proxy"
	Flannel        Kind = "flannel"
	KubeletClient  Kind = "kubelet"
	KubeletServing Kind = "kubelet's server"
)

// identity is what the subject of a kind of certificate says.
type identity struct {
	kind          Kind
	prefix, group string
}

var identities = []identity{
	{Agent, v1alpha1.NodeUserPrefix, v1alpha1.NodesGroup},
	{KubeProxy, v1alpha1.KubeProxyUserPrefix, v1alpha1.KubeProxiesGroup},
	{Flannel, v1alpha1.FlannelUserPrefix, v1alpha1.FlannelsGroup},
}

var kubelet = identity{KubeletClient, v1alpha1.KubeletUserPrefix, v1alpha1.KubeletsGroup}

// Claim is what a request claims, and so what has to be known before it can be decided.
type Claim struct {
	// Kind of the certificate.
	Kind Kind
	// Node is the name of the node that it is for, in the requester's words; "" where there is none, or
	// one that no node can have.
	Node string
	// TokenID is the public half of the bootstrap token that the requester presented, else "".
	TokenID string
}

// Read says what a request claims. It is not ours, and must be left alone, when neither the requester
// is a node's process nor the subject one's. A kubelet's request is ours only when the node is, which
// Decide finds out.
func Read(r Request) (Claim, bool) {
	who := requesterOf(r)
	c := Claim{TokenID: who.token}
	csr, err := parse(r.PEM)
	if err == nil {
		c.Kind, c.Node = subject(r.Signer, csr)
	}
	if r.Signer != SignerClient && who.kubelet != "" {
		// The name in the subject is to be compared with this one: the node is that of who asks.
		c.Node = who.kubelet
	}
	if len(validation.IsDNS1123Label(c.Node)) > 0 {
		c.Node = ""
	}
	switch r.Signer {
	case SignerClient:
		return c, who.agent != "" || who.token != "" || err == nil && claimsOurs(csr)
	case SignerKubeletClient, SignerKubeletServing:
		return c, who.agent != "" || who.token != "" || who.kubelet != ""
	}
	return Claim{}, false
}

// requester is who made a request. At most one is not empty; for anybody else all are.
type requester struct {
	agent, kubelet string // names of nodes
	token          string // id of a token that Seedbed made
}

func requesterOf(r Request) requester {
	is := func(prefix, group string) string {
		name, ok := strings.CutPrefix(r.User, prefix)
		if !ok || !slices.Contains(r.Groups, group) {
			return ""
		}
		return name
	}
	who := requester{
		agent:   is(v1alpha1.NodeUserPrefix, v1alpha1.NodesGroup),
		kubelet: is(v1alpha1.KubeletUserPrefix, v1alpha1.KubeletsGroup),
		token:   is(v1alpha1.BootstrapUserPrefix, v1alpha1.BootstrapGroup),
	}
	if !tokenID.MatchString(who.token) {
		who.token = ""
	}
	return who
}

// tokenID is the public half of a bootstrap token, as the API server takes it.
var tokenID = regexp.MustCompile(`^[a-z0-9]{6}$`)

// subject is the kind of certificate that a common name stands for with a signer, and whose it is.
func subject(signer string, csr *x509.CertificateRequest) (Kind, string) {
	known := identities
	switch signer {
	case SignerKubeletClient:
		known = []identity{kubelet}
	case SignerKubeletServing:
		known = []identity{{KubeletServing, kubelet.prefix, kubelet.group}}
	}
	for _, id := range known {
		if node, ok := strings.CutPrefix(csr.Subject.CommonName, id.prefix); ok {
			return id.kind, node
		}
	}
	return None, ""
}

// claimsOurs is true for a subject that the API server would take for a process of one of our nodes.
func claimsOurs(csr *x509.CertificateRequest) bool {
	return slices.ContainsFunc(identities, func(id identity) bool {
		return strings.HasPrefix(csr.Subject.CommonName, id.prefix) || slices.Contains(csr.Subject.Organization, id.group)
	})
}

func groupOf(k Kind) string {
	for _, id := range identities {
		if id.kind == k {
			return id.group
		}
	}
	return kubelet.group
}

func parse(content []byte) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errNotPEM
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, err
	}
	return csr, nil
}
