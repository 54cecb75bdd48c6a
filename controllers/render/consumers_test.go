package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

// dockerOptions stand for what seedbed-docker-opts.service writes.
const dockerOptions = "--bip=172.30.38.1/24 --ip-masq=false --mtu=1450"

func TestEveryFileIsReadByItsConsumer(t *testing.T) {
	for _, name := range resolvetest.Cases {
		t.Run(name, func(t *testing.T) { read(t, mustRender(t, resolvetest.Load(t, name))) })
	}
}

// consumed is a host as its programs read it.
type consumed struct {
	kubelet   kubeletv1beta1.KubeletConfiguration
	kubeProxy kubeproxyv1alpha1.KubeProxyConfiguration
	daemon    map[string]any
	proxyEnv  map[string]string
	auths     map[string]map[string]string
	tokens    map[string]string
	// argv by unit.
	argv map[string][]string
	// environment by unit.
	environment map[string][]string
}

// read parses every file with its consumer's own parser, and fails where one would refuse it or
// where two settings contradict each other.
func read(t *testing.T, h state.Host) consumed {
	t.Helper()
	c := consumed{argv: map[string][]string{}, environment: map[string][]string{}, tokens: map[string]string{}}
	for p, f := range h.Files {
		if !path.IsAbs(p) || path.Clean(p) != p {
			t.Errorf("path %q is not clean", p)
		}
		if f.Component != state.ComponentUser {
			c.readFile(t, p, f)
		}
	}
	checkSystemFiles(t, h)
	c.checkFlags(t)
	return c
}

func (c *consumed) readFile(t *testing.T, p string, f state.File) {
	t.Helper()
	var err error
	switch {
	case p == resolve.PathKubeletConfig:
		err = yaml.UnmarshalStrict(f.Content, &c.kubelet)
	case p == resolve.PathKubeProxyConfig:
		err = yaml.UnmarshalStrict(f.Content, &c.kubeProxy)
	case p == resolve.PathDaemonJSON:
		err = json.Unmarshal(f.Content, &c.daemon)
	case p == resolve.PathDockerProxyEnv:
		c.proxyEnv, err = parseEnv(string(f.Content))
	case p == resolve.PathRootDockerConfig:
		var config struct {
			Auths map[string]map[string]string `json:"auths"`
		}
		err = json.Unmarshal(f.Content, &config)
		c.auths = config.Auths
	case strings.HasSuffix(p, ".kubeconfig"):
		config, loadErr := clientcmd.Load(f.Content)
		if err = loadErr; err == nil {
			c.checkKubeconfig(t, p, config.CurrentContext, len(config.Clusters), len(config.AuthInfos))
			for user, auth := range config.AuthInfos {
				c.tokens[user] = auth.Token
			}
		}
	case path.Base(p) == resolve.WaitDropInName:
		err = readCondition(p, f.Content)
	case strings.HasSuffix(p, ".sources"):
		err = readSources(f.Content)
	case state.IsUnitFile(p):
		c.readUnit(t, p, f.Content)
	}
	if err != nil {
		t.Errorf("file %s: its consumer refuses it: %v", p, err)
	}
	if comments := !strings.HasSuffix(p, ".json") && !strings.HasSuffix(p, ".crt") && !strings.HasSuffix(p, ".key") && !strings.HasSuffix(p, ".asc"); comments && !bytes.HasPrefix(f.Content, []byte(header)) {
		t.Errorf("file %s does not say that Seedbed manages it", p)
	}
}

func (c *consumed) checkKubeconfig(t *testing.T, p, current string, clusters, users int) {
	t.Helper()
	if current != "cluster" || clusters != 1 || users != 1 {
		t.Errorf("file %s: context %q, %d clusters, %d users", p, current, clusters, users)
	}
}

// readCondition reads what keeps a component from being started: conditions alone, in [Unit].
func readCondition(p string, content []byte) error {
	options, err := unit.DeserializeOptions(bytes.NewReader(content))
	if err != nil {
		return err
	}
	for _, o := range options {
		if o.Section != "Unit" || o.Name != "ConditionPathExists" || !strings.HasPrefix(o.Value, "|"+resolve.UnitFolder+"/") || strings.Contains(o.Value, path.Base(p)) {
			return fmt.Errorf("[%s] %s=%s", o.Section, o.Name, o.Value)
		}
	}
	return nil
}

// readSources reads one paragraph of deb822(5): each field once, without continued lines.
func readSources(content []byte) error {
	fields := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if _, twice := fields[name]; !ok || twice || strings.ContainsAny(name, " \t") {
			return fmt.Errorf("line %q", line)
		}
		fields[name] = value
	}
	if _, signed := fields["Signed-By"]; signed == (fields["Trusted"] == "yes") {
		return fmt.Errorf("signed and trusted, or neither: %v", fields)
	}
	return nil
}

// directives that this package writes. A line that turns up besides them was injected.
var directives = []string{
	"X-FlannelNetwork", "Description", "Documentation", "Wants", "After", "Requires", "RequiresMountsFor", "StartLimitIntervalSec", "StartLimitBurst",
	"Type", "NotifyAccess", "RemainAfterExit", "TimeoutStartSec", "ExecStart", "ExecReload", "Environment", "EnvironmentFile",
	"Restart", "RestartSec", "LimitNOFILE", "LimitNPROC", "LimitCORE", "TasksMax", "Delegate", "KillMode", "OOMScoreAdjust", "WantedBy",
}

func (c *consumed) readUnit(t *testing.T, p string, content []byte) {
	t.Helper()
	options, err := unit.DeserializeOptions(bytes.NewReader(content))
	if err != nil {
		t.Errorf("file %s: %v", p, err)
		return
	}
	name := path.Base(p)
	if name == resolve.DropInName {
		name = strings.TrimSuffix(path.Base(path.Dir(p)), ".d")
	}
	commands := 0
	for _, o := range options {
		if !slices.Contains(directives, o.Name) {
			t.Errorf("file %s: unexpected directive %s=%s", p, o.Name, o.Value)
		}
		switch {
		case o.Name == "ExecStart" && o.Value != "":
			commands++
			argv, err := splitExec(o.Value, map[string]string{dockeropts.Variable: dockerOptions})
			if err != nil || len(argv) == 0 || !path.IsAbs(argv[0]) {
				t.Errorf("file %s: ExecStart=%s: %q, %v", p, o.Value, argv, err)
			}
			c.argv[name] = argv
		case o.Name == "Environment":
			words, err := splitWords(o.Value)
			if err != nil || len(words) != 1 {
				t.Errorf("file %s: Environment=%s: %q, %v", p, o.Value, words, err)
				continue
			}
			c.environment[name] = append(c.environment[name], strings.ReplaceAll(words[0], "%%", "%"))
		}
	}
	if commands != 1 {
		t.Errorf("file %s: %d commands", p, commands)
	}
}

// checkFlags: no flag twice, and none that daemon.json has too, with which dockerd does not start
// (SB015).
func (c *consumed) checkFlags(t *testing.T) {
	t.Helper()
	keys := map[string]string{
		"host": "hosts", "label": "labels", "log-opt": "log-opts", "exec-opt": "exec-opts", "registry-mirror": "registry-mirrors",
		"insecure-registry": "insecure-registries", "storage-opt": "storage-opts", "D": "debug", "s": "storage-driver",
	}
	for name, argv := range c.argv {
		seen := map[string]bool{}
		for _, arg := range argv[1:] {
			flag, isFlag := strings.CutPrefix(arg, "-")
			if !isFlag {
				continue
			}
			flag, _, _ = strings.Cut(strings.TrimPrefix(flag, "-"), "=")
			flag = strings.ReplaceAll(flag, "_", "-")
			if seen[flag] {
				t.Errorf("%s: flag %s is there twice: %q", name, flag, argv)
			}
			seen[flag] = true
			key := flag
			if k, ok := keys[flag]; ok {
				key = k
			}
			if _, both := c.daemon[key]; both && name == resolve.UnitDocker {
				t.Errorf("%s is a flag of dockerd and a key of daemon.json (SB015)", key)
			}
		}
	}
}

// checkSystemFiles: what the next boot loads is what runs now.
func checkSystemFiles(t *testing.T, h state.Host) {
	t.Helper()
	sysctls, modules := map[string]string{}, map[string]state.Module{}
	for _, line := range lines(h.Files[resolve.PathSysctls].Content) {
		name, value, _ := strings.Cut(line, "=")
		sysctls[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	for _, line := range lines(h.Files[resolve.PathModules].Content) {
		modules[line] = state.Module{}
	}
	if diff := cmp.Diff(h.Sysctls, sysctls); diff != "" {
		t.Errorf("sysctls: -now +next boot\n%s", diff)
	}
	if diff := cmp.Diff(h.Modules, modules); diff != "" {
		t.Errorf("modules: -now +next boot\n%s", diff)
	}
}

// lines without comments, as sysctl.d(5) and modules-load.d(5) read them.
func lines(content []byte) []string {
	var all []string
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != ';' {
			all = append(all, line)
		}
	}
	return all
}
