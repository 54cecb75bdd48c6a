package join

import (
	"fmt"
	"strings"
)

// Problem is what keeps a host from joining or leaving, and what to do about it, on one line.
type Problem struct {
	What string
	Cure string
	// Err is the cause; nil when What says all.
	Err error
}

func (p *Problem) Error() string { return p.What + ": " + p.Cure }

func (p *Problem) Unwrap() error { return p.Err }

func problemf(cure, what string, args ...any) *Problem {
	return &Problem{What: fmt.Sprintf(what, args...), Cure: cure}
}

func because(err error, cure, what string, args ...any) *Problem {
	p := problemf(cure, what, args...)
	p.What, p.Err = p.What+" ("+oneLine(err)+")", err
	return p
}

// oneLine is an error on one line; several that were joined are parted by semicolons.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}
