package join

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What docs/how-to/join-a-node.md says to do, and the errors on the way to it.
func TestNodeWhoseAuthorityWasMadeAnewLeavesAndJoinsAgain(t *testing.T) {
	for name, c := range map[string]struct {
		kept  bool
		leave LeaveOptions
		cure  string
	}{
		"Joined": {false, LeaveOptions{Force: true}, "run `seedbed leave --force`,"},
		"Kept":   {true, LeaveOptions{}, "run `seedbed leave`,"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, before := member(t)
			s.report()
			n, _ := node(f)
			if c.kept {
				if err := n.Leave(t.Context(), LeaveOptions{Keep: true}); err != nil {
					t.Fatal(err)
				}
			}
			s.remake(t)
			f.ForgetJournal()
			err := n.Join(t.Context(), s.request(t))
			if err == nil || !strings.Contains(err.Error(), c.cure) || !strings.Contains(err.Error(), "--nodes node-a") || f.Changes() != 0 {
				t.Errorf("joining with the new hash: %v, changes %q", err, f.Journal())
			}
			if err := n.Leave(t.Context(), LeaveOptions{}); !c.kept && (err == nil || !strings.Contains(err.Error(), "--force") || f.Changes() != 0) {
				t.Errorf("leaving without force: %v, changes %q", err, f.Journal())
			}
			if err := n.Leave(t.Context(), c.leave); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, leftovers(f)); diff != "" {
				t.Errorf("not as before (-before +after):\n%s", diff)
			}
			s.named = true
			if err := n.Join(t.Context(), s.request(t)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(authorityOf(n.Host.Files), s.authority.CertPEM) {
				t.Error("the agent trusts another authority than the new one")
			}
		})
	}
}
