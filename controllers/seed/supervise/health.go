package supervise

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	healthInterval = 50 * time.Millisecond
	healthTimeout  = 2 * time.Second
)

// checker asks a child's health URL.
type checker struct {
	url    string
	client *http.Client
}

func newChecker(h Health) (*checker, error) {
	pem, err := os.ReadFile(h.CAFile)
	if err != nil {
		return nil, fmt.Errorf("health check: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("health check: no certificate in %s", h.CAFile)
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if h.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(h.CertFile, h.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("health check: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	// No keep-alive: an answer is to come from the process that listens now.
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	return &checker{url: h.URL, client: &http.Client{Transport: transport, Timeout: healthTimeout}}, nil
}

func (c *checker) healthy(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return false
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}
