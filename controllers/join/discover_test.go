package join

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestServerIsBelievedOnlyWithThePinnedAuthority(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(t *testing.T, s *seedServer, r *Request)
		// want is in the error; empty for a server that is believed.
		want string
	}{
		"AsItShouldBe": {"the hash is the authority's", func(*testing.T, *seedServer, *Request) {}, ""},
		"TwoAuthorities": {"one of the authorities is pinned and has signed the server's certificate", func(t *testing.T, s *seedServer, _ *Request) {
			s.offered = slices.Concat(newAuthority(t).CertPEM, s.authority.CertPEM)
		}, ""},
		"OtherAuthority": {"another cluster, or somebody in between", func(t *testing.T, s *seedServer, _ *Request) {
			s.offered = newAuthority(t).CertPEM
		}, "not the one given with --ca-cert-hash"},
		"BorrowedAuthority": {"who shows the right certificate has not signed with its key", func(t *testing.T, s *seedServer, _ *Request) {
			s.TLS.Certificates[0] = serving(t, newAuthority(t))
		}, "is not signed by the authority with the given hash"},
		"SmuggledAuthority": {"an authority beside the pinned one is not believed either", func(t *testing.T, s *seedServer, _ *Request) {
			other := newAuthority(t)
			s.offered = append(s.offered, other.CertPEM...)
			s.TLS.Certificates[0] = serving(t, other)
		}, "is not signed by the authority with the given hash"},
		"OtherName": {"the certificate is for addresses, not for this name", func(_ *testing.T, s *seedServer, r *Request) {
			r.Server = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
		}, "is for others"},
		"ClockAhead": {"certificates would not be valid any more", func(_ *testing.T, s *seedServer, _ *Request) {
			s.date = time.Now().Add(-2 * time.Hour)
		}, "clock is 2h0m0s ahead"},
		"ClockBehind": {"certificates would not be valid yet", func(_ *testing.T, s *seedServer, _ *Request) {
			s.date = time.Now().Add(2 * time.Hour)
		}, "clock is 2h0m0s behind"},
		"Damaged": {"a cluster-info without an authority", func(_ *testing.T, s *seedServer, _ *Request) {
			s.offered = []byte("not a certificate")
		}, "without an authority"},
		"Closed": {"nothing listens", func(_ *testing.T, s *seedServer, _ *Request) { s.Close() }, "no answer from"},
		"NotTLS": {"another port of the same host", func(t *testing.T, _ *seedServer, r *Request) {
			plain := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(plain.Close)
			r.Server = strings.Replace(plain.URL, "http", "https", 1)
		}, "does not speak TLS"},
		"NotFound": {"an API server that is no seed", func(t *testing.T, _ *seedServer, r *Request) {
			other := httptest.NewTLSServer(http.NotFoundHandler())
			t.Cleanup(other.Close)
			r.Server = other.URL
		}, "404"},
		"Redirect": {"who redirects decides where the token goes", func(t *testing.T, s *seedServer, r *Request) {
			other := httptest.NewTLSServer(http.RedirectHandler(s.URL+clusterInfoPath, http.StatusFound))
			t.Cleanup(other.Close)
			r.Server = other.URL
		}, "302"},
		"WebPage": {"a server of something else", func(t *testing.T, _ *seedServer, r *Request) {
			other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
			t.Cleanup(other.Close)
			r.Server = other.URL
		}, "does not answer as an API server does"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSeed(t, bare())
			r := s.request(t)
			c.change(t, s, &r)
			n, _ := node(bare())
			authority, err := n.discover(t.Context(), r)
			if c.want == "" {
				if err != nil || string(authority) != string(s.offered) {
					t.Errorf("%s: got %v", c.reason, err)
				}
				return
			}
			var problem *Problem
			if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v; want a problem with %q, on one line", c.reason, err, c.want)
			}
		})
	}
}

func TestServerThatDoesNotAnswerIsGivenUpWithItsContext(t *testing.T) {
	stuck := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	stuck.TLS = &tls.Config{Certificates: []tls.Certificate{serving(t, newAuthority(t))}}
	stuck.StartTLS()
	t.Cleanup(stuck.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	n, _ := node(bare())
	_, err := n.discover(ctx, Request{Server: stuck.URL})
	if err == nil || !strings.Contains(err.Error(), "no answer from "+stuck.URL) {
		t.Errorf("got %v", err)
	}
}
