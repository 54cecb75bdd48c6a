package render

import (
	"fmt"
	"maps"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// renderers has one function for each component. The order does not matter: a plan goes by
// state.Components, and no two may write the same resource.
var renderers = []struct {
	component state.Component
	render    func(resolve.Node) (state.Host, error)
}{
	{state.ComponentHost, renderInstall},
	{state.ComponentHost, renderSystem},
	{state.ComponentFlannel, renderFlannel},
	{state.ComponentDockerOpts, renderDockerOpts},
	{state.ComponentDocker, renderDocker},
	{state.ComponentCRIDockerd, renderCRIDockerd},
	{state.ComponentKubelet, renderKubelet},
	{state.ComponentKubeProxy, renderKubeProxy},
	{state.ComponentUser, renderUser},
}

// Render returns the host that a node is to be. An error names the component and what could not be
// written; the host is then empty. Of a node with Missing programs, what has to be installed is
// rendered, and the host is Partial.
func Render(n resolve.Node) (state.Host, error) {
	host := state.New()
	for _, r := range renderers {
		if len(n.Missing) > 0 && r.component != state.ComponentHost {
			continue
		}
		part, err := r.render(n)
		if err != nil {
			return state.Host{}, fmt.Errorf("render %s: %w", r.component, err)
		}
		own(part, r.component)
		if err := merge(host, part); err != nil {
			return state.Host{}, fmt.Errorf("render %s: %w", r.component, err)
		}
	}
	if len(n.Missing) > 0 {
		return host.Installation(), nil
	}
	programInputs(host, n)
	addChain(host, n)
	if err := addChecks(host, n); err != nil {
		return state.Host{}, fmt.Errorf("render checks: %w", err)
	}
	return host, nil
}

// own marks what a component has rendered as its own.
func own(part state.Host, c state.Component) {
	for path, f := range part.Files {
		f.Component = c
		part.Files[path] = f
	}
	for name, u := range part.Units {
		u.Component = c
		part.Units[name] = u
	}
}

// merge adds a part to the host. Two components that write one resource would undo each other.
func merge(host, part state.Host) error {
	for _, name := range shared(host, part) {
		return fmt.Errorf("%s is already rendered by another component", name)
	}
	maps.Copy(host.Files, part.Files)
	maps.Copy(host.Units, part.Units)
	maps.Copy(host.Sysctls, part.Sysctls)
	maps.Copy(host.Modules, part.Modules)
	maps.Copy(host.Chains, part.Chains)
	maps.Copy(host.Packages, part.Packages)
	maps.Copy(host.Binaries, part.Binaries)
	return nil
}

// shared lists the resources that are in both, in order.
func shared(a, b state.Host) []state.Ref {
	var refs []state.Ref
	refs = append(refs, both(state.KindFile, a.Files, b.Files)...)
	refs = append(refs, both(state.KindUnit, a.Units, b.Units)...)
	refs = append(refs, both(state.KindSysctl, a.Sysctls, b.Sysctls)...)
	refs = append(refs, both(state.KindModule, a.Modules, b.Modules)...)
	refs = append(refs, both(state.KindPackage, a.Packages, b.Packages)...)
	refs = append(refs, both(state.KindBinary, a.Binaries, b.Binaries)...)
	return append(refs, both(state.KindChain, a.Chains, b.Chains)...)
}

func both[V any](kind state.Kind, a, b map[string]V) []state.Ref {
	var refs []state.Ref
	for _, name := range state.SortedKeys(b) {
		if _, twice := a[name]; twice {
			refs = append(refs, state.Ref{Kind: kind, Name: name})
		}
	}
	return refs
}
