package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const patience = 20 * time.Second

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []Event
}

func (r *recorder) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) count(child string, kind EventKind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Child == child && e.Kind == kind {
			n++
		}
	}
	return n
}

func (r *recorder) await(t *testing.T, child string, kind EventKind, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d × %s %s", n, child, kind), func() bool { return r.count(child, kind) >= n })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out: %s", what)
		}
	}
}

func newTestSupervisor() (*Supervisor, *recorder) {
	r := &recorder{}
	s := New(r.add)
	s.delay = func(int) time.Duration { return 20 * time.Millisecond }
	return s, r
}

// program is a Child that runs this test binary in a mode of child_test.go.
func program(t *testing.T, name, mode string) Child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	dir := t.TempDir()
	return Child{
		Name: name, Path: exe, Args: []string{childArg},
		Env:         []string{childMode + "=" + mode, childAddress + "=" + address, childDir + "=" + dir},
		Log:         filepath.Join(dir, "logs", name+".log"),
		Health:      Health{URL: "https://" + address + "/healthz", CAFile: testCertificate(t, dir)},
		StopTimeout: 5 * time.Second,
	}
}

// pid is what the child wrote when it started.
func pid(t *testing.T, c Child) int {
	t.Helper()
	var n int
	eventually(t, "pid of "+c.Name, func() bool {
		content, _ := os.ReadFile(filepath.Join(filepath.Dir(c.Health.CAFile), "pid"))
		var err error
		n, err = strconv.Atoi(string(content))
		return err == nil
	})
	return n
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestStartReturnsWhenTheChildIsHealthy(t *testing.T) {
	s, r := newTestSupervisor()
	defer s.Stop()
	c := program(t, "web", "slow")
	if err := s.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if r.count("web", Healthy) != 1 {
		t.Error("no Healthy event when Start returns")
	}
	if s.children[0].checker.healthy(t.Context()) != true {
		t.Error("Start returned before the child was healthy")
	}
}

func TestAChildThatEndsBeforeItIsHealthyIsAnErrorWithItsLastWords(t *testing.T) {
	s, _ := newTestSupervisor()
	defer s.Stop()
	c := program(t, "web", "fail")
	err := s.Start(t.Context(), c)
	var startErr *StartError
	if !errors.As(err, &startErr) {
		t.Fatalf("got %v", err)
	}
	want := StartError{Child: "web", How: "ended before it answered (exit status 3)", LastLine: "cannot do it: no reason", Log: c.Log}
	if diff := cmp.Diff(want, *startErr); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("not on one line: %q", err)
	}
}

func TestAChildThatNeverAnswersIsStoppedWhenTheStartIsGivenUp(t *testing.T) {
	s, _ := newTestSupervisor()
	defer s.Stop()
	c := program(t, "web", "mute")
	ctx, cancel := context.WithCancel(t.Context())
	var p int
	go func() { p = pid(t, c); cancel() }()
	err := s.Start(ctx, c)
	if err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("got %v", err)
	}
	if running(p) {
		t.Errorf("process %d still runs", p)
	}
}

func TestAChildThatDiesIsStartedAgain(t *testing.T) {
	s, r := newTestSupervisor()
	defer s.Stop()
	c := program(t, "web", "serve")
	if err := s.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for round := 1; round <= 3; round++ {
		old := pid(t, c)
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.await(t, "web", Recovered, round)
		if running(old) {
			t.Errorf("process %d still runs", old)
		}
	}
	if got := r.count("web", Died); got != 3 {
		t.Errorf("%d Died events, want 3", got)
	}
}

func TestAProgramThatIsGoneIsTriedAgainUntilItIsBack(t *testing.T) {
	s, r := newTestSupervisor()
	defer s.Stop()
	c := program(t, "web", "serve")
	link := filepath.Join(t.TempDir(), "web")
	if err := os.Symlink(c.Path, link); err != nil {
		t.Fatal(err)
	}
	exe := c.Path
	c.Path = link
	if err := s.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid(t, c), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await(t, "web", Died, 3)
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	r.await(t, "web", Recovered, 1)
}

func TestStopEndsChildrenInReverseOrderAndLeavesNone(t *testing.T) {
	s, r := newTestSupervisor()
	first, second := program(t, "first", "serve"), program(t, "second", "serve")
	for _, c := range []Child{first, second} {
		if err := s.Start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	pids := []int{pid(t, first), pid(t, second)}
	s.Stop()
	for _, p := range pids {
		if running(p) {
			t.Errorf("process %d still runs", p)
		}
	}
	if ended := stopTimes(t, first, second); !ended[0].After(ended[1]) {
		t.Errorf("first ended at %s, second at %s", ended[0], ended[1])
	}
	if n := r.count("first", Died) + r.count("second", Died) + r.count("first", Killed) + r.count("second", Killed); n != 0 {
		t.Errorf("a clean stop reported %d deaths", n)
	}
}

func stopTimes(t *testing.T, children ...Child) []time.Time {
	t.Helper()
	var times []time.Time
	for _, c := range children {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(c.Health.CAFile), "stopped"))
		if err != nil {
			t.Fatalf("%s was not asked to stop: %v", c.Name, err)
		}
		stopped, err := time.Parse(time.RFC3339Nano, string(content))
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, stopped)
	}
	return times
}

func TestAChildThatDoesNotStopIsKilled(t *testing.T) {
	s, r := newTestSupervisor()
	c := program(t, "web", "stubborn")
	c.StopTimeout = 200 * time.Millisecond
	if err := s.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	p := pid(t, c)
	s.Stop()
	if running(p) {
		t.Errorf("process %d still runs", p)
	}
	if r.count("web", Killed) != 1 {
		t.Errorf("events: %v", r.events)
	}
}

func TestStopWhileAChildWaitsToBeStartedAgain(t *testing.T) {
	s, r := newTestSupervisor()
	s.delay = func(int) time.Duration { return time.Hour }
	c := program(t, "web", "serve")
	if err := s.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid(t, c), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await(t, "web", Died, 1)
	done := make(chan struct{})
	go func() { s.Stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Stop waits for the delay")
	}
}

func TestChildrenDieWithTheProcessThatStartedThem(t *testing.T) {
	s, _ := newTestSupervisor()
	defer s.Stop()
	parent := program(t, "parent", "parent")
	if err := s.Start(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	grandchildFile := filepath.Join(filepath.Dir(parent.Health.CAFile), "grandchild")
	content, err := os.ReadFile(grandchildFile)
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(string(content))
	if err != nil {
		t.Fatal(err)
	}
	if !running(grandchild) {
		t.Fatal("the grandchild does not run")
	}
	if err := syscall.Kill(pid(t, parent), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the grandchild ends", func() bool { return !running(grandchild) })
}

func TestTheEnvironmentOfThisProcessDoesNotReachChildren(t *testing.T) {
	t.Setenv("ETCD_NAME", "from-the-environment")
	s, _ := newTestSupervisor()
	defer s.Stop()
	c := program(t, "web", "environment")
	if err := s.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(c.Log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "ETCD_NAME") || !strings.Contains(string(content), childMode) {
		t.Errorf("the child's environment: %s", content)
	}
}

func TestDelayDoublesUpToItsBound(t *testing.T) {
	got := map[int]time.Duration{}
	for _, n := range []int{1, 2, 3, 6, 7, 8, 100000} {
		got[n] = Delay(n)
	}
	want := map[int]time.Duration{
		1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 6: 16 * time.Second,
		7: 30 * time.Second, 8: 30 * time.Second, 100000: 30 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
