package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

// Observe looks at the resources that desired or the ledger names, and at no others. What is absent
// is in no map, except units, which are there with Missing set. What cannot be read is in Unknown
// with the reason and nowhere else: it is neither present nor absent, so nobody may act on it. A
// cancelled ctx makes everything that was not reached Unknown.
func Observe(ctx context.Context, h Host, desired state.Host, ledger state.Ledger) state.Host {
	seen := state.New()
	answers := ask(ctx, h, desired.Probes)
	for _, ref := range interesting(desired, ledger) {
		err := ctx.Err()
		if err == nil {
			err = look(ctx, h, ref, ledger.Owned[ref].Verified, seen)
		}
		if err != nil {
			seen.Unknown[ref] = err.Error()
		}
	}
	observeAwaited(ctx, h, desired, seen)
	observeContainers(ctx, h, desired, ledger, seen)
	observeEngines(ctx, h, desired, ledger, seen)
	if h.Packages != nil && ctx.Err() == nil {
		seen.Busy = busy(h.Packages)
	}
	seen.Probes = <-answers
	return seen
}

// busy takes a lock that cannot be looked at for one that is free: waiting for it for ever would be
// worse, and a change waits for the lock itself.
func busy(p Packages) string {
	who, err := p.Busy()
	if err != nil {
		return ""
	}
	return who
}

// observeAwaited looks for the files that units await. Their content is nobody's business here.
func observeAwaited(ctx context.Context, h Host, desired, seen state.Host) {
	for _, path := range desired.AwaitedPaths() {
		if h.Offline {
			seen.Awaited[path] = true
			continue
		}
		found, err := false, ctx.Err()
		if err == nil {
			_, found, err = h.Files.Read(path)
		}
		switch {
		case err != nil:
			seen.Unknown[state.Ref{Kind: state.KindFile, Name: path}] = err.Error()
		case found:
			seen.Awaited[path] = true
		}
	}
}

// interesting lists each named resource once. The order is fixed so that a host that answers slowly
// is asked in the same order each time.
func interesting(desired state.Host, ledger state.Ledger) []state.Ref {
	refs := map[state.Ref]bool{}
	add := func(kind state.Kind, names []string) {
		for _, name := range names {
			if name != "" {
				refs[state.Ref{Kind: kind, Name: name}] = true
			}
		}
	}
	add(state.KindFile, state.SortedKeys(desired.Files))
	add(state.KindUnit, state.SortedKeys(desired.Units))
	add(state.KindSysctl, state.SortedKeys(desired.Sysctls))
	add(state.KindModule, state.SortedKeys(desired.Modules))
	add(state.KindChain, state.SortedKeys(desired.Chains))
	add(state.KindPackage, state.SortedKeys(desired.Packages))
	for _, p := range desired.Packages {
		if p.Engine != nil {
			add(state.KindUnit, append([]string{p.Engine.Unit}, p.Engine.Users...))
		}
	}
	add(state.KindBinary, state.SortedKeys(desired.Binaries))
	add(state.KindUnit, state.SortedKeys(ledger.Started))
	add(state.KindLink, state.SortedKeys(desired.Links))
	for _, link := range desired.Links {
		if b := link.Bridge; b != nil {
			add(state.KindFile, []string{b.Lease, b.Options})
			add(state.KindUnit, append([]string{b.Writer, b.Giver, b.Maker, b.Socket}, b.Users...))
		}
	}
	for ref := range ledger.Owned {
		refs[ref] = true
	}
	return slices.SortedFunc(maps.Keys(refs), func(a, b state.Ref) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Name, b.Name))
	})
}

// look reads one resource into seen. An error leaves seen as it was.
func look(ctx context.Context, h Host, ref state.Ref, verified *state.Verified, seen state.Host) error {
	switch ref.Kind {
	case state.KindFile:
		return put(seen.Files, ref.Name)(h.Files.Read(ref.Name))
	case state.KindUnit:
		unit, err := h.Units.Get(ctx, ref.Name)
		return put(seen.Units, ref.Name)(unit, true, err)
	case state.KindSysctl:
		return put(seen.Sysctls, ref.Name)(h.Sysctls.Get(ref.Name))
	case state.KindModule:
		loaded, err := h.Modules.Loaded(ref.Name)
		return put(seen.Modules, ref.Name)(state.Module{}, loaded, err)
	case state.KindChain:
		return put(seen.Chains, ref.Name)(h.Chains.Get(ctx, ref.Name))
	case state.KindLink:
		if h.Links == nil {
			return errNotRunning
		}
		return put(seen.Links, ref.Name)(h.Links.Get(ref.Name))
	case state.KindPackage:
		return put(seen.Packages, ref.Name)(h.Packages.Get(ctx, ref.Name))
	case state.KindBinary:
		return put(seen.Binaries, ref.Name)(h.Binaries.Get(ctx, ref.Name, verified))
	default:
		// systemd itself, and kinds that a newer agent wrote into the ledger: nothing to look at.
		return nil
	}
}

var errNotRunning = errors.New("the host does not run")

// observeContainers asks the engine only when a bridge is not as the lease has it, or will not be, since
// it is the one question whose answer grows with the pods.
func observeContainers(ctx context.Context, h Host, desired state.Host, ledger state.Ledger, seen state.Host) {
	for _, name := range state.SortedKeys(desired.Links) {
		want := desired.Links[name].Bridge
		if want == nil || h.Containers == nil || seen.Units[want.Maker].Activity != state.Active {
			continue
		}
		other := chain.OtherManager(want, desired.Units[want.Giver], ledger.Started[want.Giver].Inputs)
		if is := chain.LookAt(name, want, seen); is.Fault == "" && is.Moves == "" && other == "" {
			continue
		}
		running, err := h.Containers.Running(ctx)
		if err != nil {
			seen.Unknown[state.Ref{Kind: state.KindContainers, Name: want.Maker}] = unanswered(want.Maker, err)
			continue
		}
		maps.Copy(seen.Containers, running)
	}
}

// unanswered names the cure too: whatever needs to know what runs waits for an engine that hangs.
func unanswered(engine string, err error) string {
	return fmt.Sprintf("%v; if that lasts, once the node is drained: systemctl restart %s", err, engine)
}

// observeEngines looks at what a restart of an engine would do to whom, where one may come.
func observeEngines(ctx context.Context, h Host, desired state.Host, ledger state.Ledger, seen state.Host) {
	engines := restarts(desired, ledger, seen)
	for _, name := range state.SortedKeys(engines) {
		unit := seen.Units[name]
		if h.Containers == nil || unit.Activity != state.Active {
			continue
		}
		lives, err := h.Containers.LiveRestore(ctx)
		var running map[string]state.Container
		if err == nil && (!lives || !engines[name]) {
			running, err = h.Containers.Running(ctx)
		}
		if err != nil {
			seen.Unknown[state.Ref{Kind: state.KindContainers, Name: name}] = unanswered(name, err)
			continue
		}
		maps.Copy(seen.Containers, running)
		unit.Engine = &state.Engine{LiveRestore: lives}
		seen.Units[name] = unit
	}
}

// restarts are the engines that may be restarted: one that runs with something else than it is to run
// with, or of which nobody knows with what; and one whose package changes. The value is true where
// containers go on if it has live-restore.
func restarts(desired state.Host, ledger state.Ledger, seen state.Host) map[string]bool {
	engines := map[string]bool{}
	for name, want := range desired.Units {
		unit, started := seen.Units[name], ledger.Started[name]
		if want.Engine != nil && (unit.Invocation != started.Invocation || !maps.Equal(started.Inputs, want.Reads())) {
			engines[name] = want.Engine.LiveRestore && unit.Invocation == started.Invocation && !want.Loses(started.Inputs)
		}
	}
	for name, want := range desired.Packages {
		is, installed := seen.Packages[name]
		if want.Engine != nil && !is.Meets(want, installed) {
			engines[want.Engine.Unit] = false // which depends on the release
		}
	}
	return engines
}

// ask puts the questions while the rest is looked at.
func ask(ctx context.Context, h Host, probes map[string]state.Probe) <-chan map[string]state.Probe {
	answers := make(chan map[string]state.Probe, 1)
	if h.Health == nil || len(probes) == 0 {
		answers <- map[string]state.Probe{}
		return answers
	}
	go func() { answers <- h.Health.Ask(ctx, probes) }()
	return answers
}

// put stores what a port returned when it is there.
func put[V any](into map[string]V, name string) func(V, bool, error) error {
	return func(value V, found bool, err error) error {
		if err == nil && found {
			into[name] = value
		}
		return err
	}
}
