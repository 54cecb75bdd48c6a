package nodeobject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Declared are the labels and taints that a Node is to have on our account.
type Declared struct {
	Labels map[string]string
	// Taints are one for each pair of key and effect.
	Taints []corev1.Taint
}

// Declare reads them from a NodeConfig's registration, which may be nil.
func Declare(r *v1alpha1.NodeRegistration) Declared {
	d := Declared{Labels: map[string]string{}}
	if r == nil {
		return d
	}
	for key, value := range r.Labels {
		d.Labels[key] = string(value)
	}
	for _, t := range r.Taints {
		d.Taints = append(d.Taints, corev1.Taint{Key: t.Key, Value: string(t.Value), Effect: t.Effect})
	}
	return d
}

// Owned names the labels and taints that we put on a Node, so that those that are declared no more
// can be told from those that somebody else put there.
type Owned struct {
	// Labels by key and Taints as key:effect, sorted.
	Labels []string `json:"labels,omitempty"`
	Taints []string `json:"taints,omitempty"`
}

// ParseOwned reads what String wrote; "" is nothing.
func ParseOwned(s string) (Owned, error) {
	var o Owned
	if s == "" {
		return o, nil
	}
	if err := json.Unmarshal([]byte(s), &o); err != nil {
		return Owned{}, fmt.Errorf("read the names of owned labels and taints: %w", err)
	}
	return o, nil
}

// String is "" for nothing.
func (o Owned) String() string {
	if len(o.Labels)+len(o.Taints) == 0 {
		return ""
	}
	raw, _ := json.Marshal(o) // two lists of strings
	return string(raw)
}

// Owned are the names of what is declared.
func (d Declared) Owned() Owned {
	var o Owned
	for key := range d.Labels {
		o.Labels = append(o.Labels, key)
	}
	for _, t := range d.Taints {
		o.Taints = append(o.Taints, taintKey(t))
	}
	slices.Sort(o.Labels)
	slices.Sort(o.Taints)
	return o
}

// With adds the names in other.
func (o Owned) With(other Owned) Owned {
	merge := func(a, b []string) []string {
		all := slices.Sorted(slices.Values(slices.Concat(a, b)))
		return slices.Compact(all)
	}
	return Owned{Labels: merge(o.Labels, other.Labels), Taints: merge(o.Taints, other.Taints)}
}

// Reconcile returns what gives the Node the declared labels and taints, and takes away those that
// we own and that are declared no more. A declared one that somebody else set to another value is
// set to ours: it is declared. All others stay as they are, in their order.
func (d Declared) Reconcile(node *corev1.Node, owned Owned) Patch {
	var p Patch
	set := func(key string, value *string) {
		if p.Labels == nil {
			p.Labels = map[string]*string{}
		}
		p.Labels[key] = value
	}
	for key, value := range d.Labels {
		if have, ok := node.Labels[key]; !ok || have != value {
			set(key, &value)
		}
	}
	for _, key := range owned.Labels {
		_, declared := d.Labels[key]
		if _, there := node.Labels[key]; there && !declared {
			set(key, nil)
		}
	}
	if taints := d.taints(node.Spec.Taints, owned); !sameTaints(taints, node.Spec.Taints) {
		p.Taints = &taints
	}
	return p
}

// taints are those that are there and not ours, and ours as declared.
func (d Declared) taints(have []corev1.Taint, owned Owned) []corev1.Taint {
	want := make([]corev1.Taint, 0, len(have)+len(d.Taints))
	seen := map[string]bool{}
	for _, t := range have {
		i := slices.IndexFunc(d.Taints, func(o corev1.Taint) bool { return taintKey(o) == taintKey(t) })
		switch {
		case i >= 0 && d.Taints[i].Value == t.Value:
			want = append(want, t) // with the time that it was added
		case i >= 0:
			want = append(want, d.Taints[i])
		case !slices.Contains(owned.Taints, taintKey(t)):
			want = append(want, t)
		}
		seen[taintKey(t)] = true
	}
	for _, t := range d.Taints {
		if !seen[taintKey(t)] {
			want = append(want, t)
		}
	}
	return want
}

func sameTaints(a, b []corev1.Taint) bool {
	return slices.EqualFunc(a, b, func(x, y corev1.Taint) bool {
		return taintKey(x) == taintKey(y) && x.Value == y.Value
	})
}

func taintKey(t corev1.Taint) string { return strings.Join([]string{t.Key, string(t.Effect)}, ":") }
