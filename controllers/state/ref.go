package state

import (
	"fmt"
	"strings"
)

// Kind is a kind of host resource.
type Kind string

const (
	KindFile   Kind = "file"
	KindUnit   Kind = "unit"
	KindSysctl Kind = "sysctl"
	KindModule Kind = "module"
	KindChain  Kind = "chain"
	KindLink   Kind = "link"
	// KindContainers are all containers of the host's engine, which has the Ref's name.
	KindContainers Kind = "containers"
	KindPackage    Kind = "package"
	KindBinary     Kind = "binary"
	// KindSystemd is systemd itself, the target of a daemon-reload.
	KindSystemd Kind = "systemd"
)

// Ref names one resource of a host.
type Ref struct {
	Kind Kind
	Name string
}

// String is "kind name", as errors, events and plans print it.
func (r Ref) String() string { return string(r.Kind) + " " + r.Name }

// MarshalText makes a Ref usable as a JSON object key.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText parses what MarshalText wrote.
func (r *Ref) UnmarshalText(text []byte) error {
	kind, name, ok := strings.Cut(string(text), " ")
	if !ok || name == "" {
		return fmt.Errorf("resource %q: want \"kind name\"", text)
	}
	r.Kind, r.Name = Kind(kind), name
	return nil
}
