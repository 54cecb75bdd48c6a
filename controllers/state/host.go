package state

import (
	"io/fs"
	"maps"
	"slices"
	"time"
)

// Host is what a machine is to be (desired) or what it was seen to be (observed). One type serves
// both, so that a difference is symmetric. A resource that is not in a map is, in a desired host,
// not managed and, in an observed host, absent.
type Host struct {
	// Files by absolute, clean path on the host.
	Files map[string]File
	// Units by full systemd unit name, such as "docker.service".
	Units map[string]Unit
	// Sysctls by dotted name; the value as the kernel prints it, fields separated by one space.
	Sysctls map[string]string
	// Modules by name with underscores, such as "br_netfilter".
	Modules map[string]Module
	// Chains of iptables by "table/CHAIN", such as "filter/FORWARD".
	Chains map[string]Chain
	// Awaited is observed only: of the paths in the Awaits of units, those that are there. On an
	// offline root it has all of them: its units start when it boots, with what is there then.
	Awaited map[string]bool
	// Links by name, such as "docker0".
	Links map[string]Link
	// Containers is observed only: those that run, by ID. They are looked at only when a bridge has
	// to be made anew, or their engine may have to be restarted.
	Containers map[string]Container
	// Probes by name, such as "kubelet healthz".
	Probes map[string]Probe
	// Packages by name. Desired ones may be Absent; observed ones are installed.
	Packages map[string]Package
	// Binaries by absolute, clean path on the host.
	Binaries map[string]Binary
	// Partial is desired only: what else the host is to be is not known yet, so nothing that is not
	// named is removed or given up.
	Partial bool
	// Busy is observed only: who is at work with the package manager, so that units of packages may
	// be stopped on purpose; empty when nobody is.
	Busy string
	// Unknown is observed only: resources that could not be looked at, and why. They are neither
	// present nor absent, so nothing may be done to them.
	Unknown map[Ref]string
}

// New returns an empty host whose maps can be written to.
func New() Host {
	return Host{
		Awaited:    map[string]bool{},
		Files:      map[string]File{},
		Units:      map[string]Unit{},
		Sysctls:    map[string]string{},
		Modules:    map[string]Module{},
		Chains:     map[string]Chain{},
		Links:      map[string]Link{},
		Containers: map[string]Container{},
		Probes:     map[string]Probe{},
		Unknown:    map[Ref]string{},
		Packages:   map[string]Package{},
		Binaries:   map[string]Binary{},
	}
}

// FileType is the kind of directory entry found at a path.
type FileType string

const (
	// Regular is a regular file; the only type that is ever desired.
	Regular FileType = ""
	// Symlink is a symbolic link. It is replaced, never followed, and put back by a removal.
	Symlink FileType = "symlink"
	// Directory is a folder. A managed file is never written over one.
	Directory FileType = "directory"
	// Special is a FIFO, socket or device. It is never opened and never replaced.
	Special FileType = "special"
)

// File is a regular file, or in an observed host whatever stands at its path.
type File struct {
	Content []byte
	// Mode is the permission bits, with setuid, setgid and sticky as fs.FileMode has them.
	Mode fs.FileMode
	// Owner and Group are names, or decimal ids where no name is known.
	Owner, Group string
	// Type is Regular in every desired host.
	Type FileType
	// Target of a symbolic link; observed only.
	Target string
	// Secret content is never printed, logged or diffed. Desired only.
	Secret bool
	// Component the file belongs to; desired only. It orders the plan.
	Component Component
	// Checks are passed before other content than what is there is written; desired only.
	Checks []Check
}

// Module is a kernel module that is loaded or built in.
type Module struct{}

// Chain is a built-in iptables chain.
type Chain struct {
	// Policy is ACCEPT or DROP.
	Policy string
}

// Enablement says whether a unit is started at boot, in systemd's words.
type Enablement string

const (
	EnablementUnmanaged Enablement = ""
	Enabled             Enablement = "enabled"
	Disabled            Enablement = "disabled"
	Masked              Enablement = "masked"
	// Static units have no [Install] section; they can be neither enabled nor disabled.
	Static Enablement = "static"
)

// Activity is a unit's ActiveState, in systemd's words.
type Activity string

const (
	ActivityUnmanaged Activity = ""
	Active            Activity = "active"
	Inactive          Activity = "inactive"
	Activating        Activity = "activating"
	Failed            Activity = "failed"
)

// Unit is the state of a systemd unit. Its unit file and drop-ins are Files.
type Unit struct {
	Enablement Enablement
	Activity   Activity
	// Missing is observed only: systemd knows no such unit.
	Missing bool
	// NeedsReload is observed only: the unit's files have changed since systemd read them
	// (NeedDaemonReload of org.freedesktop.systemd1(5)).
	NeedsReload bool
	// Invocation is observed only: systemd's id of the unit's current run, which changes with
	// every start. Empty when the unit has not been started.
	Invocation string
	// Uptime is observed only: how long the unit has been active in this run; 0 when it is not.
	Uptime time.Duration
	// Restarts is observed only: how often systemd has started the unit again by itself since
	// somebody last asked for a start.
	Restarts int
	// Result is observed only: systemd's word for how the last run ended, such as "exit-code" or
	// "start-limit-hit"; empty or "success" when nothing is wrong.
	Result string
	// Exec is observed only: the command line that systemd would run, drop-ins included, with
	// variables as they are written.
	Exec []string
	// Command is desired only: what the effective command line must and must not have.
	Command CommandRule
	// Inputs is desired only: what the running unit must have been started with.
	Inputs []Input
	// Program is desired only: the path of the program that it runs, where that is known.
	Program string
	// Needs is desired only: resources that must be in place before the unit is started, besides
	// the files of its inputs and the units of the components before its own.
	Needs []Ref
	// Awaits is desired only: absolute paths of files that somebody else makes, such as a certificate
	// that has to be signed first. The unit is neither started nor restarted before all are there.
	Awaits []string
	// Engine is set for a unit that runs containers. Observed: only where the unit may have to be
	// restarted, which is what it matters for.
	Engine *Engine
	// Component the unit belongs to; desired only. It orders the plan.
	Component Component
}

// Engine is what a container engine does with its containers.
type Engine struct {
	// LiveRestore is true if they go on while the engine is restarted. The engine that stops and the one
	// that starts must both have it so.
	LiveRestore bool
	// Users is desired only: units that start containers of the cluster on it.
	Users []string
	// Socket is desired only: the unit that starts the engine when somebody connects; empty for none.
	Socket string
}

// CommandRule is what a unit's effective command line is held to, since a drop-in of somebody else's
// may replace it.
type CommandRule struct {
	// Has are words that must be on it.
	Has []string
	// HasNot are flags that must not, by name without dashes, with the key of the configuration file
	// that has the setting.
	HasNot map[string]string
}

// Input is one thing a running unit has read, such as its unit file or a group of keys of its
// configuration. When the hash it was started with differs, the unit is owed the disruption.
type Input struct {
	// Name for the plan's reason, such as "/etc/docker/daemon.json (live keys)".
	Name string
	// Path of the file it comes from; a unit step waits for that file's step.
	Path string
	// Hash is the hex SHA-256 of what the unit reads.
	Hash string
	// Disruption that makes the unit read it again: Reload, Restart or, where containers do not outlive
	// the restart of an engine, Recreate.
	Disruption Disruption
	// Keys are those of the JSON object in Path that Hash is of, by HashKeys. With them what a unit has
	// read that somebody else started is known from the file as it is. Nil where Hash is of something else.
	Keys map[string]any
}

// Reads are the hashes of the unit's inputs by name, as the ledger records them.
func (u Unit) Reads() map[string]string {
	m := make(map[string]string, len(u.Inputs))
	for _, in := range u.Inputs {
		m[in.Name] = in.Hash
	}
	return m
}

// Loses is true if containers of an engine that was started with other inputs do not outlive its restart,
// whatever live-restore is.
func (u Unit) Loses(started map[string]string) bool {
	return slices.ContainsFunc(u.Inputs, func(in Input) bool { return in.Disruption == Recreate && started[in.Name] != in.Hash })
}

// Component orders the chain: a component's steps come after those of the components before it.
type Component string

// The components, in the order of the chain (design: modules and sysctls, flanneld, docker-opts,
// dockerd, cri-dockerd, kubelet, kube-proxy; what a user adds comes last).
const (
	ComponentHost       Component = "host"
	ComponentFlannel    Component = "flannel"
	ComponentDockerOpts Component = "docker-opts"
	ComponentDocker     Component = "docker"
	ComponentCRIDockerd Component = "cri-dockerd"
	ComponentKubelet    Component = "kubelet"
	ComponentKubeProxy  Component = "kube-proxy"
	ComponentUser       Component = "user"
)

// Components in the order of the chain.
var Components = []Component{
	ComponentHost, ComponentFlannel, ComponentDockerOpts, ComponentDocker,
	ComponentCRIDockerd, ComponentKubelet, ComponentKubeProxy, ComponentUser,
}

// Rank is the component's place in the chain; unknown components come last.
func (c Component) Rank() int {
	if i := slices.Index(Components, c); i >= 0 {
		return i
	}
	return len(Components)
}

// AwaitedPaths are the paths in the Awaits of all units, sorted, each once.
func (h Host) AwaitedPaths() []string {
	paths := map[string]bool{}
	for _, unit := range h.Units {
		for _, path := range unit.Awaits {
			paths[path] = true
		}
	}
	return SortedKeys(paths)
}

// SortedKeys returns a map's keys in order, for output that is the same each time.
func SortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
