package host

import (
	"context"
	"errors"
	"io"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// ErrDeferred is returned by a port of a host that is not running (an offline root) when a change
// has been recorded for the time it boots instead of being made. It is an outcome, not a failure.
var ErrDeferred = errors.New("deferred until the host runs")

// Errors of all ports name the resource and the cause: "file /etc/x: no space left on device".

// Error is a failure of a kind that users look for: Reason is one of v1alpha1.Reason*.
type Error struct {
	Reason string
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Files is the host's file system. Paths are absolute on the host and clean.
type Files interface {
	// Read returns what stands at path without following a symbolic link there, and false when
	// nothing does. Content is read for regular files only.
	Read(path string) (state.File, bool, error)
	// Write makes path the given regular file, atomically: at any moment, crash included, path is
	// wholly the old or wholly the new file in content, mode and owner. Missing parents are made
	// with mode 0755 and returned, outermost first, also on error. A symbolic link at path is
	// replaced, not followed; a directory or special file there is an error. To put a symbolic
	// link back, f.Type is Symlink. The rename is durable only after Sync.
	Write(path string, f state.File) (madeDirs []string, err error)
	// Remove deletes the regular file or symbolic link at path; absent is success. Durable only
	// after Sync.
	Remove(path string) error
	// RemoveDir deletes a folder if it is empty; absent or not empty is success.
	RemoveDir(path string) error
	// Sync makes all earlier calls durable.
	Sync() error
}

// Verb is something systemd can be asked to do with a unit.
type Verb string

const (
	Start   Verb = "start"
	Stop    Verb = "stop"
	Restart Verb = "restart"
	Reload  Verb = "reload"
)

// Units is the host's systemd.
type Units interface {
	// Get returns the unit's state; an unknown unit is returned with Missing set, not as an error.
	Get(ctx context.Context, name string) (state.Unit, error)
	// SetEnablement enables or disables the unit for the next boot.
	SetEnablement(ctx context.Context, name string, e state.Enablement) error
	// Do runs a job and waits for its result. A start or restart of a unit in the failed state
	// resets its counter first. The wait is bounded by ctx.
	Do(ctx context.Context, name string, verb Verb) error
	// DaemonReload makes systemd read unit files again.
	DaemonReload(ctx context.Context) error
}

// Sysctls is the host's /proc/sys.
type Sysctls interface {
	// Get returns the value with runs of white space as one space, and false when the kernel has
	// no such sysctl (yet: a module may bring it).
	Get(name string) (string, bool, error)
	// Set writes the value.
	Set(name, value string) error
}

// Modules is the host's kernel modules.
type Modules interface {
	// Loaded is true for a module that is loaded or built in.
	Loaded(name string) (bool, error)
	// Load loads it.
	Load(ctx context.Context, name string) error
}

// Chains is the host's iptables, in the variant (legacy or nf_tables) the host uses.
type Chains interface {
	// Get returns a built-in chain by "table/CHAIN", and false when the table has none by that name.
	Get(ctx context.Context, name string) (state.Chain, bool, error)
	// SetPolicy sets the chain's policy: ACCEPT or DROP.
	SetPolicy(ctx context.Context, name, policy string) error
}

// Links is the host's network interfaces.
type Links interface {
	// Get returns a link, and false when there is none by that name.
	Get(name string) (state.Link, bool, error)
	// SetPromiscuous sets whether the link takes in every packet.
	SetPromiscuous(name string, on bool) error
	// SetHairpin sets, on every port of a bridge, whether packets go back to where they came from.
	SetHairpin(bridge string, on bool) error
	// Delete deletes the link; absent is success.
	Delete(name string) error
}

// Containers is the host's container engine.
type Containers interface {
	// Running returns the containers that run, by ID.
	Running(ctx context.Context) (map[string]state.Container, error)
	// Stop stops a container and waits until it has; one that is gone or does not run is success.
	Stop(ctx context.Context, id string) error
	// Start starts a container; one that is gone or runs already is success.
	Start(ctx context.Context, id string) error
	// LiveRestore is true if containers go on when the engine that runs now is stopped.
	LiveRestore(ctx context.Context) (bool, error)
}

// Health asks programs how they are.
type Health interface {
	// Ask puts all questions at once and returns them with their answers, or why there is none. It
	// takes a few seconds at the longest, and changes nothing.
	Ask(ctx context.Context, probes map[string]state.Probe) map[string]state.Probe
}

// Packages is the host's package manager.
type Packages interface {
	// Get returns what is installed under the name, and false when nothing is. It starts no program
	// while the package manager's database is unchanged.
	Get(ctx context.Context, name string) (state.Package, bool, error)
	// Change makes the transaction, or nothing of it where that can be known beforehand: that every
	// version is there, that nothing else would be removed, that nobody holds what is to change, and
	// that everything can be downloaded and is signed. It waits a bounded time for the package
	// manager's lock and never breaks it. Once packages are being changed, ctx does not stop it; an
	// error from before that is an UntouchedError. What somebody else was cut off in is such an error.
	Change(ctx context.Context, t Transaction) error
	// Busy says who holds the package manager's lock at this moment; empty when nobody does.
	Busy() (string, error)
}

// Transaction is what Packages is to change.
type Transaction struct {
	// Remove names packages; their configuration files stay.
	Remove []string
	// Install packages by name in a version, or any version where that is empty. Only packages whose
	// version is empty, or is not the one that is installed, are named.
	Install map[string]string
	// Unhold names packages that Seedbed held and that are to change or to be let go. Hold names those
	// to hold in the version they then have.
	Unhold, Hold []string
	// Resume also finishes what an earlier transaction of Seedbed's was cut off in, whatever packages
	// that has left unfinished, those that it brought along included.
	Resume bool
}

// UntouchedError is a transaction that ended before any package was changed: nothing of it is left
// to be finished.
type UntouchedError struct{ Err error }

func (e *UntouchedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UntouchedError) Unwrap() error { return e.Err }

// Binaries is the host's programs that are downloaded. Contents are never in memory. Paths are as
// for Files.
type Binaries interface {
	// Get returns what stands at path without following a symbolic link there, and false when
	// nothing does. A regular file whose identity is the one that was verified is not read.
	Get(ctx context.Context, path string, verified *state.Verified) (state.Binary, bool, error)
	// Keep keeps what is at path, whose content has the hash, in the agent's own state as
	// "priors/HASH".
	Keep(ctx context.Context, path, hash string) error
	// Write downloads the binary to a file beside path, hashing it on the way, and makes it path,
	// atomically and as Files.Write does. It returns the folders it made, and the new file's
	// identity. Content with another hash is an error, and path is then as it was.
	Write(ctx context.Context, path string, b state.Binary) (madeDirs []string, identity string, err error)
	// Restore makes path what Keep kept. Durable only after Files.Sync.
	Restore(ctx context.Context, path string, prior state.Prior) (madeDirs []string, err error)
}

// FactsReader finds out what the host is.
type FactsReader interface {
	Facts(ctx context.Context) (v1alpha1.Facts, error)
}

// Store keeps the agent's own state, in a folder of mode 0700 on the host, as files of mode 0600.
// Names are relative and may have one folder, as in "priors/HASH".
type Store interface {
	// Read returns the content; an error that is fs.ErrNotExist when there is none.
	Read(name string) ([]byte, error)
	// Write replaces the content atomically and durably: it is on disk when Write returns.
	Write(name string, content []byte) error
	// Remove deletes it; absent is success.
	Remove(name string) error
}

// Trial is one run of a program on a file that has not been written yet.
type Trial struct {
	// Program is an absolute path; Args have the placeholders of state.Check.
	Program string
	Args    []string
	// Path that the content is meant for: the candidate has its last element as name, and it stands
	// for the candidate's own path in what the program said.
	Path    string
	Content []byte
}

// Answer is what a program did with a candidate.
type Answer struct {
	// Marked is true when it opened the marker; it was ended there.
	Marked bool
	// Status is its exit status.
	Status int
	// Output is the beginning of what it wrote, at most some 64 KiB of each stream: stdout, then
	// stderr. It may have anything in it that the file has.
	Output string
}

// Checker runs programs on candidates.
type Checker interface {
	// Try runs the program on a candidate that nobody else can read, and leaves neither file nor
	// process behind, when its caller is killed either. The run is bounded in time. An error says
	// why the program has no opinion: it is not there (fs.ErrNotExist), ended by a signal, or took
	// too long; or that ctx has ended.
	Try(ctx context.Context, t Trial) (Answer, error)
}

// Host is all ports of one host.
type Host struct {
	Files   Files
	Units   Units
	Sysctls Sysctls
	Modules Modules
	Chains  Chains
	Facts   FactsReader
	Store   Store
	// Links, Containers and Health are nil on a host that is not running, where all of them are
	// unknown.
	Links      Links
	Containers Containers
	Health     Health
	// Checker is nil on a host whose programs cannot be run, such as an offline root.
	Checker  Checker
	Packages Packages
	Binaries Binaries
	// Offline is true for a host root without a running system: runtime changes are deferred.
	Offline bool
	// Closer releases what the ports hold open, such as the connection to systemd; nil when that is
	// nothing.
	Closer io.Closer
}

// Close releases what the ports hold open. The host is not used after it.
func (h Host) Close() error {
	if h.Closer == nil {
		return nil
	}
	return h.Closer.Close()
}
