package resolve

import (
	"fmt"
	"maps"
	"slices"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// Secrets holds the content of the Secrets a revision refers to. A whole-Secret reference to a
// dockerconfigjson Secret is looked up by the key that type has, ".dockerconfigjson".
type Secrets struct {
	values       map[v1alpha1.SecretKeyReference]state.Sensitive
	placeholders bool
	// unread are the Secrets that have placeholders all the same.
	unread []string
}

// NewSecrets holds the given contents.
func NewSecrets(values map[v1alpha1.SecretKeyReference]state.Sensitive) Secrets {
	return Secrets{values: maps.Clone(values)}
}

// Placeholders stands in for every Secret there may be with text that names it. It is for offline
// rendering only: contents are then not checked, since there are none.
func Placeholders() Secrets { return Secrets{placeholders: true} }

// WithPlaceholders returns the same Secrets, with a placeholder for each one that is not there.
func (s Secrets) WithPlaceholders() Secrets {
	s.placeholders = true
	return s
}

// WithPlaceholdersOf returns the same Secrets, with a placeholder for each key of those named that is not
// there. Of all others it is known that they have no such key.
func (s Secrets) WithPlaceholdersOf(names []string) Secrets {
	s.unread = slices.Clone(names)
	return s
}

// lookup returns the content; real is false for a placeholder, which is not to be parsed.
func (s Secrets) lookup(ref v1alpha1.SecretKeyReference) (content state.Sensitive, real, found bool) {
	if content, found = s.values[ref]; found {
		return content, true, true
	}
	if !s.placeholders && !slices.Contains(s.unread, ref.Name) {
		return state.Sensitive{}, false, false
	}
	text := fmt.Sprintf("placeholder for key %s of Secret %s\n", ref.Key, ref.Name)
	return state.NewSensitive([]byte(text)), false, true
}

// Format keeps contents out of every verb. fmt reads unexported fields without asking their
// methods, so that state.Sensitive cannot protect itself inside this type.
func (s Secrets) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "[%d redacted secrets]", len(s.values))
}
