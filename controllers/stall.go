package controllers

import (
	"errors"
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

// WaitError says what a NodeConfig's next revision waits for. It is the outcome of a pass: what is
// waited for wakes the next one.
type WaitError struct{ Message string }

func (e *WaitError) Error() string { return e.Message }

// isOutcome tells what a pass came to from a failure to be tried again.
func isOutcome(err error) bool {
	_, stalled := errors.AsType[*StallError](err)
	_, waits := errors.AsType[*WaitError](err)
	return stalled || waits
}
