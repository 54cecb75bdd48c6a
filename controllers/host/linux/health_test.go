package linux

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"

	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

// askOne asks with a short deadline.
func askOne(t *testing.T, p state.Probe) state.Probe {
	t.Helper()
	h := &health{tree: treeAt(t, "/"), timeout: 300 * time.Millisecond}
	return h.Ask(t.Context(), map[string]state.Probe{"x": p})["x"]
}

func TestHTTPProbesTellGoodBadAndMissingAnswersApart(t *testing.T) {
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, "ok\n")
		case "/slow":
			<-r.Context().Done()
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, "pleg was last seen active\n3m ago"+strings.Repeat("!", 4096))
		}
	})
	tcp := httptest.NewServer(answers)
	defer tcp.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()
	address, socket := tcp.Listener.Addr().String(), "unix://"+onSocket(t, answers)
	for _, tt := range []struct{ address, path, answer, failure string }{
		{address, "/ok", "ok", ""},
		{socket, "/ok", "ok", ""},
		{address, "/bad", "", "503 Service Unavailable: pleg was last seen active 3m ago"},
		{socket, "/bad", "", "503 Service Unavailable: pleg"},
		{address, "/slow", "", "no answer within 300ms"},
		{nobody, "/ok", "", "connection refused"},
		{"unix:///no/such.sock", "/ok", "", "no such file or directory"},
	} {
		got := askOne(t, state.Probe{Kind: state.ProbeHTTP, Address: tt.address, Path: tt.path})
		if tt.failure == "" && (got.Answer != tt.answer || got.Failure != "") || !strings.Contains(got.Failure, tt.failure) || len(got.Failure) > 400 {
			t.Errorf("%s%s: %+v; want answer %q, failure %q", tt.address, tt.path, got, tt.answer, tt.failure)
		}
	}
}

func TestQuestionsArePutAtOnceAndBoundedTogether(t *testing.T) {
	hangs := onSocket(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	probes := map[string]state.Probe{}
	for i := range 8 {
		probes[fmt.Sprint(i)] = state.Probe{Kind: state.ProbeHTTP, Address: "unix://" + hangs, Path: "/"}
	}
	h := &health{timeout: 300 * time.Millisecond}
	began := time.Now()
	answers := h.Ask(t.Context(), probes)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("eight programs that hang took %s", took)
	}
	if len(answers) != len(probes) {
		t.Errorf("%d answers to %d questions", len(answers), len(probes))
	}
}

// runtimeServer is a container runtime.
type runtimeServer struct {
	runtimev1.UnimplementedRuntimeServiceServer
	networkReady bool
}

func (runtimeServer) Version(context.Context, *runtimev1.VersionRequest) (*runtimev1.VersionResponse, error) {
	return &runtimev1.VersionResponse{RuntimeName: "docker", RuntimeVersion: "26.1.5"}, nil
}

func (s runtimeServer) Status(context.Context, *runtimev1.StatusRequest) (*runtimev1.StatusResponse, error) {
	return &runtimev1.StatusResponse{Status: &runtimev1.RuntimeStatus{Conditions: []*runtimev1.RuntimeCondition{
		{Type: "RuntimeReady", Status: true},
		{Type: "NetworkReady", Status: s.networkReady, Reason: "NetworkPluginNotReady", Message: "cni config uninitialized"},
	}}}, nil
}

func runtimeSocket(t *testing.T, s runtimev1.RuntimeServiceServer) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	runtimev1.RegisterRuntimeServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return "unix://" + socket
}

func TestARuntimeIsWellWhenItAndItsNetworkAreReady(t *testing.T) {
	for _, tt := range []struct{ reason, address, failure string }{
		{"ready", runtimeSocket(t, runtimeServer{networkReady: true}), ""},
		{"its network is not", runtimeSocket(t, runtimeServer{}), "NetworkReady is false: NetworkPluginNotReady cni config uninitialized"},
		{"no runtime behind the socket", runtimeSocket(t, runtimev1.UnimplementedRuntimeServiceServer{}), "Unimplemented"},
		{"nobody there", "unix://" + filepath.Join(t.TempDir(), "none"), "no such file or directory"},
	} {
		got := askOne(t, state.Probe{Kind: state.ProbeCRI, Address: tt.address})
		if (got.Failure == "") != (tt.failure == "") || !strings.Contains(got.Failure, tt.failure) {
			t.Errorf("%s: %+v; want failure %q", tt.reason, got, tt.failure)
		}
		if tt.failure == "" && got.Answer != "docker 26.1.5" {
			t.Errorf("%s: answer %q", tt.reason, got.Answer)
		}
	}
}

func TestACertificateAnswersWithTheNameItIsFor(t *testing.T) {
	root := t.TempDir()
	certificate, key := resolvetest.Pair(t, 1)
	plant(t, root, "/pki/both.pem", text(key+certificate))
	plant(t, root, "/pki/key.pem", text(key))
	h := &health{tree: treeAt(t, root), timeout: time.Second}
	for path, want := range map[string][2]string{
		"/pki/both.pem": {"seedbed test", ""}, "/pki/key.pem": {"", "no certificate"}, "/pki/none.pem": {"", "no such file"},
	} {
		got := h.Ask(t.Context(), map[string]state.Probe{"x": {Kind: state.ProbeCertificate, Path: path}})["x"]
		if got.Answer != want[0] || !strings.Contains(got.Failure, want[1]) || strings.Contains(fmt.Sprint(got), "PRIVATE") {
			t.Errorf("%s: %+v; want %q", path, got, want)
		}
	}
}

func TestACertificateToServeWithIsForTheAddressAndHasNotExpired(t *testing.T) {
	root := t.TempDir()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "system:node:node-a"}, NotAfter: end, IPAddresses: []net.IP{net.ParseIP("10.64.3.8")},
	}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	plant(t, root, "/pki/server.pem", text(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))))
	for _, tt := range []struct {
		reason, address string
		now             time.Time
		failure         string
	}{
		{"good", "10.64.3.8", end, ""},
		{"the node has another address", "10.64.3.9", end, "not for 10.64.3.9"},
		{"it was not renewed", "10.64.3.8", end.Add(time.Second), "expired at 2026-11-23T12:00:00Z"},
		{"a client's is the kubelet's own affair", "", end.Add(time.Second), ""},
	} {
		h := &health{tree: treeAt(t, root), timeout: time.Second, now: func() time.Time { return tt.now }}
		got := h.Ask(t.Context(), map[string]state.Probe{"x": {Kind: state.ProbeCertificate, Path: "/pki/server.pem", Address: tt.address}})["x"]
		if got.Answer != "system:node:node-a" || got.Failure != tt.failure {
			t.Errorf("%s: %+v, want failure %q", tt.reason, got, tt.failure)
		}
	}
}
