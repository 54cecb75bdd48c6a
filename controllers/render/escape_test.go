package render

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

// nasty values, each of which means something to one of the formats.
var nasty = []string{
	"", " ", "a b", "\t", `"`, `'`, `\`, `a\`, `\"`, "$", "$$", "$HOME", "${HOME}", "%", "%%", "%n", "%h/x", "#", "# x", ";", "; x", ";;",
	"`id`", "$(id)", "-", "--flag", "=", "a=b", "..", "../..", "a\nb", "a\r\nb", "a\x00b", "\uFEFF", "\uFEFFa", "\xff\xfe", "é", "日本", "~",
	"no", "1e3", "0x10", "null", "&a *a", "<<", "---", "{}", "[]", "!!str", "|", ">", "@", "+", ":", "!", "\\x41", "\\\n", strings.Repeat("x", 1500),
}

func TestArgumentsReachTheProgramUnchanged(t *testing.T) {
	for _, value := range nasty {
		checkExec(t, value)
	}
}

func FuzzExecStart(f *testing.F) {
	for _, value := range nasty {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) { checkExec(t, value) })
}

// checkExec: what cannot be written is refused, all else comes back as it was.
func checkExec(t *testing.T, value string) {
	t.Helper()
	want := []string{"/bin/x", value, "--flag=" + value, "last"}
	u := &unitFile{}
	content, err := u.exec(want).bytes()
	if err != nil {
		if oneLine(value) == nil {
			t.Errorf("argument %q is refused: %v", value, err)
		}
		return
	}
	options, err := unit.DeserializeOptions(strings.NewReader(string(content)))
	if len(value) > 1000 && err != nil {
		return // go-systemd reads lines up to 2048 bytes; systemd up to 1 MiB
	}
	if err != nil || len(options) != 1 {
		t.Fatalf("argument %q becomes %d directives, %v:\n%s", value, len(options), err, content)
	}
	got, err := splitExec(options[0].Value, nil)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("argument %q: %v, -want +got\n%s", value, err, diff)
	}
}

func TestEnvironmentReachesTheProgramUnchanged(t *testing.T) {
	for _, value := range nasty {
		checkEnv(t, value)
	}
	if _, err := envFile([]variable{{"A\nB", "x"}}); err == nil {
		t.Error("a name with a newline is written")
	}
}

func FuzzEnvironmentFile(f *testing.F) {
	for _, value := range nasty {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) { checkEnv(t, value) })
}

func checkEnv(t *testing.T, value string) {
	t.Helper()
	content, err := envFile([]variable{{"A", value}, {"B", "last"}})
	if err != nil {
		if oneLine(value) == nil {
			t.Errorf("value %q is refused: %v", value, err)
		}
		return
	}
	got, err := parseEnv(string(content))
	if diff := cmp.Diff(map[string]string{"A": value, "B": "last"}, got); diff != "" || err != nil {
		t.Errorf("value %q: %v, -want +got\n%s", value, err, diff)
	}
}

// TestRenderersTrustNoValue gives each renderer values that resolve refuses: what it writes all the
// same must be read as that value, with no directive, line or path besides.
func TestRenderersTrustNoValue(t *testing.T) {
	good, err := resolve.Resolve(resolvetest.Load(t, "full"))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]struct {
		set func(*resolve.Node, string)
		get func(consumed, state.Host) string
	}{
		"flannel argument":  {func(n *resolve.Node, s string) { n.Flannel.ExtraArgs = []string{"--x=" + s} }, lastArg(resolve.UnitFlannel, "--x=")},
		"flannel interface": {func(n *resolve.Node, s string) { n.Interface = s }, flagOf(resolve.UnitFlannel, "--iface=")},
		"etcd prefix": {func(n *resolve.Node, s string) {
			n.Flannel.Etcd = &resolve.Etcd{Endpoints: []string{"http://a:1"}, Prefix: s}
		}, flagOf(resolve.UnitFlannel, "--etcd-prefix=")},
		"node name": {func(n *resolve.Node, s string) { n.Name, n.Flannel.Etcd = s, nil }, func(c consumed, _ state.Host) string {
			if c.kubeProxy.HostnameOverride != flagOf(resolve.UnitKubelet, "--hostname-override=")(c, state.Host{}) {
				return "kubelet and kube-proxy differ"
			}
			return strings.TrimPrefix(strings.Join(c.environment[resolve.UnitFlannel], "|"), "NODE_NAME=")
		}},
		"pause image":      {func(n *resolve.Node, s string) { n.CRIDockerd.PodInfraImage = s }, flagOf(resolve.UnitCRIDockerd, "--pod-infra-container-image=")},
		"kubelet argument": {func(n *resolve.Node, s string) { n.Kubelet.ExtraArgs = []string{"--x=" + s} }, lastArg(resolve.UnitKubelet, "--x=")},
		"cluster domain": {
			func(n *resolve.Node, s string) {
				n.Network.DNS = &resolve.DNS{ServiceIP: netip.MustParseAddr("10.0.0.1"), Domain: s}
			},
			func(c consumed, _ state.Host) string { return c.kubelet.ClusterDomain },
		},
		"bootstrap token": {
			func(n *resolve.Node, s string) {
				n.Kubelet.Bootstrap = resolve.Bootstrap{ByToken: true, Token: state.NewSensitive([]byte(s))}
			},
			func(c consumed, _ state.Host) string { return c.tokens["kubelet-bootstrap"] },
		},
		"kubelet config": {
			func(n *resolve.Node, s string) {
				n.Kubelet.Config = map[string]any{"nodeStatusReportFrequency": "1s", "providerID": s}
			},
			func(c consumed, _ state.Host) string { return c.kubelet.ProviderID },
		},
		"kube-proxy config": {
			func(n *resolve.Node, s string) { n.KubeProxy.Config = map[string]any{"portRange": s} },
			func(c consumed, _ state.Host) string { return c.kubeProxy.PortRange },
		},
		"data root":  {func(n *resolve.Node, s string) { n.Docker.DataRoot = s }, daemonString("data-root")},
		"log driver": {func(n *resolve.Node, s string) { n.Docker.LogDriver = s }, daemonString("log-driver")},
		"proxy": {
			func(n *resolve.Node, s string) { n.Docker.Proxy.HTTP = state.NewSensitive([]byte(s)) },
			func(c consumed, _ state.Host) string { return c.proxyEnv["HTTP_PROXY"] },
		},
		"package argument": {func(n *resolve.Node, s string) { n.Docker.PackageArgs = []string{"--label=" + s} }, flagOf(resolve.UnitDocker, "--label=")},
		"sysctl":           {func(n *resolve.Node, s string) { n.System.Sysctls = map[string]string{"a.b": s} }, func(_ consumed, h state.Host) string { return h.Sysctls["a.b"] }},
	}
	for field, f := range fields {
		for _, value := range nasty {
			n := good
			proxy := *good.Docker.Proxy
			n.Docker.Proxy = &proxy
			f.set(&n, value)
			host, err := Render(n)
			if err != nil || !utf8.ValidString(value) {
				continue
			}
			if got := f.get(read(t, host), host); got != value && len(value) < 1000 && strings.TrimSpace(value) != "" {
				t.Errorf("%s %q is read as %q", field, value, got)
			}
		}
	}
}

func flagOf(unit, prefix string) func(consumed, state.Host) string {
	return func(c consumed, _ state.Host) string {
		for _, arg := range c.argv[unit] {
			if value, is := strings.CutPrefix(arg, prefix); is {
				return value
			}
		}
		return "no argument " + prefix
	}
}

func lastArg(unit, prefix string) func(consumed, state.Host) string {
	return func(c consumed, _ state.Host) string {
		argv := c.argv[unit]
		return strings.TrimPrefix(argv[len(argv)-1], prefix)
	}
}

func daemonString(key string) func(consumed, state.Host) string {
	return func(c consumed, _ state.Host) string { s, _ := c.daemon[key].(string); return s }
}

func TestRenderersWriteNowhereElse(t *testing.T) {
	good, err := resolve.Resolve(resolvetest.Load(t, "full"))
	if err != nil {
		t.Fatal(err)
	}
	for what, set := range map[string]func(*resolve.Node, string){
		"registry": func(n *resolve.Node, s string) {
			n.Docker.Registries = []resolve.Registry{{Host: s, CA: state.NewSensitive([]byte("x"))}}
		},
		"unit": func(n *resolve.Node, s string) { n.Units = []resolve.Unit{{Name: s, Contents: "x"}} },
		"drop-in": func(n *resolve.Node, s string) {
			n.Units = []resolve.Unit{{Name: "x.service", DropIns: []resolve.DropIn{{Name: s}}}}
		},
		"file":   func(n *resolve.Node, s string) { n.Files = []resolve.File{{Path: "/etc/" + s}} },
		"module": func(n *resolve.Node, s string) { n.System.Modules = []string{s + "\n"} },
	} {
		for _, value := range []string{"..", ".", "", "../../etc/cron.d/x", "a/../../b", "a\x00b", "a\nb"} {
			n := good
			set(&n, value)
			if _, err := Render(n); err == nil {
				t.Errorf("%s %q is written", what, value)
			}
		}
	}
}

// full is loaded once: a fuzz target calls through many times a second.
var (
	full     resolve.Input
	fullOnce sync.Once
)

// through applies an edit to the full case and checks whatever resolve lets through.
func through(t *testing.T, edit func(*v1alpha1.NodeConfigSpec, *v1alpha1.NetworkConfigSpec)) (consumed, state.Host, bool) {
	t.Helper()
	fullOnce.Do(func() { full = resolvetest.Load(t, "full") })
	in := full
	in.Revision.Node, in.Revision.Network = *full.Revision.Node.DeepCopy(), *full.Revision.Network.DeepCopy()
	edit(&in.Revision.Node, &in.Revision.Network)
	node, err := resolve.Resolve(in)
	if err != nil {
		return consumed{}, state.Host{}, false
	}
	host, err := Render(node)
	if err != nil {
		t.Fatalf("resolve lets through what cannot be rendered: %v", err)
	}
	return read(t, host), host, true
}
