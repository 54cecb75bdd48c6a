package linux

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// killGroups kills an agent and the process groups that it started.
func (x *killedHost) killGroups() {
	pid := x.read(agent)
	children, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		x.t.Error(err)
	}
	for i, p := range append([]string{pid}, strings.Fields(string(children))...) {
		n, err := strconv.Atoi(p)
		if i > 0 {
			n = -n
		}
		if err = errors.Join(err, syscall.Kill(n, syscall.SIGKILL)); err != nil {
			x.t.Errorf("kill %d: %v", n, err)
		}
	}
}

// downloading waits until apt has the beginning of a file on disk.
func (x *killedHost) downloading() {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, folder := range []string{"/var/lib/apt/lists/partial/*", "/var/cache/apt/archives/partial/*"} {
			found, err := filepath.Glob(filepath.Join(x.root, folder))
			if err != nil {
				x.t.Error(err)
			}
			for _, file := range found {
				if info, err := os.Stat(file); err == nil && info.Size() > 0 {
					return
				}
			}
		}
	}
	x.t.Error("apt has nothing on disk")
}

// Half of an index, or of a package, is on disk then.
func TestF027KilledInADownloadTheNextPassFinishesIt(t *testing.T) {
	repository := killedChain(t)
	for _, of := range []string{"Packages", brought + "_" + newer + "_all.deb"} {
		t.Run(of, func(t *testing.T) {
			_, root := aptRoot(t, repository)
			x := &killedHost{t: t, root: root}
			served, killed := http.FileServer(http.Dir(repository)), atomic.Bool{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if path.Base(r.URL.Path) != of || killed.Swap(true) {
					served.ServeHTTP(w, r)
					return
				}
				content, err := os.ReadFile(filepath.Join(repository, of))
				if err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				_, err = w.Write(content[:len(content)/2])
				if err = errors.Join(err, http.NewResponseController(w).Flush()); err != nil {
					t.Error(err)
				}
				x.downloading()
				x.killGroups()
			}))
			defer server.Close()
			plant(t, root, resolve.PathAptSources+"test.sources", state.File{Mode: 0o644, Content: []byte("Types: deb\nURIs: " + server.URL + "\nSuites: ./\nTrusted: yes\n")})
			if !x.killedOn(newer) {
				t.Fatal("nothing was killed")
			}
			x.mended(newer)
		})
	}
}
