package seed

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

// fakePicker counts up where the real one draws, and cannot listen on the ports given.
func fakePicker(cannot map[int]error) *portPicker {
	next := 0
	return &portPicker{
		try:  func(a netip.AddrPort) error { return cannot[int(a.Port())] },
		draw: func(int) int { next++; return next - 1 },
	}
}

func TestPortsAreThoseOfTheLastStart(t *testing.T) {
	last := Ports{APIServer: 25000, Etcd: 25001, EtcdPeer: 25002, ControllerManager: 25003, Scheduler: 25004}
	s := mustCheck(t, with(nil))
	for _, tc := range []struct {
		reason string
		asked  int
		last   Ports
		cannot map[int]error
		want   Ports
	}{
		{"first start", 0, Ports{}, nil, Ports{20000, 20001, 20002, 20003, 20004}},
		{"first start, some taken", 0, Ports{}, map[int]error{20000: syscall.EADDRINUSE, 20002: syscall.EADDRINUSE}, Ports{20001, 20003, 20004, 20005, 20006}},
		{"asked for", 6443, Ports{}, nil, Ports{6443, 20000, 20001, 20002, 20003}},
		{"asked for one that would be drawn", 20000, Ports{}, nil, Ports{20000, 20001, 20002, 20003, 20004}},
		{"second start", 0, last, nil, last},
		{"asked for another at the second", 6443, last, nil, Ports{6443, 25001, 25002, 25003, 25004}},
		{"etcd's taken since: nobody else knows it", 0, last, map[int]error{25001: syscall.EADDRINUSE}, Ports{25000, 20000, 25002, 25003, 25004}},
	} {
		s.SecurePort = tc.asked
		got, err := fakePicker(tc.cannot).pick(s, tc.last)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %v, %v; want %v", tc.reason, got, err, tc.want)
		}
	}
}

func TestAPortThatCannotBeHadSaysWhyAndWhatToDo(t *testing.T) {
	s := mustCheck(t, with(nil))
	for _, tc := range []struct {
		reason string
		asked  int
		last   int
		err    error
		want   string
	}{
		{
			"in use", 6443, 0, syscall.EADDRINUSE,
			"kube-apiserver cannot listen on 127.0.0.1:6443: the port is in use: stop what listens there, or choose another port with --secure-port",
		},
		{
			"the last one in use", 0, 6443, syscall.EADDRINUSE,
			"kube-apiserver cannot listen on 127.0.0.1:6443 (the one of the last start, which kubeconfigs name): the port is in use: stop what listens there, or choose another port with --secure-port",
		},
		{
			"privileged", 443, 0, syscall.EACCES,
			"kube-apiserver cannot listen on 127.0.0.1:443: permission denied: choose a port above 1023 with --secure-port",
		},
		{
			"not this machine's address", 6443, 0, syscall.EADDRNOTAVAIL,
			"kube-apiserver cannot listen on 127.0.0.1:6443: this machine does not have that address: choose one of its own with --bind-address",
		},
	} {
		s.SecurePort = tc.asked
		wrapped := &net.OpError{Op: "listen", Err: tc.err}
		_, err := fakePicker(map[int]error{tc.asked: wrapped, tc.last: wrapped}).pick(s, Ports{APIServer: tc.last})
		var p *Problem
		if !errors.As(err, &p) || err.Error() != tc.want {
			t.Errorf("%s:\n got %v\nwant %s", tc.reason, err, tc.want)
		}
	}
}

func TestThePortWhereNodesReachEtcdIsNobodyElses(t *testing.T) {
	s := mustCheck(t, with(func(o *Options) { o.FlannelEtcdPort = 20001 }))
	got, err := fakePicker(nil).pick(s, Ports{})
	if want := (Ports{20000, 20002, 20003, 20004, 20005}); err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	_, err = fakePicker(map[int]error{20001: syscall.EADDRINUSE}).pick(s, Ports{})
	const want = "etcd cannot listen on 127.0.0.1:20001: the port is in use: stop what listens there, or choose another port with --flannel-etcd-port"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNoFreePortIsAnErrorAndNotALoop(t *testing.T) {
	picker := &portPicker{try: func(netip.AddrPort) error { return syscall.EADDRINUSE }, draw: func(n int) int { return n - 1 }}
	_, err := picker.pick(mustCheck(t, with(nil)), Ports{})
	if err == nil || !strings.Contains(err.Error(), "no free port") {
		t.Errorf("got %v", err)
	}
}

func TestAnAddressOfAnotherMachineIsSaidToBeWithAFreePortToo(t *testing.T) {
	picker := &portPicker{try: func(netip.AddrPort) error { return syscall.EADDRNOTAVAIL }, draw: func(int) int { return 0 }}
	_, err := picker.pick(mustCheck(t, with(func(o *Options) { o.BindAddress = "192.0.2.1" })), Ports{})
	if err == nil || !strings.Contains(err.Error(), "does not have that address") {
		t.Errorf("got %v", err)
	}
}

func TestTryListenSeesAListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := tryListen(netip.MustParseAddrPort(l.Addr().String())); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}
