package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
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
	// Authorities are the hashes of the cluster's, as in Request.
	Authorities []string `json:"authorities,omitempty"`
	// Joined is true once the agent has reported. A join without it was cut off, unless it was Kept;
	// its agent may have gone on since, which nobody noted (hadAssignment).
	Joined bool `json:"joined"`
	// Kept is true when the node has left and the host was left as it was.
	Kept bool `json:"kept,omitempty"`
	// Program is what was at resolve.PathSeedbed before joining put this program there; nil when it
	// was there already.
	Program *state.Prior `json:"program,omitempty"`
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
		return nil, because(err, "`seedbed leave --force` goes on without it", "the record of how this host joined (%s) is damaged", recordFile)
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

// guessRecord is what the agent's own files say in place of a record that is damaged; nil when they
// say nothing.
func (n *Node) guessRecord() *record {
	pair, err := credentials.Store{Files: n.Host.Files, Path: resolve.PathAgentClient}.Current()
	cluster := clusterOf(n.Host.Files)
	if err != nil || cluster == nil {
		return nil
	}
	node := strings.TrimPrefix(pair.Leaf.Subject.CommonName, v1alpha1.NodeUser(""))
	n.Say("%s is damaged, so what was there before joining is not known: %s, credentials of the kubelet and containers of pods stay", recordFile, resolve.PathSeedbed)
	return &record{Server: cluster.Server, Node: node, Joined: true, KubeletHadIdentity: true}
}
