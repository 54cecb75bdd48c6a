package state

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Sensitive is content of a Secret. It prints as "[redacted]" whatever the verb, so that it
// cannot reach a log, an event, a condition or a diff by accident. Reveal gives the bytes.
//
// They are behind two pointers because fmt reads unexported fields without asking their methods,
// and follows one pointer for a verb that does not fit (fmt, badVerb): of a Sensitive in such a
// field it then prints an address.
type Sensitive struct{ bytes **[]byte }

const redacted = "[redacted]"

// NewSensitive wraps b, which the caller must not change afterwards.
func NewSensitive(b []byte) Sensitive {
	p := &b
	return Sensitive{bytes: &p}
}

// Reveal returns the content, for writing it to the file it is meant for.
func (s Sensitive) Reveal() []byte {
	if s.bytes == nil {
		return nil
	}
	return **s.bytes
}

// Empty is true when there is no content.
func (s Sensitive) Empty() bool { return len(s.Reveal()) == 0 }

func (s Sensitive) String() string { return redacted }

// GoString is what %#v prints.
func (s Sensitive) GoString() string { return redacted }

// Format covers the verbs that ask neither String nor GoString, such as %d.
func (s Sensitive) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText keeps the content out of JSON and YAML.
func (s Sensitive) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Hash is the hex SHA-256 of content, as ledgers, plans and inputs carry it.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
