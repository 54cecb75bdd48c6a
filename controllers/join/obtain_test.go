package join

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestJoinThatGivesUpOnItsCertificateNamesWhoIsMissingAndWhatStays(t *testing.T) {
	const removeRequest = "kubectl delete csr seedbed-agent-node-a-x"
	for name, c := range map[string]struct {
		reason      string
		change      func(s *seedServer, n *Node)
		want, stays string
	}{
		"NotApproved": {"no manager runs", func(s *seedServer, _ *Node) { s.unsigned = true }, "was neither approved nor denied in time", removeRequest},
		"NotSigned": {
			"no kube-controller-manager, and a manager without a key", func(s *seedServer, _ *Node) { s.approves = true },
			"was approved, and nobody signed it in time for kubernetes.io/kube-apiserver-client", removeRequest + "; kubectl delete nodestate node-a",
		},
		"SeedFails": {"the API server fails after it was asked", func(s *seedServer, n *Node) {
			say := n.Say
			n.Say = func(format string, args ...any) {
				if strings.HasPrefix(format, "asked") {
					s.mu.Lock()
					s.broken = true
					s.mu.Unlock()
				}
				say(format, args...)
			}
		}, "InternalError", removeRequest},
		"Denied": {"a refused request needs nobody", func(s *seedServer, _ *Node) { s.deny = "not today" }, "not today", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := bare()
			s := newSeed(t, f)
			n, said := node(f)
			c.change(s, n)
			err := n.Join(givenUp(t, n, "is approved", 500*time.Millisecond), s.request(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
			}
			if all := strings.Join(*said, "\n"); strings.Contains(all, "kubectl") != (c.stays != "") || !strings.Contains(all, c.stays) {
				t.Errorf("%s: it says %q, want %q", c.reason, *said, c.stays)
			}
		})
	}
}

func TestJoinThatFailsSaysWhichNodeStateItMayNotDelete(t *testing.T) {
	f := bare()
	s := newSeed(t, f)
	s.late = -1
	n, said := node(f)
	f.FailAt(2, errors.New("no space left on device"))
	if err := n.Join(t.Context(), s.request(t)); err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(strings.Join(*said, "\n"), "an administrator removes it: kubectl delete nodestate node-a") {
		t.Errorf("it says %q", *said)
	}
}
