package controllers

import (
	"fmt"

	"seedbed.dev/seedbed/controllers/rollout"
)

// StallError says that an object cannot be acted on until a user changes something. It is the
// outcome of a pass, shown as a condition, and not a failure to be tried again.
type StallError struct{ rollout.Stall }

func (e *StallError) Error() string { return e.Reason + ": " + e.Message }

func stallf(reason, format string, args ...any) *StallError {
	return &StallError{rollout.Stall{Reason: reason, Message: fmt.Sprintf(format, args...)}}
}
