package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/testenv"
)

func TestManagerWithoutAReadableKubeconfigSaysSoOnOneLine(t *testing.T) {
	root := NewRoot()
	missing := filepath.Join(t.TempDir(), "missing")
	root.SetArgs([]string{"manager", "--kubeconfig", missing})
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), missing) || strings.Contains(oneLine(err), "\n") {
		t.Fatalf("got %v, want an error of one line that names %s", err, missing)
	}
}

func TestManagerLeadsAnswersProbesAndGivesItsLeaseBack(t *testing.T) {
	env, err := testenv.Start(testenv.Options{})
	if testing.Short() && errors.Is(err, testenv.ErrNoComponents) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	health, scrape := freeAddress(t), freeAddress(t)
	o := managerOptions{kubeconfig: kubeconfig, leaderElect: true, metrics: scrape, health: health}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- o.run(ctx, o.log.logger(io.Discard)) }()

	lease := &coordinationv1.Lease{}
	holder := func() string {
		if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: managerLease}, lease); err != nil {
			return ""
		}
		return ptr.Deref(lease.Spec.HolderIdentity, "")
	}
	eventually(t, "a manager leads", func() bool { return holder() != "" })
	eventually(t, "readyz answers", func() bool { return body(t, "http://"+health+"/readyz") == "ok" })
	eventually(t, "metrics have ours", func() bool {
		return strings.Contains(body(t, "http://"+scrape+"/metrics"), "seedbed_assignments_total 0")
	})
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("did not end")
	}
	if h := holder(); h != "" {
		t.Errorf("the lease is still held by %s", h)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func body(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 600 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("not within 30 s: %s", what)
}
