package hosttest

import (
	"context"
	"fmt"
	"maps"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

var (
	_ host.Sysctls     = fakeSysctls{}
	_ host.Modules     = fakeModules{}
	_ host.Chains      = fakeChains{}
	_ host.FactsReader = fakeFacts{}
)

// module is a kernel module that exists on the host.
type module struct {
	loaded bool
	// brings are sysctls that appear with it.
	brings map[string]string
}

// AddSysctl makes the kernel know a sysctl, with the value it has at boot.
func (f *Fake) AddSysctl(name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.sysctls[name], f.world.boot.sysctls[name] = value, value
}

// Sysctl returns a sysctl's value.
func (f *Fake) Sysctl(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.world.sysctls[name]
}

// AddModule makes a module loadable. The sysctls it brings appear when it is loaded.
func (f *Fake) AddModule(name string, brings map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.modules[name] = &module{brings: brings}
}

// SetChain sets a chain's policy, as dockerd would.
func (f *Fake) SetChain(name, policy string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.chains[name] = policy
}

// SetFacts sets what the host says it is.
func (f *Fake) SetFacts(facts v1alpha1.Facts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.facts = facts
}

type fakeSysctls struct{ fake *Fake }

func (p fakeSysctls) Get(name string) (value string, found bool, err error) {
	if _, err := host.SysctlPath(name); err != nil {
		return "", false, err
	}
	err = p.fake.read(func(w *world) error {
		value, found = w.sysctls[name]
		return nil
	})
	return value, found, err
}

func (p fakeSysctls) Set(name, value string) error {
	if _, err := host.SysctlPath(name); err != nil {
		return err
	}
	return p.fake.change("sysctls.Set", name+" "+value, func(w *world) error {
		if _, ok := w.sysctls[name]; !ok {
			return fmt.Errorf("sysctl %s: cannot be set to %q: no such sysctl", name, value)
		}
		w.sysctls[name] = host.NormalSysctl(value)
		return nil
	})
}

type fakeModules struct{ fake *Fake }

func (p fakeModules) Loaded(name string) (loaded bool, err error) {
	if err := host.CheckModule(name); err != nil {
		return false, err
	}
	err = p.fake.read(func(w *world) error {
		m := w.modules[host.NormalModule(name)]
		loaded = m != nil && m.loaded
		return nil
	})
	return loaded, err
}

func (p fakeModules) Load(_ context.Context, name string) error {
	if err := host.CheckModule(name); err != nil {
		return err
	}
	return p.fake.change("modules.Load", name, func(w *world) error {
		m := w.modules[host.NormalModule(name)]
		if m == nil {
			return fmt.Errorf("module %s: not found", name)
		}
		if !m.loaded {
			m.loaded = true
			maps.Copy(w.sysctls, m.brings)
		}
		return nil
	})
}

type fakeChains struct{ fake *Fake }

func (p fakeChains) Get(_ context.Context, name string) (chain state.Chain, found bool, err error) {
	if _, _, err := host.SplitChain(name); err != nil {
		return state.Chain{}, false, err
	}
	err = p.fake.read(func(w *world) error {
		chain.Policy, found = w.chains[name]
		return nil
	})
	return chain, found, err
}

func (p fakeChains) SetPolicy(_ context.Context, name, policy string) error {
	if err := host.CheckPolicy(name, policy); err != nil {
		return err
	}
	return p.fake.change("chains.SetPolicy", name+" "+policy, func(w *world) error {
		if _, ok := w.chains[name]; !ok {
			return fmt.Errorf("chain %s: no such chain", name)
		}
		w.chains[name] = policy
		return nil
	})
}

type fakeFacts struct{ fake *Fake }

func (p fakeFacts) Facts(context.Context) (facts v1alpha1.Facts, err error) {
	err = p.fake.read(func(w *world) error {
		facts = *w.facts.DeepCopy()
		for i := range facts.Components {
			c := &facts.Components[i]
			if version, known := w.downloads.prints[state.Hash(w.files[c.Path].Content)]; known {
				c.Version = version
			}
		}
		return nil
	})
	return facts, err
}
