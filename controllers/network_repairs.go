package controllers

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often a network is put right in etcd: a burst, then one in each pause. Two that publish
// different networks at one key would otherwise write as fast as etcd can.
const (
	repairBurst = 5
	repairPause = 10 * time.Second
)

// repairs counts them for each network.
type repairs struct {
	mu     sync.Mutex
	limits map[string]*rate.Limiter
}

func newRepairs() *repairs { return &repairs{limits: map[string]*rate.Limiter{}} }

// pause is how long to wait before a write, and 0 for not at all. Only repairs are held back.
func (r *repairs) pause(network string, repair bool, now time.Time) time.Duration {
	if !repair {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.limits[network]
	if limit == nil {
		limit = rate.NewLimiter(rate.Every(repairPause), repairBurst)
		r.limits[network] = limit
	}
	booked := limit.ReserveN(now, 1)
	wait := booked.DelayFrom(now)
	if wait > 0 {
		booked.CancelAt(now)
	}
	return wait
}
