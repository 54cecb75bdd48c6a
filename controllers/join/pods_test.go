package join

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	podContainer = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	ownContainer = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// withPods puts a pod's container and an administrator's own on a host that had docker already.
func withPods(t *testing.T, f *hosttest.Fake) {
	t.Helper()
	f.Put("/usr/lib/systemd/system/"+resolve.UnitDocker, state.File{Content: []byte("[Service]\nExecStart=/usr/sbin/dockerd\n")})
	f.SetUnit(resolve.UnitDocker, state.Unit{Enablement: state.Enabled, Activity: state.Active})
	f.RunContainer(podContainer, state.Container{Name: "k8s_web", Kubernetes: true})
	f.RunContainer(ownContainer, state.Container{Name: "own"})
}

func running(t *testing.T, f *hosttest.Fake) []string {
	t.Helper()
	found, err := f.Host().Containers.Running(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(found))
}

func TestLeaveEndsPodsAfterTheirKubeletAndLeavesOtherContainersAlone(t *testing.T) {
	f, _, _ := member(t)
	withPods(t, f)
	f.ForgetJournal()
	n, _ := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := running(t, f); !slices.Equal(got, []string{ownContainer}) {
		t.Errorf("%q run; want the administrator's own alone: with live-restore pods go on without docker", got)
	}
	index := func(part string) int {
		return slices.IndexFunc(f.Journal(), func(call string) bool { return strings.Contains(call, part) })
	}
	kubelet, pod := index(resolve.UnitKubelet+" "+string(host.Stop)), index(podContainer)
	if kubelet < 0 || pod < 0 || kubelet > pod {
		t.Errorf("the kubelet is stopped at %d and the pod at %d, want it first, since it starts pods again:\n%s", kubelet, pod, strings.Join(f.Journal(), "\n"))
	}
}

func TestLeaveLeavesPodsOfAKubeletAloneThatBelongsToAnotherClusterOrGoesOn(t *testing.T) {
	cases := map[string]struct {
		reason  string
		options LeaveOptions
		prepare func(*record)
	}{
		"another cluster's": {"the kubelet had an identity before the host joined", LeaveOptions{}, func(r *record) { r.KubeletHadIdentity = true }},
		"kept":              {"--keep only takes the agent away", LeaveOptions{Keep: true}, func(*record) {}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f, _, _ := member(t)
			withPods(t, f)
			n, _ := node(f)
			rec, err := readRecord(n.Host.Store)
			if err != nil {
				t.Fatal(err)
			}
			tc.prepare(rec)
			if err := rec.write(n.Host.Store); err != nil {
				t.Fatal(err)
			}
			if err := n.Leave(t.Context(), tc.options); err != nil {
				t.Fatal(err)
			}
			if got := running(t, f); len(got) != 2 {
				t.Errorf("%s, but only %q run", tc.reason, got)
			}
		})
	}
}
