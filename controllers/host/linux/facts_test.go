package linux

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

func TestCommandLinesAreSplitAsSystemdSplitsThem(t *testing.T) {
	for _, tt := range []struct {
		reason, in string
		want       []string
	}{
		{
			"Debian's docker", "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS",
			[]string{"/usr/sbin/dockerd", "-H", "fd://", "--containerd=/run/containerd/containerd.sock", "$DOCKER_OPTS"},
		},
		{"prefixes", "-+!!/bin/x a", []string{"/bin/x", "a"}},
		{"an argv[0] of its own", "@/bin/x name a", []string{"/bin/x", "a"}},
		{"quotes", `/bin/x "a b" 'c "d"' e"f g"h ""`, []string{"/bin/x", "a b", `c "d"`, "ef gh", ""}},
		{"escapes", `/bin/x a\x20b \u00e9 \101 \s\t \" \\`, []string{"/bin/x", "a b", "é", "A", " \t", `"`, `\`}},
		{"the first of several commands", "/bin/x a ; /bin/y b", []string{"/bin/x", "a"}},
		{"a semicolon as an argument", `/bin/x \; b`, []string{"/bin/x", ";", "b"}},
		{"specifiers and variables stay", "/bin/x %n ${A} $$B %%", []string{"/bin/x", "%n", "${A}", "$$B", "%%"}},
		{"nothing", "  ", nil},
	} {
		got, err := splitCommand(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.reason, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
		}
	}
	for _, bad := range []string{`/bin/x "a`, `/bin/x a\`, `/bin/x \q`, `/bin/x \x2`, `/bin/x \x00`, `/bin/x \xzz`} {
		if got, err := splitCommand(bad); err == nil {
			t.Errorf("splitCommand(%s) = %q; want an error", bad, got)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	f.Add(`@-/bin/x "a\x20b" 'c' ; d`)
	f.Fuzz(func(_ *testing.T, s string) { _, _ = splitCommand(s) }) // it returns
}

func TestTheLastExecStartOfAUnitCounts(t *testing.T) {
	for _, tt := range []struct {
		content, want string
		set, bad      bool
	}{
		{"[Unit]\nExecStart=/no\n[Service]\nExecStart=/old\nExecStart=\nExecStart=/new \\\n  --flag\n", "/new    --flag", true, false},
		{"[Service]\nExecStart=/old\nExecStart=\n", "", true, false},
		{"[Service]\nType=oneshot\n", "", false, false},
		{"[Service\nExecStart=/x\n", "", false, true},
	} {
		got, set, err := execStart(tt.content)
		if got != tt.want || set != tt.set || (err != nil) != tt.bad {
			t.Errorf("execStart(%q) = %q, %v, %v; want %q, %v", tt.content, got, set, err, tt.want, tt.set)
		}
	}
}

// componentRoot has docker from a package, kubelet as a program, and a kube-proxy that is none.
func componentRoot(t *testing.T) (string, *factsReader, *[]string) {
	t.Helper()
	root := t.TempDir()
	plant(t, root, "/usr/lib/systemd/system/docker.service", text("[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n"))
	plant(t, root, "/usr/sbin/dockerd", state.File{Mode: 0o755})
	plant(t, root, "/opt/kube/kubelet", state.File{Mode: 0o755})
	plant(t, root, "/usr/local/bin/kubelet", state.File{Type: state.Symlink, Target: "/opt/kube/kubelet"})
	plant(t, root, "/etc/systemd/system/kubelet.service", text("[Service]\nExecStart=/usr/local/bin/kubelet\n"))
	plant(t, root, "/usr/bin/kube-proxy", state.File{Mode: 0o644})
	var asked []string
	r := newFactsReader(treeAt(t, root))
	r.versions = newVersions(func(_ context.Context, program string) (string, error) {
		asked = append(asked, program)
		return "v1.2.3", nil
	})
	return root, r, &asked
}

func TestComponentsAreFoundByPackageElseByProgram(t *testing.T) {
	_, r, _ := componentRoot(t)
	got, err := r.components(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.ComponentFacts{
		{
			Name: v1alpha1.ComponentDocker, Version: "v1.2.3", Path: "/usr/sbin/dockerd", Source: v1alpha1.SourcePackage,
			ExecStart: []string{"/usr/sbin/dockerd", "-H", "fd://"},
		},
		{Name: v1alpha1.ComponentKubelet, Version: "v1.2.3", Path: "/usr/local/bin/kubelet", Source: v1alpha1.SourceBinary},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASteadyPassStartsNoProgram(t *testing.T) {
	root, r, asked := componentRoot(t)
	for range 3 {
		if _, err := r.components(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(*asked) != 2 {
		t.Errorf("programs were started: %v; want each once", *asked)
	}
	if err := os.WriteFile(filepath.Join(root, "opt/kube/kubelet"), []byte("new"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := r.components(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(*asked) != 3 {
		t.Errorf("programs were started: %v; want kubelet again after it changed", *asked)
	}
}

func TestAComponentWithoutAVersionIsStillThere(t *testing.T) {
	_, r, _ := componentRoot(t)
	r.versions = newVersions(func(context.Context, string) (string, error) { return "", os.ErrPermission })
	got, err := r.components(t.Context())
	if err == nil || !strings.Contains(err.Error(), "docker") {
		t.Errorf("error is %v; want one that names docker", err)
	}
	if len(got) != 2 || got[0].Version != "" || got[0].Path == "" {
		t.Errorf("components are %+v", got)
	}
}

func TestVersionsAreReadFromWhatProgramsPrint(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"echo 'Docker version 26.1.5+dfsg1, build a72d7cd'", "26.1.5"},
		{"echo 'Kubernetes v1.37.2'", "v1.37.2"},
		{"echo 'Kubernetes v1.38.0-beta.1'", "v1.38.0-beta.1"},
		{"echo 'cri-dockerd 0.4.3 (HEAD)'", "0.4.3"},
		{"echo v0.28.10 >&2", "v0.28.10"},
	} {
		program := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n[ \"$1\" = --version ] && "+tt.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := programVersion(t.Context(), program); got != tt.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", tt.script, got, err, tt.want)
		}
	}
}

func TestInterfacesOfContainersAreLeftOut(t *testing.T) {
	links := []link{
		{index: 1, name: "lo", loopback: true, addresses: []string{"127.0.0.1/8"}},
		{index: 2, name: "eth5", kind: "device", mtu: 1500, addresses: []string{"192.0.2.5/24"}},
		{index: 3, name: "eth4", kind: "device", mtu: 9000, addresses: []string{"10.64.3.8/26", "2001:db8::8/64"}},
		{index: 4, name: "docker0", kind: "bridge"},
		{index: 5, name: "flannel.1", kind: "vxlan"},
		{index: 6, name: "nspawn0", kind: "veth", bridged: true},
		{index: 7, name: "vethab12", kind: "veth"},
		{index: 9, name: "host0", kind: "veth", mtu: 1500, addresses: []string{"10.64.3.9/26"}}, // systemd-nspawn's uplink
		{index: 8, name: "bond0.7", kind: "vlan", mtu: 1500},
	}
	want := []v1alpha1.InterfaceFacts{
		{Name: "bond0.7", MTU: 1500},
		{Name: "eth4", MTU: 9000, Addresses: []string{"10.64.3.8/26", "2001:db8::8/64"}},
		{Name: "eth5", MTU: 1500, Addresses: []string{"192.0.2.5/24"}},
		{Name: "host0", MTU: 1500, Addresses: []string{"10.64.3.9/26"}},
	}
	if diff := cmp.Diff(want, interfaceFacts(links)); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	routes := []netlink.Route{
		{LinkIndex: 2, Priority: 100},
		{LinkIndex: 5, Dst: mustNet(t, "172.30.0.0/16")},
		{LinkIndex: 3, Dst: mustNet(t, "10.64.3.0/26")},
		{Priority: 50, MultiPath: []*netlink.NexthopInfo{{LinkIndex: 3}, {LinkIndex: 2}}},
	}
	wantRoutes := []v1alpha1.RouteFacts{
		{Destination: "0.0.0.0/0", Interface: "eth4", Metric: 50},
		{Destination: "0.0.0.0/0", Interface: "eth5", Metric: 100},
		{Destination: "10.64.3.0/26", Interface: "eth4"},
	}
	if diff := cmp.Diff(wantRoutes, routeFacts(links, routes)); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestFactsStayWithinTheBoundsOfTheAPI(t *testing.T) {
	var links []link
	var routes []netlink.Route
	for i := range 200 {
		l := link{index: i, name: fmt.Sprintf("eth%03d", i)}
		if i >= 190 {
			for j := range 30 {
				l.addresses = append(l.addresses, fmt.Sprintf("10.%d.%d.1/24", i, j))
			}
		}
		links = append(links, l)
		routes = append(routes, netlink.Route{LinkIndex: i, Dst: mustNet(t, fmt.Sprintf("10.0.%d.0/24", i))})
	}
	got := interfaceFacts(links)
	if len(got) != maxInterfaces || got[len(got)-1].Name != "eth199" || len(got[len(got)-1].Addresses) != maxAddresses {
		t.Errorf("%d interfaces, the last %+v; want %d with eth199, which has addresses", len(got), got[len(got)-1], maxInterfaces)
	}
	if n := len(routeFacts(links, routes)); n != maxRoutes {
		t.Errorf("%d routes; want %d", n, maxRoutes)
	}
}

func TestLiveFactsDescribeANamespaceMadeForThem(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET|unix.CLONE_NEWUTS) {
		return
	}
	if err := unix.Sethostname([]byte("node-a")); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"eth4": "10.64.3.8/26", "docker0": "172.17.0.1/16"} {
		addInterface(t, name, address)
	}
	facts, err := newFactsReader(treeAt(t, "/")).Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantInterfaces := []v1alpha1.InterfaceFacts{{Name: "eth4", MTU: 1500, Addresses: []string{"10.64.3.8/26"}}}
	if diff := cmp.Diff(wantInterfaces, facts.Interfaces); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	wantRoutes := []v1alpha1.RouteFacts{{Destination: "10.64.3.0/26", Interface: "eth4"}}
	if diff := cmp.Diff(wantRoutes, facts.Routes); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if facts.Hostname != "node-a" || facts.Kernel == "" || facts.Architecture == "" {
		t.Errorf("facts are %+v", facts)
	}
}

// addInterface makes a bridge, since that needs no other end.
func addInterface(t *testing.T, name, address string) {
	t.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 1500}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Skipf("no bridge here: %v", err)
	}
	if err := netlink.AddrAdd(bridge, &netlink.Addr{IPNet: mustNet(t, address)}); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		t.Fatal(err)
	}
}

func TestOSReleaseIsReadWithItsQuotes(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n", "debian 12"},
		{"ID='rhel'\nVERSION_ID=\"9.4\"\n", "rhel 9.4"},
		{"ID=arch\n", "arch"},
		{"", ""},
	} {
		if got := osNameOf(tt.in); got != tt.want {
			t.Errorf("osNameOf(%q) = %q; want %q", tt.in, got, tt.want)
		}
	}
	root := t.TempDir()
	plant(t, root, "/usr/lib/os-release", text("ID=debian\nVERSION_ID=12\n"))
	plant(t, root, "/etc/os-release", state.File{Type: state.Symlink, Target: "../usr/lib/os-release"})
	if got, err := newFactsReader(treeAt(t, root)).osName(); got != "debian 12" || err != nil {
		t.Errorf("osName = %q, %v", got, err)
	}
}

func TestAFactsFileIsReadStrictly(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		content string
		want    string
	}{
		{"hostname: node-a\nos: debian 12\n", ""},
		{"hostnme: node-a\n", "hostnme"},
		{"hostname: [\n", "yaml"},
	} {
		p := filepath.Join(dir, "facts.yaml")
		if err := os.WriteFile(p, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		facts, err := FactsFile(p)
		if tt.want == "" && (err != nil || facts.Hostname != "node-a") {
			t.Errorf("%q: %+v, %v", tt.content, facts, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), p)) {
			t.Errorf("%q: %v; want an error with %q and the file", tt.content, err, tt.want)
		}
	}
}

func TestConstructorsRefuseWhatIsNoHostRoot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"/", "//", file, filepath.Join(t.TempDir(), "none")} {
		if _, err := Offline(root, v1alpha1.Facts{}); err == nil || !strings.Contains(err.Error(), filepath.Clean(root)) {
			t.Errorf("Offline(%s) = %v; want an error that names it", root, err)
		}
	}
}

func TestALiveHostOpensAndCloses(t *testing.T) {
	h, err := Live()
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := h.Files.Read("/etc/passwd"); !found || err != nil {
		t.Errorf("Read(/etc/passwd) = %v, %v", found, err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func mustNet(t *testing.T, cidr string) *net.IPNet {
	t.Helper()
	ip, network, err := net.ParseCIDR(cidr)
	if err != nil {
		t.Fatal(err)
	}
	network.IP = ip
	return network
}
