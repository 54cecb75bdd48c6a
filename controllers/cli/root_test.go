package cli

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

func TestHangupsOfATerminalStopOnceAndCutNothingOff(t *testing.T) {
	signal.Reset(syscall.SIGHUP) // the tests may run under nohup
	ctx, stop := untilStopped()
	defer stop()
	for range 3 { // a hangup that is not caught ends this test's process
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("a hangup does not stop it")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestHangupIsNothingToAProgramUnderNohup(t *testing.T) {
	signal.Ignore(syscall.SIGHUP)
	ctx, stop := untilStopped()
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if ctx.Err() != nil {
		t.Error("it stopped")
	}
}
