package seed

import (
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/controllers/seed/pki"
	"seedbed.dev/seedbed/controllers/seed/supervise"
)

var update = flag.Bool("update", false, "write the golden file")

var (
	testPorts      = Ports{APIServer: 6443, Etcd: 20001, EtcdPeer: 20002, ControllerManager: 20003, Scheduler: 20004}
	testComponents = Components{
		Etcd: "/bin/etcd", APIServer: "/bin/kube-apiserver",
		ControllerManager: "/bin/kube-controller-manager", Scheduler: "/bin/kube-scheduler",
		Version: Version{Major: 1, Minor: 37, Text: "v1.37.2"},
	}
)

// forNodes are the settings of a seed that nodes can reach.
func forNodes(o *Options) {
	o.BindAddress, o.SecurePort, o.ClusterRange = "10.64.3.7", 6443, "172.30.0.0/16"
}

func flags(c supervise.Child) map[string]string {
	m := map[string]string{}
	for _, a := range c.Args {
		key, value, _ := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		m[key] = value
	}
	return m
}

// child returns the flags of one child of the plan.
func child(t *testing.T, p Plan, name string) map[string]string {
	t.Helper()
	for _, c := range p.Children {
		if c.Name == name {
			return flags(c)
		}
	}
	t.Fatalf("no %s in the plan", name)
	return nil
}

func names(p Plan) []string {
	var n []string
	for _, c := range p.Children {
		n = append(n, c.Name)
	}
	return n
}

func TestThePlanRunsWhatIsThereInTheOrderOfDependence(t *testing.T) {
	envtest := testComponents
	envtest.ControllerManager, envtest.Scheduler = "", ""
	for _, tc := range []struct {
		reason     string
		components Components
		want       []string
		notRun     int
	}{
		{"all programs", testComponents, []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}, 1},
		{"envtest's programs", envtest, []string{"etcd", "kube-apiserver"}, 3},
	} {
		p := MakePlan(mustCheck(t, with(nil)), testPorts, tc.components)
		if diff := cmp.Diff(tc.want, names(p)); diff != "" {
			t.Errorf("%s:\n%s", tc.reason, diff)
		}
		if got := notRun(tc.components); len(got) != tc.notRun {
			t.Errorf("%s: not run: %q", tc.reason, got)
		}
	}
}

// The whole command lines, so that a change of any flag is seen in review. -update writes it.
func TestThePlanOfASeedForNodes(t *testing.T) {
	const golden = "testdata/plan.golden"
	var b strings.Builder
	p := MakePlan(mustCheck(t, with(func(o *Options) { forNodes(o); o.FlannelEtcdPort = 2379 })), testPorts, testComponents)
	for _, c := range p.Children {
		b.WriteString(c.Path + "\n")
		for _, a := range c.Args {
			b.WriteString("  " + a + "\n")
		}
		b.WriteString("  # healthy: " + c.Health.URL + ", log: " + c.Log + "\n")
	}
	b.WriteString("# authentication\n" + p.Authentication)
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSB017TheAPIServerIsAdvertisedWhereItListens(t *testing.T) {
	for _, tc := range []struct {
		reason, bind, advertise   string
		wantBind, wantAdvertise   string
		wantServer, wantHealthURL string
		endpoints                 bool
	}{
		{"default", "127.0.0.1", "", "127.0.0.1", "127.0.0.1", "https://127.0.0.1:6443", "https://127.0.0.1:6443/readyz", false},
		{"one address", "10.64.3.7", "", "10.64.3.7", "10.64.3.7", "https://10.64.3.7:6443", "https://10.64.3.7:6443/readyz", true},
		{"all addresses", "0.0.0.0", "10.64.3.7", "0.0.0.0", "10.64.3.7", "https://10.64.3.7:6443", "https://127.0.0.1:6443/readyz", true},
		{"IPv6", "::", "fd00::7", "::", "fd00::7", "https://[fd00::7]:6443", "https://[::1]:6443/readyz", true},
	} {
		s := mustCheck(t, with(func(o *Options) {
			o.BindAddress, o.AdvertiseAddress = tc.bind, tc.advertise
			if strings.Contains(tc.bind, ":") {
				o.ServiceRange = "fd00:1::/112"
			}
		}))
		p := MakePlan(s, testPorts, testComponents)
		f := child(t, p, apiserverName)
		got := []string{f["bind-address"], f["advertise-address"], s.server(6443), p.Children[1].Health.URL}
		if diff := cmp.Diff([]string{tc.wantBind, tc.wantAdvertise, tc.wantServer, tc.wantHealthURL}, got); diff != "" {
			t.Errorf("%s:\n%s", tc.reason, diff)
		}
		if _, off := f["endpoint-reconciler-type"]; off == tc.endpoints {
			t.Errorf("%s: the Service kubernetes has endpoints: want %v", tc.reason, tc.endpoints)
		}
	}
}

func TestSB018APIServerAndControllerManagerShareOneKeyPair(t *testing.T) {
	for _, address := range []string{"10.64.3.7", "127.0.0.1"} {
		p := MakePlan(mustCheck(t, with(func(o *Options) { o.BindAddress = address })), testPorts, testComponents)
		api, kcm := child(t, p, apiserverName), child(t, p, controllerName)
		if api["service-account-signing-key-file"] != kcm["service-account-private-key-file"] {
			t.Errorf("signing keys: %s, %s", api["service-account-signing-key-file"], kcm["service-account-private-key-file"])
		}
		if want := strings.TrimSuffix(kcm["service-account-private-key-file"], ".key") + ".pub"; api["service-account-key-file"] != want {
			t.Errorf("verifying key %s, want %s", api["service-account-key-file"], want)
		}
		if strings.Contains(api["disable-admission-plugins"], "ServiceAccount") {
			t.Error("the ServiceAccount admission is off")
		}
	}
}

func TestSB019EveryCertificateOfTheAPIServerComesFromTheAuthorityThatClientsHave(t *testing.T) {
	s := mustCheck(t, with(forNodes))
	p := MakePlan(s, testPorts, testComponents)
	ca := Layout{Root: "/data"}.PKI().CertFile(clusterAuthority)
	for what, got := range map[string]string{
		"in pods (--root-ca-file)":            child(t, p, controllerName)["root-ca-file"],
		"of the health check":                 p.Children[1].Health.CAFile,
		"of clients (--client-ca-file)":       child(t, p, apiserverName)["client-ca-file"],
		"that signs kubelets' certificates":   child(t, p, controllerName)["cluster-signing-cert-file"],
		"of controller-manager's own serving": p.Children[2].Health.CAFile,
	} {
		if got != ca {
			t.Errorf("authority %s: %s, want %s", what, got, ca)
		}
	}
	if f := child(t, p, apiserverName); f["tls-cert-file"] == "" || f["tls-private-key-file"] == "" {
		t.Error("without a serving certificate the API server would make one that nobody can verify")
	}
	for _, c := range certificates(s) {
		if c.name != apiserverPair {
			continue
		}
		for _, ip := range []string{"10.64.3.7", "10.254.0.1", "127.0.0.1", "::1"} {
			if !slices.Contains(c.spec.IPs, netip.MustParseAddr(ip)) {
				t.Errorf("the API server's certificate is not for %s: %v", ip, c.spec.IPs)
			}
		}
		for _, name := range []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"} {
			if !slices.Contains(c.spec.DNSNames, name) {
				t.Errorf("the API server's certificate is not for %s: %v", name, c.spec.DNSNames)
			}
		}
	}
}

// The guide's apiserver could not write its certificate folder. Here no component is told to write
// outside the data dir, which the seed owns.
func TestSB020NothingIsWrittenOutsideTheDataDir(t *testing.T) {
	p := MakePlan(mustCheck(t, with(forNodes)), testPorts, testComponents)
	for _, c := range p.Children {
		for flag, value := range flags(c) {
			if strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "/data/") {
				t.Errorf("%s --%s=%s", c.Name, flag, value)
			}
		}
		if !strings.HasPrefix(c.Log, "/data/logs/") {
			t.Errorf("%s logs to %s", c.Name, c.Log)
		}
	}
	for flag, names := range map[string][]string{
		"tls-cert-file":          {apiserverName, controllerName, schedulerName}, // else made in cert-dir
		"flex-volume-plugin-dir": {controllerName},                               // else made below /usr
		"data-dir":               {etcdName},                                     // else made in the working folder
	} {
		for _, name := range names {
			if child(t, p, name)[flag] == "" {
				t.Errorf("%s has no --%s", name, flag)
			}
		}
	}
}

func TestSB021NoPortIsOpenToEverybody(t *testing.T) {
	p := MakePlan(mustCheck(t, with(forNodes)), testPorts, testComponents)
	api := child(t, p, apiserverName)
	for flag, want := range map[string]string{
		"authorization-mode":              "Node,RBAC",
		"enable-admission-plugins":        "NodeRestriction",
		"profiling":                       "false",
		"kubelet-preferred-address-types": "InternalIP",
	} {
		if api[flag] != want {
			t.Errorf("kube-apiserver --%s=%s, want %s", flag, api[flag], want)
		}
	}
	for _, c := range p.Children {
		for flag, value := range flags(c) {
			if strings.Contains(flag, "insecure") || strings.Contains(value, "http://") {
				t.Errorf("%s --%s=%s", c.Name, flag, value)
			}
		}
		if !strings.HasPrefix(c.Health.URL, "https://") {
			t.Errorf("%s: health over %s", c.Name, c.Health.URL)
		}
	}
	for _, name := range []string{controllerName, schedulerName} {
		if got := child(t, p, name)["bind-address"]; got != "127.0.0.1" {
			t.Errorf("%s binds %s", name, got)
		}
	}
	etcd := child(t, p, etcdName)
	for _, flag := range []string{"listen-client-urls", "listen-peer-urls"} {
		if !strings.HasPrefix(etcd[flag], "https://127.0.0.1:") {
			t.Errorf("etcd --%s=%s", flag, etcd[flag])
		}
	}
	if etcd["client-cert-auth"] != "true" || etcd["peer-client-cert-auth"] != "true" {
		t.Error("etcd lets in clients without a certificate")
	}
	if etcd["trusted-ca-file"] == api["client-ca-file"] {
		t.Error("a certificate of the cluster opens etcd")
	}
}

func TestSB021AnonymousRequestsMayAskForHealthAndClusterInfoOnly(t *testing.T) {
	for _, tc := range []struct {
		minor int
		want  string
	}{
		{32, "apiserver.config.k8s.io/v1beta1"},
		{33, "apiserver.config.k8s.io/v1beta1"},
		{34, "apiserver.config.k8s.io/v1"},
		{37, "apiserver.config.k8s.io/v1"},
	} {
		var got struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Anonymous  struct {
				Enabled    bool `json:"enabled"`
				Conditions []struct {
					Path string `json:"path"`
				} `json:"conditions"`
			} `json:"anonymous"`
		}
		if err := yaml.UnmarshalStrict([]byte(authentication(Version{Major: 1, Minor: tc.minor})), &got); err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, c := range got.Anonymous.Conditions {
			paths = append(paths, c.Path)
		}
		if diff := cmp.Diff([]string{"/livez", "/readyz", "/healthz", "/api/v1/namespaces/kube-public/configmaps/cluster-info"}, paths); diff != "" || got.APIVersion != tc.want {
			t.Errorf("1.%d: %s, paths:\n%s", tc.minor, got.APIVersion, diff)
		}
	}
}

func TestNodesGetPodCIDRsOnlyWhenARangeIsGiven(t *testing.T) {
	for cluster, want := range map[string][]string{"": {"", "", ""}, "172.30.0.0/16": {"true", "172.30.0.0/16", "24"}} {
		f := child(t, MakePlan(mustCheck(t, with(func(o *Options) { o.ClusterRange = cluster })), testPorts, testComponents), controllerName)
		if diff := cmp.Diff(want, []string{f["allocate-node-cidrs"], f["cluster-cidr"], f["node-cidr-mask-size"]}); diff != "" {
			t.Errorf("--cluster-cidr %q:\n%s", cluster, diff)
		}
	}
}

func TestNoKubeconfigOnDiskIsAllPowerful(t *testing.T) {
	for _, c := range clients() {
		if slices.Contains(c.spec.Organizations, privilegedGroup) {
			t.Errorf("%s is in %s, which RBAC cannot take anything from", c.name, privilegedGroup)
		}
		if !slices.Equal(c.spec.Usage, pki.Client) {
			t.Errorf("%s: usage %v", c.name, c.spec.Usage)
		}
	}
	if spec := nodeSpec("node-a"); spec.CommonName != "seedbed:node:node-a" || !slices.Equal(spec.Organizations, []string{"seedbed:nodes"}) {
		t.Errorf("a node is %s in %v", spec.CommonName, spec.Organizations)
	}
}
