package hosttest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// ErrKilled is what every call returns from the moment the process under test counts as killed.
var ErrKilled = errors.New("hosttest: the process is dead")

// Call is one call that changes the host, or was to.
type Call struct {
	// Op is the port's method, such as "files.Write" or "units.Do".
	Op string
	// Args are its arguments but contents, such as "/etc/hosts" or "docker.service restart".
	Args string
}

func (c Call) String() string { return c.Op + " " + c.Args }

// When says on which side of a call's effect the process dies.
type When int

const (
	// Before the call has any effect.
	Before When = iota
	// After the effect, and before the caller hears of it.
	After
)

// Fake is a host in memory. Its methods other than Host set up, break and inspect it; they are not
// in the journal and never fail. It is safe for concurrent use.
type Fake struct {
	mu sync.Mutex
	// world survives the process under test.
	world *world
	// journal of this process.
	journal []Call
	dead    bool
	fault   func(n int, c Call) error
	killAt  int
	when    When
}

// world is the machine.
type world struct {
	files      fileSystem
	onDisk     fileSystem
	users      map[string]bool
	units      map[string]*unit
	systemd    systemd
	sysctls    map[string]string
	modules    map[string]*module
	chains     map[string]string
	boot       kernel
	facts      v1alpha1.Facts
	packages   packages
	downloads  downloads
	store      map[string][]byte
	links      map[string]state.Link
	containers map[string]*container
	// hairpin ports of containers.
	hairpin map[string]bool
	// failures of probes.
	failures map[string]string
	// lease that flanneld has.
	lease string
	// ends is a docker without live-restore: its containers end with it.
	ends, deaf bool
	// stubborn is a docker that ignores its options.
	stubborn bool
	// programs that judge candidates.
	programs map[string]func(host.Trial) (host.Answer, error)
}

// kernel is what a boot sets back to.
type kernel struct{ sysctls, chains map[string]string }

// New returns a host with the usual folders, root as its only user, filter/FORWARD at ACCEPT, and
// nothing else.
func New() *Fake {
	w := &world{
		files: fileSystem{}, users: map[string]bool{"root": true},
		units: map[string]*unit{}, systemd: systemd{loaded: map[string]string{}},
		sysctls: map[string]string{}, modules: map[string]*module{},
		chains:   map[string]string{"filter/INPUT": "ACCEPT", "filter/FORWARD": "ACCEPT", "filter/OUTPUT": "ACCEPT"},
		store:    map[string][]byte{},
		packages: newPackages(), downloads: downloads{served: map[string][]byte{}, prints: map[string]string{}},
		links: map[string]state.Link{}, containers: map[string]*container{}, hairpin: map[string]bool{},
		programs: map[string]func(host.Trial) (host.Answer, error){},
		lease:    Lease, failures: map[string]string{},
	}
	for _, dir := range []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/usr/local/bin", "/var/lib", "/run"} {
		w.files.makeParents(dir + "/x")
	}
	w.onDisk = maps.Clone(w.files)
	w.boot = kernel{sysctls: map[string]string{}, chains: maps.Clone(w.chains)}
	return &Fake{world: w}
}

// Host returns the ports.
func (f *Fake) Host() host.Host {
	return host.Host{
		Files: fakeFiles{f}, Units: fakeUnits{f}, Sysctls: fakeSysctls{f}, Modules: fakeModules{f},
		Chains: fakeChains{f}, Facts: fakeFacts{f}, Store: fakeStore{f},
		Packages: fakePackages{f}, Binaries: fakeBinaries{f},
		Links: fakeLinks{f}, Containers: fakeContainers{f}, Health: fakeHealth{f},
		Checker: fakeChecker{f},
	}
}

// FailAt makes the nth changing call from now, counted from 1, return err without taking effect.
func (f *Fake) FailAt(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := len(f.journal) + n
	f.fault = func(n int, _ Call) error {
		if n == at {
			return err
		}
		return nil
	}
}

// FailWhen makes each changing call for which fault returns an error return it without taking effect.
// nil lifts the fault.
func (f *Fake) FailWhen(fault func(Call) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = nil
	if fault != nil {
		f.fault = func(_ int, c Call) error { return fault(c) }
	}
}

// KillAt kills the process under test at the nth changing call from now, counted from 1. That call
// and all later ones, reading ones too, return ErrKilled.
func (f *Fake) KillAt(n int, when When) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killAt, f.when = len(f.journal)+n, when
}

// Killed is true once the process under test counts as dead.
func (f *Fake) Killed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// Restart returns the same machine for a new process: everything as it is, no journal, no faults.
// The old process is dead.
func (f *Fake) Restart() *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	return &Fake{world: f.world}
}

// PowerCut returns the machine after a power cut and boot, for a new process: what was not synced is
// lost, sysctls and chains are as at boot, modules, links and running containers are gone, and enabled
// units have been started.
func (f *Fake) PowerCut() *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	w := f.world
	w.files = maps.Clone(w.onDisk)
	w.sysctls, w.chains = maps.Clone(w.boot.sysctls), maps.Clone(w.boot.chains)
	for _, m := range w.modules {
		m.loaded = false
	}
	w.systemd.loaded = map[string]string{}
	w.links = map[string]state.Link{}
	for _, c := range w.containers {
		c.running = false
	}
	for _, name := range state.SortedKeys(w.units) {
		u := w.units[name]
		u.activity, u.invocation = state.Inactive, ""
		if u.enabled && !w.conditionFails(name) {
			w.start(name)
			w.started(name)
		}
	}
	return &Fake{world: w}
}

// Journal returns the changing calls of this process in order, those that failed included.
func (f *Fake) Journal() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := make([]string, len(f.journal))
	for i, c := range f.journal {
		lines[i] = c.String()
	}
	return lines
}

// Changes is the number of changing calls of this process.
func (f *Fake) Changes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.journal)
}

// Count is the number of calls of one Op, such as "files.Write".
func (f *Fake) Count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.journal {
		if c.Op == op {
			n++
		}
	}
	return n
}

// ForgetJournal begins a new journal, for counting what one more pass does.
func (f *Fake) ForgetJournal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal = nil
}

// Dump prints the machine but for the agent's own state and systemd's invocation ids: equal dumps
// are equal machines. Contents are hashes.
func (f *Fake) Dump() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.world
	var b strings.Builder
	for _, p := range state.SortedKeys(w.files) {
		fmt.Fprintf(&b, "file %s %s\n", p, w.files[p].Digest())
	}
	for _, name := range w.unitNames() {
		u := w.get(name)
		if u.Missing {
			continue // remembered, and gone
		}
		fmt.Fprintf(&b, "unit %s %s %s\n", name, u.Enablement, u.Activity)
	}
	for _, name := range state.SortedKeys(w.sysctls) {
		fmt.Fprintf(&b, "sysctl %s = %s\n", name, w.sysctls[name])
	}
	for _, name := range state.SortedKeys(w.modules) {
		if w.modules[name].loaded {
			fmt.Fprintf(&b, "module %s\n", name)
		}
	}
	for _, name := range state.SortedKeys(w.chains) {
		fmt.Fprintf(&b, "chain %s %s\n", name, w.chains[name])
	}
	for _, name := range state.SortedKeys(w.packages.installed) {
		p := w.packages.installed[name]
		fmt.Fprintf(&b, "package %s %s held %v %s\n", name, p.Version, p.Held, p.Broken)
	}
	for _, name := range state.SortedKeys(w.links) {
		link, _ := w.link(name)
		fmt.Fprintf(&b, "link %s %s %v, MTU %d, promiscuous %v, ports %v\n", name, link.Kind, link.Addresses, link.MTU, *link.Promiscuous, link.Ports)
	}
	for _, id := range state.SortedKeys(w.containers) {
		fmt.Fprintf(&b, "container %.12s runs: %v\n", id, w.containers[id].running)
	}
	return b.String()
}

// read runs a call that does not change the host.
func (f *Fake) read(do func(*world) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return ErrKilled
	}
	return do(f.world)
}

// change runs a call that does, with the faults that were asked for.
func (f *Fake) change(op, args string, do func(*world) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return ErrKilled
	}
	call := Call{op, args}
	f.journal = append(f.journal, call)
	n := len(f.journal)
	if n == f.killAt && f.when == Before {
		f.dead = true
		return ErrKilled
	}
	if f.fault != nil {
		if err := f.fault(n, call); err != nil {
			return err
		}
	}
	err := do(f.world)
	if n == f.killAt {
		f.dead = true
		return ErrKilled
	}
	return err
}

// sortedUnion merges names from several places.
func sortedUnion(names ...[]string) []string {
	all := slices.Concat(names...)
	slices.Sort(all)
	return slices.Compact(all)
}
