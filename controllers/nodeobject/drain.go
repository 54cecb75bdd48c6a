package nodeobject

import (
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Annotations of a Node.
const (
	// AnnotationDrain on a Node says that the manager drains it, and how far it is: a Drain as
	// JSON. Cordoning and writing it is one request, so that a cordon of ours is never taken for
	// somebody else's.
	AnnotationDrain = "seedbed.dev/drain"
)

// Drain is a drain under way, or one that was given up and is tried again later.
type Drain struct {
	// Plan the node is drained for, as its agent names it.
	Plan v1alpha1.PlanHash `json:"plan"`
	// Started is when this attempt began.
	Started time.Time `json:"started"`
	// Cordoned is true when it was this drain that made the Node unschedulable, and not somebody
	// before it.
	Cordoned bool `json:"cordoned,omitempty"`
	// Drained is true once no pod is left that has to go.
	Drained bool `json:"drained,omitempty"`
	// Blocked says which pod does not go, and why.
	Blocked string `json:"blocked,omitempty"`
	// GivenUp is when the time for it was over; nil before.
	GivenUp *time.Time `json:"givenUp,omitempty"`
}

// DrainOf reads a Node's drain; nil is none. What cannot be read counts as none: the annotation is
// then written anew.
func DrainOf(node *corev1.Node) *Drain {
	raw, ok := node.Annotations[AnnotationDrain]
	if !ok {
		return nil
	}
	var d Drain
	if json.Unmarshal([]byte(raw), &d) != nil {
		return nil
	}
	return &d
}

// UnderWay is true for a drain that holds one of rollout.maxUnavailable's slots.
func (d *Drain) UnderWay() bool { return d != nil && d.GivenUp == nil }

func (d *Drain) encode() (string, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encode drain: %w", err)
	}
	return string(raw), nil
}

// Store is the patch that writes the drain.
func (d *Drain) Store() (Patch, error) {
	var p Patch
	raw, err := d.encode()
	if err != nil {
		return p, err
	}
	p.Annotate(AnnotationDrain, raw)
	return p, nil
}

// Begin is the patch with which a drain of the Node begins. A Node that is cordoned already stays
// its owner's to uncordon, unless the cordon is that of our own attempt before.
func Begin(node *corev1.Node, plan v1alpha1.PlanHash, now time.Time) (Patch, error) {
	d := &Drain{Plan: plan, Started: now, Cordoned: !node.Spec.Unschedulable}
	if before := DrainOf(node); before != nil && node.Spec.Unschedulable {
		d.Cordoned = before.Cordoned
	}
	p, err := d.Store()
	if !node.Spec.Unschedulable {
		yes := true
		p.Unschedulable = &yes
	}
	return p, err
}

// GiveUp is the patch that ends an attempt whose time is over: pods may be scheduled again, which may
// be what the pods that did not go are waiting for.
func GiveUp(node *corev1.Node, d Drain, why string, now time.Time) (Patch, error) {
	uncordon := d.Cordoned
	d.GivenUp, d.Blocked, d.Cordoned, d.Drained = &now, why, false, false
	p, err := d.Store()
	if uncordon {
		p.uncordon(node)
	}
	return p, err
}

// End is the patch that takes back all that a drain did.
func End(node *corev1.Node) Patch {
	var p Patch
	if _, there := node.Annotations[AnnotationDrain]; there {
		p.Annotate(AnnotationDrain, "")
	}
	if d := DrainOf(node); d != nil && d.Cordoned {
		p.uncordon(node)
	}
	return p
}

func (p *Patch) uncordon(node *corev1.Node) {
	if node.Spec.Unschedulable {
		no := false
		p.Unschedulable = &no
	}
}
