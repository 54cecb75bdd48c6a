package plan

import (
	"maps"

	"seedbed.dev/seedbed/controllers/state"
)

// Action is what a step does to its target.
type Action string

const (
	// Write makes a file what it is to be.
	Write Action = "write"
	// Restore puts back what was there before Seedbed, or removes what was not.
	Restore Action = "restore"
	// Delete deletes a network interface, which another step makes anew.
	Delete Action = "delete"
	// Check changes nothing and fails when its target is not as the steps after it want it.
	Check Action = "check"
	// Load loads a kernel module.
	Load Action = "load"
	// Set sets a sysctl's value, a chain's policy or a link's mode.
	Set Action = "set"
	// Reload of systemd reads unit files again; of a unit, its configuration.
	Reload Action = "reload"
	// Install installs a package in a version, and holds it there where one is given.
	Install Action = "install"
	// Remove removes a package; its configuration files stay.
	Remove Action = "remove"
	Hold   Action = "hold"
	Unhold Action = "unhold"
	// Finish finishes what the package manager was cut off in.
	Finish  Action = "finish"
	Enable  Action = "enable"
	Disable Action = "disable"
	Start   Action = "start"
	Stop    Action = "stop"
	Restart Action = "restart"
)

// Step is one change to one resource.
type Step struct {
	Action Action    `json:"action"`
	Target state.Ref `json:"target"`
	// Before and After describe the target, never its content.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Reason says why the step is there, for a user to read.
	Reason string `json:"reason"`
	// Disruption is what the step costs.
	Disruption state.Disruption `json:"disruption"`
	// Also is what else the step disturbs, without a step of its own.
	Also []Disturbance `json:"also,omitempty"`
	// Drift is true when somebody else changed what Seedbed had put there.
	Drift bool `json:"drift,omitempty"`
	// Blocked says why the step cannot be taken; it then counts as failed and its dependants wait.
	Blocked string `json:"blocked,omitempty"`
	// Waits is true when Blocked is no failure: somebody else has to do something first.
	Waits bool `json:"waits,omitempty"`
	// Cause of a blocked step, one of v1alpha1.Reason*; empty where there is none in particular.
	Cause string `json:"cause,omitempty"`
	// Gives is true when the resource is not Seedbed's any more after this step.
	Gives bool `json:"gives,omitempty"`
	// Needs are targets of earlier steps; when one of those fails, this step is not tried.
	Needs []state.Ref `json:"needs,omitempty"`

	// What apply acts with; not printed.
	File    *state.File    `json:"-"`
	Old     *state.File    `json:"-"`
	Package *state.Package `json:"-"`
	// Unhold is true when Seedbed's own hold of the package is to be lifted first.
	Unhold bool              `json:"-"`
	Binary *state.Binary     `json:"-"`
	Prior  *state.Prior      `json:"-"`
	Inputs map[string]string `json:"-"`
	// Invocation of the unit before the step.
	Invocation string `json:"-"`
	// Bridge to check.
	Bridge *state.Bridge `json:"-"`
	// Unowned is true for steps that leave nothing to put back.
	Unowned bool `json:"-"`
	// Candidates are files that must pass their checks before the step is taken.
	Candidates []Candidate `json:"-"`
}

// Candidate is a file that is to be accepted by the programs that read it.
type Candidate struct {
	Path string
	File state.File
}

// Claim records what was there before Seedbed took a resource over. Claims are made durable before
// the first step.
type Claim struct {
	Ref state.Ref
	// Prior as it goes into the ledger; Content is a file's, to be kept with it.
	Prior   state.Prior
	Content []byte
	// Applied is set when the resource already is what it is to be.
	Applied string
	// Verified is set with Applied for a binary.
	Verified *state.Verified
}

// Plan is what to do, in order.
type Plan struct {
	Steps []Step `json:"steps"`
	// Claims of resources that are not in the ledger yet.
	Claims []Claim `json:"-"`
	// Started are corrections of the ledger's records of units: restarts that a crash left
	// unrecorded, and units that were running before Seedbed came.
	Started map[string]state.Started `json:"-"`
	// Confirmed are digests of resources that are as desired although no record says that we made
	// them so: a crash came in between.
	Confirmed map[state.Ref]string `json:"-"`
	// Asks is what the plan wants a permit for, whether it has it or not; nil for nothing.
	Asks *Ask `json:"asks,omitempty"`
	// Blind is true if something could not be looked at without which nobody knows whether the plan asks.
	Blind bool `json:"-"`
	// Recreation goes on record before the first step, and as done after the last; nil for none.
	Recreation *state.Recreation `json:"-"`
	// Verified are binaries that were hashed and found to be as desired.
	Verified map[state.Ref]state.Verified `json:"-"`
	// Released are resources in the ledger that need no step any more.
	Released []state.Ref `json:"-"`
}

// Empty is true when there is nothing to do and nothing to record.
func (p Plan) Empty() bool {
	return len(p.Steps) == 0 && len(p.Claims) == 0 && len(p.Started) == 0 &&
		len(p.Confirmed) == 0 && len(p.Verified) == 0 && len(p.Released) == 0 && p.Recreation == nil
}

// Installs is true when a package or binary is to be installed, or a package removed for another, so
// that the programs on the host are not yet those that the rest was planned for.
func (p Plan) Installs() bool {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Blocked == "" && !s.Gives && (s.Target.Kind == state.KindBinary || s.Target.Kind == state.KindPackage && s.Action != Hold && s.Action != Unhold) {
			return true
		}
	}
	return false
}

// New plans the way from observed to desired. Resources that the ledger owns and desired does not
// name are put back as they were before; an empty desired host is therefore a removal. A partial
// desired host removes and gives up nothing. What wants a permit waits for it.
func New(desired, observed state.Host, ledger state.Ledger) Plan {
	return NewPermitted(desired, observed, ledger, "")
}

// NewPermitted is New with a permit, which is the hash of the plan it is for.
func NewPermitted(desired, observed state.Host, ledger state.Ledger, permit string) Plan {
	b := &builder{
		desired: desired, observed: observed, ledger: ledger, permit: permit,
		started: maps.Clone(ledger.Started), planned: map[state.Ref]bool{}, stopped: map[string]string{},
		early: map[string]bool{}, leaving: empty(desired),
	}
	b.settle()
	b.claim()
	b.stopRemoved()
	b.packages()
	b.binaries()
	b.modules()
	b.files()
	b.sysctls()
	b.daemonReload()
	b.chains()
	b.enablement()
	b.bridges()
	b.units()
	b.links()
	b.restoreBinaries()
	b.restorePackages()
	b.release()
	return b.plan
}

// builder collects the steps of one plan.
type builder struct {
	desired, observed state.Host
	ledger            state.Ledger
	// started is the ledger's, corrected by settle and claim.
	started map[string]state.Started
	// planned targets so far, which later steps may need.
	planned map[state.Ref]bool
	// permit that the plan has; empty for none.
	permit string
	// stopped units by name: why this plan stops them, to start them again.
	stopped map[string]string
	// early are files that were planned before the others, since packages need them.
	early map[string]bool
	// reloaded is how many steps there were when systemd was last to read unit files.
	reloaded int
	// held are restarts that wait for a drain. Their steps come last: no other step needs them.
	held []Step
	// leaving is true when nothing at all is desired.
	leaving bool
	plan    Plan
}

// add appends a step whose Needs are limited to targets that really have a step. A resource that
// could not be looked at blocks its step, but for a check, which looks by itself.
func (b *builder) add(s Step, needs ...state.Ref) {
	for _, n := range needs {
		if b.planned[n] && n != s.Target {
			s.Needs = append(s.Needs, n)
		}
	}
	if why, unknown := b.observed.Unknown[s.Target]; unknown && s.Blocked == "" && s.Action != Check {
		s.Blocked = "its present state is unknown: " + why
	}
	b.planned[s.Target] = true
	b.plan.Steps = append(b.plan.Steps, s)
}

// confirm is called for a resource that is as desired.
func (b *builder) confirm(ref state.Ref, digest string) {
	if owned, ok := b.ledger.Owned[ref]; ok && owned.Applied != digest {
		if b.plan.Confirmed == nil {
			b.plan.Confirmed = map[state.Ref]string{}
		}
		b.plan.Confirmed[ref] = digest
	}
}

// removed lists the owned resources of a kind that are not desired any more, in order.
func (b *builder) removed(kind state.Kind, desired func(name string) bool) []string {
	if b.desired.Partial {
		return nil
	}
	names := map[string]bool{}
	for ref := range b.ledger.Owned {
		if ref.Kind == kind && !desired(ref.Name) {
			names[ref.Name] = true
		}
	}
	return state.SortedKeys(names)
}

func (b *builder) prior(ref state.Ref) *state.Prior {
	p := b.ledger.Owned[ref].Prior
	return &p
}

// drifted is true when the host was as desired after our last write and is not any more.
func (b *builder) drifted(ref state.Ref, desired string) bool {
	owned, ok := b.ledger.Owned[ref]
	return ok && owned.Applied != "" && owned.Applied == desired
}

func has[K comparable, V any](m map[K]V, name K) bool {
	_, ok := m[name]
	return ok
}
