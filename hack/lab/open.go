package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/layout"
	"seedbed.dev/seedbed/hack/lab/internal/supervisor"
)

// Open finds a lab that is up. An empty name means LAB_NAME from the environment, else "lab".
func Open(name string) (*Lab, error) {
	lab, err := layout.New("", nameOf(name), 1)
	if err != nil {
		return nil, err
	}
	state, err := readState(lab)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lab %s is not up: start it with `make lab%s`", lab.Name, nameHint(lab.Name))
	}
	if err == nil {
		err = alive(state)
	}
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", lab.Name, err)
	}
	return &Lab{state: state}, nil
}

func readState(lab layout.Lab) (supervisor.State, error) {
	var state supervisor.State
	content, err := os.ReadFile(lab.StateFile())
	if err == nil {
		err = json.Unmarshal(content, &state)
	}
	return state, err
}

// alive checks that the processes are there and are those of the state: after a crash others may have
// their numbers.
func alive(state supervisor.State) error {
	if !runs(state.Init, state.Layout) {
		return errors.New("it was killed; `make lab` cleans up after it and starts it again, `make lab-down` only cleans up")
	}
	return nil
}

// runs says whether the process is there and runs the lab's supervisor.
func runs(pid int, lab layout.Lab) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && program == lab.Program()
}

func nameOf(name string) string {
	if name == "" {
		name = os.Getenv("LAB_NAME")
	}
	if name == "" {
		name = "lab"
	}
	return name
}

func nameHint(name string) string {
	if name == "lab" {
		return ""
	}
	return " LAB_NAME=" + name
}

// errUp is a lab of that name that is up.
type errUp string

func (name errUp) Error() string {
	return fmt.Sprintf("lab %s is up already: use it, end it with `make lab-down%s`, or choose another name by LAB_NAME", string(name), nameHint(string(name)))
}

// lockLab takes the lab's lock. Who has it may start the lab or clean up after it.
func lockLab(lab layout.Lab) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(lab.LockFile()), 0o755); err != nil {
		return nil, err
	}
	lock, err := lockFile(lab.LockFile(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errUp(lab.Name)
	}
	return lock, err
}

// lockFile opens a file, made if missing, and locks it until it is closed.
func lockFile(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return file, nil
}

// repository is the root of the checkout that the working directory is in.
func repository() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "hack", "lab", "root.sh")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("not inside a checkout of Seedbed: change to one")
		}
		folder = parent
	}
}

// cacheFolder is bin/lab of the checkout, which may be linked to another one's.
func cacheFolder() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "bin", "lab")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(folder)
}
