package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Error is one thing that keeps a revision from being rendered for a host.
type Error struct {
	// Reason is one of the v1alpha1.Reason constants.
	Reason string
	// Field is the path below the spec of the NodeConfig, such as
	// "kubelet.extraArgs[0]"; "network." begins a path in the NetworkConfig and "facts." one in the
	// facts.
	Field string
	// Value that was found; empty where there is none or it may not be shown.
	Value string
	// Message says what is wrong and, after a colon or semicolon, the cure.
	Message string
}

func (e *Error) Error() string {
	if e.Value == "" {
		return e.Field + ": " + e.Message
	}
	return fmt.Sprintf("%s %s: %s", e.Field, e.Value, e.Message)
}

// Errors is everything that was found, sorted by field; errors.As finds each *Error in it.
type Errors []*Error

// Error is one line for each entry.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As the entries.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// Reason is the reason of the first entry, for a condition that can show only one.
func (e Errors) Reason() string {
	if len(e) == 0 {
		return ""
	}
	return e[0].Reason
}

// problems collects errors while a node is resolved.
type problems struct{ list Errors }

func (p *problems) add(reason, field, value, format string, args ...any) {
	p.list = append(p.list, &Error{Reason: reason, Field: field, Value: show(value), Message: fmt.Sprintf(format, args...)})
}

func (p *problems) invalid(field, value, format string, args ...any) {
	p.add(v1alpha1.ReasonInvalid, field, value, format, args...)
}

// err returns what was collected, in an order that depends on the findings alone.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortFunc(p.list, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Message, b.Message))
	})
	p.list = slices.CompactFunc(p.list, func(a, b *Error) bool { return *a == *b })
	return p.list
}

// maxShown bounds values in messages: conditions and terminals show them.
const maxShown = 200

// show makes a value fit for one line of a condition: quoted when it has odd characters, bounded.
func show(value string) string {
	if len(value) > maxShown {
		value = strings.ToValidUTF8(value[:maxShown], "") + "…"
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFEFF' || r == '\uFFFD' }) {
		return fmt.Sprintf("%q", value)
	}
	return value
}
