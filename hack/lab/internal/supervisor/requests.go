package supervisor

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/control"
	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

// answer carries out a request.
func answer(ctx context.Context, lab layout.Lab, hosts map[string]*host, request control.Request) control.Answer {
	if request.Verb != control.Status {
		node, err := lab.Node(request.Node)
		if err == nil {
			err = hosts[node.Name].carryOut(ctx, request.Verb)
		}
		if err != nil {
			return control.Answer{Error: err.Error()}
		}
	}
	var all control.Answer
	for _, node := range lab.Nodes {
		state, _ := hosts[node.Name].now()
		all.Nodes = append(all.Nodes, state)
	}
	return all
}

func (h *host) carryOut(ctx context.Context, verb control.Verb) error {
	switch verb {
	case control.Boot:
		return h.switchOn(ctx)
	case control.Reboot:
		before, _ := h.now()
		if err := h.signal(signalReboot); err != nil {
			return err
		}
		return h.await(ctx, func(s control.Node) bool { return s.Power == control.On && s.Boots > before.Boots })
	case control.Off:
		return h.end(ctx, signalOff)
	case control.Kill:
		return h.end(ctx, unix.SIGKILL)
	default:
		return fmt.Errorf("unknown request %q", verb)
	}
}

// switchOn boots a host that is off. One that is on already stays as it is.
func (h *host) switchOn(ctx context.Context) error {
	start := false
	h.update(func(s *control.Node) {
		if start = s.Power == control.Stopped || s.Power == control.Broken; start {
			s.Power, s.Error = control.Starting, ""
		}
	})
	if start {
		go h.run()
	}
	return h.await(ctx, func(s control.Node) bool { return s.Power == control.On })
}

func (h *host) end(ctx context.Context, signal unix.Signal) error {
	if state, _ := h.now(); state.Power == control.Stopped {
		return nil
	}
	if err := h.signal(signal); err != nil {
		return err
	}
	return h.await(ctx, func(s control.Node) bool { return s.Power == control.Stopped })
}

// signal sends a signal to the host's process 1.
func (h *host) signal(signal unix.Signal) error {
	state, _ := h.now()
	if state.Leader == 0 {
		return fmt.Errorf("host %s is %s, not on", state.Name, state.Power)
	}
	if err := unix.Kill(state.Leader, signal); err != nil {
		return fmt.Errorf("host %s: signal %d: %w", state.Name, signal, err)
	}
	return nil
}
