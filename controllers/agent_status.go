package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/report"
)

const (
	// maxPending bounds the passes remembered while the API server is away.
	maxPending = 16
	// statusTimeout bounds one attempt to write the status.
	statusTimeout = 10 * time.Second
)

// statusWriter writes what passes found into the agent's own NodeState: one patch for all passes
// since the last, and none when nothing changed. While the API server is away it remembers them.
type statusWriter struct {
	nodeName string
	client   client.Client
	log      logr.Logger
	events   *eventWriter

	mu      sync.Mutex
	pending []report.Pass
	wake    chan struct{}
}

func newStatusWriter(nodeName string, c client.Client, events *eventWriter, log logr.Logger) *statusWriter {
	return &statusWriter{nodeName: nodeName, client: c, log: log, events: events, wake: make(chan struct{}, 1)}
}

// Report takes note of a pass and returns at once.
func (w *statusWriter) Report(p report.Pass) {
	w.mu.Lock()
	if n := len(w.pending); n > 0 && !w.pending[n-1].Changed() {
		w.pending[n-1] = p // it only says again what p says
	} else {
		w.pending = append(w.pending, p)
	}
	if extra := len(w.pending) - maxPending; extra > 0 {
		w.pending = append([]report.Pass(nil), w.pending[extra:]...)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run writes until ctx is done.
func (w *statusWriter) Run(ctx context.Context) error {
	failures := 0
	for {
		var retry <-chan time.Time
		if err := w.flush(ctx); err != nil && ctx.Err() == nil {
			if failures == 0 { // once for each outage, not once for each attempt
				w.log.Error(err, "writing status; trying again until it succeeds")
			}
			retry = time.After(min(time.Second<<min(failures, 5), 30*time.Second))
			failures++
		} else {
			failures = 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-retry:
		}
	}
}

// flush writes the pending passes, if any.
func (w *statusWriter) flush(ctx context.Context) error {
	w.mu.Lock()
	passes := append([]report.Pass(nil), w.pending...)
	w.mu.Unlock()
	if len(passes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var node v1alpha1.NodeState
	if err := w.client.Get(ctx, client.ObjectKey{Name: w.nodeName}, &node); err != nil {
		return fmt.Errorf("get NodeState %s: %w", w.nodeName, err)
	}
	before := node.DeepCopy()
	var events []Event
	for i := range passes {
		was := node.DeepCopy()
		node.Status = report.Status(node.Status, &passes[i])
		events = append(events, passEvents(was, &passes[i])...)
	}
	if !equality.Semantic.DeepEqual(before.Status, node.Status) {
		if err := w.client.Status().Patch(ctx, &node, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("patch status of NodeState %s: %w", w.nodeName, err)
		}
	}
	w.drop(len(passes), passes[len(passes)-1].Finished)
	w.events.publish(ctx, events...)
	return nil
}

// drop forgets the first n passes, which were written; the last of them may have been replaced by
// a newer one meanwhile, which then stays.
func (w *statusWriter) drop(n int, last time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n > 0 && len(w.pending) > 0 && !w.pending[0].Finished.After(last) {
		w.pending = w.pending[1:]
		n--
	}
}
