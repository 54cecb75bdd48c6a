package linux

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

func TestCheckerContract(t *testing.T) {
	hosttest.CheckerContract(t, func(t *testing.T) hosttest.CheckerFixture {
		return hosttest.CheckerFixture{
			Checker: NewChecker(filepath.Join(t.TempDir(), "checks")),
			Judge:   script(`grep -q good "$1" && exit 0; echo "$1 is bad" >&2; exit 3`, state.CheckCandidate),
			Reader:  script(`grep -q good "$1" && cat "$2" && touch "$3"; exit 0`, state.CheckCandidate, state.CheckMarker, "/nonexistent/went-on"),
			Absent:  host.Trial{Program: "/usr/bin/no-such-program"},
		}
	})
}

// script is a program of a few lines.
func script(text string, args ...string) host.Trial {
	return host.Trial{Program: "/bin/sh", Args: append([]string{"-c", text, "sh"}, args...)}
}

func TestACheckedProgramStopsAtItsMarkerAndGoesNoFurther(t *testing.T) {
	went := filepath.Join(t.TempDir(), "went-on")
	trial := script(`cat "$1"; touch "$2"`, state.CheckMarker, went)
	trial.Path = "/etc/x"
	answer, err := NewChecker(t.TempDir()).Try(t.Context(), trial)
	if err != nil || !answer.Marked {
		t.Fatalf("Try = %+v, %v; want Marked", answer, err)
	}
	if _, err := os.Stat(went); err == nil {
		t.Error("the program went on after its marker")
	}
}

func TestACheckLeavesNoFileAndNoProcess(t *testing.T) {
	folder := t.TempDir()
	trial := script(`sleep 61.5 & touch "$1/left" "$TMPDIR/left"; cat "$2"`, state.CheckScratch, state.CheckMarker)
	trial.Path = "/etc/x"
	if _, err := NewChecker(folder).Try(t.Context(), trial); err != nil {
		t.Fatal(err)
	}
	if left := listed(t, folder, "/"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if running(t, "sleep\x0061.5") {
		t.Error("a process of the check is still running")
	}
}

func TestASlowProgramHasNoOpinionAndIsEnded(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errTrialSlow)
	defer cancel()
	trial := script(`trap "" TERM; sleep 62.5`)
	trial.Path = "/etc/x"
	if _, err := NewChecker(t.TempDir()).Try(ctx, trial); !errors.Is(err, errTrialSlow) {
		t.Errorf("Try = %v; want %v", err, errTrialSlow)
	}
	if running(t, "sleep\x0062.5") {
		t.Error("the program is still running")
	}
}

func TestAProgramThatEndsByASignalHasNoOpinion(t *testing.T) {
	result := make(chan error, 1)
	go func() {
		_, err := NewChecker(t.TempDir()).Try(t.Context(), host.Trial{Program: "/bin/sleep", Args: []string{"64.5"}, Path: "/etc/x"})
		result <- err
	}()
	eventually(t, func() bool { return len(processes(t, "sleep\x0064.5")) > 0 }, "the program to run")
	for _, pid := range processes(t, "sleep\x0064.5") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-result; err == nil {
		t.Error("Try succeeded; want an error")
	}
}

func TestACandidateIsPrivateAndHasTheNameOfItsFile(t *testing.T) {
	trial := script(`stat -c "%a %n" "$1" "$(dirname "$1")"; pwd`, state.CheckCandidate)
	trial.Path = "/etc/systemd/system/docker.service"
	answer, err := NewChecker(t.TempDir()).Try(t.Context(), trial)
	if err != nil || !strings.HasPrefix(answer.Output, "600 /etc/systemd/system/docker.service\n700 ") || !strings.Contains(answer.Output, "(a folder)") {
		t.Errorf("Try = %+v, %v", answer, err)
	}
}

// A check that is under way when its agent is killed: nothing it started outlives it, and its folder
// is gone with the next start.
func TestAKilledAgentTakesItsCheckWithIt(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "checks")
	cmd := child(t, nil, "check-forever", folder)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return running(t, "sleep\x0063.5") }, "the check to run")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("Wait = %v; want it killed", err)
	}
	eventually(t, func() bool { return !running(t, "sleep\x0063.5") }, "the checked program to end")
	if err := cleanTrials(folder); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat(%s) = %v; want it gone", folder, err)
	}
}

func checkForever(args []string) error {
	trial := host.Trial{Program: "/bin/sleep", Args: []string{"63.5"}, Path: "/etc/x"}
	_, err := NewChecker(args[0]).Try(context.Background(), trial)
	return err
}

func eventually(t *testing.T, holds func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// running is true when a process has these words in its command line.
func running(t *testing.T, words string) bool { return len(processes(t, words)) > 0 }

func processes(t *testing.T, words string) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range lines {
		line, err := os.ReadFile(p)
		if err != nil || !strings.HasPrefix(strings.TrimPrefix(string(line), "/bin/"), words) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
