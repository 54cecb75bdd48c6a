package seed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"

	"seedbed.dev/seedbed/controllers/seed/install"
)

// NodeOptions say which node to add.
type NodeOptions struct {
	// DataDir is the running seed's.
	DataDir string
	// Name of the node: a DNS-1123 label.
	Name string
	// Labels of its NodeState, as given: "key=value" pairs.
	Labels []string
	// Output is the kubeconfig to write. Empty: nodes/NAME.kubeconfig in the data dir.
	Output string
}

// NodeResult is what AddNode did.
type NodeResult struct {
	// Kubeconfig is the path of the agent's kubeconfig.
	Kubeconfig string
	// Registered is true when the node was not registered before.
	Registered bool
	// Issued says why the kubeconfig was written, and is empty when it was kept.
	Issued string
}

// AddNode registers a node with the running seed and writes a kubeconfig for its agent, with a
// certificate that the seed's authority signs. Doing it again with the same labels renews the
// certificate when it is near its end, and otherwise changes nothing.
func AddNode(ctx context.Context, o NodeOptions) (NodeResult, error) {
	labels, err := checkNode(o.Name, o.Labels)
	if err != nil {
		return NodeResult{}, err
	}
	root, err := filepath.Abs(o.DataDir)
	if err != nil {
		return NodeResult{}, fmt.Errorf("data dir %s: %w", o.DataDir, err)
	}
	l := Layout{Root: root}
	a, err := l.access()
	if err != nil {
		return NodeResult{}, explain(root, err)
	}
	result := NodeResult{Kubeconfig: o.Output}
	if o.Output == "" {
		result.Kubeconfig = l.NodeKubeconfig(o.Name)
	}
	if err := checkOutput(result.Kubeconfig, o.Name); err != nil {
		return NodeResult{}, err
	}
	// The name first: no certificate is signed for a name that somebody else has.
	if result.Registered, err = l.register(ctx, o.Name, labels); err != nil {
		return NodeResult{}, err
	}
	if result.Issued, err = a.ensure(result.Kubeconfig, nodeSpec(o.Name), time.Now()); err != nil {
		return NodeResult{}, &Problem{What: fmt.Sprintf("kubeconfig of node %s: %v", o.Name, err), Cure: "choose a file that can be written with -o, and run this again", Err: err}
	}
	return result, nil
}

// access is for kubeconfigs of nodes, which are on other machines.
func (l Layout) access() (access, error) {
	const cure = "give the data dir of a seed that has been started with --data-dir"
	if _, err := os.Stat(l.VersionFile()); isMissing(err) {
		return access{}, problemf(cure, "data dir %s: no seed's data there", l.Root)
	}
	if _, err := checkLayout(l); err != nil {
		return access{}, err
	}
	state, err := l.recall()
	if err != nil {
		return access{}, err
	}
	if state.Server == "" {
		return access{}, problemf(cure, "data dir %s: its seed has not got as far as an address", l.Root)
	}
	authority, err := l.PKI().LoadAuthority(clusterAuthority, time.Now())
	return access{server: state.Server, authority: authority}, err
}

// register talks to the API server as the seed's administrator.
func (l Layout) register(ctx context.Context, name string, labels map[string]string) (bool, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig(adminName))
	if err != nil {
		return false, fmt.Errorf("administrator's kubeconfig: %w", err)
	}
	installer, err := install.New(config)
	if err != nil {
		return false, err
	}
	created, err := installer.Register(ctx, name, labels)
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		return false, &Problem{
			What: fmt.Sprintf("node %s: no answer from %s: %v", name, config.Host, urlErr.Err),
			Cure: "is the seed running? Start it with `seedbed seed --data-dir " + l.Root + "`", Err: err,
		}
	}
	return created, err
}

// checkNode returns the labels as a map, or a *Problem.
func checkNode(name string, pairs []string) (map[string]string, error) {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return nil, problemf("use at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit; example: node-a", "node name %q: not a DNS label", name)
	}
	return parseLabels(pairs)
}

// parseLabels returns "key=value" pairs as a map, or a *Problem.
func parseLabels(pairs []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, problemf("write key=value; example: role=worker", "--labels %q: no value", pair)
		}
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			return nil, problemf("use a name like role or example.com/role", "--labels %q: the key is not a label's: %s", pair, problems[0])
		}
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			return nil, problemf("use at most 63 letters, digits, '-', '_' and '.'; example: role=worker", "--labels %q: the value is not a label's: %s", pair, problems[0])
		}
		if old, twice := labels[key]; twice && old != value {
			return nil, problemf("give each key once", "--labels %s: given as %q and %q", key, old, value)
		}
		labels[key] = value
	}
	return labels, nil
}

// checkOutput refuses to write over a file that is not a kubeconfig of this very node.
func checkOutput(path, node string) error {
	content, err := os.ReadFile(path)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return &Problem{What: fmt.Sprintf("kubeconfig %v", err), Cure: "choose a file that this user can read and write with -o", Err: err}
	}
	cert, _ := readKubeconfig(content)
	if cert == nil || cert.Subject.CommonName != nodeSpec(node).CommonName {
		return problemf("move it away, or choose another file with -o", "kubeconfig %s: is there already and is not node %s's", path, node)
	}
	return nil
}

// isMissing is true for a file that is not there.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
