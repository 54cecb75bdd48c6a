package linux

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"

	"seedbed.dev/seedbed/controllers/state"
)

const (
	// askTimeout bounds each question: a program that takes longer to say that it is well is not.
	askTimeout = 2 * time.Second
	// maxSaid is how much of a bad answer is kept.
	maxSaid = 256
)

// health is host.Health by HTTP, CRI and files.
type health struct {
	tree    *tree
	timeout time.Duration
	now     func() time.Time
}

func newHealth(t *tree) *health { return &health{tree: t, timeout: askTimeout, now: time.Now} }

// Ask implements host.Health.
func (h *health) Ask(ctx context.Context, probes map[string]state.Probe) map[string]state.Probe {
	ctx, cancel := context.WithTimeoutCause(ctx, h.timeout, fmt.Errorf("no answer within %s", h.timeout))
	defer cancel()
	answers := make(map[string]state.Probe, len(probes))
	var mu sync.Mutex
	var all sync.WaitGroup
	for name, probe := range probes {
		all.Go(func() {
			answer, err := h.ask(ctx, probe)
			if err != nil {
				err = inTime(ctx, err)
				probe.Failure = strings.Join(strings.Fields(err.Error()), " ")
			}
			probe.Answer = answer
			mu.Lock()
			defer mu.Unlock()
			answers[name] = probe
		})
	}
	all.Wait()
	return answers
}

// inTime replaces a client's own words for a deadline.
func inTime(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (h *health) ask(ctx context.Context, p state.Probe) (string, error) {
	switch p.Kind {
	case state.ProbeHTTP:
		return askHTTP(ctx, p)
	case state.ProbeCRI:
		return askCRI(ctx, p.Address)
	case state.ProbeCertificate:
		return h.subject(p)
	}
	return "", fmt.Errorf("no such kind of probe: %q", p.Kind)
}

func askHTTP(ctx context.Context, p state.Probe) (string, error) {
	address, client := p.Address, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if socket, ok := strings.CutPrefix(p.Address, "unix://"); ok {
		address, client = "localhost", unixClient(socket)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+p.Path, http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", withoutURL(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxSaid))
	said := strings.Join(strings.Fields(string(body)), " ")
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, said)
	}
	return said, err
}

// askCRI wants the runtime and its network to be ready (k8s.io/cri-api, RuntimeCondition).
func askCRI(ctx context.Context, address string) (string, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	runtime := runtimev1.NewRuntimeServiceClient(conn)
	version, err := runtime.Version(ctx, &runtimev1.VersionRequest{})
	if err != nil {
		return "", fmt.Errorf("version: %w", err)
	}
	said := version.GetRuntimeName() + " " + version.GetRuntimeVersion()
	status, err := runtime.Status(ctx, &runtimev1.StatusRequest{})
	if err != nil {
		return said, fmt.Errorf("status: %w", err)
	}
	var errs []error
	for _, c := range status.GetStatus().GetConditions() {
		if !c.GetStatus() {
			errs = append(errs, fmt.Errorf("%s is false: %s %s", c.GetType(), c.GetReason(), c.GetMessage()))
		}
	}
	return said, errors.Join(errs...)
}

// subject is the common name of the first certificate in a file.
func (h *health) subject(p state.Probe) (string, error) {
	content, err := readText(h.tree, p.Path)
	if err != nil {
		return "", cause(err)
	}
	for rest := []byte(content); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return "", errors.New("no certificate in it")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", fmt.Errorf("bad certificate: %w", err)
		}
		return certificate.Subject.CommonName, h.serves(certificate, p.Address)
	}
}

// serves is an error when nobody can be served with the certificate at address; without one nobody is.
func (h *health) serves(certificate *x509.Certificate, address string) error {
	switch {
	case address == "":
		return nil
	case certificate.VerifyHostname(address) != nil:
		return fmt.Errorf("not for %s", address)
	case h.now().After(certificate.NotAfter):
		return fmt.Errorf("expired at %s", certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
