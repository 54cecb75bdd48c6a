package resolve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	sigsjson "sigs.k8s.io/json"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// object decodes free-form JSON. Numbers stay as they were written, so that nothing is rounded.
func object(raw *runtime.RawExtension) (map[string]any, error) {
	if raw == nil || len(raw.Raw) == 0 {
		return map[string]any{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw.Raw))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON object")
	}
	// encoding/json takes the last of two equal keys; which of them was meant, nobody knows.
	var again map[string]any
	if strict, _ := sigsjson.UnmarshalStrict(raw.Raw, &again); len(strict) > 0 {
		return nil, fmt.Errorf("%w: keep one", strict[0])
	}
	if v == nil {
		return map[string]any{}, nil
	}
	return v, nil
}

// freeform checks free configuration against the type it is merged into: every field must exist
// there with that spelling, and none may be one that Seedbed sets. owned has dotted paths and the
// field of the API that sets each.
func (r *resolver) freeform(field string, raw *runtime.RawExtension, into any, apiVersion, kind string, owned map[string]string) map[string]any {
	config, err := object(raw)
	if err != nil {
		r.invalid(field, "", "%v", err)
		return nil
	}
	for key, want := range map[string]string{"apiVersion": apiVersion, "kind": kind} {
		if got, set := config[key]; set && got != want {
			r.invalid(field+"."+key, fmt.Sprint(got), "this program writes %s: remove it", want)
		}
		delete(config, key)
	}
	encoded, err := json.Marshal(config)
	if err != nil {
		r.invalid(field, "", "%v", err)
		return nil
	}
	strict, err := sigsjson.UnmarshalStrict(encoded, into)
	if err != nil {
		r.invalid(field, "", "not a %s: %v", kind, err)
		return nil
	}
	for _, e := range strict {
		r.invalid(field, "", "%s of %s %s: correct or remove it", e, kind, apiVersion)
	}
	for _, path := range state.SortedKeys(owned) {
		if has(config, strings.Split(path, ".")) {
			r.invalid(field+"."+path, "", "Seedbed sets this field from %s: set it there, and remove it here", owned[path])
		}
	}
	r.plainStrings(field, config)
	return config
}

// has is true if the path leads to a value.
func has(config map[string]any, path []string) bool {
	v, ok := config[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	next, ok := v.(map[string]any)
	return ok && has(next, path[1:])
}

// plainStrings refuses strings with characters that survive no configuration file unharmed.
func (r *resolver) plainStrings(field string, v any) {
	switch v := v.(type) {
	case string:
		r.text(field, strings.NewReplacer("\n", "", "\t", "").Replace(v))
	case []any:
		for i, item := range v {
			r.plainStrings(fmt.Sprintf("%s[%d]", field, i), item)
		}
	case map[string]any:
		for _, key := range state.SortedKeys(v) {
			r.text(field, key)
			r.plainStrings(field+"."+show(key), v[key])
		}
	}
}

// since refuses fields that the version in force does not have yet, and with which it would not
// start, or would ignore them.
func (r *resolver) since(field, kind string, config map[string]any, table map[string]uint, v *version.Version) {
	for _, key := range state.SortedKeys(config) {
		if minor := table[key]; v != nil && v.Minor() < minor {
			r.add(v1alpha1.ReasonVersionUnsupported, field+"."+key, "", "%s has this field since 1.%d, and %s is in use: remove it, or update", kind, minor, v)
		}
	}
}

// with returns a copy of a table with one more entry.
func with(table map[string]string, key, value string) map[string]string {
	table = maps.Clone(table)
	table[key] = value
	return table
}
