package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/controllers/state"
)

// header begins every file whose format has comments with #.
const header = "# Managed by Seedbed: what is changed here by hand is put back.\n" +
	"# Change the NodeConfig or NetworkConfig that governs this node instead.\n"

const (
	readable fs.FileMode = 0o644
	private  fs.FileMode = 0o600
)

// file is a file of root's that everybody may read.
func file(content []byte) state.File {
	return state.File{Content: content, Mode: readable, Owner: "root", Group: "root"}
}

// secretFile is a file of root's with content of a Secret in it.
func secretFile(content []byte) state.File {
	return state.File{Content: content, Mode: private, Owner: "root", Group: "root", Secret: true}
}

// below joins a folder and a name that comes from outside; a name is one part of a path and no more.
func below(folder, name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || oneLine(name) != nil {
		return "", fmt.Errorf("%q is not a name in folder %s", name, folder)
	}
	return folder + "/" + name, nil
}

// yamlFile writes an object as YAML below the header. Going through JSON types quotes whatever YAML
// would take for something else.
func yamlFile(object any) ([]byte, error) {
	out, err := yaml.Marshal(object)
	if err != nil {
		return nil, err
	}
	return append([]byte(header), out...), nil
}

// jsonFile writes an object as JSON with sorted keys, two spaces and a newline at the end.
func jsonFile(object any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(object); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// inputs are files that a unit reads when it starts, each as an input that costs a restart.
func inputs(host state.Host, paths ...string) []state.Input {
	var all []state.Input
	for _, p := range paths {
		if f, ok := host.Files[p]; ok {
			all = append(all, state.Input{Name: p, Path: p, Hash: state.Hash(f.Content), Disruption: state.Restart})
		}
	}
	return all
}

// needs are files that must be there before a unit starts, though it need not start again when
// they change: it reads them at each use, or only once in its life.
func needs(host state.Host, paths ...string) []state.Ref {
	var refs []state.Ref
	for _, p := range paths {
		if _, ok := host.Files[p]; ok {
			refs = append(refs, state.Ref{Kind: state.KindFile, Name: p})
		}
	}
	return refs
}

// toMap turns a typed object into JSON's own types.
func toMap(object any) (map[string]any, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", object, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("decode %T: %w", object, err)
	}
	return m, nil
}
