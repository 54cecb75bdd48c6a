package seed

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"syscall"
)

// Ports are what the components listen on. All but the API server's are on loopback.
type Ports struct {
	APIServer         int `json:"apiserver"`
	Etcd              int `json:"etcd"`
	EtcdPeer          int `json:"etcdPeer"`
	ControllerManager int `json:"controllerManager"`
	Scheduler         int `json:"scheduler"`
}

// Free ports are drawn from below the kernel's range for outgoing connections (32768 and up) and
// below NodePorts (30000 and up), so that neither takes a remembered port between two starts.
const (
	lowestPort  = 20000
	highestPort = 29999
	portTries   = 200
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// portPicker finds ports. Both functions are arguments for tests: try says whether one can listen
// there, and draw returns a number below n.
type portPicker struct {
	try   func(netip.AddrPort) error
	draw  func(n int) int
	taken map[int]bool
}

// pick returns the ports for this start: those of the last one wherever they are free. The API
// server's is the exception: clients know it, so when it is not free that is a *Problem. So is the one
// where nodes reach etcd, which is not among them: it is what the user says.
func (p *portPicker) pick(s Settings, last Ports) (Ports, error) {
	p.taken = map[int]bool{}
	var ports Ports
	var err error
	if s.FlannelEtcdPort != 0 {
		if err := p.claim(etcdName, "--flannel-etcd-port", s.Bind, s.FlannelEtcdPort, ""); err != nil {
			return Ports{}, err
		}
	}
	switch {
	case s.SecurePort != 0:
		ports.APIServer, err = s.SecurePort, p.claim(apiserverName, apiserverPortFlag, s.Bind, s.SecurePort, "")
	case last.APIServer != 0:
		ports.APIServer, err = last.APIServer, p.claim(apiserverName, apiserverPortFlag, s.Bind, last.APIServer, " (the one of the last start, which kubeconfigs name)")
	default:
		ports.APIServer, err = p.free(s.Bind, 0)
	}
	if err != nil {
		return Ports{}, err
	}
	for _, own := range []struct {
		port *int
		last int
	}{
		{&ports.Etcd, last.Etcd},
		{&ports.EtcdPeer, last.EtcdPeer},
		{&ports.ControllerManager, last.ControllerManager},
		{&ports.Scheduler, last.Scheduler},
	} {
		if *own.port, err = p.free(loopback, own.last); err != nil {
			return Ports{}, err
		}
	}
	return ports, nil
}

// apiserverPortFlag is what a user chooses kube-apiserver's port with.
const apiserverPortFlag = "--secure-port"

// claim takes the one port that will do.
func (p *portPicker) claim(who, flag string, addr netip.Addr, port int, remark string) error {
	p.taken[port] = true
	err := p.try(netip.AddrPortFrom(addr, uint16(port)))
	what := fmt.Sprintf("%s cannot listen on %s%s", who, netip.AddrPortFrom(addr, uint16(port)), remark)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return &Problem{What: what + ": the port is in use", Cure: "stop what listens there, or choose another port with " + flag, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &Problem{What: what + ": permission denied", Cure: "choose a port above 1023 with " + flag, Err: err}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &Problem{What: what + ": this machine does not have that address", Cure: "choose one of its own with --bind-address", Err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// free returns the preferred port if it is free, else some free port.
func (p *portPicker) free(addr netip.Addr, preferred int) (int, error) {
	var err error
	for i := range portTries {
		port := preferred
		if i > 0 || port == 0 {
			port = lowestPort + p.draw(highestPort-lowestPort+1)
		}
		if p.taken[port] {
			continue
		}
		if err = p.try(netip.AddrPortFrom(addr, uint16(port))); err == nil {
			p.taken[port] = true
			return port, nil
		}
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			return 0, p.claim(apiserverName, apiserverPortFlag, addr, port, "")
		}
	}
	return 0, &Problem{
		What: fmt.Sprintf("no free port found on %s from %d to %d: %v", addr, lowestPort, highestPort, err),
		Cure: "choose one with --secure-port", Err: err,
	}
}

// tryListen listens for a moment.
func tryListen(a netip.AddrPort) error {
	l, err := net.Listen("tcp", a.String())
	if err != nil {
		return err
	}
	return l.Close()
}
