package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/resolve"
)

// certificateNews bounds the events that wait to be written; what is beyond it is in the log.
const certificateNews = 16

// certificateReporter turns what becomes of certificates into metrics and events: one event when
// obtaining one begins to fail, and one when it succeeds.
type certificateReporter struct {
	nodeName string
	client   client.Reader
	events   *eventWriter
	log      logr.Logger
	news     chan func(*v1alpha1.NodeState) Event

	mu      sync.Mutex
	failing map[string]bool
	ends    map[string]time.Time
}

func newCertificateReporter(nodeName string, c client.Reader, events *eventWriter, log logr.Logger) *certificateReporter {
	return &certificateReporter{
		nodeName: nodeName, client: c, events: events, log: log, news: make(chan func(*v1alpha1.NodeState) Event, certificateNews),
		failing: map[string]bool{}, ends: map[string]time.Time{},
	}
}

// newRenewer returns what obtains and renews the agent's certificates. Its own is renewed when the
// agent uses it: one with a certificate of another kind goes on with that.
func newRenewer(agent *Agent, config *rest.Config, reporter *certificateReporter) *credentials.Renewer {
	renewer := credentials.NewRenewer(agent.Pipeline.NodeName, agent.Pipeline.Host.Files, config, reporter, agent.Log.WithName("certificates"))
	agent.Pipeline.Await = func(ctx context.Context, paths []string) {
		if renewer.Want(paths...) {
			renewer.WaitForFirst(ctx, paths...)
		}
	}
	if config.CertFile == resolve.PathAgentClient {
		renewer.Want(resolve.PathAgentClient)
	}
	return renewer
}

// Has implements credentials.Observer.
func (r *certificateReporter) Has(c credentials.Client, notAfter time.Time) {
	certificateEnd.WithLabelValues(c.Name).Set(float64(notAfter.Unix()))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[c.Name] = notAfter
}

// Obtained implements credentials.Observer.
func (r *certificateReporter) Obtained(c credentials.Client, notAfter time.Time) {
	r.log.Info("obtained a certificate", "certificate", c.Name, "validUntil", notAfter)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing[c.Name] = false
	r.tell(func(n *v1alpha1.NodeState) Event { return clientCertificateObtained(n, c.Name, notAfter) })
}

// Failed implements credentials.Observer.
func (r *certificateReporter) Failed(c credentials.Client) {
	certificateFailures.WithLabelValues(c.Name).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing[c.Name] {
		return
	}
	r.failing[c.Name] = true
	end := r.ends[c.Name]
	r.tell(func(n *v1alpha1.NodeState) Event { return clientCertificateFailed(n, c.Name, end) })
}

func (r *certificateReporter) tell(news func(*v1alpha1.NodeState) Event) {
	select {
	case r.news <- news:
	default:
	}
}

// Run writes the events until ctx is done.
func (r *certificateReporter) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case news := <-r.news:
			var node v1alpha1.NodeState
			if err := r.client.Get(ctx, client.ObjectKey{Name: r.nodeName}, &node); err != nil {
				r.log.Error(err, "leaving out an event about a certificate")
				continue
			}
			r.events.publish(ctx, news(&node))
		}
	}
}

func clientCertificateObtained(node *v1alpha1.NodeState, name string, notAfter time.Time) Event {
	return Event{
		node, corev1.EventTypeNormal, "CertificateObtained", "Renew",
		fmt.Sprintf("the client certificate of %s is new and valid until %s", name, notAfter.UTC().Format(time.RFC3339)),
	}
}

func clientCertificateFailed(node *v1alpha1.NodeState, name string, notAfter time.Time) Event {
	what := "is not there yet and could not be obtained"
	if !notAfter.IsZero() {
		what = fmt.Sprintf("could not be renewed and is valid until %s", notAfter.UTC().Format(time.RFC3339))
	}
	return Event{
		node, corev1.EventTypeWarning, "CertificateNotObtained", "Renew",
		fmt.Sprintf("the client certificate of %s %s; trying again: kubectl get csr, and the agent's log, say why", name, what),
	}
}
