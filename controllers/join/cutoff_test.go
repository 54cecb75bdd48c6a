package join

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// cutOff is a host whose join died while it waited, and whose agent has done its work since.
func cutOff(t *testing.T) (*hosttest.Fake, *seedServer, *Node, *[]string) {
	t.Helper()
	f, s, n, said := joinedHost(t)
	f.AddSysctl("net.ipv4.ip_forward", "0")
	converge(t, f)
	rec, err := readRecord(n.Host.Store)
	if err != nil {
		t.Fatal(err)
	}
	rec.Joined = false
	if err := rec.write(n.Host.Store); err != nil {
		t.Fatal(err)
	}
	f.ForgetJournal()
	*said = nil
	return f, s, n, said
}

func TestJoinThatWasCutOffWhileItsAgentWentOnIsFinishedWithoutTouchingTheHost(t *testing.T) {
	f, s, n, said := cutOff(t)
	before := leftovers(f)
	for range 2 {
		if err := n.Join(t.Context(), s.request(t)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" || f.Count("store.Write") != f.Changes() {
		t.Errorf("calls %q (-before +after):\n%s", f.Journal(), diff)
	}
	if last := (*said)[len(*said)-1]; !strings.HasPrefix(last, "already joined") {
		t.Errorf("the join was not noted as finished: %q", *said)
	}
}

func TestJoinThatWasCutOffIsUndoneOnlyOnceTheClusterLetsTheHostJoinAgain(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(f *hosttest.Fake, s *seedServer, n *Node, r *Request)
		want   string
	}{
		"NotApproved": {"the agent has reported, so its name is in use", func(_ *hosttest.Fake, s *seedServer, n *Node, _ *Request) {
			n.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } // its certificate has expired
			s.date = n.Now()
		}, "does not let this host join"},
		"AgentDown": {"nothing is sent to a seed that is away", func(f *hosttest.Fake, s *seedServer, _ *Node, _ *Request) {
			f.SetUnit(resolve.UnitAgent, state.Unit{Enablement: state.Enabled, Activity: state.Inactive})
			s.Close()
		}, "no answer from"},
		"OtherCluster": {"a node that works is not taken away from its cluster", func(_ *hosttest.Fake, _ *seedServer, _ *Node, r *Request) {
			r.Server = "https://10.0.0.1:6443"
		}, "already joined"},
		"NoReport": {"the agent cannot report", func(_ *hosttest.Fake, s *seedServer, _ *Node, _ *Request) { s.broken = true }, "nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, n, _ := cutOff(t)
			r := s.request(t)
			c.change(f, s, n, &r)
			before, record := leftovers(f), string(f.Store(recordFile))
			if err := n.Join(givenUp(t, n, "waiting for its first report", 100*time.Millisecond), r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
			}
			if diff := cmp.Diff(before, leftovers(f)); diff != "" || record != string(f.Store(recordFile)) {
				t.Errorf("%s: the host was changed (-before +after):\n%s", c.reason, diff)
			}
		})
	}
}
