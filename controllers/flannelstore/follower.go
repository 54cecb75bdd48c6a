package flannelstore

import (
	"context"
	"errors"
	"sync"
)

// ErrNotConnected means that a network is not followed, or its etcd does not answer.
var ErrNotConnected = errors.New("not connected")

// Follower keeps a view of each network that it is told to follow. Each has a connection of its own,
// so that one etcd that does not answer holds up no other network.
type Follower struct {
	// changed is called when a view says something new, from several goroutines.
	changed func(network string)
	begin   func() (context.Context, context.CancelFunc)
	end     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*session
}

// NewFollower follows nothing yet.
func NewFollower(changed func(network string)) *Follower {
	f := &Follower{changed: changed, sessions: map[string]*session{}}
	root, end := context.WithCancel(context.Background())
	f.begin, f.end = func() (context.Context, context.CancelFunc) { return context.WithCancel(root) }, end
	return f
}

// Start waits until ctx ends and ends every connection then.
func (f *Follower) Start(ctx context.Context) error {
	<-ctx.Done()
	f.end()
	f.running.Wait()
	return nil
}

// Following is the identity of what is followed for a network, and "" for nothing.
func (f *Follower) Following(network string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sessions[network]; s != nil {
		return s.id
	}
	return ""
}

// Follow follows a target for a network, instead of another one that it followed. Of two with one
// identity the first is kept.
func (f *Follower) Follow(network, id string, t Target) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sessions[network]; s != nil {
		if s.id == id {
			return
		}
		s.cancel()
	}
	ctx, cancel := f.begin()
	s := &session{id: id, target: t, cancel: cancel, changed: func() { f.changed(network) }}
	f.sessions[network] = s
	f.running.Go(func() { s.run(ctx) })
}

// Forget ends what is followed for a network.
func (f *Follower) Forget(network string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sessions[network]; s != nil {
		s.cancel()
		delete(f.sessions, network)
	}
}

// View is what the etcd of a network holds. It does not wait.
func (f *Follower) View(network string) View {
	if s := f.session(network); s != nil {
		return s.current()
	}
	return View{}
}

// Publish writes a network's configuration over the one of the given revision, 0 for none. The error
// is ErrChanged if it is not that one any more.
func (f *Follower) Publish(ctx context.Context, network, config string, over int64) error {
	return f.with(network, func(s *store) error { return s.publish(ctx, config, over) })
}

// Release deletes a lease of a network. The error is ErrChanged if it is not as it was seen any more.
func (f *Follower) Release(ctx context.Context, network string, e Entry) error {
	return f.with(network, func(s *store) error { return s.release(ctx, e) })
}

func (f *Follower) with(network string, do func(*store) error) error {
	s := f.session(network)
	if s == nil {
		return ErrNotConnected
	}
	connection := s.connection()
	if connection == nil {
		return ErrNotConnected
	}
	return do(connection)
}

func (f *Follower) session(network string) *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions[network]
}
