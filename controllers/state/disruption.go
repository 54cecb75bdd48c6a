package state

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Disruption is what a step costs whoever uses the host, least first.
type Disruption int

const (
	// None: nobody notices.
	None Disruption = iota
	// Reload: a daemon reads its configuration again and keeps running (dockerd on SIGHUP).
	Reload
	// Restart: one unit is stopped and started.
	Restart
	// Recreate: something containers are attached to is replaced (docker0); wants a drain.
	Recreate
	// Reboot: the machine restarts.
	Reboot
)

var disruptionNames = []string{"None", "Reload", "Restart", "Recreate", "Reboot"}

func (d Disruption) String() string {
	if d < 0 || int(d) >= len(disruptionNames) {
		return fmt.Sprintf("Disruption(%d)", int(d))
	}
	return disruptionNames[d]
}

// MarshalJSON writes the name.
func (d Disruption) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the name.
func (d *Disruption) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("disruption: %w", err)
	}
	parsed, err := ParseDisruption(s)
	if err == nil {
		*d = parsed
	}
	return err
}

// ParseDisruption is the inverse of String.
func ParseDisruption(name string) (Disruption, error) {
	i := slices.Index(disruptionNames, name)
	if i < 0 {
		return None, fmt.Errorf("disruption %q: want one of %v", name, disruptionNames)
	}
	return Disruption(i), nil
}
