package join

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/seed/pki"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	podContainer = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	podSandbox   = "0000000000000000000000000000000000000000000000000000000000000000"
	ownContainer = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// withPods puts a pod's container and an administrator's own on a host that had docker already.
func withPods(t *testing.T, f *hosttest.Fake) {
	t.Helper()
	f.Put("/usr/lib/systemd/system/"+resolve.UnitDocker, state.File{Content: []byte("[Service]\nExecStart=/usr/sbin/dockerd\n")})
	f.SetUnit(resolve.UnitDocker, state.Unit{Enablement: state.Enabled, Activity: state.Active})
	f.RunContainer(podContainer, state.Container{Name: "k8s_web", Kubernetes: true})
	f.RunContainer(podSandbox, state.Container{Name: "k8s_POD_web", Kubernetes: true, Sandbox: true})
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
	if sandbox := index(podSandbox); sandbox < pod {
		t.Errorf("the sandbox is stopped at %d, before its pod at %d, which has its network from it", sandbox, pod)
	}
	if kubelet < 0 || pod < 0 || kubelet > pod {
		t.Errorf("the kubelet is stopped at %d and the pod at %d, want it first, since it starts pods again:\n%s", kubelet, pod, strings.Join(f.Journal(), "\n"))
	}
}

func TestLeaveSaysInTheNodeAsItsKubeletThatItStopped(t *testing.T) {
	f, s, _ := member(t)
	withPods(t, f)
	s.nodes = append(s.nodes, "node-a")
	certifyKubelet(t, f, s, "system:node:node-a")
	n, said := node(f)
	if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"node-a Ready=False NodeLeft, left true"}; !slices.Equal(s.told, want) {
		t.Errorf("the API server was told %q, want %q; it says:\n%s", s.told, want, strings.Join(*said, "\n"))
	}
}

func TestLeaveGoesOnWhenTheNodeCannotBeTold(t *testing.T) {
	cases := map[string]struct {
		prepare func(t *testing.T, f *hosttest.Fake, s *seedServer)
		says    string
	}{
		"refused": {func(t *testing.T, f *hosttest.Fake, s *seedServer) { certifyKubelet(t, f, s, "system:node:node-a") }, "NotFound"},
		"not a node's certificate": {func(t *testing.T, f *hosttest.Fake, s *seedServer) {
			certifyKubelet(t, f, s, "kubelet")
		}, `is for "kubelet", which is no node`},
		"no certificate": {func(t *testing.T, f *hosttest.Fake, s *seedServer) {
			certifyKubelet(t, f, s, "system:node:node-a")
			f.Delete(resolve.PathKubeletClient)
		}, "there is no " + resolve.PathKubeletClient},
		"links that go round": {func(t *testing.T, f *hosttest.Fake, s *seedServer) {
			certifyKubelet(t, f, s, "system:node:node-a")
			f.Put(resolve.PathKubeletClient, state.File{Type: state.Symlink, Target: resolve.PathKubeletClient})
		}, "too many symbolic links"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f, s, _ := member(t)
			withPods(t, f)
			tc.prepare(t, f, s)
			n, said := node(f)
			if err := n.Leave(t.Context(), LeaveOptions{}); err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(*said, "\n"); !strings.Contains(all, "the Node stays") || !strings.Contains(all, tc.says) || !strings.Contains(all, "kubectl delete node node-a") || !strings.Contains(all, "this host has left") {
				t.Errorf("want %q in:\n%s", tc.says, all)
			}
			if got := running(t, f); !slices.Equal(got, []string{ownContainer}) {
				t.Errorf("%q run", got)
			}
		})
	}
}

// certifyKubelet gives the host's kubelet what its bootstrap leaves: a kubeconfig that names a
// certificate behind a symbolic link.
func certifyKubelet(t *testing.T, f *hosttest.Fake, s *seedServer, user string) {
	t.Helper()
	pair, err := s.authority.Issue(pki.Spec{CommonName: user, Usage: pki.Client}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: s.URL, CertificateAuthorityData: s.authority.CertPEM}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {ClientCertificate: resolve.PathKubeletClient, ClientKey: resolve.PathKubeletClient}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	const file = "kubelet-client-2026-02-01-00-00-00.pem"
	f.Put(path.Join(path.Dir(resolve.PathKubeletClient), file), state.File{Content: append(pair.CertPEM, pair.KeyPEM...), Mode: 0o600})
	f.Put(resolve.PathKubeletClient, state.File{Type: state.Symlink, Target: file})
	f.Put(resolve.PathKubeletKubeconfig, state.File{Content: config, Mode: 0o600})
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
			if got := running(t, f); len(got) != 3 {
				t.Errorf("%s, but only %q run", tc.reason, got)
			}
		})
	}
}
