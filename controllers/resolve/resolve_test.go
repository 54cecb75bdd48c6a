package resolve_test

import (
	"errors"
	"fmt"
	"net/netip"
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

func raw(json string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(json)} }

// component edits the facts of one component.
func component(in *resolve.Input, name v1alpha1.ComponentName, edit func(*v1alpha1.ComponentFacts)) {
	for i := range in.Facts.Components {
		if in.Facts.Components[i].Name == name {
			edit(&in.Facts.Components[i])
		}
	}
}

func version(name v1alpha1.ComponentName, v string) func(*testing.T, *resolve.Input) {
	return func(_ *testing.T, in *resolve.Input) {
		component(in, name, func(c *v1alpha1.ComponentFacts) { c.Version = v })
	}
}

func node(edit func(*v1alpha1.NodeConfigSpec)) func(*testing.T, *resolve.Input) {
	return func(_ *testing.T, in *resolve.Input) { edit(&in.Revision.Node) }
}

func network(edit func(*v1alpha1.NetworkConfigSpec)) func(*testing.T, *resolve.Input) {
	return func(_ *testing.T, in *resolve.Input) { edit(&in.Revision.Network) }
}

func facts(edit func(*v1alpha1.Facts)) func(*testing.T, *resolve.Input) {
	return func(_ *testing.T, in *resolve.Input) { edit(&in.Facts) }
}

func secret(name, key, content string) func(*testing.T, *resolve.Input) {
	return func(t *testing.T, in *resolve.Input) {
		t.Helper()
		secrets := resolvetest.Secrets(t)
		secrets[v1alpha1.SecretKeyReference{Name: name, Key: key}] = state.NewSensitive([]byte(content))
		in.Secrets = resolve.NewSecrets(secrets)
	}
}

func both(edits ...func(*testing.T, *resolve.Input)) func(*testing.T, *resolve.Input) {
	return func(t *testing.T, in *resolve.Input) {
		t.Helper()
		for _, edit := range edits {
			edit(t, in)
		}
	}
}

// refusal is one edit of a good input and what must be said of it.
type refusal struct {
	reason string
	edit   func(*testing.T, *resolve.Input)
	// condition is the reason of the error; Invalid if empty.
	condition string
	field     string
	message   string
}

func refuse(t *testing.T, base string, cases map[string]refusal) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := resolvetest.Load(t, base)
			if _, err := resolve.Resolve(in); err != nil {
				t.Fatalf("the case is refused as it is: %v", err)
			}
			tc.edit(t, &in)
			got, err := resolve.Resolve(in)
			var all resolve.Errors
			if !errors.As(err, &all) {
				t.Fatalf("%s: want an error at %s, got %v", tc.reason, tc.field, err)
			}
			if diff := cmp.Diff(resolve.Node{}.Name, got.Name); diff != "" {
				t.Errorf("a node comes with an error: %s", diff)
			}
			condition := tc.condition
			if condition == "" {
				condition = v1alpha1.ReasonInvalid
			}
			if !slices.ContainsFunc(all, func(e *resolve.Error) bool {
				return e.Field == tc.field && e.Reason == condition && strings.Contains(e.Error(), tc.message)
			}) {
				t.Errorf("%s: want %s at %s with %q, got\n%v", tc.reason, condition, tc.field, tc.message, err)
			}
		})
	}
}

func TestResolveAppliesTheDocumentedDefaults(t *testing.T) {
	got, err := resolve.Resolve(resolvetest.Load(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	type defaults struct {
		IP, Interface                    string
		SubnetLength                     int
		Backend                          resolve.Backend
		Masquerade, Hairpin, Forward     string
		Downloads                        int32
		LiveRestore, IPForward, Rotate   bool
		Cgroup, LogDriver, DataRoot      string
		LogOptions                       map[string]string
		Pause                            string
		MaxPods, PerCore, ConntrackMin   int32
		Mode, KubeletBind, KubeProxyBind string
		Established                      string
		Modules                          []string
		Sysctls                          map[string]string
	}
	want := defaults{
		IP: "198.51.100.20", Interface: "enp1s0", SubnetLength: 24,
		Backend:    resolve.Backend{Type: "VXLAN", VNI: 1, Port: 8472, PodMTU: 1450},
		Masquerade: "ClusterCIDR", Hairpin: "HairpinVeth", Forward: "ACCEPT",
		Downloads: 3, LiveRestore: true, IPForward: true, Rotate: true, Cgroup: "systemd", LogDriver: "json-file", DataRoot: "/var/lib/docker",
		LogOptions: map[string]string{"max-size": "100m", "max-file": "3"}, Pause: "registry.k8s.io/pause:3.10",
		MaxPods: 110, PerCore: 32768, ConntrackMin: 131072, Mode: "IPTables", KubeletBind: "198.51.100.20", KubeProxyBind: "198.51.100.20",
		Established: "24h0m0s", Modules: []string{"br_netfilter", "overlay"},
		Sysctls: map[string]string{"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"},
	}
	have := defaults{
		IP: got.IP.String(), Interface: got.Interface, SubnetLength: got.Network.PodSubnetLength, Backend: got.Network.Backend,
		Masquerade: string(got.Network.Masquerade), Hairpin: string(got.Network.Hairpin), Forward: got.System.ForwardPolicy,
		Downloads: got.Docker.MaxConcurrentDownloads, LiveRestore: got.Docker.LiveRestore, IPForward: got.Docker.IPForward, Rotate: got.Kubelet.RotateServing,
		Cgroup: string(got.Docker.CgroupDriver), LogDriver: got.Docker.LogDriver, DataRoot: got.Docker.DataRoot, LogOptions: got.Docker.LogOptions,
		Pause: got.CRIDockerd.PodInfraImage, MaxPods: got.Kubelet.MaxPods, PerCore: got.KubeProxy.ConntrackMaxPerCore,
		ConntrackMin: got.KubeProxy.ConntrackMin, Mode: string(got.KubeProxy.Mode), KubeletBind: got.Kubelet.Address.String(),
		KubeProxyBind: got.KubeProxy.BindAddress.String(), Established: got.KubeProxy.ConntrackEstablishedExpiry.String(),
		Modules: got.System.Modules, Sysctls: got.System.Sysctls,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.Network.DNS != nil || got.Flannel.Etcd != nil || got.Docker.Proxy != nil || got.Kubelet.Serving != nil || got.Kubelet.FailCgroupV1 != nil {
		t.Errorf("what is off by default is on: %+v", got)
	}
}

func TestOneCertificateIsServedWith(t *testing.T) {
	ref := &v1alpha1.SecretKeyReference{Name: "serving", Key: "tls.crt"}
	key := &v1alpha1.SecretKeyReference{Name: "serving", Key: "tls.key"}
	for name, tc := range map[string]struct {
		reason        string
		serving       *v1alpha1.KubeletServing
		rotate, given bool
		refuse        bool
	}{
		"None":         {"the cluster's, since an API server may trust no other", nil, true, false, false},
		"Empty":        {"an object that a parent's fields are merged into", &v1alpha1.KubeletServing{}, true, false, false},
		"Rotate":       {"the default in words", &v1alpha1.KubeletServing{Rotate: new(true)}, true, false, false},
		"SelfSigned":   {"only when it is asked for", &v1alpha1.KubeletServing{Rotate: new(false)}, false, false, false},
		"Given":        {"the user's own", &v1alpha1.KubeletServing{CertSecretRef: ref, KeySecretRef: key}, false, true, false},
		"GivenInWords": {"the user's own", &v1alpha1.KubeletServing{Rotate: new(false), CertSecretRef: ref, KeySecretRef: key}, false, true, false},
		"Both":         {"two certificates", &v1alpha1.KubeletServing{Rotate: new(true), CertSecretRef: ref, KeySecretRef: key}, false, false, true},
		"Half":         {"a certificate without its key", &v1alpha1.KubeletServing{CertSecretRef: ref}, false, false, true},
	} {
		in := resolvetest.Load(t, "full")
		in.Revision.Node.Kubelet.Serving = tc.serving
		got, err := resolve.Resolve(in)
		if (err != nil) != tc.refuse {
			t.Errorf("%s: %s: %v", name, tc.reason, err)
		}
		if err == nil && (got.Kubelet.RotateServing != tc.rotate || (got.Kubelet.Serving != nil) != tc.given) {
			t.Errorf("%s: %s: rotate %t, given %t", name, tc.reason, got.Kubelet.RotateServing, got.Kubelet.Serving != nil)
		}
	}
}

func TestInterfaceIsChosenOrRefusedNeverGuessed(t *testing.T) {
	selector := func(s v1alpha1.InterfaceSelector) func(*testing.T, *resolve.Input) {
		return network(func(n *v1alpha1.NetworkConfigSpec) { n.Interface = s })
	}
	second := facts(func(f *v1alpha1.Facts) {
		f.Interfaces[1].Addresses = append(f.Interfaces[1].Addresses, "10.64.3.9/26", "10.99.0.1/24")
	})
	route := func(dst, iface string, metric int32) func(*testing.T, *resolve.Input) {
		return facts(func(f *v1alpha1.Facts) {
			f.Routes = append(f.Routes, v1alpha1.RouteFacts{Destination: dst, Interface: iface, Metric: metric})
		})
	}
	cases := map[string]struct {
		reason string
		edit   func(*testing.T, *resolve.Input)
		iface  string
		ip     string
		refuse string
	}{
		"Name":              {"by its name", selector(v1alpha1.InterfaceSelector{Name: new("eth4")}), "eth4", "10.64.3.8", ""},
		"NameNone":          {"there is no such interface", selector(v1alpha1.InterfaceSelector{Name: new("eth0")}), "", "", v1alpha1.ReasonInterfaceNotFound},
		"NameSeveral":       {"it has several addresses", both(selector(v1alpha1.InterfaceSelector{Name: new("eth4")}), second), "", "", v1alpha1.ReasonInterfaceAmbiguous},
		"Regex":             {"by a pattern", selector(v1alpha1.InterfaceSelector{NameRegex: new("eth[04]")}), "eth4", "10.64.3.8", ""},
		"RegexWhole":        {"the pattern must match the whole name", selector(v1alpha1.InterfaceSelector{NameRegex: new("eth")}), "", "", v1alpha1.ReasonInterfaceNotFound},
		"RegexAlternatives": {"the anchors hold for every alternative", selector(v1alpha1.InterfaceSelector{NameRegex: new("eth|th4")}), "", "", v1alpha1.ReasonInterfaceNotFound},
		"RegexSeveral":      {"two match", selector(v1alpha1.InterfaceSelector{NameRegex: new("eth[45]")}), "", "", v1alpha1.ReasonInterfaceAmbiguous},
		"RegexBad":          {"it is no pattern", selector(v1alpha1.InterfaceSelector{NameRegex: new("eth[")}), "", "", v1alpha1.ReasonInvalid},
		"CIDR":              {"by the range of its address", selector(v1alpha1.InterfaceSelector{CIDR: new("10.64.3.0/26")}), "eth4", "10.64.3.8", ""},
		"CIDRPicksOne":      {"a narrow range tells several addresses of one interface apart", both(selector(v1alpha1.InterfaceSelector{CIDR: new("10.99.0.0/16")}), second), "eth4", "10.99.0.1", ""},
		"CIDRSeveral":       {"two addresses are in it", both(selector(v1alpha1.InterfaceSelector{CIDR: new("10.64.3.0/26")}), second), "", "", v1alpha1.ReasonInterfaceAmbiguous},
		"CIDRNone":          {"none is in it", selector(v1alpha1.InterfaceSelector{CIDR: new("10.65.0.0/16")}), "", "", v1alpha1.ReasonInterfaceNotFound},
		"Reach":             {"the longest prefix wins over the default route", selector(v1alpha1.InterfaceSelector{CanReach: new("10.1.2.3")}), "eth4", "10.64.3.8", ""},
		"ReachDefault":      {"all else goes by the default route", selector(v1alpha1.InterfaceSelector{CanReach: new("192.0.2.1")}), "eth5", "120.92.8.115", ""},
		"ReachMetric":       {"the least metric wins among equals", both(selector(v1alpha1.InterfaceSelector{CanReach: new("192.0.2.1")}), route("0.0.0.0/0", "eth4", 50)), "eth4", "10.64.3.8", ""},
		"ReachMetricLater":  {"a greater metric changes nothing", both(selector(v1alpha1.InterfaceSelector{CanReach: new("192.0.2.1")}), route("0.0.0.0/0", "eth4", 200)), "eth5", "120.92.8.115", ""},
		"ReachTie":          {"two equal routes by two interfaces", both(selector(v1alpha1.InterfaceSelector{CanReach: new("192.0.2.1")}), route("0.0.0.0/0", "eth4", 100)), "", "", v1alpha1.ReasonInterfaceAmbiguous},
		"ReachLocal":        {"the address in the target's own network is the source", both(selector(v1alpha1.InterfaceSelector{CanReach: new("10.99.0.7")}), second, route("10.99.0.0/24", "eth4", 0)), "eth4", "10.99.0.1", ""},
		"ReachNowhere":      {"no route leads there", both(selector(v1alpha1.InterfaceSelector{CanReach: new("192.0.2.1")}), facts(func(f *v1alpha1.Facts) { f.Routes = f.Routes[1:] })), "", "", v1alpha1.ReasonInterfaceNotFound},
		"Loopback":          {"no other machine can use it", selector(v1alpha1.InterfaceSelector{Name: new("lo")}), "", "", v1alpha1.ReasonInterfaceNotFound},
		"PodAddress":        {"docker0's address is a pod's", selector(v1alpha1.InterfaceSelector{Name: new("docker0")}), "", "", v1alpha1.ReasonInvalid},
		"None":              {"a selector must be given", selector(v1alpha1.InterfaceSelector{}), "", "", v1alpha1.ReasonInvalid},
		"Two":               {"only one may be given", selector(v1alpha1.InterfaceSelector{Name: new("eth4"), CIDR: new("10.64.3.0/26")}), "", "", v1alpha1.ReasonInvalid},
		"BadFacts":          {"a facts file with a typing error", facts(func(f *v1alpha1.Facts) { f.Interfaces[1].Addresses[0] = "10.64.3.8" }), "", "", v1alpha1.ReasonInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := resolvetest.Load(t, "guide")
			tc.edit(t, &in)
			got, err := resolve.Resolve(in)
			var e *resolve.Error
			switch {
			case tc.refuse != "":
				if !errors.As(err, &e) || e.Reason != tc.refuse {
					t.Errorf("%s: want %s, got %q, %v", tc.reason, tc.refuse, got.Interface, err)
				}
			case err != nil || got.Interface != tc.iface || got.IP != netip.MustParseAddr(tc.ip):
				t.Errorf("%s: want %s %s, got %s %s, %v", tc.reason, tc.iface, tc.ip, got.Interface, got.IP, err)
			}
		})
	}
}

func TestEverythingThatIsWrongIsSaidAtOnceInOneOrder(t *testing.T) {
	in := resolvetest.Load(t, "guide")
	in.Revision.Node.Docker.RegistryMirrors = []v1alpha1.RegistryMirror{"hub-mirror.c.163.com"}
	in.Revision.Node.Sysctls = map[string]v1alpha1.SysctlValue{"net.ipv4.ip_forward": "0"}
	in.Facts.Components = in.Facts.Components[:1]
	in.Secrets = resolve.NewSecrets(nil)
	var first string
	for range 20 {
		_, err := resolve.Resolve(in)
		var all resolve.Errors
		if !errors.As(err, &all) || len(all) != 7 {
			t.Fatalf("want 7 errors (mirror, sysctl, four components, a Secret), got\n%v", err)
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Fatalf("the order changes:\n%s\n\n%v", first, err)
		}
		if strings.Count(first, "\n") != 6 || all.Reason() == "" {
			t.Errorf("want one line for each:\n%s", first)
		}
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	in := resolvetest.Load(t, "full")
	n, err := resolve.Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	hidden := struct{ s resolve.Secrets }{in.Secrets}
	inside := struct{ s state.Sensitive }{n.Kubelet.Bootstrap.Token}
	// "canary" as text, in hexadecimal, and as fmt prints bytes.
	forms := []string{"canary", "63616e617279", "99 97 110 97 114 121", "63, 0x61, 0x6e"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for what, v := range map[string]any{"Secrets": in.Secrets, "Input": in, "Node": n, "*Node": &n, "unexported Secrets": hidden, "unexported Sensitive": inside} {
			text := fmt.Sprintf(verb, v)
			if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) }) {
				t.Errorf("%s of %s prints a secret", verb, what)
			}
		}
	}
}
