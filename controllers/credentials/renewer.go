package credentials

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/certificate"

	"seedbed.dev/seedbed/controllers/host"
)

// Observer is told what becomes of certificates. Its methods return at once.
type Observer interface {
	// Has is called with the certificate that is on disk at the start, and with each new one.
	Has(c Client, notAfter time.Time)
	// Obtained is called with each new one.
	Obtained(c Client, notAfter time.Time)
	// Failed is called for each attempt to obtain one that did not succeed; the log says why.
	Failed(c Client)
}

// Renewer keeps the certificates that are wanted on disk and valid. Make it with NewRenewer.
type Renewer struct {
	node     string
	files    host.Files
	config   *rest.Config
	observer Observer
	log      logr.Logger

	wake    chan struct{}
	mu      sync.Mutex
	wanted  map[string]bool
	running map[string]bool
}

// retryAfter is the wait after a certificate on disk could not be read, which is not a matter of the
// certificate: a damaged one is replaced.
const retryAfter = 30 * time.Second

// NewRenewer returns a Renewer that obtains nothing until something is wanted. config is the
// agent's; when it names files, each connection uses what is in them at that moment.
func NewRenewer(node string, files host.Files, config *rest.Config, observer Observer, log logr.Logger) *Renewer {
	return &Renewer{
		node: node, files: files, config: config, observer: observer, log: log,
		wake: make(chan struct{}, 1), wanted: map[string]bool{}, running: map[string]bool{},
	}
}

// Want says that the files at these paths are needed from now on. Paths that are not those of a
// node's certificates are somebody else's and passed over. It returns at once, and true when one of
// them was not wanted before.
func (r *Renewer) Want(paths ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.wanted)
	for _, path := range paths {
		r.wanted[path] = true
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return len(r.wanted) > before
}

// Patience is how long WaitForFirst waits: a manager that is there approves in less.
const Patience = 3 * time.Second

// WaitForFirst waits, no longer than Patience, until there is something at every path: what was just
// asked for is then there before anybody looks.
func (r *Renewer) WaitForFirst(ctx context.Context, paths ...string) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	const poll = 50 * time.Millisecond
	for ; !r.have(paths); time.Sleep(poll) {
		if ctx.Err() != nil {
			return
		}
	}
}

// have takes a path that cannot be read for one that is not worth waiting for.
func (r *Renewer) have(paths []string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool {
		_, found, err := r.files.Read(path)
		return err == nil && !found
	})
}

// Run obtains and renews what is wanted until ctx is done. An API server that is away is no error.
func (r *Renewer) Run(ctx context.Context) error {
	for {
		var retry <-chan time.Time
		for _, c := range r.idle() {
			if err := r.start(ctx, c); err != nil {
				r.log.Error(err, "starting to renew a certificate", "certificate", c.Name)
				retry = time.After(retryAfter)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-retry:
		}
	}
}

// idle are the certificates that are wanted and not taken care of.
func (r *Renewer) idle() []Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Client
	for _, c := range Clients(r.node) {
		if r.wanted[c.Path] && !r.running[c.Name] {
			list = append(list, c)
		}
	}
	return list
}

func (r *Renewer) start(ctx context.Context, c Client) error {
	ctx = logr.NewContext(ctx, r.log.WithValues("certificate", c.Name))
	store := observed{Store{r.files, c.Path}, c, r.observer}
	manager, err := certificate.NewManager(&certificate.Config{
		Name: c.Name, Ctx: &ctx, SignerName: Signer, Usages: Usages(), Template: c.Template(), CertificateStore: store,
		CertificateRenewFailure: failures{c, r.observer},
		ClientsetFn: func(*tls.Certificate) (kubernetes.Interface, error) {
			clients, err := kubernetes.NewForConfig(r.config)
			if err != nil {
				return nil, fmt.Errorf("connect as the agent: %w", err)
			}
			return named{clients, c.RequestPrefix}, nil
		},
	})
	if err != nil {
		return err
	}
	manager.Start() // it stops with ctx
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[c.Name] = true
	return nil
}

// observed is a Store that tells the observer.
type observed struct {
	Store
	client   Client
	observer Observer
}

func (o observed) Current() (*tls.Certificate, error) {
	pair, err := o.Store.Current()
	if err == nil {
		o.observer.Has(o.client, pair.Leaf.NotAfter)
	}
	return pair, err
}

func (o observed) Update(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	pair, err := o.Store.Update(certPEM, keyPEM)
	if err == nil {
		o.observer.Has(o.client, pair.Leaf.NotAfter)
		o.observer.Obtained(o.client, pair.Leaf.NotAfter)
	}
	return pair, err
}

// failures is the counter that client-go counts on.
type failures struct {
	client   Client
	observer Observer
}

func (f failures) Inc() { f.observer.Failed(f.client) }
