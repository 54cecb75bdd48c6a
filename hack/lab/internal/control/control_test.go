package control

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serving starts a server in a test and returns its socket.
func serving(t *testing.T, answer func(context.Context, Request) Answer) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = Serve(listener, answer) }()
	return socket
}

func TestARequestGetsItsAnswer(t *testing.T) {
	want := []Node{{Name: "node-a", Power: On, Leader: 42, Boots: 2}}
	socket := serving(t, func(_ context.Context, r Request) Answer {
		if r.Verb != Reboot || r.Node != "node-a" {
			return Answer{Error: "unexpected request"}
		}
		return Answer{Nodes: want}
	})
	got, err := Ask(t.Context(), socket, Request{Verb: Reboot, Node: "node-a"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Nodes); diff != "" {
		t.Error(diff)
	}
}

func TestAnErrorOfTheSupervisorIsTheCallersError(t *testing.T) {
	socket := serving(t, func(context.Context, Request) Answer { return Answer{Error: "host node-x: not there"} })
	if _, err := Ask(t.Context(), socket, Request{Verb: Kill, Node: "node-x"}); err == nil || err.Error() != "host node-x: not there" {
		t.Errorf("got %v", err)
	}
}

func TestWhoStopsWaitingStopsTheRequestToo(t *testing.T) {
	ended := make(chan struct{})
	socket := serving(t, func(ctx context.Context, _ Request) Answer {
		<-ctx.Done()
		close(ended)
		return Answer{}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, socket, Request{Verb: Boot, Node: "node-a"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the time is over", err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the supervisor still waits for a host that nobody waits for")
	}
}

func TestASupervisorThatIsGoneIsAnError(t *testing.T) {
	if _, err := Ask(t.Context(), filepath.Join(t.TempDir(), "gone"), Request{Verb: Status}); err == nil {
		t.Error("no error")
	}
}
