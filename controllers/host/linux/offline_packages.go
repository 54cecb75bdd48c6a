package linux

import (
	"context"
	"slices"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// offlinePackages records what is to be installed when the host boots. Packages of a host root are
// not looked at: their scripts expect a running host.
type offlinePackages struct{ record *offlineRecord }

// offlinePackage is a package as it was asked for.
type offlinePackage struct {
	Version string `json:"version,omitempty"`
	Held    bool   `json:"held,omitempty"`
}

// Get implements host.Packages.
func (p offlinePackages) Get(_ context.Context, name string) (state.Package, bool, error) {
	if err := host.CheckPackage(name); err != nil {
		return state.Package{}, false, err
	}
	p.record.mu.Lock()
	defer p.record.mu.Unlock()
	recorded, ok := p.record.data.Packages[name]
	return state.Package{Version: recorded.Version, Held: recorded.Held}, ok, nil
}

// Busy implements host.Packages.
func (offlinePackages) Busy() (string, error) { return "", nil }

// Change implements host.Packages.
func (p offlinePackages) Change(_ context.Context, t host.Transaction) error {
	if err := host.CheckTransaction(t); err != nil {
		return err
	}
	return p.record.change(func(d *offlineData) {
		for _, name := range t.Remove {
			delete(d.Packages, name)
		}
		for name, version := range t.Install {
			d.Packages[name] = offlinePackage{Version: version}
		}
		for name, recorded := range d.Packages {
			recorded.Held = (recorded.Held || slices.Contains(t.Hold, name)) && (!slices.Contains(t.Unhold, name) || slices.Contains(t.Hold, name))
			d.Packages[name] = recorded
		}
	})
}
