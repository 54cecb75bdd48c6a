package controllers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	stage "seedbed.dev/seedbed/controllers/report"
)

// waiting is a node that asks for a permit, and what it is given next.
type waiting struct {
	*hosttest.Fake
	*testAgent
	held, next *controllers.Assignment
	asked      v1alpha1.NodeStateStatus
}

// waitingForPermit asks since its lease moved, and is given another package next.
func waitingForPermit(t *testing.T) waiting {
	t.Helper()
	c := change{event: func(f *hosttest.Fake) { f.SetLease(movedLease) }}
	f, a, held, s := c.steady(t)
	pass, held := a.Pipeline.Pass(context.Background(), held, held)
	status := stage.Status(v1alpha1.NodeStateStatus{}, &pass)
	if status.Pending == nil {
		t.Fatal("the node asks for nothing")
	}
	s.node.Packages.Present = append(s.node.Packages.Present, v1alpha1.Package{Name: "conntrack", Version: new("1.4")})
	return waiting{f, a, held, assignmentOf(t, 2, s), status}
}

func TestAQuestionStaysWhileSomethingIsInstalled(t *testing.T) {
	w := waitingForPermit(t)
	said := 0
	w.Pipeline.Progress = func(p stage.Pass) {
		said++
		if diff := cmp.Diff(w.asked.Pending, stage.Status(w.asked, &p).Pending); diff != "" {
			t.Errorf("while it installs (-before +now):\n%s", diff)
		}
	}
	pass, _ := w.Pipeline.Pass(context.Background(), w.next, w.held)
	if diff := cmp.Diff(w.asked.Pending, stage.Status(w.asked, &pass).Pending); diff != "" || said == 0 {
		t.Errorf("said %d times that it installs; after it (-before +now):\n%s", said, diff)
	}
}

func TestAQuestionStaysWhenTheLedgerCannotBeWritten(t *testing.T) {
	w := waitingForPermit(t)
	installs := false
	w.FailWhen(func(c hosttest.Call) error {
		installs = installs || c.Op == "packages.Change"
		if installs && c.Op == "store.Write" {
			return errors.New("no space left on device")
		}
		return nil
	})
	pass, _ := w.Pipeline.Pass(context.Background(), w.next, w.held)
	if pass.Err == nil {
		t.Fatal("the ledger was written")
	}
	if diff := cmp.Diff(w.asked.Pending, stage.Status(w.asked, &pass).Pending); diff != "" {
		t.Errorf("(-before +now):\n%s", diff)
	}
}

func TestAQuestionStaysWhenAPassCannotSeeTheHost(t *testing.T) {
	w := waitingForPermit(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	pass, _ := w.Pipeline.Pass(ctx, w.held, w.held)
	if diff := cmp.Diff(w.asked.Pending, stage.Status(w.asked, &pass).Pending); diff != "" {
		t.Errorf("a pass that was interrupted (-before +now):\n%s", diff)
	}
}

func TestAQuestionIsTakenBackWhenItsReasonIsGone(t *testing.T) {
	w := waitingForPermit(t)
	w.SetLease(hosttest.Lease)
	pass, _ := w.Pipeline.Pass(context.Background(), w.held, w.held)
	if got := stage.Status(w.asked, &pass).Pending; got != nil {
		t.Errorf("it goes on asking for %+v", got)
	}
}
