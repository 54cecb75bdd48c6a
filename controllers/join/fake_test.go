package join

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/seed/pki"
	"seedbed.dev/seedbed/controllers/state"
)

// seedServer answers what joining asks of an API server. The stories run on a real one.
type seedServer struct {
	*httptest.Server
	authority pki.Authority
	// remade is how it answers once its authority was made anew; nil before.
	remade atomic.Pointer[tls.Config]
	// offered is what is in cluster-info; the authority's certificate unless it is changed.
	offered []byte
	// agent is the machine whose agent "reports".
	agent *hosttest.Fake

	mu sync.Mutex
	// token is accepted; deny is the manager's word on every request; unsigned leaves them be.
	token, deny string
	unsigned    bool
	// approves is true for a manager without anybody who signs.
	approves bool
	// named is true for a token that names the node: it also joins one that has reported.
	named bool
	date  time.Time
	// validity of what is signed.
	validity time.Duration
	csr      *certificatesv1.CertificateSigningRequest
	node     *v1alpha1.NodeState
	// silent is true for an agent that never reports, broken for an API server that only fails.
	silent, broken bool
	// refusals are the next requests about the NodeState that are forbidden; -1 is all of them, as
	// after its end. A node that has just joined is refused late times.
	refusals, late int
	deleted        int
	// unknown is true for an API server without the kind NodeState.
	unknown bool
	// nodes are the Nodes there are, and told what was written into their conditions.
	nodes, told []string
}

func newAuthority(t *testing.T) pki.Authority {
	t.Helper()
	authority, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func newSeed(t *testing.T, agent *hosttest.Fake) *seedServer {
	t.Helper()
	authority := newAuthority(t)
	s := &seedServer{authority: authority, offered: authority.CertPEM, agent: agent, token: goodToken, validity: time.Hour, late: 3}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{serving(t, authority)}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return s.remade.Load(), nil
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// remake makes the authority anew.
func (s *seedServer) remake(t *testing.T) {
	t.Helper()
	s.authority = newAuthority(t)
	s.offered = s.authority.CertPEM
	s.remade.Store(&tls.Config{Certificates: []tls.Certificate{serving(t, s.authority)}})
}

func serving(t *testing.T, authority pki.Authority) tls.Certificate {
	t.Helper()
	pair, err := authority.Issue(pki.Spec{CommonName: "apiserver", Usage: pki.Server, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// request is what a user would type for this seed.
func (s *seedServer) request(t *testing.T) Request {
	t.Helper()
	r, err := Arguments{URL: s.URL, Token: goodToken, Hashes: []string{HashOf(s.authority.Cert)}, NodeName: "node-a"}.Check()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *seedServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.date.IsZero() {
		w.Header().Set("Date", s.date.UTC().Format(http.TimeFormat))
	}
	switch {
	case r.URL.Path == clusterInfoPath:
		config, _ := clientcmd.Write(clientcmdapi.Config{Clusters: map[string]*clientcmdapi.Cluster{"": {Server: s.URL, CertificateAuthorityData: s.offered}}})
		answer200(w, &corev1.ConfigMap{Data: map[string]string{clusterInfoKey: string(config)}})
	case s.broken, s.agent.Killed(): // the dead ask for nothing
		refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
	case strings.Contains(r.URL.Path, "/certificatesigningrequests"):
		s.serveRequests(w, r)
	case strings.HasSuffix(r.URL.Path, "/nodestates/node-a"):
		s.serveNode(w, r)
	case r.Method == http.MethodPatch && slices.ContainsFunc(s.nodes, func(name string) bool { return r.URL.Path == "/api/v1/nodes/"+name+"/status" }):
		s.serveConditions(w, r)
	default:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

func (s *seedServer) serveConditions(w http.ResponseWriter, r *http.Request) {
	var patch corev1.Node
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	name := path.Base(path.Dir(r.URL.Path))
	for _, c := range patch.Status.Conditions {
		_, left := patch.Annotations[v1alpha1.LeftAnnotation]
		s.told = append(s.told, fmt.Sprintf("%s %s=%s %s, left %t", name, c.Type, c.Status, c.Reason, left))
	}
	answer200(w, &corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: name}})
}

func (s *seedServer) serveRequests(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
		return
	}
	if r.Method == http.MethodPost {
		s.csr = &certificatesv1.CertificateSigningRequest{}
		if err := json.NewDecoder(r.Body).Decode(s.csr); err != nil {
			refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
			return
		}
		s.csr.Name, s.csr.UID, s.csr.CreationTimestamp = s.csr.GenerateName+"x", "uid", metav1.Now()
		answer200(w, s.csr)
		return
	}
	switch {
	case s.csr == nil:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	case s.deny != "":
		s.refuseRequest(s.deny)
	case s.node != nil && s.node.Status.Facts != nil && !s.named:
		s.refuseRequest("node node-a has joined already, and the token does not name it")
	case s.approves:
		s.approve()
	case !s.unsigned:
		s.approve()
		s.sign()
	}
	answer200(w, s.csr)
}

func (s *seedServer) refuseRequest(why string) {
	s.csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied, Status: corev1.ConditionTrue, Message: why}}
}

// approve is the manager, which also creates the NodeState.
func (s *seedServer) approve() {
	s.csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}}
	s.refusals = s.late
	if s.node == nil {
		s.node = &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-a", CreationTimestamp: metav1.Now()}}
	}
}

func (s *seedServer) sign() {
	block, _ := pem.Decode(s.csr.Spec.Request)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: s.authority.Cert.SerialNumber, Subject: request.Subject, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(s.validity),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(nil, template, s.authority.Cert, request.PublicKey, s.authority.Key)
	if err != nil {
		panic(err)
	}
	s.csr.Status.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (s *seedServer) serveNode(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.unknown:
		http.NotFound(w, r)
	case s.refusals != 0:
		s.refusals--
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	case s.node == nil:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	case r.Method == http.MethodDelete:
		s.node, s.refusals = nil, -1
		s.deleted++
		answer200(w, &metav1.Status{TypeMeta: statusType, Status: metav1.StatusSuccess})
	default:
		if !s.silent && s.agent.Unit(resolve.UnitAgent).Activity == state.Active {
			s.node.Status.Facts = &v1alpha1.Facts{Hostname: "node-a"}
		}
		answer200(w, s.node)
	}
}

// report is the agent's, while nobody looks.
func (s *seedServer) report() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node.Status.Facts = &v1alpha1.Facts{Hostname: "node-a"}
}

var statusType = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}

func answer200(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: statusType, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: string(reason)})
}

// bare is a host that nobody has joined, with an old release of the program.
func bare() *hosttest.Fake {
	f := hosttest.New()
	f.Put(machineIDFile, state.File{Content: []byte("0123456789abcdef0123456789abcdef\n"), Mode: 0o444})
	f.Put(resolve.PathSeedbed, state.File{Content: []byte("an older seedbed"), Mode: 0o755})
	return f
}

// node is a host to join, and what it says.
func node(f *hosttest.Fake) (*Node, *[]string) {
	said := &[]string{}
	return &Node{
		Host: f.Host(), Machine: f.Membership(), Now: time.Now, Poll: time.Millisecond,
		Say: func(format string, args ...any) { *said = append(*said, fmt.Sprintf(format, args...)) },
	}, said
}

// endless bounds a loop over all changing calls, of which there are far fewer.
const endless = 200

// leftovers is all of a host that a join could leave behind.
func leftovers(f *hosttest.Fake) string {
	return f.Dump() + "state " + strings.Join(f.StoreNames(), " ")
}
