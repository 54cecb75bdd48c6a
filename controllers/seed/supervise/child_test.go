package supervise

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/seed/pki"
)

// childArg makes the test binary a child. It is an argument, so that a child which gets the wrong
// environment ends instead of running the tests, and through them further children, for ever.
const childArg = "be-a-child"

// What a child is told by its environment.
const (
	childMode    = "SUPERVISE_TEST_MODE"
	childAddress = "SUPERVISE_TEST_ADDRESS"
	childDir     = "SUPERVISE_TEST_DIR"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == childArg {
		if err := childMain(os.Getenv(childMode), os.Getenv(childDir), os.Getenv(childAddress)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func childMain(mode, dir, address string) error {
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	switch mode {
	case "":
		return errors.New("no mode in the environment")
	case "fail":
		fmt.Fprintln(os.Stderr, "first line\ncannot do it: no reason")
		os.Exit(3)
	case "mute":
		<-term
		return nil
	case "slow":
		time.Sleep(300 * time.Millisecond)
	case "environment":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "parent":
		if err := startGrandchild(dir); err != nil {
			return err
		}
	}
	if err := serve(dir, address); err != nil {
		return err
	}
	<-term
	if mode == "stubborn" {
		select {}
	}
	// The file's own time is too coarse.
	return os.WriteFile(filepath.Join(dir, "stopped"), []byte(time.Now().Format(time.RFC3339Nano)), 0o600)
}

func serve(dir, address string) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "web.crt"), filepath.Join(dir, "web.key"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	server := &http.Server{Handler: ok, ReadHeaderTimeout: time.Second, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return nil
}

// startGrandchild makes this process a supervisor, as `seedbed seed` is one.
func startGrandchild(dir string) error {
	own := filepath.Join(dir, "of-grandchild")
	if err := os.Mkdir(own, 0o700); err != nil {
		return err
	}
	ca, err := makeCertificate(own)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	_ = listener.Close()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	s := New(func(Event) {})
	err = s.Start(context.Background(), Child{
		Name: "grandchild", Path: exe, Args: []string{childArg},
		Env:         []string{childMode + "=serve", childDir + "=" + own, childAddress + "=" + address},
		Log:         filepath.Join(own, "log"),
		Health:      Health{URL: "https://" + address, CAFile: ca},
		StopTimeout: time.Second,
	})
	if err != nil {
		return err
	}
	grandchild, err := os.ReadFile(filepath.Join(own, "pid"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "grandchild"), grandchild, 0o600)
}

func testCertificate(t *testing.T, dir string) string {
	t.Helper()
	ca, err := makeCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// makeCertificate writes web.crt, web.key and the authority's certificate, whose path it returns.
func makeCertificate(dir string) (string, error) {
	store, now := pki.Store{Dir: dir}, time.Now()
	ca, _, err := store.EnsureAuthority("ca", "test", now)
	if err != nil {
		return "", err
	}
	spec := pki.Spec{CommonName: "web", Usage: pki.Server, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	_, _, err = store.EnsurePair("web", ca, spec, now)
	return store.CertFile("ca"), err
}
