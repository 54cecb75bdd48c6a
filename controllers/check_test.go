package controllers_test

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// programs of the units that Seedbed writes.
var programs = map[string]string{
	resolve.UnitFlannel: "flanneld", resolve.UnitDocker: "dockerd", resolve.UnitCRIDockerd: "cri-dockerd",
	resolve.UnitKubelet: "kubelet", resolve.UnitKubeProxy: "kube-proxy",
}

// configs are the files that they read.
var configs = map[string]string{
	resolve.UnitDocker: resolve.PathDaemonJSON, resolve.UnitKubelet: resolve.PathKubeletConfig,
	resolve.UnitKubeProxy: resolve.PathKubeProxyConfig,
}

// realProgram is a program that was built for the tests or is installed; the test is skipped without.
func realProgram(t *testing.T, name string) string {
	t.Helper()
	places := []string{filepath.Join("/usr/sbin", name), filepath.Join("/usr/bin", name)}
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		places = append([]string{filepath.Join(assets, name)}, places...)
	}
	built, err := filepath.Glob("../bin/lab/components/" + name + "-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(places, built...) {
		p, err := filepath.Abs(p)
		if info, statErr := os.Stat(p); err == nil && statErr == nil && !info.IsDir() {
			return p
		}
	}
	t.Skipf("no %s in KUBEBUILDER_ASSETS (%q), /usr/sbin, /usr/bin or bin/lab/components", name, os.Getenv("KUBEBUILDER_ASSETS"))
	return ""
}

// here is a sample for a node with this machine's cgroups: the kubelet looks at them while it validates
// its configuration, and refuses version 1 unless it is told not to.
func here(in resolve.Input) resolve.Input {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return in
	}
	node := in.Revision.Node.DeepCopy()
	if node.Kubelet == nil {
		node.Kubelet = &v1alpha1.Kubelet{}
	}
	node.Kubelet.FailCgroupV1 = new(false)
	in.Revision.Node = *node
	return in
}

// judge asks the real program of a unit about a rendered file, with the check that comes with it.
func judge(t *testing.T, unit, path string, f state.File) error {
	t.Helper()
	i := slices.IndexFunc(f.Checks, func(c state.Check) bool { return filepath.Base(c.Program) == programs[unit] })
	if i < 0 {
		t.Fatalf("%s has no check by %s", path, programs[unit])
	}
	check := f.Checks[i]
	check.Program = realProgram(t, programs[unit])
	return host.Judge(t.Context(), linux.NewChecker(filepath.Join(t.TempDir(), "checks")), path, f, check)
}

// unitFile is the path of a unit's file or drop-in among rendered files.
func unitFile(t *testing.T, desired state.Host, unit string) string {
	t.Helper()
	for _, p := range []string{resolve.UnitFolder + "/" + unit, resolve.UnitFolder + "/" + unit + ".d/" + resolve.DropInName} {
		if _, ok := desired.Files[p]; ok {
			return p
		}
	}
	t.Fatalf("no file of %s", unit)
	return ""
}

func TestEverySampleIsAcceptedByTheProgramsThatReadIt(t *testing.T) {
	for _, s := range samples(t) {
		desired := rendered(t, here(s.input))
		for _, unit := range state.SortedKeys(programs) {
			t.Run(s.name+"/"+unit, func(t *testing.T) {
				paths := []string{unitFile(t, desired, unit)}
				if config, ok := configs[unit]; ok {
					paths = append(paths, config)
				}
				for _, p := range paths {
					if err := judge(t, unit, p, desired.Files[p]); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func TestWholeUnitsAreAcceptedBySystemd(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			desired := rendered(t, s.input)
			for _, p := range state.SortedKeys(desired.Files) {
				f := desired.Files[p]
				for _, check := range f.Checks {
					if filepath.Base(check.Program) != "systemd-analyze" {
						continue
					}
					check.Program = realProgram(t, "systemd-analyze")
					check.Control = nil
					if err := host.Judge(t.Context(), linux.NewChecker(t.TempDir()), p, f, check); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// minimalNode is the simplest sample with more in a configuration and on a command line.
func minimalNode(t *testing.T, change func(*v1alpha1.NodeConfigSpec)) state.Host {
	t.Helper()
	all := samples(t)
	i := slices.IndexFunc(all, func(s sample) bool { return strings.HasPrefix(s.name, "minimal/") })
	in := here(all[i].input)
	node := in.Revision.Node.DeepCopy()
	node.Kubelet = cmp.Or(node.Kubelet, &v1alpha1.Kubelet{})
	node.KubeProxy = cmp.Or(node.KubeProxy, &v1alpha1.KubeProxy{})
	node.Docker = cmp.Or(node.Docker, &v1alpha1.Docker{})
	node.Flannel = cmp.Or(node.Flannel, &v1alpha1.Flannel{})
	node.CRIDockerd = cmp.Or(node.CRIDockerd, &v1alpha1.CRIDockerd{})
	change(node)
	in.Revision.Node = *node
	return rendered(t, in)
}

func freeform(text string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(text)} }

// TestWhatAProgramWouldNotStartWithIsRefused has only what passes all checks before: admission, the
// rules of the CRDs, and resolve.
func TestWhatAProgramWouldNotStartWithIsRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		unit   string
		change func(*v1alpha1.NodeConfigSpec)
		words  string
	}{
		"KubeletGate": {
			"which gates there are depends on the release", resolve.UnitKubelet,
			func(n *v1alpha1.NodeConfigSpec) { n.Kubelet.Config = freeform(`{"featureGates":{"NoSuchGate":true}}`) },
			"unrecognized feature gate: NoSuchGate",
		},
		"KubeletValuesThatDoNotFit": {
			"two fields that contradict each other", resolve.UnitKubelet,
			func(n *v1alpha1.NodeConfigSpec) { n.Kubelet.Config = freeform(`{"imageGCHighThresholdPercent":50}`) },
			"imageGCLowThresholdPercent",
		},
		"KubeletCipher": {
			"a name that the schema takes for any text", resolve.UnitKubelet,
			func(n *v1alpha1.NodeConfigSpec) {
				n.Kubelet.Config = freeform(`{"tlsCipherSuites":["NO_SUCH_CIPHER"]}`)
			},
			"NO_SUCH_CIPHER",
		},
		"KubeletFlag": {
			"misspelt", resolve.UnitKubelet,
			func(n *v1alpha1.NodeConfigSpec) { n.Kubelet.ExtraArgs = []v1alpha1.Argument{"--sync-frequencyy=1m"} },
			"unknown flag: --sync-frequencyy",
		},
		"KubeletFlagValue": {
			"not a duration", resolve.UnitKubelet,
			func(n *v1alpha1.NodeConfigSpec) { n.Kubelet.ExtraArgs = []v1alpha1.Argument{"--sync-frequency=often"} },
			"often",
		},
		"ProxyGate": {
			"which gates there are depends on the release", resolve.UnitKubeProxy,
			func(n *v1alpha1.NodeConfigSpec) {
				n.KubeProxy.Config = freeform(`{"featureGates":{"NoSuchGate":true}}`)
			},
			"unrecognized feature gate: NoSuchGate",
		},
		"ProxyAddress": {
			"not an address", resolve.UnitKubeProxy,
			func(n *v1alpha1.NodeConfigSpec) { n.KubeProxy.Config = freeform(`{"healthzBindAddress":"somewhere"}`) },
			"HealthzBindAddress",
		},
		"DockerAddress": {
			"not an address", resolve.UnitDocker,
			func(n *v1alpha1.NodeConfigSpec) { n.Docker.DaemonConfig = freeform(`{"dns":["somewhere"]}`) },
			"somewhere",
		},
		"FlannelFlag": {
			"misspelt", resolve.UnitFlannel,
			func(n *v1alpha1.NodeConfigSpec) { n.Flannel.ExtraArgs = []v1alpha1.Argument{"--iptables-resink=5"} },
			"iptables-resink",
		},
		"CRIDockerdFlag": {
			"misspelt", resolve.UnitCRIDockerd,
			func(n *v1alpha1.NodeConfigSpec) {
				n.CRIDockerd.ExtraArgs = []v1alpha1.Argument{"--image-pull-progress-deadlin=1m"}
			},
			"image-pull-progress-deadlin",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			desired := minimalNode(t, tc.change)
			paths := []string{unitFile(t, desired, tc.unit)}
			if config, ok := configs[tc.unit]; ok {
				paths = append(paths, config)
			}
			var messages []string
			for _, p := range append(paths, paths[0]) {
				err := judge(t, tc.unit, p, desired.Files[p])
				refused, ok := errors.AsType[*host.RefusedError](err)
				if !ok {
					t.Fatalf("%s: %s: %v; want it refused", tc.reason, p, err)
				}
				if !strings.Contains(refused.Words, tc.words) {
					t.Errorf("%s: words %q do not have %q", tc.reason, refused.Words, tc.words)
				}
				messages = append(messages, refused.Words)
			}
			if len(slices.Compact(messages)) != 1 {
				t.Errorf("the words change from run to run: %q", messages)
			}
		})
	}
}

// TestWhatTheSchemasAlreadyRefuseIsRefusedByTheProgramsToo puts texts into the files that no NodeConfig
// leads to, as a node with an older release of Kubernetes might find them.
func TestWhatTheSchemasAlreadyRefuseIsRefusedByTheProgramsToo(t *testing.T) {
	cases := map[string]struct{ reason, unit, key, value, words string }{
		"KubeletUnknownField": {"logged, and left out", resolve.UnitKubelet, "maxPodz", `10`, `unknown field "maxPodz"`},
		"KubeletType":         {"not a number", resolve.UnitKubelet, "maxPods", `"ten"`, "maxPods"},
		"ProxyUnknownField":   {"logged, and left out", resolve.UnitKubeProxy, "modus", `"nftables"`, `unknown field "modus"`},
		"ProxyType":           {"not a number", resolve.UnitKubeProxy, "conntrack", `{"min":"x"}`, "min"},
		"ProxyMode":           {"not a mode", resolve.UnitKubeProxy, "mode", `"userspace"`, "userspace"},
		"DockerUnknownKey":    {"dockerd does not start with it", resolve.UnitDocker, "no-such-key", `1`, "no-such-key"},
		"DockerFlagAndKey":    {"the bridge's address is on the command line (SB015)", resolve.UnitDocker, "bip", `"10.0.0.1/24"`, "specified both as a flag and in the configuration file: bip"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := minimalNode(t, func(*v1alpha1.NodeConfigSpec) {}).Files[configs[tc.unit]]
			var config map[string]any
			if err := yaml.Unmarshal(f.Content, &config); err != nil {
				t.Fatal(err)
			}
			var value any
			if err := yaml.Unmarshal([]byte(tc.value), &value); err != nil {
				t.Fatal(err)
			}
			config[tc.key] = value
			content, err := yaml.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			if tc.unit == resolve.UnitDocker {
				content, err = yaml.YAMLToJSON(content)
			}
			if err != nil {
				t.Fatal(err)
			}
			f.Content = content
			err = judge(t, tc.unit, configs[tc.unit], f)
			if refused, ok := errors.AsType[*host.RefusedError](err); !ok || !strings.Contains(refused.Words, tc.words) {
				t.Errorf("%s: %v; want it refused with %q", tc.reason, err, tc.words)
			}
		})
	}
}

func TestF024UnitsThatSystemdWouldNotLoadAreRefused(t *testing.T) {
	cases := map[string]struct{ reason, text, words string }{
		"NoProgram":  {"nothing to start", "[Service]\nType=simple\n", "Service has no ExecStart="},
		"Twice":      {"two programs", "[Service]\nExecStart=/bin/true\nExecStart=/bin/false\n", "more than one ExecStart="},
		"Relative":   {"no absolute path", "[Service]\nExecStart=./true\n", "./true"},
		"Warning":    {"left out, and the rest goes", "[Service]\nExecStart=/bin/true\nNoSuchKey=1\n", ""},
		"NotThere":   {"may come later", "[Service]\nExecStart=/usr/local/bin/not-installed-yet\n", ""},
		"NeedsOther": {"may come later", "[Unit]\nRequires=not-installed-yet.service\n[Service]\nExecStart=/bin/true\n", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			const path = resolve.UnitFolder + "/mine.service"
			f := minimalNode(t, func(n *v1alpha1.NodeConfigSpec) {
				n.Units = []v1alpha1.Unit{{Name: "mine.service", Contents: new(tc.text)}}
			}).Files[path]
			if len(f.Checks) != 1 {
				t.Fatalf("%d checks", len(f.Checks))
			}
			f.Checks[0].Program = realProgram(t, "systemd-analyze")
			err := host.Judge(t.Context(), linux.NewChecker(t.TempDir()), path, f, f.Checks[0])
			refused, ok := errors.AsType[*host.RefusedError](err)
			switch {
			case tc.words == "" && err != nil:
				t.Errorf("%s: %v; want it accepted", tc.reason, err)
			case tc.words != "" && (!ok || !strings.Contains(refused.Words, tc.words)):
				t.Errorf("%s: %v; want it refused with %q", tc.reason, err, tc.words)
			}
		})
	}
}
