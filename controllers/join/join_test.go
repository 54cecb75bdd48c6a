package join

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func joinedHost(t *testing.T) (*hosttest.Fake, *seedServer, *Node, *[]string) {
	t.Helper()
	f := bare()
	s := newSeed(t, f)
	n, said := node(f)
	if err := n.Join(t.Context(), s.request(t)); err != nil {
		t.Fatal(err)
	}
	return f, s, n, said
}

func TestJoinWritesWhatTheAgentNeedsAndStartsIt(t *testing.T) {
	f, s, _, said := joinedHost(t)
	pair, err := credentials.Store{Files: f.Host().Files, Path: resolve.PathAgentClient}.Current()
	if err != nil {
		t.Fatal(err)
	}
	if !credentials.Agent("node-a").Fits(pair.Leaf) {
		t.Errorf("the certificate is for %s", pair.Leaf.Subject)
	}
	if got := s.csr.Annotations[v1alpha1.MachineIDAnnotation]; got != "0123456789abcdef0123456789abcdef" {
		t.Errorf("the request's machine-id is %q", got)
	}
	for path, mode := range map[string]fs.FileMode{resolve.PathAgentClient: 0o600, resolve.PathAgentKubeconfig: 0o600, unitPath: 0o644, resolve.PathSeedbed: 0o755} {
		file, found := f.File(path)
		if !found || file.Mode != mode {
			t.Errorf("%s: found %v, mode %o; want %o", path, found, file.Mode, mode)
		}
		if strings.Contains(string(file.Content), goodToken) {
			t.Errorf("%s has the token in it", path)
		}
	}
	raw, _ := f.File(resolve.PathAgentKubeconfig)
	config, err := clientcmd.Load(raw.Content)
	if err != nil {
		t.Fatal(err)
	}
	cluster, user := config.Clusters[clusterName], config.AuthInfos[v1alpha1.NodeUser("node-a")]
	if cluster.Server != s.URL || string(cluster.CertificateAuthorityData) != string(s.authority.CertPEM) ||
		user.ClientCertificate != resolve.PathAgentClient || user.ClientKey != resolve.PathAgentClient {
		t.Errorf("the kubeconfig says %+v and %+v", cluster, user)
	}
	if unit := f.Unit(resolve.UnitAgent); unit.Activity != state.Active || unit.Enablement != state.Enabled {
		t.Errorf("the agent is %s and %s", unit.Activity, unit.Enablement)
	}
	for _, job := range f.Jobs(resolve.UnitAgent) {
		if job.Stale {
			t.Error("the agent was started before systemd had read its unit")
		}
	}
	if last := (*said)[len(*said)-1]; last != "node node-a has joined "+s.URL {
		t.Errorf("it ends with %q", last)
	}
	if f.PowerCut().Unit(resolve.UnitAgent).Activity != state.Active {
		t.Error("after a power cut right after the join the agent does not come up")
	}
}

func TestJoinAgainChangesNothingAndSaysSo(t *testing.T) {
	for name, change := range map[string]func(*seedServer){
		"SeedKnowsIt": func(*seedServer) {},
		"SeedAway":    func(s *seedServer) { s.Close() },
		"SeedBroken":  func(s *seedServer) { s.broken = true },
		"SeedStarts":  func(s *seedServer) { s.refusals = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			f, s, n, said := joinedHost(t)
			change(s)
			f.ForgetJournal()
			*said = nil
			if err := n.Join(t.Context(), s.request(t)); err != nil || f.Changes() != 0 {
				t.Errorf("got %v, changes %v", err, f.Journal())
			}
			if len(*said) != 1 || !strings.HasPrefix((*said)[0], "already joined") {
				t.Errorf("it says %q", *said)
			}
		})
	}
}

func TestHostBelongsToOneClusterUnderOneNameWhileItHasItsCredentials(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"OtherURL":  func(r *Request) { r.Server = "https://10.0.0.1:6443" },
		"OtherName": func(r *Request) { r.Node = "node-b" },
		"OtherHash": func(r *Request) { r.pins = pins{goodHash} },
	} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,kept=%v", name, kept), func(t *testing.T) {
				f, s, n, _ := joinedHost(t)
				if kept {
					if err := n.Leave(t.Context(), LeaveOptions{Keep: true}); err != nil {
						t.Fatal(err)
					}
				}
				f.ForgetJournal()
				r := s.request(t)
				change(&r)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // one that is let in waits for ever
				defer cancel()
				err := n.Join(ctx, r)
				if err == nil || !strings.Contains(err.Error(), "this host") || !strings.Contains(err.Error(), "seedbed leave") || f.Changes() != 0 {
					t.Errorf("got %v, changes %v", err, f.Journal())
				}
			})
		}
	}
}

func TestJoinThatFailsSaysWhyAndLeavesNothingBehind(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(f *hosttest.Fake, s *seedServer, n *Node)
		want   string
	}{
		"NotRoot": {"checked before anything else", func(_ *hosttest.Fake, _ *seedServer, n *Node) {
			n.Machine.(*hosttest.Membership).Refuse = errors.New("this changes the system, and needs root: run it with sudo")
		}, "needs root"},
		"AnotherAgent": {"two would undo each other's work", func(_ *hosttest.Fake, _ *seedServer, n *Node) {
			n.Machine.(*hosttest.Membership).Locked = true
		}, "another agent"},
		"NoMachineID": {"the name could not be held against others", func(f *hosttest.Fake, _ *seedServer, _ *Node) {
			f.Put(machineIDFile, state.File{Content: []byte("uninitialized\n")})
		}, "systemd-machine-id-setup"},
		"WrongToken":   {"a typing error, or its time is over", func(_ *hosttest.Fake, s *seedServer, _ *Node) { s.token = "other" }, "token abcdef is wrong or has expired"},
		"TakenName":    {"the manager's own words are shown", func(_ *hosttest.Fake, s *seedServer, _ *Node) { s.deny = "the name node-a is taken" }, "the name node-a is taken"},
		"NotApproved":  {"no manager runs", func(_ *hosttest.Fake, s *seedServer, _ *Node) { s.unsigned = true }, "kubectl get csr seedbed-agent-node-a-x"},
		"SeedAway":     {"nothing listens", func(_ *hosttest.Fake, s *seedServer, _ *Node) { s.Close() }, "no answer from"},
		"ServerBroken": {"the API server only fails", func(_ *hosttest.Fake, s *seedServer, _ *Node) { s.broken = true }, "is the seed up?"},
		"AgentEnds": {"systemd could not keep it up", func(f *hosttest.Fake, _ *seedServer, _ *Node) {
			f.RefuseUnit(resolve.UnitAgent, "failed")
		}, "journalctl -u seedbed-agent.service"},
	} {
		t.Run(name, func(t *testing.T) {
			f := bare()
			s := newSeed(t, f)
			n, _ := node(f)
			c.change(f, s, n)
			before := leftovers(f)
			err := n.Join(givenUp(t, n, "is approved", 100*time.Millisecond), s.request(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v; want one line with %q", c.reason, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), goodToken) {
				t.Errorf("the error has the token in it: %v", err)
			}
			if diff := cmp.Diff(before, leftovers(f)); diff != "" {
				t.Errorf("left behind (-before +after):\n%s", diff)
			}
			if s.node != nil {
				t.Error("its NodeState is left behind")
			}
			if m := n.Machine.(*hosttest.Membership); m.Locked && name != "AnotherAgent" {
				t.Error("the lock is still held")
			}
		})
	}
}

func TestFailureOfAnyStepLeavesNothingBehind(t *testing.T) {
	boom := errors.New("no space left on device")
	for at := 1; at < endless; at++ {
		f := bare()
		s := newSeed(t, f)
		n, _ := node(f)
		before := leftovers(f)
		f.FailAt(at, boom)
		err := n.Join(t.Context(), s.request(t))
		if err == nil {
			if at < 8 {
				t.Fatalf("only %d changing calls: nothing was tested", at-1)
			}
			return
		}
		if !errors.Is(err, boom) {
			t.Errorf("failure at call %d: the cause is lost: %v", at, err)
		}
		if diff := cmp.Diff(before, leftovers(f)); diff != "" {
			t.Errorf("failure at call %d (%s): left behind (-before +after):\n%s", at, f.Journal()[at-1], diff)
		}
		if s.node != nil {
			t.Errorf("failure at call %d: the NodeState is left behind", at)
		}
	}
}

func TestJoinKilledAtAnyMomentIsFinishedByAnotherAndUndoneByLeave(t *testing.T) {
	for at := 1; at < endless; at++ {
		f := bare()
		f.AddSysctl("net.ipv4.ip_forward", "0")
		before := leftovers(f)
		s := newSeed(t, f)
		n, _ := node(f)
		f.KillAt(at, hosttest.After)
		_ = n.Join(t.Context(), s.request(t)) // a dead process reports to nobody
		if !f.Killed() {
			return
		}
		f = f.Restart()
		s.agent = f
		n, _ = node(f)
		if f.Unit(resolve.UnitAgent).Activity == state.Active { // it goes on alone
			converge(t, f)
			s.report()
		}
		kubelet := f.Jobs(resolve.UnitKubelet)
		if err := n.Join(t.Context(), s.request(t)); err != nil {
			t.Errorf("killed at call %d: joining again: %v", at, err)
			continue
		}
		if diff := cmp.Diff(kubelet, f.Jobs(resolve.UnitKubelet)); diff != "" {
			t.Errorf("killed at call %d: joining again touched a kubelet that worked:\n%s", at, diff)
		}
		if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
			t.Errorf("killed at call %d: leaving: %v", at, err)
		}
		if diff := cmp.Diff(before, leftovers(f)); diff != "" {
			t.Errorf("killed at call %d: left behind (-before +after):\n%s", at, diff)
		}
	}
}

func TestWhatTheAgentDidBeforeAJoinFailedIsPutBackToo(t *testing.T) {
	f := bare()
	f.AddSysctl("net.ipv4.ip_forward", "0")
	s := newSeed(t, f)
	s.silent = true
	n, _ := node(f)
	before := leftovers(f)
	n.Host.Units = startHook{n.Host.Units, func() {
		converge(t, f)
		f.SetUnit(resolve.UnitAgent, state.Unit{Enablement: state.Enabled, Activity: state.Failed})
	}}
	if err := n.Join(t.Context(), s.request(t)); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
}

// startHook does something right after the agent was started.
type startHook struct {
	host.Units
	started func()
}

func (u startHook) Do(ctx context.Context, name string, verb host.Verb) error {
	err := u.Units.Do(ctx, name, verb)
	if verb == host.Start {
		u.started()
	}
	return err
}

// givenUp is a context that ends some time after the node has said something: slow machines get there,
// too.
func givenUp(t *testing.T, n *Node, said string, after time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	say := n.Say
	n.Say = func(format string, args ...any) {
		say(format, args...)
		if strings.Contains(format, said) {
			time.AfterFunc(after, func() { cancel(errors.New("--timeout has passed")) })
		}
	}
	return ctx
}

func TestAgentWhoseFirstPassTakesLongIsLeftToIt(t *testing.T) {
	f := bare()
	s := newSeed(t, f)
	s.silent = true
	n, said := node(f)
	if err := n.Join(givenUp(t, n, "waiting for its first report", time.Second), s.request(t)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(*said, "\n"), "its first pass takes long") || f.Unit(resolve.UnitAgent).Activity != state.Active {
		t.Errorf("it says %q, the agent is %s", *said, f.Unit(resolve.UnitAgent).Activity)
	}
}

func TestHostThatLostItsCertificateGetsAnotherOneAndKeepsItsState(t *testing.T) {
	f, s, n, _ := joinedHost(t)
	f.AddSysctl("net.ipv4.ip_forward", "0")
	converge(t, f)
	ledger := string(f.Store(ledgerFile))
	n.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } // the certificate has expired
	if n.validCertificate("node-a") {
		t.Fatal("the certificate is still valid: nothing is tested")
	}
	old, _ := f.File(resolve.PathAgentClient)
	s.date = n.Now()

	s.deny = "not today"
	before := leftovers(f)
	if err := n.Join(t.Context(), s.request(t)); err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(before, leftovers(f)); diff != "" {
		t.Errorf("a renewal that failed changed the host (-before +after):\n%s", diff)
	}

	s.deny, s.named, n.Now, s.date = "", true, time.Now, time.Time{}
	f.Delete(resolve.PathAgentClient)
	if err := n.Join(t.Context(), s.request(t)); err != nil {
		t.Fatal(err)
	}
	if now, found := f.File(resolve.PathAgentClient); !found || string(now.Content) == string(old.Content) {
		t.Error("there is no new certificate")
	}
	if string(f.Store(ledgerFile)) != ledger {
		t.Error("the ledger was changed")
	}
}
