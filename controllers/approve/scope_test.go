package approve_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/approve"
)

func TestAScopeIsReadAsItWasWritten(t *testing.T) {
	expires := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, want := range []approve.Scope{
		{Expires: expires},
		{Labels: map[string]string{"role": "worker", "example.com/rack": ""}, Nodes: []string{"node-a"}, Addresses: []string{"10.64.3.8", "fd00::/64"}, Expires: expires},
	} {
		data, err := want.Data()
		if err != nil {
			t.Fatal(err)
		}
		got, err := approve.ReadScope(data)
		if err != nil {
			t.Fatalf("%v: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v:\n%s", data, diff)
		}
	}
}

func TestABrokenScopeAllowsNothing(t *testing.T) {
	for _, tc := range []struct {
		reason string
		data   map[string]string
		want   string
	}{
		{"no end", map[string]string{"expires": ""}, `data.expires "": not a time: write one such as`},
		{"an end in words", map[string]string{"expires": "tomorrow"}, `data.expires "tomorrow"`},
		{"labels that are not JSON", map[string]string{"labels": "role=worker"}, "data.labels: invalid character"},
		{"labels that no object can have", map[string]string{"labels": `{"a b":"c"}`}, "data.labels: Invalid value"},
		{"nodes that are not a list", map[string]string{"nodes": `"node-a"`}, `write a JSON list of strings, such as ["node-a"]`},
		{"nodes that are nobody, which must not be anybody", map[string]string{"nodes": `[]`}, "data.nodes []: names nobody: leave it out for any name"},
		{"nodes that are null", map[string]string{"nodes": `null`}, "names nobody"},
		{"a name that no node can have", map[string]string{"nodes": `["Node_A"]`}, `data.nodes "Node_A": not a node's name`},
		{"too many names", map[string]string{"nodes": `["a"` + strings.Repeat(`,"a"`, 1000) + `]`}, "data.nodes: 1001 names, more than 1000"},
		{"a host for an address", map[string]string{"addresses": `["node-a"]`}, `data.addresses "node-a": neither an IP address nor a range`},
		{"an address with a zone", map[string]string{"addresses": `["fe80::1%eth0"]`}, "neither an IP address nor a range"},
		{"a range with host bits", map[string]string{"addresses": `["10.64.3.8/26"]`}, "write 10.64.3.0/26 for the range, or 10.64.3.8 for the address"},
		{"too many addresses", map[string]string{"addresses": `["10.0.0.1"` + strings.Repeat(`,"10.0.0.1"`, 16) + `]`}, "data.addresses: 17 of them, more than 16: give a range"},
	} {
		if _, ok := tc.data["expires"]; !ok {
			tc.data["expires"] = "2026-05-01T12:00:00Z"
		}
		_, err := approve.ReadScope(tc.data)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.reason, err, tc.want)
		}
	}
}

func FuzzReadScope(f *testing.F) {
	f.Add(`{"role":"worker"}`, `["node-a"]`, `["10.64.3.0/26"]`, "2026-05-01T12:00:00Z")
	f.Fuzz(func(t *testing.T, labels, nodes, addresses, expires string) {
		s, err := approve.ReadScope(map[string]string{"labels": labels, "nodes": nodes, "addresses": addresses, "expires": expires})
		if err != nil {
			return
		}
		if len(s.Nodes) == 0 {
			t.Errorf("nodes %q became any node", nodes)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("read but not valid: %v", err)
		}
	})
}
