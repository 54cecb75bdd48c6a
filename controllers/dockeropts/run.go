package dockeropts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Host is what Run needs of the machine it runs on.
type Host struct {
	// Read returns a file's content; an error that is fs.ErrNotExist when there is none.
	Read func(path string) ([]byte, error)
	// Write replaces a file atomically and durably, mode 0644, and makes its folder.
	Write func(path string, content []byte) error
	// Sleep waits; it returns early, with the context's error, when the context ends.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Paths of the files that Run reads and writes.
type Paths struct {
	// SubnetEnv is flannel's, below /run and so gone after a boot.
	SubnetEnv string
	// LastLease is the copy kept of it.
	LastLease string
	// Options is the environment file that docker.service reads.
	Options string
}

// Source says where a lease came from.
type Source string

const (
	// FromFlannel: flannel's own file.
	FromFlannel Source = "flannel"
	// FromLast: the copy of the last lease, because flannel has none yet.
	FromLast Source = "last lease"
)

// Poll is how long Run sleeps between two looks at flannel's file.
const Poll = 200 * time.Millisecond

// Run waits for flannel's lease, at most for patience; then it takes the last one, and with neither
// goes on waiting for flannel until the context ends: docker without a lease would be on the wrong
// subnet. It writes the options, and keeps a lease of flannel's for the next boot. waiting is told
// once what is being waited for when patience ends with neither.
func Run(ctx context.Context, h Host, p Paths, patience time.Duration, waiting func(reason string)) (Lease, Source, error) {
	for waited := time.Duration(0); ; waited += Poll {
		text, err := h.Read(p.SubnetEnv)
		lease, why := parsed(text, err)
		if why == nil {
			return lease, FromFlannel, publish(h, p, lease, text)
		}
		if waited >= patience {
			last, lastWhy := parsed(h.Read(p.LastLease))
			if lastWhy == nil {
				return last, FromLast, publish(h, p, last, nil)
			}
			if waited < patience+Poll {
				waiting(fmt.Sprintf("%s: %v; %s: %v", p.SubnetEnv, why, p.LastLease, lastWhy))
			}
		}
		if err := h.Sleep(ctx, Poll); err != nil {
			return Lease{}, "", fmt.Errorf("waiting for %s: %w", p.SubnetEnv, err)
		}
	}
}

var errNoFile = errors.New("is not there")

func parsed(text []byte, err error) (Lease, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Lease{}, errNoFile
	case err != nil:
		return Lease{}, err
	}
	return Parse(text)
}

// publish writes the options first: docker waits for them, and a copy of the lease that cannot be
// written must not keep it from starting on the right one. A copy that is the same is not written.
func publish(h Host, p Paths, lease Lease, text []byte) error {
	if err := h.Write(p.Options, lease.EnvFile()); err != nil {
		return fmt.Errorf("file %s: %w", p.Options, err)
	}
	if text == nil {
		return nil
	}
	if old, err := h.Read(p.LastLease); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := h.Write(p.LastLease, text); err != nil {
		return fmt.Errorf("file %s: %w", p.LastLease, err)
	}
	return nil
}
