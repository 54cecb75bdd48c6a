package hosttest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// Membership is what joining and leaving needs of a machine beside host.Host (join.Machine). What
// changes the machine goes through its ports, so that the faults that are asked for happen here, too.
type Membership struct {
	// Refuse is what Check returns.
	Refuse error
	// Locked is true while somebody holds the agent's lock.
	Locked bool

	fake *Fake
	host host.Host
}

// Membership returns the fake's.
func (f *Fake) Membership() *Membership { return &Membership{fake: f, host: f.Host()} }

// Check implements join.Machine.
func (m *Membership) Check() error { return m.Refuse }

// Lock implements join.Machine.
func (m *Membership) Lock() (func() error, error) {
	if m.Locked {
		return nil, fmt.Errorf("another agent (pid 1) acts on this host")
	}
	m.Locked = true
	return func() error {
		m.Locked = false
		return nil
	}, nil
}

// program is the content of the program that runs.
const program = "the running program"

// HasProgram implements join.Machine.
func (m *Membership) HasProgram(p string) (bool, error) {
	file, found, err := m.host.Files.Read(p)
	return found && string(file.Content) == program, err
}

// InstallProgram implements join.Machine.
func (m *Membership) InstallProgram(p string) (func() error, error) {
	before, found, err := m.host.Files.Read(p)
	if err != nil {
		return nil, err
	}
	if _, err := m.host.Files.Write(p, state.File{Content: []byte(program), Mode: 0o755, Owner: "root", Group: "root"}); err != nil {
		return nil, err
	}
	return func() error {
		if !found {
			return m.host.Files.Remove(p)
		}
		_, err := m.host.Files.Write(p, before)
		return err
	}, nil
}

// RemoveMatching implements join.Machine.
func (m *Membership) RemoveMatching(pattern string) error {
	return m.remove(func(p string) bool {
		matched, _ := path.Match(pattern, p)
		return matched
	})
}

func (m *Membership) remove(which func(string) bool) error {
	for _, p := range m.fake.Paths() {
		if !which(p) {
			continue
		}
		if err := m.host.Files.Remove(p); err != nil {
			return err
		}
	}
	return nil
}

// RemoveState implements join.Machine. The fake keeps its store apart from its files.
func (m *Membership) RemoveState(keep ...string) error {
	const dir = "/var/lib/seedbed/"
	goes := func(name string) bool {
		first, _, _ := strings.Cut(name, "/")
		return !slices.Contains(keep, first)
	}
	for _, name := range m.fake.StoreNames() {
		if !goes(name) {
			continue
		}
		if err := m.host.Store.Remove(name); err != nil {
			return err
		}
	}
	err := m.remove(func(p string) bool { return strings.HasPrefix(p, dir) && goes(strings.TrimPrefix(p, dir)) })
	if err != nil {
		return err
	}
	return m.host.Files.RemoveDir(dir + "pki")
}
