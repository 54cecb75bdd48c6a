package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"seedbed.dev/seedbed/controllers/host"
)

const (
	recordFile    = "join.json"
	recordVersion = 1
)

// record is what joining notes down for a later join or leave. It is the first thing written and the
// last removed, so that neither leaves anything behind that nobody knows of.
type record struct {
	Version int `json:"version"`
	// Server and Node are those of the request.
	Server string `json:"server"`
	Node   string `json:"node"`
	// Joined is true once the agent has reported. A join without it was cut off, unless it was Kept.
	Joined bool `json:"joined"`
	// Kept is true when the node has left and the host was left as it was.
	Kept bool `json:"kept,omitempty"`
	// ProgramInstalled is true when joining put the program where it is.
	ProgramInstalled bool `json:"programInstalled,omitempty"`
	// KubeletHadIdentity is true when the kubelet had credentials before: they are not ours to remove.
	KubeletHadIdentity bool `json:"kubeletHadIdentity,omitempty"`
	// Deleting is true from before leaving deletes the NodeState. The right to look whether it is gone
	// ends with it.
	Deleting bool `json:"deleting,omitempty"`
	// Forgotten is true when leaving has deleted the NodeState.
	Forgotten bool `json:"forgotten,omitempty"`
}

// readRecord returns nil when there is none.
func readRecord(store host.Store) (*record, error) {
	raw, err := store.Read(recordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, because(err, "`seedbed leave --force` removes it", "the record of how this host joined (%s) is damaged", recordFile)
	}
	if r.Version > recordVersion {
		return nil, problemf("use the release of seedbed that joined, or a newer one", "a newer release wrote %s (version %d)", recordFile, r.Version)
	}
	return &r, nil
}

func (r record) write(store host.Store) error {
	r.Version = recordVersion
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", recordFile, err)
	}
	return store.Write(recordFile, append(raw, '\n'))
}
