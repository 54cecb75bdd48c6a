package linux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	// dockerSocket is where dockerd answers; resolve refuses another.
	dockerSocket = "/run/docker.sock"
	// listTimeout bounds the list of containers, stopGrace is what a container is given to end by
	// itself (the kubelet's default), and stopTimeout bounds docker's answer to that.
	listTimeout = 10 * time.Second
	stopGrace   = 30 * time.Second
	stopTimeout = stopGrace + 30*time.Second
	// maxAnswer bounds what is read of an answer: a list of a thousand containers has 3 MB.
	maxAnswer = 32 << 20
)

// containers is host.Containers by docker's API. Paths without a version mean the newest that the
// daemon has; what is asked for here is the same in all of them.
type containers struct{ client *http.Client }

func newContainers(socket string) *containers {
	return &containers{client: unixClient(socket)}
}

// unixClient is a client of a server on a socket. Each request has its own connection: passes are
// seconds apart.
func unixClient(socket string) *http.Client {
	var dialer net.Dialer
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}
}

// listedContainer is what counts of one in docker's list.
type listedContainer struct {
	ID     string `json:"Id"`
	Names  []string
	Labels map[string]string
}

// Running implements host.Containers. Paused and restarting containers hold their addresses too.
func (c *containers) Running(ctx context.Context) (map[string]state.Container, error) {
	query := url.Values{"filters": {`{"status":["running","paused","restarting"]}`}}
	var list []listedContainer
	if err := c.call(ctx, listTimeout, http.MethodGet, "/containers/json?"+query.Encode(), &list); err != nil {
		return nil, fmt.Errorf("docker: list containers: %w", err)
	}
	running := map[string]state.Container{}
	for _, l := range list {
		one := state.Container{
			Kubernetes: l.Labels["io.kubernetes.pod.uid"] != "",
			Sandbox:    l.Labels["io.kubernetes.docker.type"] == "podsandbox", // cri-dockerd's
		}
		if len(l.Names) > 0 {
			one.Name = strings.TrimPrefix(l.Names[0], "/")
		}
		running[l.ID] = one
	}
	return running, nil
}

// Stop implements host.Containers.
func (c *containers) Stop(ctx context.Context, id string) error {
	return c.do(ctx, "stop", id, "?t="+strconv.Itoa(int(stopGrace.Seconds())))
}

// Start implements host.Containers.
func (c *containers) Start(ctx context.Context, id string) error { return c.do(ctx, "start", id, "") }

// LiveRestore implements host.Containers.
func (c *containers) LiveRestore(ctx context.Context) (bool, error) {
	var info struct{ LiveRestoreEnabled bool }
	if err := c.call(ctx, listTimeout, http.MethodGet, "/info", &info); err != nil {
		return false, fmt.Errorf("docker: ask for live-restore: %w", err)
	}
	return info.LiveRestoreEnabled, nil
}

func (c *containers) do(ctx context.Context, verb, id, query string) error {
	if err := host.CheckContainer(id); err != nil {
		return err
	}
	err := c.call(ctx, stopTimeout, http.MethodPost, "/containers/"+id+"/"+verb+query, nil)
	if refused, ok := errors.AsType[*dockerError](err); ok && refused.code == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("container %.12s: %s: %w", id, verb, err)
	}
	return nil
}

// dockerError is an answer of docker's that says no.
type dockerError struct {
	code    int
	message string
}

func (e *dockerError) Error() string { return e.message }

// call sends one request; 304 is docker's word for "is so already".
func (c *containers) call(ctx context.Context, limit time.Duration, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return err
	case answer.StatusCode >= http.StatusBadRequest:
		var said struct{ Message string }
		if json.Unmarshal(body, &said) != nil || said.Message == "" {
			said.Message = answer.Status
		}
		return &dockerError{answer.StatusCode, strings.Join(strings.Fields(said.Message), " ")}
	case into != nil:
		return json.Unmarshal(body, into)
	}
	return nil
}

// withoutURL takes off what the HTTP client says of its request: the caller names it better.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
