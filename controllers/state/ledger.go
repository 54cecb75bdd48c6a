package state

import (
	"io/fs"
	"time"
)

// Ledger is what an agent knows of a host that the host itself cannot tell: which resources it
// owns, what was there before, and what each unit was started with. It is data; package apply
// keeps it on disk.
type Ledger struct {
	// Owned resources.
	Owned map[Ref]Owned `json:"owned"`
	// Started is what each unit was last started or reloaded with.
	Started map[string]Started `json:"started"`
	// Recreated is the last time that containers ended for a bridge, or for a restart of docker, or the one
	// under way; nil for never.
	Recreated *Recreation `json:"recreated,omitempty"`
	// Directories that did not exist before us, and are removed once empty.
	Directories []string `json:"directories,omitempty"`
	// Installing are the packages of a transaction that was begun and not seen to end. It is set,
	// durably, before the transaction: what the package manager was cut off in is then Seedbed's to
	// finish.
	Installing []string `json:"installing,omitempty"`
	// Corrected counts resources that somebody else changed and we put right.
	Corrected int64 `json:"corrected,omitempty"`
	// LastCorrected is the last of them.
	LastCorrected *Correction `json:"lastCorrected,omitempty"`
}

// Correction is one resource that somebody else changed and we put right.
type Correction struct {
	What Ref       `json:"what"`
	When time.Time `json:"when"`
}

// NewLedger returns an empty ledger whose maps can be written to.
func NewLedger() Ledger {
	return Ledger{Owned: map[Ref]Owned{}, Started: map[string]Started{}}
}

// Owned is the record of one resource we manage.
type Owned struct {
	// Prior is what was there before we first touched it.
	Prior Prior `json:"prior"`
	// Applied is the digest of what we last put there; empty until then. When the host differs
	// from it, somebody else changed the resource: that is drift.
	Applied string `json:"applied,omitempty"`
	// Verified is a binary as it was when its content was last hashed.
	Verified *Verified `json:"verified,omitempty"`
}

// Prior is enough to put a resource back exactly as it was.
type Prior struct {
	// Absent is true when nothing was there; all else is then empty.
	Absent bool `json:"absent,omitempty"`
	// Blob is the hash of a file's content, kept in the ledger's folder.
	Blob  string      `json:"blob,omitempty"`
	Mode  fs.FileMode `json:"mode,omitempty"`
	Owner string      `json:"owner,omitempty"`
	Group string      `json:"group,omitempty"`
	// Target of a symbolic link that stood at a file's path.
	Type   FileType `json:"type,omitempty"`
	Target string   `json:"target,omitempty"`
	// Value of a sysctl, policy of a chain, or version of a package.
	Value string `json:"value,omitempty"`
	// Held is true for a package that was held.
	Held bool `json:"held,omitempty"`
	// Enablement and Activity of a unit.
	Enablement Enablement `json:"enablement,omitempty"`
	Activity   Activity   `json:"activity,omitempty"`
}

// Started is what a unit was started with.
type Started struct {
	// Inputs by name: the hash the running unit has read.
	Inputs map[string]string `json:"inputs"`
	// Invocation is the run that read them. Under another one the unit was started by somebody
	// else, and has read the files as they were then.
	Invocation string `json:"invocation,omitempty"`
	// Pending is set, durably, before a start or restart and cleared after it: after a crash in
	// between, an invocation other than Pending.Invocation shows that the restart was done.
	Pending *Pending `json:"pending,omitempty"`
}

// Pending is a start or restart that has been asked for and not yet been recorded as done.
type Pending struct {
	Inputs map[string]string `json:"inputs"`
	// Invocation the unit had before.
	Invocation string `json:"invocation"`
}

// Recreation is a bridge that is made anew, or a restart of docker that ends containers: what has to be
// finished after a crash, or what was tried and did not help, so that it is not tried again and again.
type Recreation struct {
	// Link is the bridge's name, empty for a mere restart, and Maker the unit that makes it.
	Link  string `json:"link"`
	Maker string `json:"maker"`
	// Plan is the hash of what is done, and Permitted is true if it had the manager's permit: containers
	// may be stopped for it.
	Plan      string `json:"plan"`
	Permitted bool   `json:"permitted,omitempty"`
	// Containers that were stopped, that nobody else starts again and that do not run yet, by ID;
	// Refused is how often in a row some of them could not be started.
	Containers []string `json:"containers,omitempty"`
	Refused    int      `json:"refused,omitempty"`
	// Invocation is the run of Maker that has made it, after Starts starts; empty until then. One beside
	// which containers ran from the start has not made it.
	Invocation string `json:"invocation,omitempty"`
	Starts     int    `json:"starts,omitempty"`
	// Done is set once the bridge is as the lease has it, or docker was restarted; containers may still have to be started.
	Done bool `json:"done,omitempty"`
}

// UnderWay is true between the first and the last step.
func (r *Recreation) UnderWay() bool { return r != nil && !r.Done }
