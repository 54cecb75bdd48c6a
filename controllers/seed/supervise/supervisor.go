package supervise

import (
	"context"
	"slices"
	"sync"
	"time"
)

// waitingEvery is how often a child that does not answer yet is reported.
const waitingEvery = 5 * time.Second

// Supervisor keeps children running. Make it with New and end it with Stop.
type Supervisor struct {
	spawner *spawner
	report  func(Event)
	delay   func(deaths int) time.Duration

	mu       sync.Mutex
	children []*kept
}

// kept is a child that is kept running.
type kept struct {
	child   Child
	log     *logFile
	checker *checker
	current *instance
	// stop is closed to end the child, done when it has ended for good.
	stop, done chan struct{}
}

// New returns a supervisor without children. Events are reported from several goroutines, one at a
// time.
func New(report func(Event)) *Supervisor {
	var mu sync.Mutex
	return &Supervisor{
		spawner: newSpawner(),
		delay:   Delay,
		report: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			report(e)
		},
	}
}

// Start runs the child and returns when it is healthy. A child that ends before that is a
// *StartError and is not started again; so is one that does not answer before ctx ends.
func (s *Supervisor) Start(ctx context.Context, c Child) error {
	check, err := newChecker(c.Health)
	if err != nil {
		return err
	}
	out, err := openLog(c.Log, maxLogSize)
	if err != nil {
		return err
	}
	in, err := s.spawner.start(c, out)
	if err != nil {
		_ = out.Close()
		return err
	}
	if err := s.awaitFirst(ctx, c, check, in); err != nil {
		in.stop(c.StopTimeout)
		_ = out.Close()
		return err
	}
	k := &kept{child: c, log: out, checker: check, current: in, stop: make(chan struct{}), done: make(chan struct{})}
	s.mu.Lock()
	s.children = append(s.children, k)
	s.mu.Unlock()
	go s.keep(k)
	return nil
}

// Stop ends the children, the last started first, and returns when none is left.
func (s *Supervisor) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range slices.Backward(s.children) {
		close(k.stop)
		<-k.done
	}
	s.children = nil
	s.spawner.close()
}

func (s *Supervisor) awaitFirst(ctx context.Context, c Child, check *checker, in *instance) error {
	how := s.await(ctx, c, check, in)
	if how == "" {
		s.report(Event{Child: c.Name, Kind: Healthy, After: time.Since(in.started)})
		return nil
	}
	return &StartError{Child: c.Name, How: how, LastLine: lastLine(c.Log), Log: c.Log}
}

// await returns "" once the child is healthy, or how it failed to get there.
func (s *Supervisor) await(ctx context.Context, c Child, check *checker, in *instance) string {
	poll := time.NewTicker(healthInterval)
	defer poll.Stop()
	waiting := time.NewTicker(waitingEvery)
	defer waiting.Stop()
	for {
		if check.healthy(ctx) {
			return ""
		}
		select {
		case <-in.exited:
			return "ended before it answered (" + in.how + ")"
		case <-ctx.Done():
			return "had not answered when the start was given up"
		case <-waiting.C:
			s.report(Event{Child: c.Name, Kind: Waiting, After: time.Since(in.started)})
		case <-poll.C:
		}
	}
}

// keep starts the child again whenever it ends, until it is told to stop.
func (s *Supervisor) keep(k *kept) {
	defer close(k.done)
	defer func() { _ = k.log.Close() }()
	deaths := 0
	for {
		select {
		case <-k.stop:
			s.end(k)
			return
		case <-k.current.exited:
		}
		if time.Since(k.current.started) > calm {
			deaths = 0
		}
		deaths++
		if !s.revive(k, deaths) {
			return
		}
	}
}

// revive starts the child again after its delay and reports when it answers. It is false when the
// child was told to stop meanwhile.
func (s *Supervisor) revive(k *kept, deaths int) bool {
	how := k.current.how
	for {
		delay := s.delay(deaths)
		s.report(Event{Child: k.child.Name, Kind: Died, After: delay, Detail: how})
		select {
		case <-k.stop:
			return false
		case <-time.After(delay):
		}
		in, err := s.spawner.start(k.child, k.log)
		if err != nil {
			how = err.Error()
			deaths++
			continue
		}
		k.current = in
		go s.reportRecovery(k, in)
		return true
	}
}

func (s *Supervisor) reportRecovery(k *kept, in *instance) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-k.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	if s.await(ctx, k.child, k.checker, in) == "" {
		s.report(Event{Child: k.child.Name, Kind: Recovered, After: time.Since(in.started)})
	}
}

func (s *Supervisor) end(k *kept) {
	if k.current.stop(k.child.StopTimeout) {
		s.report(Event{Child: k.child.Name, Kind: Killed, After: k.child.StopTimeout})
	}
}
