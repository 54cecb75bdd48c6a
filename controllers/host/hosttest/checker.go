package hosttest

import (
	"context"
	"fmt"
	"io/fs"

	"seedbed.dev/seedbed/controllers/host"
)

// Judge puts a program on the host that answers with judge when it is run on a candidate. A program
// that was not put there is absent.
func (f *Fake) Judge(program string, judge func(host.Trial) (host.Answer, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.programs[program] = judge
}

type fakeChecker struct{ *Fake }

var _ host.Checker = fakeChecker{}

// Try implements host.Checker. It is no changing call: it leaves nothing behind.
func (c fakeChecker) Try(ctx context.Context, t host.Trial) (answer host.Answer, err error) {
	if err := ctx.Err(); err != nil {
		return host.Answer{}, context.Cause(ctx)
	}
	err = c.read(func(w *world) error {
		judge, there := w.programs[t.Program]
		if !there {
			return fmt.Errorf("program %s: %w", t.Program, fs.ErrNotExist)
		}
		answer, err = judge(t)
		return err
	})
	return answer, err
}

// RemoveProgram takes a program of Judge's away.
func (f *Fake) RemoveProgram(program string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.world.programs, program)
}
