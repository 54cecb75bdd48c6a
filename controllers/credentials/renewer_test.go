package credentials_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// counter is an Observer.
type counter struct {
	mu               sync.Mutex
	failed, obtained map[string]int
	ends             map[string]time.Time
}

func newCounter() *counter {
	return &counter{failed: map[string]int{}, obtained: map[string]int{}, ends: map[string]time.Time{}}
}

func (c *counter) Has(client credentials.Client, end time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[client.Name] = end
}

func (c *counter) Obtained(client credentials.Client, _ time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.obtained[client.Name]++
}

func (c *counter) Failed(client credentials.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed[client.Name]++
}

func (c *counter) failures(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[name]
}

func TestOnlyWhatIsWantedIsAskedForAndFailuresAreCounted(t *testing.T) {
	var asked sync.Map
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Path, true)
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(api.Close)
	f := hosttest.New()
	seen := newCounter()
	r := credentials.NewRenewer("node-a", f.Host().Files, &rest.Config{Host: api.URL}, seen, logr.Discard())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	if !r.Want(resolve.PathKubeProxyClient, "/var/lib/somebody/elses.pem") {
		t.Error("the first wish is not new")
	}
	if r.Want(resolve.PathKubeProxyClient) {
		t.Error("the same wish is new again")
	}
	for end := time.Now().Add(10 * time.Second); seen.failures("kube-proxy") == 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if seen.failures("kube-proxy") == 0 {
		t.Error("a refusal is not counted")
	}
	if n := seen.failures("agent") + seen.failures("flannel"); n != 0 {
		t.Errorf("%d failures of certificates that nobody wants", n)
	}
	if f.Changes() != 0 {
		t.Errorf("a failure changed the host: %v", f.Journal())
	}
}

func TestValidCertificateIsKeptAndItsEndKnown(t *testing.T) {
	f := hosttest.New()
	agent := credentials.Agent("node-a")
	p := pair(t, agent)
	if _, err := (credentials.Store{Files: f.Host().Files, Path: agent.Path}).Update(p.CertPEM, p.KeyPEM); err != nil {
		t.Fatal(err)
	}
	f.ForgetJournal()
	seen := newCounter()
	r := credentials.NewRenewer("node-a", f.Host().Files, &rest.Config{Host: "http://127.0.0.1:1"}, seen, logr.Discard())
	r.Want(agent.Path)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if !seen.ends["agent"].Equal(p.Cert.NotAfter) || seen.failed["agent"] != 0 || f.Changes() != 0 {
		t.Errorf("ends %v, failed %v, changes %v", seen.ends, seen.failed, f.Journal())
	}
}

func TestFirstCertificateIsWaitedForAndNoLongerThanPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := hosttest.New()
		r := credentials.NewRenewer("node-a", f.Host().Files, &rest.Config{}, newCounter(), logr.Discard())
		began := time.Now()
		time.AfterFunc(time.Second, func() {
			f.Put(resolve.PathFlannelClient, state.File{Content: []byte("pair"), Mode: 0o600})
		})
		r.WaitForFirst(t.Context(), resolve.PathFlannelClient)
		if d := time.Since(began); d < time.Second || d >= credentials.Patience {
			t.Errorf("a certificate that came after 1s was waited for: %s", d)
		}
		began = time.Now()
		r.WaitForFirst(t.Context(), resolve.PathKubeProxyClient)
		if d := time.Since(began); d < credentials.Patience || d > credentials.Patience+time.Second {
			t.Errorf("a certificate that never came was waited for: %s, want %s", d, credentials.Patience)
		}
	})
}
