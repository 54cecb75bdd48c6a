package linux

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// maxOutput bounds what is kept of each output stream of a program.
	maxOutput = 64 << 10
	// maxRead bounds output of which every line counts, such as all packages of a large machine.
	maxRead = 4 << 20
)

// killDelay is how long a cancelled program's pipes may stay open, held by a child of its own.
const killDelay = 2 * time.Second

// commandEnv is all that a program we start is given: the administrator's PATH does not decide what
// we run, and messages are in English.
var commandEnv = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "LANG=C"}

// run starts the program at an absolute path with arguments and waits for it. No shell is involved.
// When ctx ends, the program and its children are killed. Output beyond maxOutput is dropped.
func run(ctx context.Context, program string, args ...string) (stdout, stderr string, err error) {
	return runAs(ctx, func(*exec.Cmd) {}, program, args...)
}

// runAs is run for a program that gets more than the usual, or less.
func runAs(ctx context.Context, adjust func(*exec.Cmd), program string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errOut bounded
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = &out, &errOut, commandEnv, "/"
	// A group of its own, so that the kill reaches what the program started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killDelay
	adjust(cmd)
	err = cmd.Run()
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = fmt.Errorf("%s: %w", program, context.Cause(ctx))
	default:
		err = fmt.Errorf("%s: %w%s", program, cause(err), lastLine(errOut.String()))
	}
	return out.String(), errOut.String(), err
}

// readAs is runAs for a program whose every line of output counts: more than maxRead of it is an error.
func readAs(ctx context.Context, adjust func(*exec.Cmd), program string, args ...string) (stdout, stderr string, err error) {
	out := bounded{limit: maxRead}
	_, stderr, err = runAs(ctx, func(cmd *exec.Cmd) {
		cmd.Stdout = &out
		adjust(cmd)
	}, program, args...)
	if err == nil && out.cut {
		err = fmt.Errorf("%s: it says more than the %d MiB that are read: nothing can be concluded from that", program, maxRead>>20)
	}
	return out.String(), stderr, err
}

// lastLine is the end of a program's complaint, as ": text".
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	if s == "" {
		return ""
	}
	return ": " + s
}

// bounded keeps the first bytes written to it: as many as limit says, or maxOutput.
type bounded struct {
	buffer bytes.Buffer
	limit  int
	// cut is true when there was more.
	cut bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := cmp.Or(b.limit, maxOutput) - b.buffer.Len()
	b.cut = b.cut || len(p) > room
	b.buffer.Write(p[:min(len(p), room)])
	return len(p), nil
}

func (b *bounded) String() string { return b.buffer.String() }

// errNoProgram is returned when a program is on none of the usual paths.
var errNoProgram = errors.New("not found in /usr/sbin, /sbin, /usr/bin, /bin")

// find returns the path of a program. Folders that an unprivileged user may write to are not looked at.
func find(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, errNoProgram)
}
