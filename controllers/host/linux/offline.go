package linux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// OfflineFile is the state file in which an offline host root records what it cannot do.
const OfflineFile = "offline.json"

// offlineRecord is what was asked of a host that is not running.
type offlineRecord struct {
	store *store

	mu   sync.Mutex
	data offlineData
	// unsynced is true when owners were written without an fsync.
	unsynced bool
}

type offlineData struct {
	// Units by name.
	Units map[string]offlineUnit `json:"units,omitempty"`
	// Sysctls by dotted name.
	Sysctls map[string]string `json:"sysctls,omitempty"`
	Modules map[string]bool   `json:"modules,omitempty"`
	// Chains by "table/CHAIN": the policy.
	Chains map[string]string `json:"chains,omitempty"`
	// Packages by name.
	Packages map[string]offlinePackage `json:"packages,omitempty"`
	// Owners by path, where the user who prepares the root cannot set them. Up to two for a path:
	// that of the file that is there, and that of the one about to replace it.
	Owners map[string][]offlineOwner `json:"owners,omitempty"`
}

type offlineUnit struct {
	Activity state.Activity `json:"activity"`
	// Runs counts starts and restarts; it stands in for systemd's invocation id.
	Runs int `json:"runs,omitempty"`
}

type offlineOwner struct {
	Inode uint64 `json:"inode"`
	Owner string `json:"owner"`
	Group string `json:"group"`
}

// loadOffline reads the record. One that cannot be parsed is set aside and started anew: all that is
// lost is that the same changes are recorded again.
func loadOffline(s *store) (*offlineRecord, error) {
	record := &offlineRecord{store: s, data: offlineData{
		Units: map[string]offlineUnit{}, Sysctls: map[string]string{}, Modules: map[string]bool{},
		Chains: map[string]string{}, Packages: map[string]offlinePackage{}, Owners: map[string][]offlineOwner{},
	}}
	content, err := s.Read(OfflineFile)
	if errors.Is(err, fs.ErrNotExist) {
		return record, nil
	}
	if err != nil {
		return nil, err
	}
	var data offlineData
	if json.Unmarshal(content, &data) != nil {
		return record, s.Write(OfflineFile+".unreadable", content)
	}
	maps.Copy(record.data.Units, data.Units)
	maps.Copy(record.data.Sysctls, data.Sysctls)
	maps.Copy(record.data.Modules, data.Modules)
	maps.Copy(record.data.Chains, data.Chains)
	maps.Copy(record.data.Packages, data.Packages)
	maps.Copy(record.data.Owners, data.Owners)
	return record, nil
}

// save writes the record. The caller holds mu.
func (r *offlineRecord) save(durable bool) error {
	content, err := json.Marshal(r.data)
	if err != nil {
		return fmt.Errorf("state file %s: %w", OfflineFile, err)
	}
	return r.store.write(OfflineFile, content, durable)
}

// change records a runtime change durably; what it returns when that went well is host.ErrDeferred.
func (r *offlineRecord) change(do func(*offlineData)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(&r.data)
	if err := r.save(true); err != nil {
		return err
	}
	return host.ErrDeferred
}

// owner of the file with the inode at path, if recorded.
func (r *offlineRecord) owner(path string, inode uint64) (owner, group string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.data.Owners[path] {
		if o.Inode == inode {
			return o.Owner, o.Group, true
		}
	}
	return "", "", false
}

// own records the owner of the file that is about to be renamed to path, and keeps the one of the
// file that is there now. It is durable after sync.
func (r *offlineRecord) own(path string, inode uint64, owner, group string, there uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := []offlineOwner{{inode, owner, group}}
	for _, o := range r.data.Owners[path] {
		if o.Inode == there {
			kept = append(kept, o)
		}
	}
	r.data.Owners[path] = kept
	r.unsynced = true
	return r.save(false)
}

// disown forgets the owners recorded for a path.
func (r *offlineRecord) disown(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.data.Owners[path]; !ok {
		return nil
	}
	delete(r.data.Owners, path)
	r.unsynced = true
	return r.save(false)
}

func (r *offlineRecord) sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.unsynced {
		return nil
	}
	if err := r.save(true); err != nil {
		return err
	}
	r.unsynced = false
	return nil
}

type offlineSysctls struct{ record *offlineRecord }

// Get implements host.Sysctls.
func (s offlineSysctls) Get(name string) (string, bool, error) {
	if _, err := host.SysctlPath(name); err != nil {
		return "", false, err
	}
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	value, ok := s.record.data.Sysctls[name]
	return value, ok, nil
}

// Set implements host.Sysctls.
func (s offlineSysctls) Set(name, value string) error {
	if _, err := host.SysctlPath(name); err != nil {
		return err
	}
	return s.record.change(func(d *offlineData) { d.Sysctls[name] = host.NormalSysctl(value) })
}

type offlineModules struct{ record *offlineRecord }

// Loaded implements host.Modules.
func (m offlineModules) Loaded(name string) (bool, error) {
	if err := host.CheckModule(name); err != nil {
		return false, err
	}
	m.record.mu.Lock()
	defer m.record.mu.Unlock()
	return m.record.data.Modules[host.NormalModule(name)], nil
}

// Load implements host.Modules.
func (m offlineModules) Load(_ context.Context, name string) error {
	if err := host.CheckModule(name); err != nil {
		return err
	}
	return m.record.change(func(d *offlineData) { d.Modules[host.NormalModule(name)] = true })
}

type offlineChains struct{ record *offlineRecord }

// Get implements host.Chains.
func (c offlineChains) Get(_ context.Context, name string) (state.Chain, bool, error) {
	if _, _, err := host.SplitChain(name); err != nil {
		return state.Chain{}, false, err
	}
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	policy, ok := c.record.data.Chains[name]
	return state.Chain{Policy: policy}, ok, nil
}

// SetPolicy implements host.Chains.
func (c offlineChains) SetPolicy(_ context.Context, name, policy string) error {
	if err := host.CheckPolicy(name, policy); err != nil {
		return err
	}
	return c.record.change(func(d *offlineData) { d.Chains[name] = policy })
}
