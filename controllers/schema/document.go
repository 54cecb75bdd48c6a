package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	// maxBytes is the largest file that is read; the API server takes 3 MiB in a request.
	maxBytes = 3 << 20
	// maxNodes bounds a document with its aliases written out, so that a few lines of aliases to
	// aliases cannot fill the memory.
	maxNodes = 200_000
	// maxDepth bounds nesting, for the same reason.
	maxDepth = 100
)

// Error is one thing that is wrong in a file.
type Error struct {
	// File is the name that the caller gave.
	File string
	// Line counts from 1; 0 when the whole file is meant.
	Line int
	// Field is the path from the object's root, such as "spec.podCIDR"; "" for the document itself.
	Field string
	// Problem says what is wrong, and the cure.
	Problem string
}

// Error is FILE:LINE: FIELD: PROBLEM, without the parts that are not known.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	return b.String() + ": " + e.Problem
}

// document is one YAML or JSON document of a file.
type document struct {
	file string
	// root has the lines; it is nil in an empty document.
	root *yaml.Node
	// before is the number of lines of the file before the document.
	before int
	// values is the document as JSON has it.
	values map[string]any
	json   []byte
}

// separator is what kubectl splits files at.
var separator = regexp.MustCompile(`(?m)^---([ \t].*)?\r?\n`)

// documents splits and parses a file. Empty documents are left out. It parses all that can be
// parsed, whatever is wrong with the others.
func documents(file string, r io.Reader) ([]document, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, &Error{File: file, Problem: "cannot be read: " + err.Error()}
	}
	if len(data) > maxBytes {
		return nil, &Error{File: file, Problem: fmt.Sprintf("is larger than %d bytes: split it into several files", maxBytes)}
	}
	var all []document
	var problems []error
	start := 0
	for _, cut := range append(separator.FindAllIndex(data, -1), []int{len(data), len(data)}) {
		d := document{file: file, before: bytes.Count(data[:start], []byte("\n"))}
		if err := d.parse(data[start:cut[0]]); err != nil {
			problems = append(problems, err)
		} else if d.root != nil {
			all = append(all, d)
		}
		start = cut[1]
	}
	return all, errors.Join(problems...)
}

func (d *document) parse(text []byte) error {
	var outer yaml.Node
	if err := yaml.Unmarshal(text, &outer); err != nil {
		return d.syntaxError(err)
	}
	if len(outer.Content) == 0 || outer.Content[0].Tag == "!!null" {
		return nil
	}
	root := outer.Content[0]
	if root.Kind != yaml.MappingNode {
		return d.at(root, "", "is not an object: write apiVersion, kind, metadata and spec as key: value")
	}
	walk := walker{d: d, left: maxNodes}
	if err := walk.visit(root, "", 0); err != nil {
		return err
	}
	// The values are read as kubectl reads them, so that "on" is a boolean here too.
	var err error
	if d.json, err = sigsyaml.YAMLToJSON(text); err != nil {
		return d.syntaxError(err)
	}
	if err := utiljson.Unmarshal(d.json, &d.values); err != nil {
		return d.at(root, "", "cannot be written as JSON: "+err.Error())
	}
	d.root = root
	return nil
}

var yamlLine = regexp.MustCompile(`^(?:error converting YAML to JSON: )?yaml: (?:unmarshal errors:\s+)?(?:line (\d+): )?`)

// syntaxError moves the line out of a YAML error's text.
func (d *document) syntaxError(err error) error {
	text, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if line, _ = strconv.Atoi(m[1]); line > 0 { // without a line the text is all there is
			line += d.before
		}
	}
	return &Error{File: d.file, Line: line, Problem: "is not YAML: " + text + "; check indentation, quotes and colons"}
}

func (d *document) at(node *yaml.Node, path, problem string) *Error {
	return &Error{File: d.file, Line: d.before + node.Line, Field: path, Problem: problem}
}

// walker refuses what YAML allows and an object cannot have.
type walker struct {
	d    *document
	left int
}

func (w *walker) visit(node *yaml.Node, path string, depth int) error {
	if w.left--; w.left < 0 || depth > maxDepth {
		return w.d.at(node, path, fmt.Sprintf("is too large with its aliases written out: at most %d values, %d deep; write less, or without aliases", maxNodes, maxDepth))
	}
	switch node.Kind {
	case yaml.AliasNode:
		return w.visit(node.Alias, path, depth+1)
	case yaml.SequenceNode:
		for i, item := range node.Content {
			if err := w.visit(item, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		return w.mapping(node, path, depth)
	}
	return nil
}

func (w *walker) mapping(node *yaml.Node, path string, depth int) error {
	first := map[string]int{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return w.d.at(key, path, "has a key that is not a word: write key: value")
		}
		at := child(path, key.Value)
		if line, again := first[key.Value]; again {
			return w.d.at(key, at, fmt.Sprintf("is given twice, first on line %d: remove one", line))
		}
		first[key.Value] = w.d.before + key.Line
		if err := w.visit(value, at, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func child(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// line is where the field at path is, or as much of the path as the document has.
func (d *document) line(path string) int { return d.before + deepest(d.root, d.root.Line, path) }

// deepest follows path, which is written as field.Path writes it: a.b[0][key]. Keys may hold dots,
// so at each step the longest key wins that the rest of the path begins with.
func deepest(node *yaml.Node, line int, path string) int {
	if node.Kind == yaml.AliasNode {
		return line // the alias is what the user would change
	}
	path = strings.TrimPrefix(path, ".")
	if node.Kind == yaml.SequenceNode {
		index, rest, _ := strings.Cut(strings.TrimPrefix(path, "["), "]")
		if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(node.Content) {
			return deepest(node.Content[i], node.Content[i].Line, rest)
		}
		return line
	}
	longest, next := -1, 0
	var rest string
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		for _, form := range []string{key, "[" + key + "]"} {
			after, ok := strings.CutPrefix(path, form)
			if ok && len(key) > longest && (after == "" || after[0] == '.' || after[0] == '[') {
				longest, next, rest = len(key), i, after
			}
		}
	}
	if longest < 0 {
		return line
	}
	return deepest(node.Content[next+1], node.Content[next].Line, rest)
}
