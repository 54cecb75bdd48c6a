package linux

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/state"
)

// onSocket serves on a unix socket and returns its path.
func onSocket(t *testing.T, handler http.Handler) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

var web, sandbox = strings.Repeat("a1", 32), strings.Repeat("b2", 32)

// engine answers as docker does.
func engine(asked *[]string, codes map[string]int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.String())
		if r.URL.Path == "/containers/json" {
			fmt.Fprintf(w, `[{"Id": %q, "Names": ["/web"], "Labels": {}}, {"Id": %q, "Names": ["/k8s_POD_x"], "Labels": {"io.kubernetes.pod.uid": "1", "io.kubernetes.docker.type": "podsandbox"}}]`, web, sandbox)
			return
		}
		if r.URL.Path == "/info" {
			_, _ = fmt.Fprint(w, `{"ID": "x", "LiveRestoreEnabled": true}`)
			return
		}
		code := codes[r.URL.Path]
		w.WriteHeader(code)
		if code >= 400 {
			_, _ = fmt.Fprint(w, `{"message": "tried to kill container, but did not receive an exit event"}`)
		}
	})
}

func TestContainersAreListedStoppedAndStartedThroughDockersAPI(t *testing.T) {
	var asked []string
	codes := map[string]int{
		"/containers/" + web + "/stop": 204, "/containers/" + sandbox + "/stop": 304, "/containers/" + web + "/start": 204,
	}
	c := newContainers(onSocket(t, engine(&asked, codes)))
	running, err := c.Running(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]state.Container{web: {Name: "web"}, sandbox: {Name: "k8s_POD_x", Kubernetes: true, Sandbox: true}}
	if diff := cmp.Diff(want, running); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, err := range []error{c.Stop(t.Context(), web), c.Stop(t.Context(), sandbox), c.Start(t.Context(), web)} {
		if err != nil {
			t.Error(err)
		}
	}
	if lives, err := c.LiveRestore(t.Context()); err != nil || !lives {
		t.Errorf("LiveRestore = %v, %v", lives, err)
	}
	wantAsked := []string{
		"GET /containers/json?filters=%7B%22status%22%3A%5B%22running%22%2C%22paused%22%2C%22restarting%22%5D%7D",
		"POST /containers/" + web + "/stop?t=30", "POST /containers/" + sandbox + "/stop?t=30", "POST /containers/" + web + "/start", "GET /info",
	}
	if diff := cmp.Diff(wantAsked, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestAContainerThatIsGoneNeedsNoStopAndOneThatStaysSaysWhy(t *testing.T) {
	var asked []string
	c := newContainers(onSocket(t, engine(&asked, map[string]int{
		"/containers/" + web + "/stop": 404, "/containers/" + web + "/start": 404, "/containers/" + sandbox + "/stop": 500,
	})))
	if err := c.Stop(t.Context(), web); err != nil {
		t.Error(err)
	}
	if err := c.Start(t.Context(), web); err != nil {
		t.Error(err)
	}
	err := c.Stop(t.Context(), sandbox)
	if err == nil || !strings.Contains(err.Error(), sandbox[:12]) || !strings.Contains(err.Error(), "did not receive an exit event") {
		t.Errorf("Stop = %v; want the container and docker's words", err)
	}
}

func TestADockerThatIsNotThereIsNamedAndBadIDsReachNoURL(t *testing.T) {
	c := newContainers(filepath.Join(t.TempDir(), "none"))
	if _, err := c.Running(t.Context()); err == nil || !strings.Contains(err.Error(), "docker: list containers: dial unix") {
		t.Errorf("Running = %v", err)
	}
	for _, id := range []string{"", "web", "../" + web, web + "/../x", strings.ToUpper(web)} {
		if err := c.Stop(t.Context(), id); err == nil || !strings.Contains(err.Error(), "bad ID") {
			t.Errorf("Stop(%q) = %v", id, err)
		}
	}
}
