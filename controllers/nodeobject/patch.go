package nodeobject

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Patch is what changes of a Node, and nothing else. It is a patch, never an update, because the
// Node it was computed from may be a cache's that holds only part of the object.
type Patch struct {
	// Labels and Annotations to set; nil removes one.
	Labels, Annotations map[string]*string
	// Taints, if not nil, replace the list.
	Taints *[]corev1.Taint
	// Unschedulable, if not nil, cordons or uncordons.
	Unschedulable *bool
	// PodCIDR, if not "", is set; the API allows that once.
	PodCIDR string
}

// Empty is true when there is nothing to change.
func (p Patch) Empty() bool {
	return len(p.Labels) == 0 && len(p.Annotations) == 0 && p.Taints == nil && p.Unschedulable == nil && p.PodCIDR == ""
}

// Annotate sets an annotation, or removes it when value is "".
func (p *Patch) Annotate(key, value string) {
	if p.Annotations == nil {
		p.Annotations = map[string]*string{}
	}
	p.Annotations[key] = nil
	if value != "" {
		p.Annotations[key] = &value
	}
}

// Bytes is the patch as a JSON merge patch (RFC 7386) that fails with a conflict if somebody wrote
// the Node since resourceVersion: a list is replaced whole, and must be replaced as it was read.
func (p Patch) Bytes(resourceVersion string) ([]byte, error) {
	metadata := map[string]any{"resourceVersion": resourceVersion}
	if len(p.Labels) > 0 {
		metadata["labels"] = p.Labels
	}
	if len(p.Annotations) > 0 {
		metadata["annotations"] = p.Annotations
	}
	spec := map[string]any{}
	if p.Taints != nil {
		spec["taints"] = *p.Taints
	}
	if p.Unschedulable != nil {
		spec["unschedulable"] = *p.Unschedulable
	}
	if p.PodCIDR != "" {
		spec["podCIDR"], spec["podCIDRs"] = p.PodCIDR, []string{p.PodCIDR}
	}
	body := map[string]any{"metadata": metadata}
	if len(spec) > 0 {
		body["spec"] = spec
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode patch: %w", err)
	}
	return raw, nil
}

// Label sets a label.
func (p *Patch) Label(key, value string) {
	if p.Labels == nil {
		p.Labels = map[string]*string{}
	}
	p.Labels[key] = &value
}
