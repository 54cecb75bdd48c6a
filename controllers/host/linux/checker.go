package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	// trialFolder has a folder for each run under way. It is in /run: what a power cut leaves is gone.
	trialFolder = "/run/seedbed/checks"
	// trialTimeout bounds one run. A kubelet needs a second on a slow machine.
	trialTimeout = 30 * time.Second
)

var errTrialSlow = fmt.Errorf("no answer within %s", trialTimeout)

// checker is host.Checker. Its folder belongs to this user and is closed to others.
type checker struct{ folder string }

// NewChecker returns a checker that works in a folder, which it makes, closed to others, if it is missing.
func NewChecker(folder string) host.Checker { return checker{folder: folder} }

// Try implements host.Checker.
func (c checker) Try(ctx context.Context, t host.Trial) (answer host.Answer, err error) {
	if err := ctx.Err(); err != nil {
		return host.Answer{}, context.Cause(ctx)
	}
	if !filepath.IsAbs(t.Program) {
		return host.Answer{}, fmt.Errorf("program %q: not an absolute path", t.Program)
	}
	if _, err := os.Stat(t.Program); err != nil {
		return host.Answer{}, fmt.Errorf("program %s: %w", t.Program, cause(err))
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return host.Answer{}, fmt.Errorf("folder %s: %w", c.folder, cause(err))
	}
	dir, err := os.MkdirTemp(c.folder, "")
	if err != nil {
		return host.Answer{}, fmt.Errorf("folder %s: %w", c.folder, cause(err))
	}
	defer func() { err = errors.Join(err, cause(os.RemoveAll(dir))) }()
	bench, err := prepareBench(dir, t)
	if err != nil {
		return host.Answer{}, fmt.Errorf("candidate of %s: %w", t.Path, cause(err))
	}
	return bench.run(ctx, t)
}

// bench is the folder of one run.
type bench struct{ candidate, scratch, marker string }

func prepareBench(dir string, t host.Trial) (bench, error) {
	b := bench{
		// A folder of its own, since systemd takes the files beside a unit into account.
		candidate: filepath.Join(dir, "candidate", filepath.Base(t.Path)),
		scratch:   filepath.Join(dir, "scratch"),
		marker:    filepath.Join(dir, "marker"),
	}
	for _, folder := range []string{filepath.Dir(b.candidate), b.scratch} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return b, err
		}
	}
	if err := unix.Mkfifo(b.marker, 0o600); err != nil {
		return b, err
	}
	return b, os.WriteFile(b.candidate, t.Content, 0o600)
}

// errMarked ends a program that has opened its marker.
var errMarked = errors.New("the marker was opened")

// run starts the program and waits until it ends or opens the marker. There it gets nothing to read,
// and so does nothing more before it is killed.
func (b bench) run(ctx context.Context, t host.Trial) (host.Answer, error) {
	ctx, stop := context.WithTimeoutCause(ctx, trialTimeout, errTrialSlow)
	defer stop()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		b.watch(over, func() { end(errMarked) })
	}()
	stdout, stderr, err := confined(ctx, b.scratch, t.Program, append([]string{t.Program}, b.arguments(t.Args)...))
	close(over)
	unblockErr := b.unblock(watched)
	answer := host.Answer{Output: b.anonymous(stdout+stderr, t.Path), Marked: errors.Is(context.Cause(ctx), errMarked)}
	var exit *exec.ExitError
	switch {
	case unblockErr != nil:
		return host.Answer{}, fmt.Errorf("marker: %w", cause(unblockErr))
	case err == nil || answer.Marked:
	case ctx.Err() == nil && errors.As(err, &exit) && exit.Exited():
		answer.Status = exit.ExitCode()
	default:
		return host.Answer{}, err
	}
	return answer, nil
}

// watch opens the marker for writing, which waits until somebody opens it for reading, and holds it
// open until the run is over.
func (b bench) watch(over <-chan struct{}, marked func()) {
	file, err := os.OpenFile(b.marker, os.O_WRONLY, 0)
	if err != nil {
		return // the program then ends by itself, or by its time limit
	}
	defer file.Close()
	select {
	case <-over:
	default:
		marked()
		<-over
	}
}

// unblock lets watch go on when the program has ended without opening the marker.
func (b bench) unblock(watched <-chan struct{}) error {
	file, err := os.OpenFile(b.marker, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	<-watched
	return file.Close()
}

func (b bench) arguments(args []string) []string {
	paths := strings.NewReplacer(state.CheckCandidate, b.candidate, state.CheckScratch, b.scratch, state.CheckMarker, b.marker)
	filled := make([]string, len(args))
	for i, arg := range args {
		filled[i] = paths.Replace(arg)
	}
	return filled
}

// anonymous replaces the paths of this run, which differ each time, by what they stand for.
func (b bench) anonymous(output, path string) string {
	return strings.NewReplacer(b.candidate, path, b.scratch, "(a folder)", b.marker, "(a file)").Replace(output)
}

// confined runs a program that must not do anything but look at its candidate: without a network,
// and, where we may, with process numbers of its own, so that the kernel ends whatever it started
// with it. It dies with us. argv has the name that the program is told.
func confined(ctx context.Context, scratch, program string, argv []string) (stdout, stderr string, err error) {
	// The kernel sends the signal when the thread ends that started the program (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	attempt := func(namespaces uintptr) (string, string, error) {
		return runAs(ctx, func(cmd *exec.Cmd) {
			// With process number 1, systemd's programs log to the kernel unless they are told.
			cmd.Env = append(slices.Clone(cmd.Env), "TMPDIR="+scratch, "HOME="+scratch, "SYSTEMD_LOG_TARGET=console", "SYSTEMD_LOG_LEVEL=info")
			cmd.Dir, cmd.Args = scratch, argv
			cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
			cmd.SysProcAttr.Cloneflags = namespaces
		}, program)
	}
	if os.Geteuid() == 0 {
		stdout, stderr, err = attempt(unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC)
		if !errors.Is(err, fs.ErrPermission) {
			return stdout, stderr, err
		}
	}
	return attempt(0)
}

// CleanTrials removes what a killed run left of checks under way, on the machine this process runs
// on. Only whoever holds the host's lock may call it.
func CleanTrials() error { return cleanTrials(trialFolder) }

func cleanTrials(folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("folder %s: %w", folder, cause(err))
	}
	return nil
}
