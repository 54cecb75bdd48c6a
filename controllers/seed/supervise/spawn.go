package supervise

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// spawner starts processes from one operating system thread that lives as long as it does. The kernel
// sends Pdeathsig when the thread that started a process ends, and Go ends threads as it likes
// (go.dev/issue/27505).
type spawner struct{ requests chan func() }

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func())}
	go func() {
		// Never unlocked: the thread ends with this goroutine.
		runtime.LockOSThread()
		for start := range s.requests {
			start()
		}
	}()
	return s
}

// close ends the thread and with it every child that still runs.
func (s *spawner) close() { close(s.requests) }

// instance is one run of a child.
type instance struct {
	cmd     *exec.Cmd
	started time.Time
	// exited is closed when the process has ended; how it ended is in how.
	exited chan struct{}
	how    string
}

// start runs the program in a process group of its own, so that a Ctrl-C at the terminal reaches this
// process only, which then stops its children in order.
func (s *spawner) start(c Child, out *logFile) (*instance, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = c.Env
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second

	result := make(chan error)
	s.requests <- func() { result <- cmd.Start() }
	if err := <-result; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	in := &instance{cmd: cmd, started: time.Now(), exited: make(chan struct{})}
	go func() {
		in.how = howEnded(cmd.Wait())
		close(in.exited)
	}()
	return in, nil
}

func howEnded(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "exit status 0"
	case errors.As(err, &exit):
		return exit.Error()
	}
	return err.Error()
}

// stop asks the process group to end, and kills it after the timeout. It reports whether it had to.
func (in *instance) stop(timeout time.Duration) (killed bool) {
	in.signal(syscall.SIGTERM)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-in.exited:
		return false
	case <-timer.C:
	}
	in.signal(syscall.SIGKILL)
	<-in.exited
	return true
}

// signal goes to the whole group. The group may be gone already, which is what is wanted.
func (in *instance) signal(sig syscall.Signal) {
	select {
	case <-in.exited:
	default:
		_ = syscall.Kill(-in.cmd.Process.Pid, sig)
	}
}
