package join

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

const kubeletUnit = resolve.UnitFolder + "/" + resolve.UnitKubelet

// converge is what an agent does with a small NodeConfig; its kubelet gets a certificate.
func converge(t *testing.T, f *hosttest.Fake) {
	t.Helper()
	desired := state.New()
	desired.Sysctls["net.ipv4.ip_forward"] = "1"
	desired.Files["/etc/kubernetes/pki/ca.crt"] = state.File{Content: []byte("ca"), Mode: 0o644, Owner: "root", Group: "root"}
	desired.Files[resolve.PathKubeletConfig] = state.File{Content: []byte("config"), Mode: 0o644, Owner: "root", Group: "root"}
	desired.Files[kubeletUnit] = state.File{Content: []byte("[Service]\nExecStart=/usr/bin/kubelet\n[Install]\n"), Mode: 0o644, Owner: "root", Group: "root"}
	desired.Units[resolve.UnitKubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Active}
	h := f.Host()
	book, err := apply.Open(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	p := plan.New(desired, host.Observe(t.Context(), h, desired, book.Ledger()), book.Ledger())
	results, err := apply.Apply(t.Context(), h, book, p, time.Now(), nil)
	if err := errors.Join(err, results.Err()); err != nil {
		t.Fatal(err)
	}
	f.Put("/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem", state.File{Content: []byte("pair"), Mode: 0o600})
	f.Put(resolve.PathKubeletClient, state.File{Type: state.Symlink, Target: "kubelet-client-2026-01-01-00-00-00.pem"})
	f.Put(resolve.PathKubeletKubeconfig, state.File{Content: []byte("kubeconfig"), Mode: 0o600})
}

// member is a joined host whose agent has converged, and what the host was before.
func member(t *testing.T) (f *hosttest.Fake, s *seedServer, before string) {
	t.Helper()
	f = bare()
	f.AddSysctl("net.ipv4.ip_forward", "0")
	f.Put("/var/lib/kubelet/left-by-an-admin", state.File{Content: []byte("x")})
	before = leftovers(f)
	s = newSeed(t, f)
	n, _ := node(f)
	if err := n.Join(t.Context(), s.request(t)); err != nil {
		t.Fatal(err)
	}
	converge(t, f)
	return f, s, before
}

func TestLeaveGivesTheHostBackAndForgetsTheNode(t *testing.T) {
	f, s, before := member(t)
	n, said := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
	if s.node != nil || s.deleted != 1 {
		t.Errorf("the NodeState was deleted %d times", s.deleted)
	}
	if last := (*said)[len(*said)-1]; last != "this host has left" {
		t.Errorf("it says %q", *said)
	}
	f.ForgetJournal()
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil || f.Changes() != 0 {
		t.Errorf("leaving again: %v, changes %v", err, f.Journal())
	}
}

func TestLeaveKilledOrFailedAtAnyMomentIsFinishedByAnother(t *testing.T) {
	boom := errors.New("input/output error")
	for _, kind := range []string{"killed", "failed"} {
		for at := 1; at < endless; at++ {
			f, s, before := member(t)
			n, _ := node(f)
			f.ForgetJournal()
			if kind == "killed" {
				f.KillAt(at, hosttest.After)
			} else {
				f.FailAt(at, boom)
			}
			err := n.Leave(t.Context(), LeaveOptions{})
			if err == nil {
				if at < 10 {
					t.Fatalf("only %d changing calls: nothing was tested", at-1)
				}
				break
			}
			f = f.Restart()
			s.agent = f
			n, _ = node(f)
			if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
				t.Errorf("%s at call %d: leaving again: %v", kind, at, err)
			}
			if diff := cmp.Diff(before, leftovers(f)); diff != "" {
				t.Errorf("%s at call %d: not as before (-before +after):\n%s", kind, at, diff)
			}
			if s.node != nil {
				t.Errorf("%s at call %d: the NodeState is still there", kind, at)
			}
		}
	}
}

func TestLeaveWithoutTheAPIServerChangesNothingUnlessForced(t *testing.T) {
	f, s, before := member(t)
	s.Close()
	n, said := node(f)
	f.ForgetJournal()
	err := n.Leave(t.Context(), LeaveOptions{})
	if err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "kubectl delete nodestate node-a") || !strings.Contains(err.Error(), "--force") {
		t.Errorf("got %v", err)
	}
	if f.Changes() != 0 || f.Unit(resolve.UnitAgent).Activity != state.Active {
		t.Errorf("changes %v", f.Journal())
	}
	if err := n.Leave(t.Context(), LeaveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(*said, "\n"), "an administrator removes it: kubectl delete nodestate node-a") {
		t.Errorf("it says %q", *said)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
}

func TestNodeStateThatIsGoneAlreadyIsNoObstacle(t *testing.T) {
	f, s, before := member(t)
	s.node = nil
	n, _ := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
}

func TestLeaveSaysWhenTheNodeStateIsMadeAgain(t *testing.T) {
	for registration, want := range map[string]string{
		"": "", "node-node-a": "kubectl delete configmap -n seedbed-system node-node-a; kubectl delete nodestate node-a",
	} {
		f, s, _ := member(t)
		s.node.Annotations = map[string]string{v1alpha1.RegistrationAnnotation: registration}
		n, said := node(f)
		if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(*said, "\n"); strings.Contains(all, "is registered with its seed") != (want != "") || !strings.Contains(all, want) {
			t.Errorf("registration %q: it says %q", registration, *said)
		}
	}
}

func TestLeaveOutlastsAnAPIServerThatDoesNotKnowItsGrantsYet(t *testing.T) {
	f, s, before := member(t)
	s.refusals = 5
	n, _ := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" || s.deleted != 1 {
		t.Errorf("the NodeState was deleted %d times; host (-before +after):\n%s", s.deleted, diff)
	}
}

func TestNodeStateThatMayNotBeSeenIsNotTakenForGone(t *testing.T) {
	f, s, before := member(t)
	s.refusals = -1
	n, said := node(f)
	f.ForgetJournal()
	err := n.Leave(t.Context(), LeaveOptions{})
	if err == nil || !strings.Contains(err.Error(), "kubectl get nodestate node-a") || !strings.Contains(err.Error(), "--force") || f.Changes() != 0 {
		t.Errorf("got %v, changes %v", err, f.Journal())
	}
	if err := n.Leave(t.Context(), LeaveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(*said, "\n"), "NodeState node-a stays") {
		t.Errorf("it says %q", *said)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
}

func TestLeaveThatKeepsTheHostTakesOnlyTheAgentAway(t *testing.T) {
	f, s, before := member(t)
	f.Put(resolve.PathKubeProxyClient, state.File{Content: []byte("pair"), Mode: 0o600})
	n, said := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{Keep: true}); err != nil {
		t.Fatal(err)
	}
	if s.node != nil {
		t.Error("the NodeState is still there")
	}
	for path, want := range map[string]bool{
		unitPath: false, resolve.PathAgentClient: false, resolve.PathAgentKubeconfig: false,
		kubeletUnit: true, resolve.PathKubeletClient: true, resolve.PathKubeProxyClient: true, resolve.PathSeedbed: true,
	} {
		if _, found := f.File(path); found != want {
			t.Errorf("%s: found %v, want %v", path, found, want)
		}
	}
	if f.Unit(resolve.UnitKubelet).Activity != state.Active {
		t.Error("the kubelet was stopped")
	}
	if !strings.Contains(strings.Join(*said, "\n"), "nobody renews") {
		t.Errorf("it says %q", *said)
	}
	// A leave without --keep puts the host back later, without the cluster.
	s.Close()
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
}

func TestHostThatWasKeptJoinsAgainAndCanStillBePutBack(t *testing.T) {
	f, s, before := member(t)
	n, _ := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{Keep: true}); err != nil {
		t.Fatal(err)
	}
	kept := leftovers(f)
	s.deny = "not today"
	if err := n.Join(t.Context(), s.request(t)); err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(kept, leftovers(f)); diff != "" {
		t.Errorf("a join that failed changed the host (-before +after):\n%s", diff)
	}
	s.deny = ""
	f.RefuseUnit(resolve.UnitAgent, "failed")
	if err := n.Join(t.Context(), s.request(t)); err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(kept, leftovers(f)); diff != "" {
		t.Errorf("a join that failed late changed the host (-before +after):\n%s", diff)
	}
	f.RefuseUnit(resolve.UnitAgent, "")
	if err := n.Join(t.Context(), s.request(t)); err != nil {
		t.Fatal(err)
	}
	if f.Unit(resolve.UnitKubelet).Activity != state.Active {
		t.Error("the kubelet was stopped")
	}
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
}

func TestKubeletThatHadCredentialsBeforeKeepsThem(t *testing.T) {
	f := bare()
	f.AddSysctl("net.ipv4.ip_forward", "0")
	f.Put(resolve.PathKubeletKubeconfig, state.File{Content: []byte("mine"), Mode: 0o600})
	s := newSeed(t, f)
	n, _ := node(f)
	if err := n.Join(t.Context(), s.request(t)); err != nil {
		t.Fatal(err)
	}
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if file, found := f.File(resolve.PathKubeletKubeconfig); !found || string(file.Content) != "mine" {
		t.Error("the kubelet's own kubeconfig was removed")
	}
}

func TestWhatCannotBePutBackStopsALeaveUnlessForced(t *testing.T) {
	f, s, _ := member(t)
	n, _ := node(f)
	f.FailWhen(func(c hosttest.Call) error {
		if c.Op == "files.Remove" && c.Args == "/etc/kubernetes/pki/ca.crt" {
			return errors.New("operation not permitted")
		}
		return nil
	})
	err := n.Leave(t.Context(), LeaveOptions{})
	if err == nil || !strings.Contains(err.Error(), "operation not permitted") || !strings.Contains(err.Error(), "--force") {
		t.Errorf("got %v", err)
	}
	if s.node == nil || len(f.Store(ledgerFile)) == 0 {
		t.Error("the NodeState or the ledger is gone, and nothing could be finished later")
	}
	if err := n.Leave(t.Context(), LeaveOptions{Force: true}); err != nil {
		t.Errorf("with --force: %v", err)
	}
	if s.node != nil || len(f.StoreNames()) != 0 {
		t.Error("--force did not go on to the end")
	}
}

func TestHostThatNeverJoinedHasNothingToLeave(t *testing.T) {
	f := bare()
	n, said := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil || f.Changes() != 0 || !strings.Contains((*said)[0], "has not joined") {
		t.Errorf("got %v, changes %v, said %q", err, f.Journal(), *said)
	}
	n.Machine.(*hosttest.Membership).Refuse = errors.New("needs root")
	if err := n.Leave(context.Background(), LeaveOptions{}); err == nil {
		t.Error("somebody who is not root may leave")
	}
}
