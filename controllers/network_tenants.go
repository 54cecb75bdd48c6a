package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/flannelstore"
	"seedbed.dev/seedbed/controllers/leases"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

// releaseAfter is how long after a node was deleted its lease is released: its registration may make
// it again at once.
const releaseAfter = 5 * time.Second

// errStays means that a node may go on although its NodeState was deleted. A flanneld whose lease is
// deleted ends (flannel, pkg/subnet/etcd/local_manager.go), and the node is cut off.
var errStays = errors.New("its kubelet has not said that it left")

// tenants remembers which lease in etcd is whose while the nodes are there, so that the lease of one
// that was deleted is known. It is memory alone: what a manager does not see go, etcd lets expire.
type tenants struct {
	mu sync.Mutex
	// owned is by network and node, left by network.
	owned map[string]map[string]leases.Lease
	left  map[string][]departed
}

type departed struct {
	leases.Departure
	at time.Time
}

func newTenants() *tenants {
	return &tenants{owned: map[string]map[string]leases.Lease{}, left: map[string][]departed{}}
}

// remember replaces what is known of the leases of a network's nodes.
func (t *tenants) remember(network string, owned map[string]leases.Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owned[network] = owned
}

func (t *tenants) forget(network string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.owned, network)
	delete(t.left, network)
}

// leave takes note that a node was deleted.
func (t *tenants) leave(node string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for network, owned := range t.owned {
		if lease, ok := owned[node]; ok {
			delete(owned, node)
			t.left[network] = append(t.left[network], departed{leases.Departure{Node: node, Lease: lease}, now})
		}
	}
}

// departures are those of a network.
func (t *tenants) departures(network string) []departed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.left[network])
}

func (t *tenants) settle(network string, d departed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left[network] = slices.DeleteFunc(t.left[network], func(o departed) bool { return o == d })
	if len(t.left[network]) == 0 {
		delete(t.left, network)
	}
}

// released deletes the leases of nodes that were deleted, and takes note of whose the others are.
func (r *NetworkConfigReconciler) released(ctx context.Context, p *networkPass, held []flannelstore.Entry) error {
	fleet, network := p.fleet(), p.network.Name
	owned := map[string]leases.Lease{}
	for i := range held {
		if owner, ok := fleet.Owner(held[i].Lease); ok && p.members[owner] {
			owned[owner] = held[i].Lease
		}
	}
	for _, d := range r.tenants.departures(network) {
		if wait := d.at.Add(releaseAfter).Sub(r.now()); wait > 0 {
			p.again = sooner(p.again, wait)
			continue
		}
		switch err := r.releaseOne(ctx, p.network, fleet, d, held); {
		case errors.Is(err, errStays): // until the Node says more, or is deleted
			continue
		case errors.Is(err, flannelstore.ErrNotConnected), errors.Is(err, flannelstore.ErrNoAnswer):
			p.again = sooner(p.again, repairPause)
			continue
		case err != nil && !errors.Is(err, flannelstore.ErrChanged): // one that changed is in use
			return err
		}
		r.tenants.settle(network, d)
	}
	r.tenants.remember(network, maps.Clone(owned))
	return nil
}

// releaseOne releases the lease of one node that was deleted, if it is still that node's. The error is
// errStays as long as its Node does: it was told to leave and keep everything, or deleted by mistake.
func (r *NetworkConfigReconciler) releaseOne(ctx context.Context, n *v1alpha1.NetworkConfig, fleet leases.Fleet, d departed, held []flannelstore.Entry) error {
	i := slices.IndexFunc(held, func(e flannelstore.Entry) bool { return fleet.Release(d.Departure, e.Lease) })
	if i < 0 {
		return nil
	}
	if gone, err := isGone(ctx, r.direct, d.Node); !gone {
		return err
	}
	var node corev1.Node
	if err := client.IgnoreNotFound(r.client.Get(ctx, client.ObjectKey{Name: d.Node}, &node)); err != nil {
		return fmt.Errorf("get Node %s: %w", d.Node, err)
	}
	if !nodeobject.Gone(&node) {
		return errStays
	}
	if err := r.etcd.Release(ctx, n.Name, held[i]); err != nil {
		return err
	}
	publish(r.events, leaseReleased(n, d.Departure))
	return nil
}

// sooner is the shorter of two waits, where 0 is for ever.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}
