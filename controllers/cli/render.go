package cli

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers/state"
)

func newRenderCommand() *cobra.Command {
	var in offlineInput
	var output, folder string
	c := &cobra.Command{
		Use:   "render -f FILE --facts FILE",
		Short: "Print the files and settings that a NodeConfig means for a node, offline",
		Long: `Print what a NodeConfig and its NetworkConfig mean for one node: files, units, sysctls, kernel
modules and iptables policies. It works on files alone; no cluster and no host is asked.
Secrets are taken from the files; the content of one that no file has is a placeholder. Files with
secret content are not printed; --to writes them.`,
		Example: `  # One of the guide's nodes
  seedbed render -f config/samples/guide --facts config/samples/guide/facts/node-a.yaml

  # Into a folder, with the contents of Secrets
  seedbed render -f cluster/ --facts node-a.yaml --secrets secrets.yaml --to out/

  # For a program
  seedbed render -f cluster/ --facts node-a.yaml -o json | jq -r '.files[].path'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			facts, err := loadFacts(in.facts)
			if err != nil {
				return err
			}
			node, err := in.node(cmd.InOrStdin(), hostKnowledge{facts: facts})
			if err != nil {
				return err
			}
			if folder != "" {
				return writeFiles(cmd.OutOrStdout(), folder, node)
			}
			if output != outputText {
				return encode(cmd.OutOrStdout(), output, viewOf(node))
			}
			printNode(cmd.OutOrStdout(), node)
			return nil
		},
	}
	in.addFlags(c)
	if err := c.MarkFlagRequired("filename"); err != nil {
		panic(err) // a flag that was not defined: a programming error
	}
	addOutputFlag(c, &output)
	c.Flags().StringVar(&folder, "to", "", "folder to write the files below, instead of printing them; made if missing, else it must be empty")
	return c
}

// nodeView is a rendered node for a program.
type nodeView struct {
	Node     string            `json:"node"`
	Revision string            `json:"revision"`
	Files    []fileView        `json:"files"`
	Units    []unitView        `json:"units"`
	Modules  []string          `json:"modules,omitempty"`
	Sysctls  map[string]string `json:"sysctls,omitempty"`
	Chains   map[string]string `json:"chains,omitempty"`
	// Packages by name: the version, with "held" where it is held, or "absent".
	Packages map[string]string `json:"packages,omitempty"`
	Binaries []binaryView      `json:"binaries,omitempty"`
	// Missing is why the rest of the node can be rendered only once this is installed.
	Missing []string `json:"missing,omitempty"`
}

type binaryView struct {
	Path   string `json:"path"`
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	Mode   string `json:"mode"`
}

type fileView struct {
	Path      string          `json:"path"`
	Mode      string          `json:"mode"`
	Owner     string          `json:"owner"`
	Group     string          `json:"group"`
	Component state.Component `json:"component"`
	// Content is absent for files with Secret content.
	Content *string `json:"content,omitempty"`
	Secret  bool    `json:"secret,omitempty"`
}

type unitView struct {
	Name    string           `json:"name"`
	Enabled state.Enablement `json:"enabled,omitempty"`
	Active  state.Activity   `json:"active,omitempty"`
}

func viewOf(n offlineNode) nodeView {
	v := nodeView{Node: n.name, Revision: n.revision, Sysctls: n.desired.Sysctls, Chains: map[string]string{}}
	for _, path := range state.SortedKeys(n.desired.Files) {
		f := n.desired.Files[path]
		view := fileView{
			Path: path, Mode: fmt.Sprintf("%04o", f.Mode), Owner: f.Owner, Group: f.Group,
			Component: f.Component, Secret: f.Secret,
		}
		if !f.Secret {
			content := string(f.Content)
			view.Content = &content
		}
		v.Files = append(v.Files, view)
	}
	for _, name := range state.SortedKeys(n.desired.Units) {
		u := n.desired.Units[name]
		v.Units = append(v.Units, unitView{name, u.Enablement, u.Activity})
	}
	v.Modules = state.SortedKeys(n.desired.Modules)
	for name, c := range n.desired.Chains {
		v.Chains[name] = c.Policy
	}
	v.Missing, v.Packages = lines(n.missing), map[string]string{}
	for name, p := range n.desired.Packages {
		v.Packages[name] = p.Digest()
	}
	for _, path := range state.SortedKeys(n.desired.Binaries) {
		b := n.desired.Binaries[path]
		v.Binaries = append(v.Binaries, binaryView{path, b.URL, b.SHA256, fmt.Sprintf("%04o", b.Mode)})
	}
	return v
}

func printNode(w io.Writer, n offlineNode) {
	say(w, "# node %s, revision %s\n", n.name, n.revision)
	for _, path := range state.SortedKeys(n.desired.Files) {
		f := n.desired.Files[path]
		say(w, "\n# ==> %s (%s)\n", path, f.Describe())
		if f.Secret {
			say(w, "# [redacted]: holds the content of a Secret\n")
			continue
		}
		say(w, "%s", f.Content)
		if len(f.Content) > 0 && f.Content[len(f.Content)-1] != '\n' {
			say(w, "\n")
		}
	}
	say(w, "\n# ==> settings of the running host\n")
	for _, name := range state.SortedKeys(n.desired.Modules) {
		say(w, "module %s\n", name)
	}
	for _, name := range state.SortedKeys(n.desired.Sysctls) {
		say(w, "sysctl %s = %s\n", name, n.desired.Sysctls[name])
	}
	for _, name := range state.SortedKeys(n.desired.Chains) {
		say(w, "chain %s policy %s\n", name, n.desired.Chains[name].Policy)
	}
	for _, name := range state.SortedKeys(n.desired.Units) {
		u := n.desired.Units[name]
		say(w, "unit %s %s %s\n", name, u.Enablement, u.Activity)
	}
	for _, name := range state.SortedKeys(n.desired.Packages) {
		say(w, "package %s %s\n", name, n.desired.Packages[name].Digest())
	}
	for _, path := range state.SortedKeys(n.desired.Binaries) {
		b := n.desired.Binaries[path]
		say(w, "binary %s (%s) from %s\n", path, b.Describe(), b.URL)
	}
	sayMissing(w, "# ", lines(n.missing))
}

// writeFiles writes below a new or empty folder. It is for looking at and for building images by
// other means; `seedbed agent --host-root` is what keeps a host root.
func writeFiles(w io.Writer, folder string, node offlineNode) error {
	desired := node.desired
	if entries, err := os.ReadDir(folder); err == nil && len(entries) > 0 {
		return fmt.Errorf("--to %s: the folder is not empty; name a new one", folder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer root.Close() // nothing is buffered in it
	for _, path := range state.SortedKeys(desired.Files) {
		if err := writeBelow(root, path[1:], desired.Files[path]); err != nil {
			return fmt.Errorf("--to: %w", err)
		}
	}
	say(w, "wrote %d files below %s (owners are not set)\n", len(desired.Files), folder)
	if len(node.placeholders) > 0 {
		say(w, "placeholders stand for the content of Secrets that no file has: %s; give them with --secrets\n", strings.Join(node.placeholders, ", "))
	}
	return nil
}

func writeBelow(root *os.Root, path string, f state.File) error {
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.Mode&fs.ModePerm)
	if err != nil {
		return err
	}
	if _, err := file.Write(f.Content); err != nil {
		_ = file.Close() // the write's error says more
		return err
	}
	return file.Close()
}
