package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/rollout"
	"seedbed.dev/seedbed/controllers/schema"
	"seedbed.dev/seedbed/controllers/state"
)

// offlineInput is what render and plan are told about a node, without any cluster.
type offlineInput struct {
	files    []string
	facts    string
	secrets  []string
	nodeName string
	labels   string
	config   string
}

func (in *offlineInput) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVarP(&in.files, "filename", "f", nil, "file or folder with NodeConfig and NetworkConfig objects; - is standard input (repeatable)")
	f.StringVar(&in.facts, "facts", "", "facts file of the node: the fields of NodeState.status.facts")
	f.StringArrayVar(&in.secrets, "secrets", nil, "file or folder with further Secrets; the content of those that no file has is a placeholder (repeatable)")
	f.StringVar(&in.nodeName, "node-name", "", "name of the node (default: the one that this machine joined by, else the hostname in the facts)")
	f.StringVar(&in.labels, "labels", "", "labels of the node, key=value,…; they choose among several NodeConfigs")
	f.StringVar(&in.config, "config", "", "name of the NodeConfig to use, whatever its selector says")
}

// offlineNode is a node as the files say it is to be.
type offlineNode struct {
	name     string
	config   string
	revision string
	// input is what it is resolved from.
	input   resolve.Input
	desired state.Host
	// missing is why desired is only what has to be installed first.
	missing resolve.Errors
	// placeholders are the Secrets whose content nobody gave.
	placeholders []string
}

// secretContents are the contents of Secrets by reference.
type secretContents = map[v1alpha1.SecretKeyReference]state.Sensitive

// hostKnowledge is what a node is rendered with beside the objects.
type hostKnowledge struct {
	facts v1alpha1.Facts
	// secrets are contents that count where the files have none; what is not known either is a
	// placeholder.
	secrets secretContents
	// node is the name of the node that the host is, or "" where only its facts say one.
	node string
	// kubeletCertified is true where the kubelet needs no bootstrap token any more.
	kubeletCertified bool
}

// node reads the files and renders the node.
func (in *offlineInput) node(stdin io.Reader, known hostKnowledge) (offlineNode, error) {
	n, err := in.read(stdin, known)
	if err != nil {
		return offlineNode{}, err
	}
	resolved, err := resolve.Resolve(n.input)
	if err != nil {
		return offlineNode{}, n.unrealised(err)
	}
	n.missing = resolved.Missing
	n.desired, err = render.Render(resolved)
	return n, err
}

func (n offlineNode) unrealised(err error) error {
	return fmt.Errorf("NodeConfig %s cannot be realised on %s: %w", n.config, n.name, err)
}

// read reads the files and finds what the node is resolved from.
func (in *offlineInput) read(stdin io.Reader, known hostKnowledge) (offlineNode, error) {
	objects, err := loadObjects(in.files, stdin)
	if err != nil {
		return offlineNode{}, err
	}
	values, err := in.secretValues(objects.Secrets, known.secrets)
	if err != nil {
		return offlineNode{}, err
	}
	n := offlineNode{name: cmp.Or(in.nodeName, known.node, strings.ToLower(known.facts.Hostname))}
	switch {
	case n.name == "":
		return offlineNode{}, errors.New("the facts have no hostname: add one, or give --node-name")
	case known.node != "" && n.name != known.node:
		return offlineNode{}, fmt.Errorf("--node-name %s: this host is node %s: remove --node-name, or plan %s there or with --kubeconfig", n.name, known.node, n.name)
	}
	var rev revision.Revision
	if rev, n.config, err = in.revision(objects, n.name); err != nil {
		return offlineNode{}, err
	}
	if _, n.revision, err = rev.Encode(n.config); err != nil {
		return offlineNode{}, err
	}
	n.placeholders = missing(rev.SecretNames(), values)
	n.input = resolve.Input{
		NodeName: n.name, Revision: rev, Facts: known.facts,
		Secrets: resolve.NewSecrets(values).WithPlaceholders(), KubeletHasCertificate: known.kubeletCertified,
	}
	return n, nil
}

// revision cuts the revision of the NodeConfig that governs the node.
func (in *offlineInput) revision(objects schema.Objects, node string) (revision.Revision, string, error) {
	config, err := in.governing(objects.NodeConfigs, node)
	if err != nil {
		return revision.Revision{}, "", err
	}
	name := config.Spec.NetworkRef.Name
	i := slices.IndexFunc(objects.NetworkConfigs, func(n v1alpha1.NetworkConfig) bool { return n.Name == name })
	if i < 0 {
		return revision.Revision{}, "", fmt.Errorf("NodeConfig %s: networkRef.name %s: no such NetworkConfig in the files; add it with another -f", config.Name, name)
	}
	return revision.New(config.Spec, objects.NetworkConfigs[i].Spec), config.Name, nil
}

func (in *offlineInput) governing(configs []v1alpha1.NodeConfig, node string) (*v1alpha1.NodeConfig, error) {
	if in.config != "" {
		i := slices.IndexFunc(configs, func(c v1alpha1.NodeConfig) bool { return c.Name == in.config })
		if i < 0 {
			return nil, fmt.Errorf("--config %s: no such NodeConfig in the files; there are: %s", in.config, names(configs))
		}
		return &configs[i], nil
	}
	if in.labels == "" && len(configs) == 1 {
		return &configs[0], nil
	}
	if len(configs) == 0 {
		return nil, errors.New("no NodeConfig in the files: add one with another -f")
	}
	set, err := labels.ConvertSelectorToLabelsMap(in.labels)
	if err != nil {
		return nil, fmt.Errorf("--labels %s: %w; write key=value,key=value", in.labels, err)
	}
	state := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: node, Labels: set}}
	return governor(selectionOf(configs, state), configs, state)
}

// selectionOf asks the rollout stage, so that an answer here is the manager's answer.
func selectionOf(configs []v1alpha1.NodeConfig, nodes ...*v1alpha1.NodeState) rollout.Selection {
	list := make([]*v1alpha1.NodeConfig, len(configs))
	for i := range configs {
		list[i] = &configs[i]
	}
	return rollout.Select(list, nodes)
}

// governor is the NodeConfig that governs a node.
func governor(selection rollout.Selection, configs []v1alpha1.NodeConfig, node *v1alpha1.NodeState) (*v1alpha1.NodeConfig, error) {
	if tied := selection.Tied[node.Name]; len(tied) > 0 {
		return nil, fmt.Errorf("NodeConfigs %s select node %s with equal priority: raise the priority of one, or give --config", strings.Join(tied, " and "), node.Name)
	}
	name, ok := selection.Governor[node.Name]
	if !ok {
		return nil, fmt.Errorf("no NodeConfig selects node %s with labels %q: give --labels or --config; there are: %s",
			node.Name, labels.Set(node.Labels).String(), names(configs))
	}
	i := slices.IndexFunc(configs, func(c v1alpha1.NodeConfig) bool { return c.Name == name })
	return &configs[i], nil
}

func names(configs []v1alpha1.NodeConfig) string {
	list := make([]string, len(configs))
	for i := range configs {
		list[i] = configs[i].Name
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// secretValues are, the later the weaker: those of --secrets, of the files beside the objects, and
// those that are known otherwise.
func (in *offlineInput) secretValues(beside []corev1.Secret, known secretContents) (secretContents, error) {
	values := secretContents{}
	maps.Copy(values, known)
	for i := range beside {
		addSecret(values, &beside[i])
	}
	given, err := loadObjects(in.secrets, nil)
	if err != nil {
		return nil, fmt.Errorf("--secrets: %w", err)
	}
	for i := range given.Secrets {
		addSecret(values, &given.Secrets[i])
	}
	return values, nil
}

// missing are the names of which there is no content.
func missing(names []string, values secretContents) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		for ref := range values {
			if ref.Name == name {
				return true
			}
		}
		return false
	})
}

func addSecret(values secretContents, s *corev1.Secret) {
	for key, content := range s.Data {
		values[v1alpha1.SecretKeyReference{Name: s.Name, Key: key}] = state.NewSensitive(content)
	}
	for key, content := range s.StringData {
		values[v1alpha1.SecretKeyReference{Name: s.Name, Key: key}] = state.NewSensitive([]byte(content))
	}
}

func loadFacts(path string) (v1alpha1.Facts, error) {
	if path == "" {
		return v1alpha1.Facts{}, errors.New("--facts is missing: give a file with the fields of a NodeState's status.facts")
	}
	file, err := os.Open(path)
	if err != nil {
		return v1alpha1.Facts{}, fmt.Errorf("facts: %w", err)
	}
	defer file.Close() // read only
	return schema.LoadFacts(path, file)
}

// loadObjects reads files, and the YAML and JSON files right in folders, as kubectl apply -f does.
func loadObjects(paths []string, stdin io.Reader) (schema.Objects, error) {
	var all schema.Objects
	for _, path := range paths {
		files, err := expand(path)
		if err != nil {
			return all, err
		}
		for _, file := range files {
			if err := loadInto(&all, file, stdin); err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

func loadInto(all *schema.Objects, path string, stdin io.Reader) error {
	reader, name := stdin, "standard input"
	if path == "-" && stdin == nil {
		return errors.New("standard input can be read only once, by -f")
	}
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close() // read only
		reader, name = file, path
	}
	objects, err := schema.Load(name, reader)
	if err != nil {
		return err
	}
	all.NetworkConfigs = append(all.NetworkConfigs, objects.NetworkConfigs...)
	all.NodeConfigs = append(all.NodeConfigs, objects.NodeConfigs...)
	all.NodeStates = append(all.NodeStates, objects.NodeStates...)
	all.Secrets = append(all.Secrets, objects.Secrets...)
	return nil
}

func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if isManifest(e) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no .yaml, .yml or .json file in this folder", path)
	}
	return files, nil
}

func isManifest(e fs.DirEntry) bool {
	switch filepath.Ext(e.Name()) {
	case ".yaml", ".yml", ".json":
		return !e.IsDir()
	}
	return false
}
