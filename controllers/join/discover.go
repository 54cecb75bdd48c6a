package join

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
)

// The standard ConfigMap that says who the cluster's authority is (KEP-130, kubeadm's discovery).
const (
	clusterInfoName = "cluster-info"
	clusterInfoPath = "/api/v1/namespaces/" + metav1.NamespacePublic + "/configmaps/" + clusterInfoName
	clusterInfoKey  = "kubeconfig"
)

const (
	// maxSkew is how far this host's clock may be from the server's. Certificates are signed with a
	// start some minutes in the past.
	maxSkew = 5 * time.Minute
	// requestTimeout bounds one request, attempts how often a server that does not answer is asked.
	requestTimeout = 10 * time.Second
	attempts       = 3
	maxAnswer      = 1 << 20
)

// discover returns the PEM certificates of the cluster's authorities. The first answer is taken from
// anybody and only looked at for a pinned authority; the second comes over a connection that this
// authority vouches for.
func (n *Node) discover(ctx context.Context, r Request) ([]byte, error) {
	unverified := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // the pin is checked below
	first, err := n.clusterInfo(ctx, r.Server, unverified)
	if err != nil {
		return nil, err
	}
	if err := checkClock(first.date, n.Now()); err != nil {
		return nil, err
	}
	offered, _, err := first.authorities()
	if err != nil {
		return nil, err
	}
	trusted := r.pins.believed(offered)
	if len(trusted) == 0 {
		return nil, wrongHash(r, offered)
	}
	pool := x509.NewCertPool()
	for _, c := range trusted {
		pool.AddCert(c)
	}
	second, err := n.clusterInfo(ctx, r.Server, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	_, pem, err := second.authorities()
	return pem, err
}

func wrongHash(r Request, offered []*x509.Certificate) error {
	return problemf("compare it with what `seedbed seed token create` prints; if it is the same, somebody stands between this host and the seed",
		"%s has an authority with hash %s, not the one given with --ca-cert-hash", r.Server, strings.Join(hashesOf(offered), " and "))
}

// checkClock compares this host's clock with the server's. It is no check of the server, whose time
// is not verified: it explains what would fail for another reason later.
func checkClock(server, here time.Time) error {
	const cure = "set it (timedatectl set-ntp true) and run join again"
	skew := here.Sub(server).Round(time.Minute)
	switch {
	case server.IsZero():
		return nil
	case skew > maxSkew:
		return problemf(cure, "this host's clock is %s ahead of the seed's", skew)
	case -skew > maxSkew:
		return problemf(cure, "this host's clock is %s behind the seed's", -skew)
	}
	return nil
}

// answer is what a server said about its cluster.
type answer struct {
	server     string
	kubeconfig string
	date       time.Time
}

// authorities are the certificates in the answer, parsed and as PEM.
func (a answer) authorities() ([]*x509.Certificate, []byte, error) {
	const cure = "is it a seed? `seedbed seed` writes it"
	config, err := clientcmd.Load([]byte(a.kubeconfig))
	if err != nil {
		return nil, nil, because(err, cure, "%s has a damaged %s", a.server, clusterInfoName)
	}
	for _, cluster := range config.Clusters {
		certs, err := cert.ParseCertsPEM(cluster.CertificateAuthorityData)
		if err == nil {
			return certs, cluster.CertificateAuthorityData, nil
		}
	}
	return nil, nil, problemf(cure, "%s has a %s without an authority", a.server, clusterInfoName)
}

// clusterInfo asks a server that may be starting a few times.
func (n *Node) clusterInfo(ctx context.Context, server string, config *tls.Config) (answer, error) {
	for try := 1; ; try++ {
		a, err := askClusterInfo(ctx, server, config)
		var failed *connectError
		if !errors.As(err, &failed) {
			return a, err
		}
		if problem := explainTLS(server, failed.err); problem != nil {
			return answer{}, problem
		}
		if try == attempts || n.pause(ctx) != nil {
			return answer{}, because(failed.err, "check the address, that the seed runs, and that no firewall is in between", "no answer from %s", server)
		}
	}
}

// connectError is a request without an answer.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }

func askClusterInfo(ctx context.Context, server string, config *tls.Config) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server+clusterInfoPath, nil)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", server, err)
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, &connectError{cause(err)}
	}
	defer func() { _ = response.Body.Close() }() // what was read is judged by itself
	if response.StatusCode != http.StatusOK {
		return answer{}, problemf("is it a seed? `seedbed seed` writes it, for everybody to read",
			"%s answers %s for %s/%s", server, response.Status, metav1.NamespacePublic, clusterInfoName)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, &connectError{cause(err)}
	}
	var info corev1.ConfigMap
	if err := json.Unmarshal(body, &info); err != nil {
		return answer{}, because(err, "give the URL of a Kubernetes API server", "%s does not answer as an API server does", server)
	}
	date, _ := http.ParseTime(response.Header.Get("Date")) // without one the clock is not checked
	return answer{server: server, kubeconfig: info.Data[clusterInfoKey], date: date}, nil
}
