package approve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// timeFormat is RFC 3339, in which tokens say when they end.
const timeFormat = time.RFC3339

// Bounds of a scope. NodeState.spec.addresses has the same.
const (
	MaxAddresses = 16
	MaxNodes     = 1000
)

// Scope is what a bootstrap token may be used for.
type Scope struct {
	// Labels of the NodeStates to be.
	Labels map[string]string
	// Nodes are the names that nodes may join by; none means any.
	Nodes []string
	// Addresses and ranges that the kubelets' serving certificates may name.
	Addresses []string
	// Expires is when the token ends.
	Expires time.Time
}

// Allows is true for a name that a node may join by.
func (s Scope) Allows(node string) bool {
	return len(s.Nodes) == 0 || slices.Contains(s.Nodes, node)
}

// Validate says what is wrong with a scope, naming the field, the value and the cure.
func (s Scope) Validate() error {
	if errs := metavalidation.ValidateLabels(s.Labels, field.NewPath(v1alpha1.JoinLabelsKey)); len(errs) > 0 {
		return errors.New(errs.ToAggregate().Error())
	}
	if len(s.Nodes) > MaxNodes {
		return fmt.Errorf("%s: %d names, more than %d: make several tokens, or one for any name", v1alpha1.JoinNodesKey, len(s.Nodes), MaxNodes)
	}
	for _, node := range s.Nodes {
		if problems := validation.IsDNS1123Label(node); len(problems) > 0 {
			return fmt.Errorf("%s %q: not a node's name: use at most 63 lower-case letters, digits and '-', such as node-a", v1alpha1.JoinNodesKey, node)
		}
	}
	if len(s.Addresses) > MaxAddresses {
		return fmt.Errorf("%s: %d of them, more than %d: give a range", v1alpha1.JoinAddressesKey, len(s.Addresses), MaxAddresses)
	}
	_, err := ParseAddresses(s.Addresses)
	return err
}

// ParseAddresses reads IP addresses and ranges.
func ParseAddresses(list []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
			ip = ip.Unmap()
			prefixes = append(prefixes, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: neither an IP address nor a range: write one such as 10.64.3.8 or 10.64.3.0/26", v1alpha1.JoinAddressesKey, text)
		}
		if p != p.Masked() {
			return nil, fmt.Errorf("%s %q: has host bits: write %s for the range, or %s for the address", v1alpha1.JoinAddressesKey, text, p.Masked(), p.Addr())
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// Data is the scope as the data of a ConfigMap.
func (s Scope) Data() (map[string]string, error) {
	data := map[string]string{v1alpha1.JoinExpiresKey: s.Expires.UTC().Format(timeFormat)}
	for key, value := range map[string]any{
		v1alpha1.JoinLabelsKey: s.Labels, v1alpha1.JoinNodesKey: s.Nodes, v1alpha1.JoinAddressesKey: s.Addresses,
	} {
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", key, err)
		}
		// An absent list of nodes is any name; an empty one must not come to look like it by mistake.
		if string(encoded) != "null" && string(encoded) != "[]" && string(encoded) != "{}" {
			data[key] = string(encoded)
		}
	}
	return data, nil
}

// ReadScope reads and validates the data of a ConfigMap.
func ReadScope(data map[string]string) (Scope, error) {
	var s Scope
	for _, part := range []struct {
		key, example string
		into         any
	}{
		{v1alpha1.JoinLabelsKey, `a JSON object of strings, such as {"role":"worker"}`, &s.Labels},
		{v1alpha1.JoinNodesKey, `a JSON list of strings, such as ["node-a"]`, &s.Nodes},
		{v1alpha1.JoinAddressesKey, `a JSON list of strings, such as ["10.64.3.0/26"]`, &s.Addresses},
	} {
		text, ok := data[part.key]
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(text), part.into); err != nil {
			return Scope{}, fmt.Errorf("data.%s: %w: write %s", part.key, err, part.example)
		}
	}
	if text, ok := data[v1alpha1.JoinNodesKey]; ok && len(s.Nodes) == 0 {
		return Scope{}, fmt.Errorf("data.%s %s: names nobody: leave it out for any name", v1alpha1.JoinNodesKey, strings.TrimSpace(text))
	}
	var err error
	if s.Expires, err = time.Parse(timeFormat, data[v1alpha1.JoinExpiresKey]); err != nil {
		return Scope{}, fmt.Errorf("data.%s %q: not a time: write one such as 2026-05-01T12:00:00Z", v1alpha1.JoinExpiresKey, data[v1alpha1.JoinExpiresKey])
	}
	if err := s.Validate(); err != nil {
		return Scope{}, fmt.Errorf("data.%w", err)
	}
	return s, nil
}
