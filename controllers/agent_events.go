package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/reference"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How many events an agent writes: a burst, then one in each interval. Somebody who fights with the
// agent over a file would otherwise fill etcd; what is left out is still counted in the status.
const (
	eventBurst    = 20
	eventInterval = 10 * time.Second
)

// eventWriter creates events. client-go's recorder also patches events it wrote before, which would
// need a right over the events of all nodes.
type eventWriter struct {
	client   client.Client
	nodeName string
	now      func() time.Time
	limit    *rate.Limiter
	log      logr.Logger
}

func newEventWriter(nodeName string, c client.Client, now func() time.Time, log logr.Logger) *eventWriter {
	return &eventWriter{client: c, nodeName: nodeName, now: now, log: log, limit: rate.NewLimiter(rate.Every(eventInterval), eventBurst)}
}

// publish writes the events. One that cannot be written is lost: the status says the same.
func (w *eventWriter) publish(ctx context.Context, list ...Event) {
	for i := range list {
		if !w.limit.AllowN(w.now(), 1) {
			w.log.V(1).Info("leaving out an event, too many were written", "reason", list[i].Reason)
			continue
		}
		if err := w.create(ctx, &list[i]); err != nil {
			w.log.Error(err, "writing event", "reason", list[i].Reason)
		}
	}
}

func (w *eventWriter) create(ctx context.Context, e *Event) error {
	regarding, err := reference.GetReference(w.client.Scheme(), e.Object)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Reason, err)
	}
	now := w.now()
	err = w.client.Create(ctx, &eventsv1.Event{
		// Named by time, and in this namespace where the object has none: as client-go does it.
		ObjectMeta:          metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", w.nodeName, now.UnixNano()), Namespace: metav1.NamespaceDefault},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: agentName,
		ReportingInstance:   w.nodeName,
		Type:                e.Type, Reason: e.Reason, Action: e.Action, Note: e.note(),
		Regarding: *regarding,
	})
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Reason, err)
	}
	return nil
}
