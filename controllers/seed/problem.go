package seed

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Problem is something that keeps a seed from starting and that the user can cure. It prints as one
// line: what is wrong, and what to do.
type Problem struct {
	// What is wrong, naming the flag, file, folder or port. Example: "data dir /x: not a directory".
	What string
	// Cure is what to do. Example: "choose another one with --data-dir".
	Cure string
	// Err is the cause, where there is one; What says it already.
	Err error
}

func (p *Problem) Error() string { return p.What + ": " + p.Cure }

func (p *Problem) Unwrap() error { return p.Err }

func problemf(cure, format string, args ...any) *Problem {
	return &Problem{What: fmt.Sprintf(format, args...), Cure: cure}
}

// explain adds what to do to an error of the file system below the data dir, where it is one of the
// kinds that a user meets.
func explain(dir string, err error) error {
	var known *Problem
	if err == nil || errors.As(err, &known) {
		return err
	}
	var cure string
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		cure = "free some space there, or choose another data dir with --data-dir"
	case errors.Is(err, syscall.EROFS):
		cure = "the file system is read-only; choose another data dir with --data-dir"
	case errors.Is(err, syscall.ENOTDIR):
		cure = "choose a folder with --data-dir"
	case errors.Is(err, fs.ErrPermission):
		cure = "run as the user who owns it, or choose another data dir with --data-dir"
	default:
		return fmt.Errorf("data dir %s: %w", dir, err)
	}
	return &Problem{What: fmt.Sprintf("data dir %s: %v", dir, err), Cure: cure, Err: err}
}
