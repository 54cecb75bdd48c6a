package join

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// unnote makes a join one that was cut off before it noted its end.
func unnote(t *testing.T, f *hosttest.Fake) {
	t.Helper()
	store := f.Host().Store
	rec, err := readRecord(store)
	if err != nil {
		t.Fatal(err)
	}
	rec.Joined = false
	if err := rec.write(store); err != nil {
		t.Fatal(err)
	}
}

func TestNodeWhoseNodeStateIsGoneJoinsAgainAndGoesOnAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(f *hosttest.Fake, s *seedServer)
	}{
		"Deleted":    {"by hand, or with the cluster's data", func(*hosttest.Fake, *seedServer) {}},
		"RightsGone": {"a node's rights end with its NodeState", func(_ *hosttest.Fake, s *seedServer) { s.refusals = -1 }},
		"CutOff":     {"nobody noted that it had joined", func(f *hosttest.Fake, _ *seedServer) { unnote(t, f) }},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, _ := member(t)
			f.PutStore(assignmentFile, []byte("{}"))
			withPods(t, f)
			s.node = nil
			c.change(f, s)
			n, said := node(f)
			host := func() string { return without(leftovers(f), resolve.PathAgentClient) }
			before, pods, kubelet, refusals := host(), running(t, f), f.Jobs(resolve.UnitKubelet), s.refusals
			for _, deny := range []string{"not today", ""} {
				s.deny, s.refusals = deny, refusals
				if err := n.Join(t.Context(), s.request(t)); (err == nil) != (deny == "") {
					t.Fatalf("%s, the manager says %q: got %v", c.reason, deny, err)
				}
				if diff := cmp.Diff(before, host()) + cmp.Diff(pods, running(t, f)) + cmp.Diff(kubelet, f.Jobs(resolve.UnitKubelet)); diff != "" {
					t.Errorf("%s, the manager says %q: the node does not go on as it was (-before +after):\n%s", c.reason, deny, diff)
				}
				if (s.node != nil) != (deny == "") || f.Unit(resolve.UnitAgent).Activity != state.Active {
					t.Errorf("%s, the manager says %q: NodeState %v, the agent is %s", c.reason, deny, s.node, f.Unit(resolve.UnitAgent).Activity)
				}
			}
			if all := strings.Join(*said, "\n"); !strings.Contains(all, "has no NodeState node-a any more") || strings.Contains(all, "undoing") {
				t.Errorf("%s: it says %q", c.reason, *said)
			}
			*said = nil
			if err := n.Join(t.Context(), s.request(t)); err != nil || !strings.HasPrefix((*said)[0], "already joined") {
				t.Errorf("%s: joining once more: %v, %q", c.reason, err, *said)
			}
		})
	}
}

func TestAServerThatDoesNotKnowNodeStatesSaysNothingOfOne(t *testing.T) {
	f, s, _ := member(t)
	s.unknown = true
	before := leftovers(f)
	n, said := node(f)
	if err := n.Join(t.Context(), s.request(t)); err != nil || !strings.HasPrefix((*said)[0], "already joined") {
		t.Errorf("joining again: %v, %q", err, *said)
	}
	if err := n.Leave(t.Context(), LeaveOptions{}); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("leaving, which would leave the NodeState behind: %v", err)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("the host was changed (-before +after):\n%s", diff)
	}
}

func TestNodeWhoseNodeStateIsGoneBeforeItsFirstAssignmentJoinsFromTheStart(t *testing.T) {
	f, s, n, said := joinedHost(t)
	unnote(t, f)
	s.node = nil
	if err := n.Join(t.Context(), s.request(t)); err != nil || s.node == nil {
		t.Errorf("NodeState %v, %v", s.node, err)
	}
	if all := strings.Join(*said, "\n"); !strings.Contains(all, "undoing it first") {
		t.Errorf("it says %q", *said)
	}
}
