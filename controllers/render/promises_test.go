package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

func TestSameInputGivesSameBytesInAnyOrder(t *testing.T) {
	for _, name := range resolvetest.Cases {
		want := dump(mustRender(t, resolvetest.Load(t, name)))
		for seed := range uint64(10) {
			in := resolvetest.Load(t, name)
			r := rand.New(rand.NewPCG(seed, 0))
			shuffle(r, in.Facts.Interfaces)
			shuffle(r, in.Facts.Routes)
			shuffle(r, in.Facts.Components)
			spec := &in.Revision.Node
			shuffle(r, spec.KernelModules)
			shuffle(r, spec.Files)
			shuffle(r, spec.Units)
			for i := range spec.Units {
				shuffle(r, spec.Units[i].DropIns)
			}
			if spec.Docker != nil {
				shuffle(r, spec.Docker.Registries)
			}
			if diff := cmp.Diff(want, dump(mustRender(t, in))); diff != "" {
				t.Fatalf("%s, seed %d: lists whose order means nothing change the bytes\n%s", name, seed, diff)
			}
		}
	}
}

func shuffle[T any](r *rand.Rand, list []T) {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func TestNoSecretIsOutsideFilesMarkedSecret(t *testing.T) {
	host := mustRender(t, resolvetest.Load(t, "full"))
	_, etcdKey := resolvetest.Pair(t, 2)
	_, servingKey := resolvetest.Pair(t, 3)
	for what, secret := range map[string]string{
		"bootstrap token": resolvetest.Token, "proxy": "canary-proxy", "registry login": resolvetest.RegistryAuth,
		"registry password": "canary-password", "identity token": resolvetest.IdentityToken, "file": strings.TrimSpace(resolvetest.FileSecret),
		"etcd key": keyLine(etcdKey), "serving key": keyLine(servingKey),
	} {
		found := 0
		for p, f := range host.Files {
			if !bytes.Contains(f.Content, []byte(secret)) {
				continue
			}
			found++
			if !f.Secret || f.Mode&0o077 != 0 {
				t.Errorf("%s is in %s, secret %v, mode %04o", what, p, f.Secret, f.Mode)
			}
		}
		if found == 0 && what != "registry password" {
			t.Errorf("%s is nowhere", what)
		}
		rest := host
		rest.Files = nil
		if strings.Contains(fmt.Sprintf("%+v", rest), secret) {
			t.Errorf("%s is in a unit, sysctl, module or chain", what)
		}
	}
}

func keyLine(pem string) string { return strings.Split(pem, "\n")[1] }

// TestAChangeDisturbsOnlyWhoReadsIt changes one thing and looks at the inputs that differ.
func TestAChangeDisturbsOnlyWhoReadsIt(t *testing.T) {
	type change = func(*testing.T, *resolve.Input)
	node := func(f func(*v1alpha1.NodeConfigSpec)) change {
		return func(_ *testing.T, in *resolve.Input) { f(&in.Revision.Node) }
	}
	secret := func(name, key, content string) change {
		return func(t *testing.T, in *resolve.Input) {
			t.Helper()
			secrets := resolvetest.Secrets(t)
			secrets[v1alpha1.SecretKeyReference{Name: name, Key: key}] = state.NewSensitive([]byte(content))
			in.Secrets = resolve.NewSecrets(secrets)
		}
	}
	daemon := func(from, to string) change {
		return node(func(n *v1alpha1.NodeConfigSpec) {
			n.Docker.DaemonConfig = &runtime.RawExtension{Raw: bytes.Replace(n.Docker.DaemonConfig.Raw, []byte(from), []byte(to), 1)}
		})
	}
	otherCA, _ := resolvetest.Pair(t, 9)
	live, rest := resolve.PathDaemonJSON+" (keys that dockerd reloads): Reload", resolve.PathDaemonJSON+" (keys that need a restart): Restart"
	lasting := resolve.PathDaemonJSON + " (keys that containers do not outlive): Recreate"
	cases := map[string]struct {
		reason string
		change change
		want   []string
	}{
		"Downloads":   {"dockerd reloads it", node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.MaxConcurrentDownloads = new(int32(9)) }), []string{"docker.service " + live}},
		"LastMirror":  {"the list stays, empty, so that a reload notices", node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.RegistryMirrors = nil }), []string{"docker.service " + live}},
		"DebugOff":    {"dockerd reloads a value that changes", daemon(`"debug":true`, `"debug":false`), []string{"docker.service " + live}},
		"Insecure":    {"dockerd keeps the old value of this key when it is gone", daemon(`"insecure-registries":["10.0.0.0/8"],`, ``), []string{"docker.service " + live, "docker.service " + rest}},
		"Storage":     {"only a restart changes the storage driver", daemon("overlay2", "btrfs"), []string{"docker.service " + lasting}},
		"DataRoot":    {"only a restart moves the data", node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.DataRoot = new("/data/other") }), []string{"docker.service " + lasting}},
		"Proxy":       {"the environment is read at the start", secret("proxy", "url", "http://other.example.com:3128"), []string{"docker.service " + resolve.PathDockerProxyEnv + ": Restart"}},
		"RegistryCA":  {"dockerd reads certs.d at each pull", secret("registry", "ca.crt", otherCA), nil},
		"Login":       {"credentials are read at each pull", secret("registry-login-2", ".dockerconfigjson", `{"auths":{"registry.example.com":{"auth":"YTpi"}}}`), nil},
		"Token":       {"the token is used once, before there is a kubeconfig", secret("bootstrap", "token", "abcdef.0123456789abcdef"), nil},
		"ClientCA":    {"the kubelet follows its client CA", secret("client-ca", "ca.crt", otherCA), nil},
		"ClusterCA":   {"what verifies the API server is read at the start", secret("cluster-ca", "ca.crt", otherCA), []string{"kube-proxy.service " + resolve.PathClusterCA + ": Restart", "kubelet.service " + resolve.PathClusterCA + ": Restart"}},
		"MaxPods":     {"the kubelet's alone", node(func(n *v1alpha1.NodeConfigSpec) { n.Kubelet.MaxPods = new(int32(61)) }), []string{"kubelet.service " + resolve.PathKubeletConfig + ": Restart"}},
		"Labels":      {"the manager labels the Node", node(func(n *v1alpha1.NodeConfigSpec) { n.Node.Labels["disk"] = "hdd" }), nil},
		"Conntrack":   {"kube-proxy's alone", node(func(n *v1alpha1.NodeConfigSpec) { n.KubeProxy.Conntrack.Min = new(int32(5)) }), []string{"kube-proxy.service " + resolve.PathKubeProxyConfig + ": Restart"}},
		"LogLevel":    {"flannel's alone: docker stays up", node(func(n *v1alpha1.NodeConfigSpec) { n.Flannel.LogLevel = 5 }), []string{"flanneld.service /etc/systemd/system/flanneld.service.d/zz-seedbed.conf: Restart"}},
		"PauseImage":  {"cri-dockerd's alone", node(func(n *v1alpha1.NodeConfigSpec) { n.CRIDockerd.PodInfraImage = new("example.com/pause:1") }), []string{"cri-docker.service /etc/systemd/system/cri-docker.service.d/zz-seedbed.conf: Restart"}},
		"Sysctl":      {"no unit reads it", node(func(n *v1alpha1.NodeConfigSpec) { n.Sysctls["net.core.somaxconn"] = "1024" }), nil},
		"File":        {"no unit reads it", node(func(n *v1alpha1.NodeConfigSpec) { n.Files[0].Contents = new("other") }), nil},
		"UserDropIn":  {"that unit alone", node(func(n *v1alpha1.NodeConfigSpec) { n.Units[0].DropIns[0].Contents = "[Service]\nNice=6\n" }), []string{"example.service /etc/systemd/system/example.service.d/20-b.conf: Restart"}},
		"CgroupSplit": {"docker's, and the kubelet follows (SB028)", node(func(n *v1alpha1.NodeConfigSpec) { n.Docker.CgroupDriver = new(v1alpha1.CgroupDriverSystemd) }), []string{"docker.service " + lasting, "kubelet.service " + resolve.PathKubeletConfig + ": Restart"}},
	}
	before := inputsOf(mustRender(t, resolvetest.Load(t, "full")))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := resolvetest.Load(t, "full")
			// Compact the JSON, so that the cases can replace text in it.
			var compact bytes.Buffer
			if err := json.Compact(&compact, in.Revision.Node.Docker.DaemonConfig.Raw); err != nil {
				t.Fatal(err)
			}
			in.Revision.Node.Docker.DaemonConfig.Raw = compact.Bytes()
			tc.change(t, &in)
			after := inputsOf(mustRender(t, in))
			var changed []string
			for key, hash := range after {
				if before[key] != hash {
					changed = append(changed, key)
				}
			}
			slices.Sort(changed)
			if diff := cmp.Diff(tc.want, changed); diff != "" || len(before) != len(after) {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

// inputsOf maps "unit input: disruption" to its hash.
func inputsOf(h state.Host) map[string]string {
	all := map[string]string{}
	for name, u := range h.Units {
		for _, in := range u.Inputs {
			all[fmt.Sprintf("%s %s: %s", name, in.Name, in.Disruption)] = in.Hash
		}
	}
	return all
}

func TestAUserCanTakeNoPathOrUnitOfSeedbeds(t *testing.T) {
	for _, name := range resolvetest.Cases {
		host := mustRender(t, resolvetest.Load(t, name))
		for p, f := range host.Files {
			if f.Component == state.ComponentUser {
				continue
			}
			in := resolvetest.Load(t, name)
			in.Revision.Node.Files = []v1alpha1.File{{Path: p, Contents: new("mine")}}
			if _, err := resolve.Resolve(in); err == nil {
				t.Errorf("a file of a user's at %s is not refused", p)
			}
		}
		for u, unit := range host.Units {
			if unit.Component == state.ComponentUser {
				continue
			}
			in := resolvetest.Load(t, name)
			in.Revision.Node.Units = []v1alpha1.Unit{{Name: u, DropIns: []v1alpha1.DropIn{{Name: "99.conf", Contents: "[Service]\nExecStart=\n"}}}}
			if _, err := resolve.Resolve(in); err == nil {
				t.Errorf("a unit of a user's named %s is not refused", u)
			}
		}
	}
}

func TestTwoRenderersCannotWriteOneResource(t *testing.T) {
	part := state.New()
	part.Files["/etc/x"] = state.File{}
	part.Sysctls["a.b"] = "1"
	if err := merge(state.New(), part); err != nil {
		t.Errorf("an empty host takes any part: %v", err)
	}
	for _, edit := range []func(state.Host){
		func(h state.Host) { h.Files["/etc/x"] = state.File{} },
		func(h state.Host) { h.Sysctls["a.b"] = "1" },
	} {
		host := state.New()
		edit(host)
		if err := merge(host, part); err == nil || !strings.Contains(err.Error(), "already rendered") {
			t.Errorf("want a collision, got %v", err)
		}
	}
}

func TestAMissingServingCertificateIsAFaultWhereTheClusterIsAskedForOne(t *testing.T) {
	asked := 0
	for _, name := range resolvetest.Cases {
		in := resolvetest.Load(t, name)
		host := mustRender(t, in)
		content := host.Files[resolve.PathKubeletConfig].Content
		probe, probed := host.Probes["kubelet serving certificate"]
		if asks := bytes.Contains(content, []byte("serverTLSBootstrap: true")); asks != probed {
			t.Errorf("%s: the kubelet asks for a serving certificate: %t, and it is looked for: %t", name, asks, probed)
		}
		if !probed {
			continue
		}
		asked++
		if cure := fmt.Sprintf(`kubectl patch nodestate %s --type merge -p '{"spec":{"addresses":[%q]}}'`, in.NodeName, probe.Address); !strings.Contains(probe.Cure, cure) {
			t.Errorf("%s: want %s in %s", name, cure, probe.Cure)
		}
	}
	if asked == 0 || asked == len(resolvetest.Cases) {
		t.Errorf("%d of %d cases ask for one", asked, len(resolvetest.Cases))
	}
}

func TestPlaceholdersNameTheSecretTheyStandFor(t *testing.T) {
	in := resolvetest.Load(t, "full")
	in.Secrets = resolve.Placeholders()
	host := mustRender(t, in)
	for p, want := range map[string]string{
		resolve.PathClusterCA:         "placeholder for key ca.crt of Secret cluster-ca",
		resolve.PathKubeletServingKey: "placeholder for key tls.key of Secret serving",
		resolve.PathKubeletBootstrap:  "placeholder for key token of Secret bootstrap",
		resolve.PathDockerProxyEnv:    "placeholder for key url of Secret proxy",
	} {
		if !bytes.Contains(host.Files[p].Content, []byte(want)) {
			t.Errorf("%s: want %q in\n%s", p, want, host.Files[p].Content)
		}
	}
	read(t, host)
}

func TestDockersOptionsWaitForALeaseFromWhenFlanneldCanBeginAndNotForItsStartToFail(t *testing.T) {
	for _, name := range []string{"minimal", "guide", "full"} {
		host := mustRender(t, resolvetest.Load(t, name))
		unit := host.Files[unitPath(resolve.UnitDockerOpts, "")].Content
		for _, line := range []string{"\nAfter=network-online.target\n", "\nWants=network-online.target flanneld.service\n"} {
			if !bytes.Contains(unit, []byte(line)) {
				t.Errorf("%s: want %q, without which its patience is over before flanneld begins:\n%s", name, line, unit)
			}
		}
		for line := range bytes.Lines(unit) {
			if bytes.HasPrefix(line, []byte("After=")) && bytes.Contains(line, []byte(resolve.UnitFlannel)) {
				t.Errorf("%s: %s: after a boot without the seed docker waits until flanneld's start has failed", name, line)
			}
		}
	}
}

func TestFlannelMasqueradesSoThatDockerDoesNot(t *testing.T) {
	for _, name := range []string{"minimal", "guide", "full"} {
		c := read(t, mustRender(t, resolvetest.Load(t, name)))
		if argv := c.argv[resolve.UnitFlannel]; !slices.Contains(argv, "--ip-masq=true") || slices.Contains(argv, "-ip-masq") {
			t.Errorf("%s: flanneld has %q; want --ip-masq=true once", name, argv)
		}
		if argv := c.argv[resolve.UnitDocker]; slices.Contains(argv, "--iptables=false") || c.daemon["iptables"] != nil {
			t.Errorf("%s: docker's iptables are touched, which publish the host ports of pods (SB016)", name)
		}
	}
}

func TestOurDropInIsReadAfterThoseOfAdministrators(t *testing.T) {
	for _, theirs := range []string{"override.conf", "99-local.conf", "10-x.conf", "http-proxy.conf"} {
		if theirs >= resolve.DropInName {
			t.Errorf("%s is read after %s and could undo its ExecStart=", theirs, resolve.DropInName)
		}
	}
}
