package flannelstore

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// probeEvery is how often an etcd is asked whether it is there: a watch does not tell.
	probeEvery = 5 * time.Second
	// The pauses between tries to reach an etcd that does not answer.
	firstPause   = time.Second
	longestPause = time.Minute
)

// session follows one target.
type session struct {
	id      string
	target  Target
	changed func()
	cancel  context.CancelFunc

	mu    sync.Mutex
	view  View
	store *store
}

func (s *session) current() View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

func (s *session) connection() *store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// run follows until ctx ends.
func (s *session) run(ctx context.Context) {
	pause := newPause()
	for ctx.Err() == nil {
		err := s.follow(ctx, func() { pause = newPause() })
		if ctx.Err() != nil {
			return
		}
		s.fail(err)
		select {
		case <-ctx.Done():
		case <-time.After(pause.Step()):
		}
	}
}

// newPause doubles, and leaves managers that lost one etcd together apart.
func newPause() wait.Backoff {
	return wait.Backoff{Duration: firstPause, Factor: 2, Jitter: 0.2, Steps: 10, Cap: longestPause}
}

// follow reads what is there and goes along with its changes until something is wrong.
func (s *session) follow(ctx context.Context, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	connection, err := connect(ctx, s.target)
	if err != nil {
		return err
	}
	defer func() { _ = connection.client.Close() }()
	c, err := connection.read(ctx)
	if err != nil {
		return err
	}
	connected()
	s.show(connection, c.view())
	defer s.disconnect()
	watching := make(chan clientv3.WatchChan, 1)
	from := c.revision + 1
	go func() { watching <- connection.watch(ctx, from) }() // it waits for etcd to answer
	var changes clientv3.WatchChan
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for {
		select {
		case changes = <-watching:
		case change, ok := <-changes:
			if !ok {
				return fmt.Errorf("%w: the watch ended", ErrNoAnswer)
			}
			if err := change.Err(); err != nil {
				return classify(err)
			}
			if c.apply(s.target, change) {
				s.show(connection, c.view())
			}
		case <-probe.C:
			if err := connection.probe(ctx, c); err != nil {
				return err
			}
		}
	}
}

func (s *store) watch(ctx context.Context, from int64) clientv3.WatchChan {
	return s.client.Watch(clientv3.WithRequireLeader(ctx), s.target.Prefix+"/", clientv3.WithPrefix(), clientv3.WithRev(from))
}

// apply takes in a change, and says whether it shows.
func (c *contents) apply(t Target, change clientv3.WatchResponse) (shows bool) {
	c.revision = max(c.revision, change.Header.Revision)
	for _, e := range change.Events {
		key := string(e.Kv.Key)
		before, had := c.leases[key]
		if e.Type == clientv3.EventTypeDelete {
			c.delete(t, key)
		} else {
			c.put(t, e.Kv)
		}
		now, has := c.leases[key]
		// A lease that was renewed shows too: who releases it has to know its revision.
		shows = shows || key == t.ConfigKey() || had != has || before != now
	}
	return shows
}

// probe asks whether the etcd is there, and is the one that was read: one that was restored from a
// copy is behind it, and a watch would wait for it to catch up.
func (s *store) probe(ctx context.Context, c *contents) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := s.client.Get(ctx, s.target.ConfigKey(), clientv3.WithKeysOnly())
	switch {
	case err != nil:
		return classify(err)
	case found.Header.Revision < c.revision:
		return fmt.Errorf("%w: it was restored from a copy (revision %d, and %d before)", ErrNoAnswer, found.Header.Revision, c.revision)
	}
	return nil
}

func (s *session) show(connection *store, v View) {
	s.mu.Lock()
	s.store, s.view = connection, v
	s.mu.Unlock()
	s.changed()
}

func (s *session) disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = nil
}

// fail keeps what was known, and the words of the first of failures that say the same, so that a
// status that shows them does not change with every try.
func (s *session) fail(err error) {
	s.mu.Lock()
	same := s.view.Err != nil && shape(s.view.Err) == shape(err)
	if !same {
		s.view.Err = err
	}
	s.mu.Unlock()
	if !same {
		s.changed()
	}
}

var numbers = regexp.MustCompile(`[0-9]+`)

// shape is an error without its addresses and ports.
func shape(err error) string { return numbers.ReplaceAllString(err.Error(), "#") }
