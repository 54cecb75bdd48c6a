package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Seed names the seed's side as the place to run a program: the machine's files, in the lab's network
// and among the lab's processes.
const Seed = "seed"

// stopPatience is how long a program may take to end after SIGTERM.
const stopPatience = 10 * time.Second

// path is where programs are looked for on hosts.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Command is a program to run in the lab.
type Command struct {
	// On is a host's name, or Seed.
	On string
	// Argv is the program and its arguments; no shell is involved.
	Argv []string
	// Env is added to the environment; on a host that has PATH, HOME and LANG, at the seed all of this
	// process's.
	Env []string
	// Stdin, Stdout and Stderr are as in os/exec.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Exec runs a program on a host, or at the Seed, and returns what it wrote to its standard output. An
// error says what it wrote to standard error.
func (l *Lab) Exec(ctx context.Context, on string, argv ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	err := l.Run(ctx, Command{On: on, Argv: argv, Stdout: &stdout, Stderr: &stderr})
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), err
}

// Seed runs a program at the seed's side, as Exec does.
func (l *Lab) Seed(ctx context.Context, argv ...string) (string, error) {
	return l.Exec(ctx, Seed, argv...)
}

// Run runs a program and waits for its end. When ctx ends it gets SIGTERM, and ten seconds later SIGKILL;
// when this process ends, it is killed too. A program that ended with another code than 0 is an *exec.ExitError.
func (l *Lab) Run(ctx context.Context, c Command) error {
	where, err := l.place(ctx, c.On)
	if err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		// The thread goes there, and ends with this goroutine; until then it is the parent.
		runtime.LockOSThread()
		done <- func() error {
			folder, err := where.follow()
			if err != nil {
				return err
			}
			if folder != nil {
				defer func() { _ = folder.Close() }()
			}
			if err := where.enter(); err != nil {
				return err
			}
			return command(ctx, c, folder).Run()
		}()
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("%s: %s: %w", c.On, strings.Join(c.Argv, " "), err)
	}
	return nil
}

func command(ctx context.Context, c Command, cgroup *os.File) *exec.Cmd {
	// setpriv finds the program below the root in which it runs, where os/exec would look on the machine.
	// It also asks for the signal: SysProcAttr's Pdeathsig takes a parent in another process namespace
	// for one that is dead.
	command := exec.CommandContext(ctx, "/usr/bin/setpriv", append([]string{"--pdeathsig", "KILL", "--"}, c.Argv...)...)
	command.Env = []string{"PATH=" + path, "HOME=/root", "LANG=C.UTF-8", "TERM=" + os.Getenv("TERM")}
	if c.On == Seed {
		command.Env = os.Environ()
	}
	command.Env = append(command.Env, c.Env...)
	command.Stdin, command.Stdout, command.Stderr = c.Stdin, c.Stdout, c.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopPatience
	if cgroup != nil {
		command.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	}
	return command
}
