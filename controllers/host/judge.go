package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"seedbed.dev/seedbed/controllers/state"
)

// RefusedError says that the program that is to read a file does not accept it. The file is as it
// was.
type RefusedError struct {
	Path, Program string
	// Words are the program's own, on one line and bounded; without them where the file has content
	// of a Secret.
	Words string
	// Cure says where the user mends it.
	Cure string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("file %s: %s refuses it, so it was not written: %s: %s", e.Path, e.Program, e.Words, e.Cure)
}

// UnjudgedError says that a program has no opinion of a file, which is then written without it.
type UnjudgedError struct {
	Path, Program string
	Err           error
}

func (e *UnjudgedError) Error() string {
	return fmt.Sprintf("file %s: not checked by %s: %v", e.Path, e.Program, e.Err)
}

func (e *UnjudgedError) Unwrap() error { return e.Err }

var errControl = errors.New("it refuses a configuration that is known to be good as well")

// Judge asks a program whether it accepts a file. The error is a *RefusedError when it does not, an
// *UnjudgedError when it cannot tell, or that of a ctx that has ended.
func Judge(ctx context.Context, checker Checker, path string, f state.File, c state.Check) error {
	trial := Trial{Program: c.Program, Args: c.Args, Path: path, Content: f.Content}
	if c.Content != nil {
		trial.Path, trial.Content = cmp.Or(c.ContentPath, path), c.Content
	}
	words, err := refusal(ctx, checker, trial, c)
	if err == nil && words == "" {
		return nil
	}
	if err == nil && c.Control != nil {
		trial.Content = c.Control
		if c.ControlArgs != nil {
			trial.Args = c.ControlArgs
		}
		var control string
		if control, err = refusal(ctx, checker, trial, c); err == nil && control != "" {
			err = errControl
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("file %s: check by %s: %w", path, c.Program, context.Cause(ctx))
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("the program is not there")
	}
	if err != nil {
		return &UnjudgedError{Path: path, Program: c.Program, Err: err}
	}
	if f.Secret {
		words = "its words are kept back, since the file has content of a Secret"
	}
	return &RefusedError{Path: path, Program: c.Program, Words: words, Cure: c.Cure}
}

// refusal is what the program says against a candidate; empty when it accepts it.
func refusal(ctx context.Context, checker Checker, trial Trial, c state.Check) (string, error) {
	answer, err := checker.Try(ctx, trial)
	if err != nil {
		return "", err
	}
	for _, objection := range c.Objections {
		if strings.Contains(answer.Output, objection) {
			return objectionIn(answer.Output, objection, c.Explains), nil
		}
	}
	if answer.Marked || c.OnlyObjections || answer.Status == 0 && !marks(trial) {
		return "", nil
	}
	return lastWords(answer), nil
}

// marks is true for a program that has a marker to open.
func marks(t Trial) bool {
	for _, arg := range t.Args {
		if strings.Contains(arg, state.CheckMarker) {
			return true
		}
	}
	return false
}
