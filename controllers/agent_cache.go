package controllers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// AssignmentCache keeps the last assignment that could be realised on the host's disk, with the
// contents of its Secrets (mode 0600), so that the agent works without the API.
type AssignmentCache struct{ Store host.Store }

const (
	assignmentFile    = "assignment.json"
	assignmentVersion = 1
)

// storedAssignment is an Assignment on disk.
type storedAssignment struct {
	Version    int                     `json:"version"`
	Generation int64                   `json:"generation"`
	Revision   string                  `json:"revision"`
	Data       []byte                  `json:"data"`
	Pins       []v1alpha1.PinnedSecret `json:"pins,omitempty"`
	Secrets    []storedSecret          `json:"secrets,omitempty"`
	Trimmed    bool                    `json:"trimmed,omitempty"`
	Facts      *v1alpha1.Facts         `json:"facts,omitempty"`
}

type storedSecret struct {
	v1alpha1.SecretKeyReference
	Content []byte `json:"content"`
}

// Save makes the assignment durable, with the facts it was realised with: at the next boot the
// network may not be up yet when the agent starts.
func (c AssignmentCache) Save(a *Assignment, facts *v1alpha1.Facts) error {
	s := storedAssignment{
		Version: assignmentVersion, Generation: a.Generation, Revision: a.Revision, Data: a.Data, Pins: a.Pins, Trimmed: a.Trimmed, Facts: facts,
	}
	for ref, content := range a.Contents {
		s.Secrets = append(s.Secrets, storedSecret{SecretKeyReference: ref, Content: content.Reveal()})
	}
	slices.SortFunc(s.Secrets, func(x, y storedSecret) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Key, y.Key))
	})
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("kept assignment: %w", err)
	}
	if err := c.Store.Write(assignmentFile, raw); err != nil {
		return fmt.Errorf("kept assignment: %w", err)
	}
	return nil
}

// Load returns the assignment on disk; nil when there is none, or none that this release reads:
// the API has it then, and until it answers the host stays as it is.
func (c AssignmentCache) Load() (*Assignment, *v1alpha1.Facts, error) {
	raw, err := c.Store.Read(assignmentFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("kept assignment: %w", err)
	}
	s, ok := readAssignment(raw)
	if !ok {
		return nil, nil, nil
	}
	a := &Assignment{
		Generation: s.Generation, Revision: s.Revision, Data: s.Data, Pins: s.Pins, Trimmed: s.Trimmed,
		Contents: map[v1alpha1.SecretKeyReference]state.Sensitive{},
	}
	for _, secret := range s.Secrets {
		a.Contents[secret.SecretKeyReference] = state.NewSensitive(secret.Content)
	}
	return a, s.Facts, nil
}

func readAssignment(raw []byte) (storedAssignment, bool) {
	var s storedAssignment
	err := json.Unmarshal(raw, &s)
	return s, err == nil && s.Version == assignmentVersion
}

// sameAs ignores the generation, which changes nothing on the host.
func (a *Assignment) sameAs(b *Assignment) bool {
	return b != nil && a.Revision == b.Revision && bytes.Equal(a.Data, b.Data) && slices.Equal(a.Pins, b.Pins)
}
