package join

import (
	"errors"
	"strings"
	"testing"
)

const (
	goodToken = "abcdef.0123456789abcdef"
	goodURL   = "https://10.64.3.7:6443"
)

var goodHash = "sha256:" + strings.Repeat("ab", 32)

func TestArgumentsAreCheckedAndRefusedWithTheirNameAndACure(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(*Arguments)
		// want is in the error; empty for arguments that are fine.
		want string
	}{
		"AsPrinted":     {"what `seedbed seed token create` prints is taken", func(*Arguments) {}, ""},
		"NoPort":        {"a load balancer may listen on 443", func(a *Arguments) { a.URL = "https://api.example.com" }, ""},
		"Slash":         {"a URL that was copied from a browser", func(a *Arguments) { a.URL += "/" }, ""},
		"IPv6":          {"an address in brackets", func(a *Arguments) { a.URL = "https://[fd00::1]:6443" }, ""},
		"UpperHash":     {"hexadecimal digits have no case", func(a *Arguments) { a.Hashes[0] = "sha256:" + strings.Repeat("AB", 32) }, ""},
		"TwoHashes":     {"an authority that is being replaced", func(a *Arguments) { a.Hashes = append(a.Hashes, "sha256:"+strings.Repeat("cd", 32)) }, ""},
		"HostInCapital": {"the host's name is taken in lower case", func(a *Arguments) { a.HostName = "NODE-A" }, ""},
		"NoScheme":      {"what kubeadm takes", func(a *Arguments) { a.URL = "10.64.3.7:6443" }, "URL"},
		"HTTP":          {"nothing could be verified", func(a *Arguments) { a.URL = "http://10.64.3.7:8080" }, "https"},
		"Path":          {"the agent's own paths follow the host", func(a *Arguments) { a.URL += "/api" }, "more than a host and a port"},
		"Password":      {"it would end up in the agent's kubeconfig", func(a *Arguments) { a.URL = "https://me:secret@10.64.3.7" }, "more than a host"},
		"NoURL":         {"nothing given", func(a *Arguments) { a.URL = "" }, "URL"},
		"TokenID":       {"half of a token", func(a *Arguments) { a.Token = "abcdef" }, "--token"},
		"TokenCase":     {"tokens are in lower case", func(a *Arguments) { a.Token = "ABCDEF.0123456789abcdef" }, "--token"},
		"TokenLine":     {"a second line would be a second header", func(a *Arguments) { a.Token = goodToken + "\nx: y" }, "--token"},
		"NoHash":        {"the server could be anybody", func(a *Arguments) { a.Hashes = nil }, "--ca-cert-hash"},
		"HashOfFile":    {"the output of sha256sum", func(a *Arguments) { a.Hashes[0] = strings.Repeat("ab", 32) }, "--ca-cert-hash"},
		"ShortHash":     {"a hash that was cut off", func(a *Arguments) { a.Hashes[0] = "sha256:ab" }, "--ca-cert-hash"},
		"NodeDots":      {"a name with dots is no label", func(a *Arguments) { a.NodeName = "node.example.com" }, "--node-name"},
		"HostDots":      {"a host's full name is no default", func(a *Arguments) { a.HostName = "node.example.com" }, "the host's name"},
		"NodeUnit":      {"a name that would be a second argument in the unit", func(a *Arguments) { a.NodeName = "a --facts x" }, "--node-name"},
	} {
		t.Run(name, func(t *testing.T) {
			a := Arguments{URL: goodURL, Token: goodToken, Hashes: []string{goodHash}, HostName: "node-a"}
			c.change(&a)
			r, err := a.Check()
			if c.want == "" {
				if err != nil || !strings.HasPrefix(r.Server, "https://") || strings.HasSuffix(r.Server, "/") || r.Node != "node-a" {
					t.Errorf("%s: got %+v, %v", c.reason, r, err)
				}
				return
			}
			var problem *Problem
			if !errors.As(err, &problem) || !strings.Contains(problem.What, c.want) || problem.Cure == "" {
				t.Errorf("%s: got %v; want a problem with %q and a cure", c.reason, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "0123456789abcdef") || strings.Contains(err.Error(), "secret@")) {
				t.Errorf("the error has a secret in it: %v", err)
			}
		})
	}
}

func TestErrorsOfTheURLShowNoPassword(t *testing.T) {
	_, err := Arguments{URL: "https://me:hunter2@10.64.3.7", Token: goodToken, Hashes: []string{goodHash}, HostName: "a"}.Check()
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
