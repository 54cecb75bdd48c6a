package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"seedbed.dev/seedbed/hack/lab/internal/control"
	"seedbed.dev/seedbed/hack/lab/internal/layout"
	"seedbed.dev/seedbed/hack/lab/internal/supervisor"
)

// cleanPatience is how long a lab may take to end.
const cleanPatience = 30 * time.Second

// bootPatience is how long the hosts may take to boot. They take seconds; a loaded machine takes longer.
const bootPatience = 3 * time.Minute

// Start builds what is not built yet and starts a lab. It returns when all hosts have booted.
func Start(ctx context.Context, options Options) (*Lab, error) {
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	if options.Nodes == 0 {
		options.Nodes = 3
	}
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	lab, err := layout.New(cache, nameOf(options.Name), options.Nodes)
	if err != nil {
		return nil, err
	}
	lab.TwoInterfaces, lab.Keep = options.TwoInterfaces, options.Keep
	if err := fit(); err != nil {
		return nil, err
	}
	lock, err := lockLab(lab)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	s := starter{lab: lab, lock: lock, progress: &lockedWriter{Writer: options.Progress}}
	return s.start(ctx)
}

// starter starts one lab.
type starter struct {
	lab      layout.Lab
	lock     *os.File
	progress io.Writer
	programs map[string]string // what hosts can download, by name
}

func (s *starter) start(ctx context.Context) (*Lab, error) {
	began := time.Now()
	err := s.stage(ctx, "tools", func(ctx context.Context) error { return installTools(ctx, s.progress) })
	if err == nil {
		err = s.build(ctx)
	}
	if err == nil {
		err = s.stage(ctx, "files", s.files)
	}
	if err != nil {
		return nil, err
	}
	var started *Lab
	err = s.stage(ctx, "boot", func(ctx context.Context) (err error) {
		started, err = s.boot(ctx)
		return err
	})
	if err == nil {
		fmt.Fprintf(s.progress, "lab: %s is up: %d hosts in %s\n", s.lab.Name, len(s.lab.Nodes), time.Since(began).Round(100*time.Millisecond))
	}
	return started, err
}

// build makes what hosts are made of, at once: the root waits for downloads where the components wait
// for the processor.
func (s *starter) build(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.stage(ctx, "components", s.components) })
	group.Go(func() error { return s.stage(ctx, "root", s.root) })
	return group.Wait()
}

// lockedWriter is for those who write at once, whole lines each.
type lockedWriter struct {
	mu sync.Mutex
	io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(p)
}

// stage runs one part and says how long it took.
func (s *starter) stage(ctx context.Context, name string, run func(context.Context) error) error {
	began := time.Now()
	if err := run(ctx); err != nil {
		return fmt.Errorf("lab %s: %s: %w", s.lab.Name, name, err)
	}
	fmt.Fprintf(s.progress, "lab: %-10s %6.1f s\n", name, time.Since(began).Seconds())
	return nil
}

// boot starts the supervisor and waits until all hosts have booted. Only when that works does the
// caller hold the lab.
func (s *starter) boot(ctx context.Context) (*Lab, error) {
	leash, ended, err := s.supervise()
	if err != nil {
		return nil, err
	}
	started := &Lab{leash: leash}
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	if err := s.await(ctx, started, ended); err != nil {
		return nil, errors.Join(err, s.giveUp(leash))
	}
	return started, nil
}

// giveUp ends a lab that did not come up, and removes what it left.
func (s *starter) giveUp(leash *os.File) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanPatience)
	defer cancel()
	// Cleaning up takes the lock, which so far is ours.
	err := errors.Join(leash.Close(), s.lock.Close())
	if state, read := readState(s.lab); read == nil {
		err = errors.Join(err, stop(state))
	}
	return errors.Join(err, clean(ctx, s.lab))
}

// supervise starts the watcher. The lab ends when the file that it returns is closed, unless it is kept.
func (s *starter) supervise() (*os.File, <-chan error, error) {
	file, err := supervisor.WriteLayout(s.lab)
	if err != nil {
		return nil, nil, err
	}
	log, err := os.Create(s.lab.Log())
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = log.Close() }()
	held, leash, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = held.Close() }()
	command := exec.Command(s.lab.Program(), "watch", file)
	command.Stdin, command.Stdout, command.Stderr = held, log, log
	command.ExtraFiles = []*os.File{s.lock}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, nil, errors.Join(err, leash.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	return leash, ended, nil
}

// await waits until all hosts have booted, or the supervisor ends.
func (s *starter) await(ctx context.Context, started *Lab, ended <-chan error) error {
	for {
		select {
		case err := <-ended:
			log, _ := os.ReadFile(s.lab.Log())
			return errors.Join(fmt.Errorf("the supervisor ended:\n%s", bytes.TrimSpace(log)), err)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting for hosts to boot: %w", ctx.Err()), s.consoles())
		case <-time.After(50 * time.Millisecond):
		}
		state, err := readState(s.lab)
		if err != nil {
			continue // Not up yet.
		}
		started.state = state
		answer, err := control.Ask(ctx, s.lab.Socket(), control.Request{Verb: control.Status})
		if err != nil {
			continue // Not listening yet; when it never does, it has ended.
		}
		if booted, err := allBooted(answer.Nodes); err != nil {
			return errors.Join(err, s.consoles())
		} else if booted {
			return nil
		}
	}
}

// consoles is the end of what the hosts wrote, since their files go when they do not boot.
func (s *starter) consoles() error {
	var all error
	for _, node := range s.lab.Nodes {
		console, err := os.ReadFile(s.lab.Console(node.Name))
		if err != nil {
			continue // It never began to boot; the error says why.
		}
		console = console[max(0, len(console)-consoleTail):]
		all = errors.Join(all, fmt.Errorf("the console of %s ends with:\n%s", node.Name, bytes.TrimSpace(console)))
	}
	return all
}

// consoleTail is how much of a console tells what is wrong, in bytes.
const consoleTail = 2000

func allBooted(nodes []control.Node) (bool, error) {
	all := true
	for _, node := range nodes {
		if node.Power == control.Broken {
			return false, fmt.Errorf("host %s: %s", node.Name, node.Error)
		}
		all = all && node.Power == control.On
	}
	return all, nil
}

// lines runs one of the lab's scripts and returns what it printed; its progress goes where ours goes.
func (s *starter) lines(ctx context.Context, script string, args ...string) ([]string, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, filepath.Join(root, script), args...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Stderr = s.progress
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", script, err)
	}
	return strings.Split(strings.TrimSpace(string(output)), "\n"), nil
}
