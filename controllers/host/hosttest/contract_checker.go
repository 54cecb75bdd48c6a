package hosttest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/host"
)

// CheckerFixture is a host with three programs, given as trials without content: Judge takes a
// candidate that says "good" and otherwise ends with status 3 and a line that names the candidate,
// Reader opens its marker if the candidate says "good" and otherwise ends with status 0, and Absent
// is not there.
type CheckerFixture struct {
	Checker               host.Checker
	Judge, Reader, Absent host.Trial
}

// CheckerContract is what every host.Checker promises.
func CheckerContract(t *testing.T, open func(t *testing.T) CheckerFixture) {
	t.Helper()
	try := func(t *testing.T, trial func(CheckerFixture) host.Trial, content string) (host.Answer, error) {
		t.Helper()
		f := open(t)
		on := trial(f)
		on.Path, on.Content = "/etc/daemon/daemon.json", []byte(content)
		return f.Checker.Try(t.Context(), on)
	}
	judge := func(f CheckerFixture) host.Trial { return f.Judge }
	reader := func(f CheckerFixture) host.Trial { return f.Reader }
	t.Run("a program that accepts ends with status 0", func(t *testing.T) {
		if a, err := try(t, judge, "good"); err != nil || a.Status != 0 || a.Marked {
			t.Errorf("Try = %+v, %v; want status 0", a, err)
		}
	})
	t.Run("one that refuses is heard, about the file and not the candidate", func(t *testing.T) {
		a, err := try(t, judge, "bad")
		if err != nil || a.Status != 3 || !strings.Contains(a.Output, "/etc/daemon/daemon.json") {
			t.Errorf("Try = %+v, %v; want status 3 and the file's path in the output", a, err)
		}
	})
	t.Run("one that opens its marker is known by it", func(t *testing.T) {
		if a, err := try(t, reader, "good"); err != nil || !a.Marked {
			t.Errorf("Try = %+v, %v; want Marked", a, err)
		}
		if a, err := try(t, reader, "bad"); err != nil || a.Marked {
			t.Errorf("Try = %+v, %v; want no mark", a, err)
		}
	})
	t.Run("a program that is not there is fs.ErrNotExist", func(t *testing.T) {
		if _, err := try(t, func(f CheckerFixture) host.Trial { return f.Absent }, "good"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Try = %v; want fs.ErrNotExist", err)
		}
	})
	t.Run("a context that has ended is no answer", func(t *testing.T) {
		ctx, end := context.WithCancelCause(t.Context())
		end(errEnded)
		f := open(t)
		if _, err := f.Checker.Try(ctx, f.Judge); !errors.Is(err, errEnded) {
			t.Errorf("Try = %v; want %v", err, errEnded)
		}
	})
}

var errEnded = errors.New("ended for the test")
