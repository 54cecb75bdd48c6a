package plan

import (
	"maps"

	"seedbed.dev/seedbed/controllers/state"
)

// Converged is the host that desired describes once a plan for it has been carried out, and the ledger
// then. What was there before Seedbed is not known: of files and units it is taken to be nothing, of all
// else what is there.
func Converged(desired state.Host) (state.Host, state.Ledger) {
	c := convergence{state.New(), state.NewLedger()}
	c.files(desired)
	c.units(desired)
	c.settings(desired)
	for name, p := range desired.Packages {
		if !p.Absent {
			p.Needs = nil
			c.host.Packages[name] = p
		}
		c.own(packageRef(name), state.Prior{Value: p.Version}, p.Digest())
	}
	for path, b := range desired.Binaries {
		c.host.Binaries[path] = b
		c.own(binaryRef(path), state.Prior{Absent: true}, b.Digest())
	}
	return c.host, c.ledger
}

type convergence struct {
	host   state.Host
	ledger state.Ledger
}

func (c convergence) own(ref state.Ref, prior state.Prior, applied string) {
	c.ledger.Owned[ref] = state.Owned{Prior: prior, Applied: applied}
}

func (c convergence) files(desired state.Host) {
	for path, f := range desired.Files {
		c.host.Files[path] = f
		c.own(state.Ref{Kind: state.KindFile, Name: path}, state.Prior{Absent: true}, f.Digest())
	}
	for _, path := range desired.AwaitedPaths() {
		c.host.Awaited[path] = true
	}
}

func (c convergence) units(desired state.Host) {
	const run = "converged"
	for name, u := range desired.Units {
		is := state.Unit{Enablement: u.Enablement, Activity: u.Activity, Engine: u.Engine}
		prior := state.Prior{Enablement: u.Enablement, Activity: u.Activity}
		if has(desired.Files, state.UnitFolder+name) {
			prior = state.Prior{Absent: true}
		}
		if u.Activity == state.Active {
			is.Invocation = run
			c.ledger.Started[name] = state.Started{Inputs: u.Reads(), Invocation: run}
		}
		c.host.Units[name] = is
		c.own(state.Ref{Kind: state.KindUnit, Name: name}, prior, "")
	}
}

func (c convergence) settings(desired state.Host) {
	maps.Copy(c.host.Sysctls, desired.Sysctls)
	for name, value := range desired.Sysctls {
		c.own(state.Ref{Kind: state.KindSysctl, Name: name}, state.Prior{Value: value}, value)
	}
	maps.Copy(c.host.Modules, desired.Modules)
	for name := range desired.Modules {
		c.own(state.Ref{Kind: state.KindModule, Name: name}, state.Prior{}, loaded)
	}
	maps.Copy(c.host.Chains, desired.Chains)
	for name, chain := range desired.Chains {
		c.own(state.Ref{Kind: state.KindChain, Name: name}, state.Prior{Value: chain.Policy}, chain.Policy)
	}
	for name, link := range desired.Links {
		c.host.Links[name] = state.Link{Promiscuous: link.Promiscuous, Local: link.Local}
		if link.Promiscuous != nil {
			c.own(linkRef(name), state.Prior{Value: mode(link.Promiscuous)}, mode(link.Promiscuous))
		}
	}
}
