package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/cgroup"
	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

// patience is how long killed processes may take to be gone.
const patience = 10 * time.Second

// State is what others read about a lab that is up.
type State struct {
	Layout layout.Lab `json:"layout"`
	// Watcher and Init are the supervisor's two processes, numbered as on the machine.
	Watcher int `json:"watcher"`
	Init    int `json:"init"`
	// Started is when the lab was started.
	Started time.Time `json:"started"`
}

// Main is the supervisor's program. The watcher is started with the lab's lock as file descriptor 3.
//
//	supervisor watch|init LAYOUT-FILE
//	supervisor host LAYOUT-FILE NAME
func Main(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: supervisor watch|init|host LAYOUT-FILE [NAME]")
	}
	lab, err := readLayout(args[1])
	if err != nil {
		return err
	}
	switch {
	case args[0] == "watch":
		return watch(lab)
	case args[0] == "init":
		return runInit(lab)
	case args[0] == "host" && len(args) == 3:
		return becomeHost(lab, args[2])
	default:
		return fmt.Errorf("supervisor: unknown command %q", args)
	}
}

func layoutFile(lab layout.Lab) string { return filepath.Join(lab.Work(), "layout.json") }

// WriteLayout saves the layout for the supervisor and returns the file's path.
func WriteLayout(lab layout.Lab) (string, error) {
	content, err := json.Marshal(lab)
	if err != nil {
		return "", err
	}
	return layoutFile(lab), os.WriteFile(layoutFile(lab), content, 0o644)
}

func readLayout(path string) (layout.Lab, error) {
	var lab layout.Lab
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &lab)
	}
	return lab, err
}

// watch starts the lab's init, waits for its end or for a reason to end it, and cleans up. It stays on
// the main thread: the kernel kills the init when the thread that started it ends.
func watch(lab layout.Lab) error {
	started, err := startInit()
	if err != nil {
		return errors.Join(err, Sweep(lab))
	}
	if err := writeState(State{Layout: lab, Watcher: os.Getpid(), Init: started.Process.Pid, Started: time.Now()}); err != nil {
		_ = started.Process.Kill()
		return errors.Join(err, started.Wait(), Sweep(lab))
	}
	go endWith(lab, started.Process)
	err = started.Wait()
	slog.Info("the lab ended", "error", err)
	return Sweep(lab)
}

// startInit starts the init with this program's arguments. It holds the lock too, so that the lab counts as
// up until the last of it is gone.
func startInit() (*exec.Cmd, error) {
	command := exec.Command("/proc/self/exe", append([]string{"init"}, os.Args[len(os.Args)-1])...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.ExtraFiles = []*os.File{os.NewFile(3, "lock")}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	return command, nil
}

// endWith kills the init when this process is told to end or, unless the lab is to be kept, when
// whoever started it is gone: then its end of the pipe that is our standard input is closed.
func endWith(lab layout.Lab, process *os.Process) {
	reasons := make(chan os.Signal, 1)
	signal.Notify(reasons, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if !lab.Keep {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			reasons <- syscall.SIGHUP
		}()
	}
	slog.Info("ending the lab", "signal", (<-reasons).String())
	_ = process.Kill()
}

// writeState publishes that the lab is up, in one step.
func writeState(state State) error {
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	file := state.Layout.StateFile()
	if err := os.WriteFile(file+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Sweep removes what namespaces do not hold: cgroups, and the files of this run. Whoever calls it holds
// the lab's lock, and no process of the lab is left.
func Sweep(lab layout.Lab) error {
	all, err := cgroup.Hierarchies()
	if err == nil {
		err = cgroup.Remove(all, lab.Cgroup(), patience)
	}
	return errors.Join(err, os.RemoveAll(lab.Hosts()), os.RemoveAll(lab.Registry()))
}
