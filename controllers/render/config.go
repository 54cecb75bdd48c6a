package render

import (
	"maps"
	"reflect"
)

// configuration merges what Seedbed sets into what the user gives freely. ours is a typed object
// and empty the zero of its type: what encodes alike in both was never set, and is left out, so
// that no zero is written down as if somebody had chosen it and older releases find no field that
// they do not know. Free fields keep the user's spelling; resolve has decoded them strictly.
func configuration(ours, empty any, free map[string]any) (map[string]any, error) {
	set, err := toMap(ours)
	if err != nil {
		return nil, err
	}
	unset, err := toMap(empty)
	if err != nil {
		return nil, err
	}
	return overlay(free, without(set, unset)), nil
}

// without returns what of m differs from noise, without objects that end up empty.
func without(m, noise map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range m {
		inner, isObject := value.(map[string]any)
		if !isObject {
			if other, there := noise[key]; !there || !reflect.DeepEqual(value, other) {
				out[key] = value
			}
			continue
		}
		innerNoise, _ := noise[key].(map[string]any)
		if kept := without(inner, innerNoise); len(kept) > 0 {
			out[key] = kept
		}
	}
	return out
}

// overlay returns base with the values of top; objects merge, all else is replaced.
func overlay(base, top map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, base)
	for key, value := range top {
		below, isObject := out[key].(map[string]any)
		above, areObjects := value.(map[string]any)
		if isObject && areObjects {
			value = overlay(below, above)
		}
		out[key] = value
	}
	return out
}
