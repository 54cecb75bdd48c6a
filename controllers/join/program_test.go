package join

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func TestProgramThatWasThereBeforeComesBackAndOneThatWasNotGoes(t *testing.T) {
	for name, change := range map[string]func(*hosttest.Fake){
		"older": func(*hosttest.Fake) {},
		"link": func(f *hosttest.Fake) {
			f.Put(resolve.PathSeedbed, state.File{Type: state.Symlink, Target: "/opt/seedbed"})
		},
		"none":    func(f *hosttest.Fake) { f.Delete(resolve.PathSeedbed) },
		"ours":    func(f *hosttest.Fake) { _, _ = f.Membership().InstallProgram(resolve.PathSeedbed) },
		"renewed": nil, // an older one, that joins twice with newer ones
	} {
		t.Run(name, func(t *testing.T) {
			f := bare()
			if change != nil {
				change(f)
			}
			before := leftovers(f)
			s := newSeed(t, f)
			s.named = true
			n, _ := node(f)
			if err := n.Join(t.Context(), s.request(t)); err != nil {
				t.Fatal(err)
			}
			if change == nil {
				f.Put(resolve.PathSeedbed, state.File{Content: []byte("a release between"), Mode: 0o755})
				f.Delete(resolve.PathAgentClient)
				if err := n.Join(t.Context(), s.request(t)); err != nil {
					t.Fatal(err)
				}
			}
			if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, leftovers(f)); diff != "" {
				t.Errorf("not as before (-before +after):\n%s", diff)
			}
		})
	}
}

func TestForceLeavesWithADamagedRecordAndSaysWhatStays(t *testing.T) {
	f, s, _ := member(t)
	n, said := node(f)
	if err := n.Host.Store.Write(recordFile, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if err := n.Leave(t.Context(), LeaveOptions{}); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("got %v", err)
	}
	if err := n.Leave(t.Context(), LeaveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		unitPath: false, resolve.PathAgentClient: false, kubeletUnit: false, resolve.PathSeedbed: true, resolve.PathKubeletKubeconfig: true,
	} {
		if _, found := f.File(path); found != want {
			t.Errorf("%s: found %v, want %v", path, found, want)
		}
	}
	if s.node != nil || len(f.StoreNames()) != 0 {
		t.Errorf("the NodeState is there: %v, state %v", s.node != nil, f.StoreNames())
	}
	if !strings.Contains(strings.Join(*said, "\n"), resolve.PathSeedbed+", credentials of the kubelet") {
		t.Errorf("it says %q", *said)
	}
}

func TestUnitThatAnAdministratorWroteStays(t *testing.T) {
	f := bare()
	f.Put(unitPath, state.File{Content: []byte("[Service]\nExecStart=/usr/local/bin/seedbed agent\n"), Mode: 0o644})
	n, _ := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, found := f.File(unitPath); !found {
		t.Error("it was removed")
	}
}
