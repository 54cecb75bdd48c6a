package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/state"
)

// Timing of an agent's passes.
const (
	// settleTime is how long file events are gathered before a pass; settleMax bounds it.
	settleTime = 20 * time.Millisecond
	settleMax  = 200 * time.Millisecond
	// retryMin and retryMax bound the wait after a pass that did not get the host to agree.
	retryMin = time.Second
	retryMax = time.Minute
	// glanceEvery is the time between looks at what sends no events but is cheap to look at (package
	// host, Look). Seen and put right, such a change is to last for less than two seconds.
	glanceEvery = time.Second
	// healthEvery is the time between looks at a host that runs: units and programs send no events.
	// One that has just been changed and is not healthy yet is looked at every healthSoon, for
	// healthFor: who waits for the node wants to know.
	healthEvery = 10 * time.Second
	healthSoon  = time.Second
	healthFor   = 2 * time.Minute
)

// errSuperseded ends a pass.
var errSuperseded = errors.New("another revision was assigned meanwhile")

// Watcher wakes an agent when something happens to managed paths.
type Watcher interface {
	// Set replaces the paths that are watched.
	Set(paths []string)
	// Events has a value when something happened to one of them.
	Events() <-chan struct{}
	// Degraded says why paths are only polled; empty while the kernel's events are used.
	Degraded() string
}

// Agent keeps one host at its assignment. It runs one pass at a time: at start from the assignment
// kept on disk, then whenever the assignment or a managed file changes, and at every resync.
type Agent struct {
	Pipeline *Pipeline
	Cache    AssignmentCache
	Watcher  Watcher
	// Resync is the time between passes when nothing happens: what is not watched (units, sysctls,
	// chains) is looked at then, on a host that runs also sooner.
	Resync time.Duration
	// Certificates makes the agent obtain and renew the client certificates that its host's units
	// await, and its own. Never on a host root: what runs there will have its own.
	Certificates bool
	// Report is given every pass.
	Report func(report.Pass)
	// Jitter returns a random number in [0, 1), to spread retries.
	Jitter func() float64
	Log    logr.Logger

	wake chan struct{}
	mu   sync.Mutex
	want *Assignment
	// interrupt ends the pass under way, if there is one.
	interrupt context.CancelCauseFunc

	// Used by the loop only.
	held     *Assignment
	failures int
	degraded string
	// changed is when a pass last changed something, or when the first ended.
	changed time.Time
	// desired is what the last pass wanted of a host that runs, seen is what it left there.
	desired state.Host
	seen    host.Glance
}

// Assign tells the agent what its node is to be. It returns at once. A pass towards something else
// ends at its next step, so that a mended object need not wait for what the broken one waits for.
func (a *Agent) Assign(want *Assignment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.interrupt != nil && !want.sameAs(a.want) {
		a.interrupt(errSuperseded)
	}
	a.want = want
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns the latest assignment, and lets a wake that was for it not cause another pass.
func (a *Agent) take() *Assignment {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.wake:
	default:
	}
	return a.want
}

// Assigned returns the latest assignment; nil before the first.
func (a *Agent) Assigned() *Assignment {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.want
}

// Init prepares the agent for Assign and Run, and loads the assignment kept on disk.
func (a *Agent) Init() error {
	a.wake = make(chan struct{}, 1)
	a.Pipeline.Watch = a.watch
	a.Pipeline.Progress = func(p report.Pass) { a.Report(p) } // Report is set later, when the API is known
	a.Pipeline.Keep = a.Cache.Save
	kept, facts, err := a.Cache.Load()
	if err != nil {
		return err
	}
	a.held, a.want = kept, kept
	a.Pipeline.facts, a.Pipeline.keptFacts = facts, facts
	a.Pipeline.bootstrap.keptTrimmed = kept != nil && kept.Trimmed
	return nil
}

// Run runs passes until ctx is done. It needs no API server.
func (a *Agent) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait := a.Resync
		if want := a.take(); want != nil {
			wait = a.pass(ctx, want)
		}
		a.sleep(ctx, wait)
	}
	return nil
}

// pass runs one pass and returns the time until the next if nothing happens before.
func (a *Agent) pass(ctx context.Context, want *Assignment) time.Duration {
	ctx, done := a.interruptible(ctx, want)
	pass, enforced := a.Pipeline.Pass(ctx, want, a.held)
	if pass.Err == nil && enforced != nil {
		a.held = enforced
	}
	if ctx.Err() != nil {
		return done() // ended in the middle: what did not happen is no failure
	}
	done()
	observePass(&pass)
	a.Report(pass)
	a.desired = state.Host{}
	if !pass.Offline && enforced != nil && pass.Err == nil {
		a.desired = pass.Desired
	}
	a.seen = host.GlanceAt(a.desired, pass.Observed)
	if a.changed.IsZero() || pass.Changed() {
		a.changed = pass.Finished
	}
	if pass.Agrees() || pass.Waits() || (pass.Revision == "" && pass.Err == nil) {
		a.failures = 0
		return min(a.rest(&pass), a.Resync)
	}
	a.failures++
	return min(a.backoff(), a.Resync)
}

// rest is how long a host that needs nothing done is left alone.
func (a *Agent) rest(pass *report.Pass) time.Duration {
	switch {
	case pass.Offline || pass.Enforced == "":
		return a.Resync
	case !pass.Healthy() && pass.Finished.Sub(a.changed) < healthFor:
		return healthSoon
	}
	return healthEvery
}

// interruptible is a context that Assign can end, or has ended since want was taken; done must be
// called, and returns no wait.
func (a *Agent) interruptible(ctx context.Context, want *Assignment) (context.Context, func() time.Duration) {
	ctx, cancel := context.WithCancelCause(ctx)
	a.mu.Lock()
	a.interrupt = cancel
	if !want.sameAs(a.want) {
		cancel(errSuperseded)
	}
	a.mu.Unlock()
	return ctx, func() time.Duration {
		a.mu.Lock()
		a.interrupt = nil
		a.mu.Unlock()
		cancel(nil)
		return 0
	}
}

// backoff doubles with each failure in a row, with up to half of it more at random.
func (a *Agent) backoff() time.Duration {
	d := retryMax
	if a.failures < 7 {
		d = min(retryMin<<(a.failures-1), retryMax)
	}
	return d + time.Duration(a.Jitter()*float64(d)/2)
}

// sleep waits for something to happen, at most for the given time, and then until it is quiet.
func (a *Agent) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	glances := time.NewTicker(glanceEvery)
	defer glances.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-a.wake:
		case <-a.Watcher.Events():
			a.settle(ctx)
		case <-glances.C:
			if host.Look(ctx, a.Pipeline.Host, a.desired).Equal(a.seen) {
				continue
			}
		}
		return
	}
}

func (a *Agent) settle(ctx context.Context) {
	end := time.NewTimer(settleMax)
	defer end.Stop()
	for {
		quiet := time.NewTimer(settleTime)
		select {
		case <-a.Watcher.Events():
			quiet.Stop()
			continue
		case <-quiet.C:
		case <-end.C:
			quiet.Stop()
		case <-ctx.Done():
			quiet.Stop()
		}
		return
	}
}

func (a *Agent) watch(paths []string) {
	a.Watcher.Set(paths)
	if why := a.Watcher.Degraded(); why != a.degraded {
		a.degraded = why
		if why != "" {
			a.Log.Info("polling files instead of watching them", "because", why)
		}
	}
}
