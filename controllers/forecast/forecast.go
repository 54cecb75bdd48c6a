package forecast

import (
	"errors"
	"fmt"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// Input is what a forecast is made of.
type Input struct {
	// Node is resolved as the agent does it.
	Node resolve.Input
	// Observe looks at a host as package host does, for what is desired.
	Observe func(desired state.Host) state.Host
	Ledger  state.Ledger
}

// Forecast is what will be done.
type Forecast struct {
	// Desired is what the host is to be.
	Desired state.Host
	// Plan has the steps of all passes.
	Plan plan.Plan
	// Missing is why the rest is known only once what Plan installs is there; empty when Plan is all.
	Missing resolve.Errors
	// Held is why the manager will not assign this while the Node is the one it is; empty when nothing on
	// the host says so.
	Held string
	// Assumed is what the plan takes programs to be that are not there yet, such as "kubelet v1.38.0".
	Assumed []string
}

// New makes a forecast. The error is that of a revision that cannot be realised on this host.
func New(in Input) (Forecast, error) {
	f, err := in.of(in.Node)
	if err != nil || !f.Desired.Partial && !f.Plan.Installs() {
		return f, err
	}
	facts, assumed := expect(in.Node, f)
	if len(assumed) == 0 {
		return f, nil
	}
	then := in.Node
	then.Facts = facts
	whole, err := in.of(then)
	if refused, ok := errors.AsType[resolve.Errors](err); ok {
		f.Missing = refused
		return f, nil
	}
	if len(whole.Missing) > 0 {
		f.Missing = whole.Missing
		return f, nil
	}
	whole.Assumed = assumed
	return whole, err
}

func (in Input) of(node resolve.Input) (Forecast, error) {
	resolved, err := resolve.Resolve(node)
	if err != nil {
		return Forecast{}, err
	}
	desired, err := render.Render(resolved)
	if err != nil {
		return Forecast{}, fmt.Errorf("render: %w", err)
	}
	observed := in.Observe(desired)
	p := plan.New(desired, observed, in.Ledger)
	if p.Asks != nil {
		p = plan.NewPermitted(desired, observed, in.Ledger, p.Asks.Plan)
	}
	return Forecast{Desired: desired, Plan: p, Missing: resolved.Missing, Held: held(node.NodeName, desired, observed)}, nil
}

// held looks at the lease, which is the Node's podCIDR where that is flannel's subnet manager. Only the API
// knows whether it still is.
func held(node string, desired, observed state.Host) string {
	for _, name := range state.SortedKeys(desired.Links) {
		want := desired.Links[name].Bridge
		if want == nil {
			continue
		}
		if is := chain.LookAt(name, want, observed); is.KeptByNode(want) {
			return fmt.Sprintf("the manager holds it back while spec.podCIDR of Node %s is outside podCIDR %s, as the node's lease %s is: "+
				"the API lets nobody change it; drain and delete the Node, and it is made anew with a share of the network", node, want.Network, is.Lease.Bridge.Masked())
		}
	}
	return ""
}
