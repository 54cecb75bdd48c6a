package render

import (
	"bytes"
	"flag"
	"fmt"
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

var update = flag.Bool("update", false, "write the golden files")

func mustRender(t testing.TB, in resolve.Input) state.Host {
	t.Helper()
	node, err := resolve.Resolve(in)
	if err != nil {
		t.Fatalf("resolve: %v", err)
	}
	host, err := Render(node)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// dump writes a host as text for golden files.
func dump(h state.Host) string {
	var out strings.Builder
	for _, p := range state.SortedKeys(h.Files) {
		f := h.Files[p]
		secret := ""
		if f.Secret {
			secret = " secret"
		}
		fmt.Fprintf(&out, "==> file %s %04o %s:%s %s%s\n%s", p, f.Mode, f.Owner, f.Group, f.Component, secret, f.Content)
		if !bytes.HasSuffix(f.Content, []byte("\n")) {
			out.WriteString("\n(no newline at the end)\n")
		}
	}
	for _, name := range state.SortedKeys(h.Units) {
		u := h.Units[name]
		fmt.Fprintf(&out, "==> unit %s %s %s %s\n", name, u.Enablement, u.Activity, u.Component)
		for _, in := range u.Inputs {
			fmt.Fprintf(&out, "input %s: %s\n", in.Name, in.Disruption)
		}
		for _, need := range u.Needs {
			fmt.Fprintf(&out, "needs %s\n", need)
		}
		for _, path := range u.Awaits {
			fmt.Fprintf(&out, "awaits %s\n", path)
		}
	}
	for _, name := range state.SortedKeys(h.Packages) {
		p := h.Packages[name]
		fmt.Fprintf(&out, "==> package %s %s\n", name, p.Digest())
		for _, need := range p.Needs {
			fmt.Fprintf(&out, "needs %s\n", need)
		}
	}
	for _, path := range state.SortedKeys(h.Binaries) {
		b := h.Binaries[path]
		fmt.Fprintf(&out, "==> binary %s %s from %s\n", path, b.Digest(), b.URL)
	}
	for _, name := range state.SortedKeys(h.Modules) {
		fmt.Fprintf(&out, "==> module %s\n", name)
	}
	for _, name := range state.SortedKeys(h.Sysctls) {
		fmt.Fprintf(&out, "==> sysctl %s = %s\n", name, h.Sysctls[name])
	}
	for _, name := range state.SortedKeys(h.Chains) {
		fmt.Fprintf(&out, "==> chain %s %s\n", name, h.Chains[name].Policy)
	}
	return out.String()
}

func TestRenderIsWhatTheGoldenFilesSay(t *testing.T) {
	for _, name := range resolvetest.Cases {
		t.Run(name, func(t *testing.T) {
			golden(t, name, dump(mustRender(t, resolvetest.Load(t, name))))
		})
	}
}
