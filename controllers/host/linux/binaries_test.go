package linux

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

// serving is a server of contents by path.
func serving(t *testing.T) (serve func([]byte) string) {
	t.Helper()
	contents, n := map[string][]byte{}, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := contents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	return func(content []byte) string {
		n++
		p := fmt.Sprintf("/%d", n)
		if content != nil {
			contents[p] = content
		}
		return server.URL + p
	}
}

func TestBinariesKeepTheContract(t *testing.T) {
	owner, group := me()
	for name, serve := range map[string]func(t *testing.T, root string) func([]byte) string{
		"http": func(t *testing.T, _ string) func([]byte) string { t.Helper(); return serving(t) },
		"file": func(t *testing.T, root string) func([]byte) string {
			t.Helper()
			n := 0
			return func(content []byte) string {
				n++
				p := fmt.Sprintf("/srv/%d", n)
				if content != nil {
					plant(t, root, p, state.File{Content: content, Mode: 0o600})
				}
				return "file://" + p
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			hosttest.BinariesContract(t, func(t *testing.T) hosttest.BinariesFixture {
				root, tree := newRoot(t)
				f := newFiles(tree, nil)
				return hosttest.BinariesFixture{Binaries: newBinaries(f), Files: f, Serve: serve(t, root), Owner: owner, Group: group}
			})
		})
	}
}

func TestBinariesOfAHostRootAreReallyThere(t *testing.T) {
	root := t.TempDir()
	h, serve := offline(t, root), serving(t)
	content := []byte("program")
	want := state.Binary{SHA256: state.Hash(content), URL: serve(content), Mode: 0o755, Owner: "root", Group: "root"}
	if _, _, err := h.Binaries.Write(t.Context(), "/usr/local/bin/kubelet", want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "usr/local/bin/kubelet"))
	if err != nil || string(got) != "program" {
		t.Errorf("%q, %v", got, err)
	}
	if seen, _, err := h.Binaries.Get(t.Context(), "/usr/local/bin/kubelet", nil); err != nil || seen.Digest() != want.Digest() {
		t.Errorf("seen as %+v, %v", seen, err)
	}
}

// A host has little memory, and a program more than 100 MB.
func TestContentOfABinaryIsNeverInMemory(t *testing.T) {
	const size = 64 << 20
	root, tree := newRoot(t)
	at := filepath.Join(root, "srv/large")
	plant(t, root, "/srv/large", state.File{Mode: 0o600})
	if err := os.Truncate(at, size); err != nil {
		t.Fatal(err)
	}
	b := newBinaries(newFiles(tree, nil))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	seen, _, err := b.Get(t.Context(), "/srv/large", nil)
	if err != nil {
		t.Fatal(err)
	}
	owner, group := me()
	want := state.Binary{SHA256: seen.SHA256, URL: "file:///srv/large", Mode: 0o755, Owner: owner, Group: group}
	if _, _, err := b.Write(t.Context(), "/usr/bin/large", want); err != nil {
		t.Fatal(err)
	}
	if err := b.Keep(t.Context(), "/usr/bin/large", seen.SHA256); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("a program of %d bytes took %d bytes of memory", size, used)
	}
}

func TestDownloadThatStallsOrIsCutOffLeavesThePathAsItWas(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(make([]byte, 500))
		if r.URL.Path == "/cut" {
			return // the connection ends before the content does
		}
		w.(http.Flusher).Flush()
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	root, tree := newRoot(t)
	b := newBinaries(newFiles(tree, nil))
	b.fetch.stall = 50 * time.Millisecond
	plant(t, root, "/opt/x", state.File{Content: []byte("old"), Mode: 0o755})
	owner, group := me()
	for _, path := range []string{"/cut", "/stall"} {
		want := state.Binary{SHA256: state.Hash(make([]byte, 1000)), URL: server.URL + path, Mode: 0o755, Owner: owner, Group: group}
		_, _, err := b.Write(t.Context(), "/opt/x", want)
		if typed, ok := errors.AsType[*host.Error](err); !ok || typed.Reason != v1alpha1.ReasonDownloadFailed || !strings.Contains(err.Error(), server.URL+path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := b.Write(ctx, "/opt/x", state.Binary{SHA256: state.Hash(nil), URL: server.URL + "/stall", Mode: 0o755, Owner: owner, Group: group}); err == nil {
		t.Error("a cancelled download succeeded")
	}
	if content, err := os.ReadFile(filepath.Join(root, "opt/x")); err != nil || string(content) != "old" {
		t.Errorf("the path has %q, %v", content, err)
	}
	if left := listed(t, root, "opt"); len(left) != 1 {
		t.Errorf("files are left over: %v", left)
	}
}

// Same size, and times set back: only ctime tells.
func TestBinaryThatIsReplacedInPlaceIsSeen(t *testing.T) {
	root, tree := newRoot(t)
	b := newBinaries(newFiles(tree, nil))
	plant(t, root, "/opt/x", state.File{Content: []byte("one"), Mode: 0o755})
	was, _, err := b.Get(t.Context(), "/opt/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(root, "opt/x")
	info, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // longer than a tick of the kernel's clock for files
	if err := os.WriteFile(at, []byte("two"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(at, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	now, _, err := b.Get(t.Context(), "/opt/x", &state.Verified{SHA256: was.SHA256, Identity: was.Identity})
	if err != nil || now.SHA256 != state.Hash([]byte("two")) {
		t.Errorf("seen as %+v, %v", now, err)
	}
}
