package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
)

// Verb is what is asked for.
type Verb string

const (
	// Status asks for the hosts' states.
	Status Verb = "status"
	// Boot switches a host on that is off, and waits until it has booted.
	Boot Verb = "boot"
	// Reboot shuts a host down in order and boots it again, and waits until it has booted.
	Reboot Verb = "reboot"
	// Off shuts a host down in order, and waits until it is off.
	Off Verb = "off"
	// Kill is pulling the plug of a host; it waits until it is off.
	Kill Verb = "kill"
)

// Request is one request.
type Request struct {
	Verb Verb `json:"verb"`
	// Node names the host; Status needs none.
	Node string `json:"node,omitempty"`
}

// Power is the state of a host.
type Power string

const (
	// Starting is a host that boots.
	Starting Power = "starting"
	// On is a host that has booted.
	On Power = "on"
	// Stopped is a host that is off.
	Stopped Power = "off"
	// Broken is a host that could not be started.
	Broken Power = "broken"
)

// Node is the state of a host.
type Node struct {
	Name  string `json:"name"`
	Power Power  `json:"power"`
	// Leader is the host's process 1, numbered as in the lab's process namespace; 0 when it is off.
	Leader int `json:"leader,omitempty"`
	// Boots counts the boots that finished.
	Boots int `json:"boots"`
	// Error says why the host is broken.
	Error string `json:"error,omitempty"`
}

// Answer is the answer to a request.
type Answer struct {
	Nodes []Node `json:"nodes,omitempty"`
	Error string `json:"error,omitempty"`
}

// Ask sends a request to the socket and waits for the answer as long as ctx allows.
func Ask(ctx context.Context, socket string, request Request) (Answer, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return Answer{}, fmt.Errorf("lab's supervisor: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var answer Answer
	err = json.NewEncoder(conn).Encode(request)
	if err == nil {
		err = json.NewDecoder(conn).Decode(&answer)
	}
	switch {
	case ctx.Err() != nil:
		return Answer{}, fmt.Errorf("%s %s: %w", request.Verb, request.Node, ctx.Err())
	case err != nil:
		return Answer{}, fmt.Errorf("lab's supervisor: %s %s: %w", request.Verb, request.Node, err)
	case answer.Error != "":
		return Answer{}, errors.New(answer.Error)
	}
	return answer, nil
}

// Serve answers requests on the listener until it is closed. The context that answer gets ends when
// whoever asked hangs up.
func Serve(listener net.Listener, answer func(context.Context, Request) Answer) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accepting control requests: %w", err)
		}
		go serve(conn, answer)
	}
}

func serve(conn net.Conn, answer func(context.Context, Request) Answer) {
	defer func() { _ = conn.Close() }()
	var request Request
	if err := json.NewDecoder(conn).Decode(&request); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		// Nothing more is to come: a read ends when the other side hangs up.
		_, _ = conn.Read(make([]byte, 1))
		cancel()
	}()
	// Who hung up does not read the answer.
	_ = json.NewEncoder(conn).Encode(answer(ctx, request))
}
