package join

import (
	"slices"
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
	unnote(t, f)
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

// worked is cutOff a year later: the agent had its assignment, and pods run.
func worked(t *testing.T) (*hosttest.Fake, *seedServer, *Node) {
	t.Helper()
	f, s, n, _ := cutOff(t)
	f.PutStore(assignmentFile, []byte("{}"))
	withPods(t, f)
	s.report()
	f.ForgetJournal()
	return f, s, n
}

func TestNodeThatLostItsAgentLongAfterItsJoinWasCutOffIsRenewedAndItsPodsRunOn(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(f *hosttest.Fake, s *seedServer, n *Node)
	}{
		"CertificateExpired": {"the host was off for too long", func(_ *hosttest.Fake, s *seedServer, n *Node) {
			n.Now = func() time.Time { return time.Now().Add(90 * time.Minute) }
			s.validity, s.date = 2*time.Hour, n.Now()
		}},
		"CertificateLost": {"somebody removed the file", func(f *hosttest.Fake, _ *seedServer, _ *Node) { f.Delete(resolve.PathAgentClient) }},
		"AgentStopped": {"somebody stopped it", func(f *hosttest.Fake, _ *seedServer, _ *Node) {
			f.SetUnit(resolve.UnitAgent, state.Unit{Enablement: state.Enabled, Activity: state.Inactive})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, n := worked(t)
			c.change(f, s, n)
			before, pods, kubelet := without(leftovers(f), resolve.PathAgentClient, resolve.UnitAgent), running(t, f), f.Jobs(resolve.UnitKubelet)
			for _, named := range []bool{false, true} { // refused, and let in
				s.named = named
				if err := n.Join(t.Context(), s.request(t)); (err == nil) != named {
					t.Fatalf("%s, token names the node %v: got %v", c.reason, named, err)
				}
				if diff := cmp.Diff(pods, running(t, f)); diff != "" {
					t.Errorf("%s: pods were ended (-before +after):\n%s", c.reason, diff)
				}
				if diff := cmp.Diff(kubelet, f.Jobs(resolve.UnitKubelet)); diff != "" {
					t.Errorf("%s: the kubelet was touched (-before +after):\n%s", c.reason, diff)
				}
				if diff := cmp.Diff(before, without(leftovers(f), resolve.PathAgentClient, resolve.UnitAgent)); diff != "" {
					t.Errorf("%s: more than the agent's certificate was changed (-before +after):\n%s", c.reason, diff)
				}
			}
			if works, err := n.agentWorks(t.Context(), "node-a"); err != nil || !works {
				t.Errorf("%s: the agent does not work again: %v", c.reason, err)
			}
			if rec, err := readRecord(n.Host.Store); err != nil || !rec.Joined {
				t.Errorf("%s: the record is %+v, %v", c.reason, rec, err)
			}
		})
	}
}

// without is a dump less the lines that have one of the parts in them.
func without(dump string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(dump, "\n"), func(line string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(line, part) })
	}), "\n")
}

func TestNodeWhoseJoinWasCutOffIsNotTakenFromTheClusterWhosePodsItRuns(t *testing.T) {
	f, s, n := worked(t)
	f.SetUnit(resolve.UnitAgent, state.Unit{Enablement: state.Enabled, Activity: state.Inactive})
	f.ForgetJournal()
	r := s.request(t)
	r.Server = "https://10.0.0.1:6443"
	if err := n.Join(t.Context(), r); err == nil || !strings.Contains(err.Error(), "already joined "+s.URL) || f.Changes() != 0 {
		t.Errorf("got %v, changes %q", err, f.Journal())
	}
}
