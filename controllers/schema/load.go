package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Objects are what a file holds, each kind in the file's order.
type Objects struct {
	NetworkConfigs []v1alpha1.NetworkConfig
	NodeConfigs    []v1alpha1.NodeConfig
	NodeStates     []v1alpha1.NodeState
	// Secrets have stringData moved into data, as the API server does.
	Secrets []corev1.Secret
}

// shared is the validator of all files of objects, so that the rules are compiled once.
var shared = sync.OnceValues(New)

// Load reads YAML documents or JSON objects and validates each. name is for errors, which are
// *Error values joined: everything that is wrong is told at once. Namespaces are read over.
func Load(name string, r io.Reader) (Objects, error) {
	validator, err := shared()
	if err != nil {
		return Objects{}, err
	}
	docs, err := documents(name, r)
	l := loader{validator: validator, seen: map[string]int{}, problems: []error{err}}
	for i := range docs {
		l.add(&docs[i])
	}
	if err := errors.Join(l.problems...); err != nil {
		return Objects{}, err
	}
	return l.objects, nil
}

// LoadFacts reads a facts file: the fields of NodeState.status.facts, in one document. The rules are
// compiled for this file only: an agent reads it once and runs for long.
func LoadFacts(name string, r io.Reader) (v1alpha1.Facts, error) {
	validator, err := New()
	if err != nil {
		return v1alpha1.Facts{}, err
	}
	docs, err := documents(name, r)
	if err != nil {
		return v1alpha1.Facts{}, err
	}
	if len(docs) != 1 {
		return v1alpha1.Facts{}, &Error{File: name, Problem: fmt.Sprintf("has %d documents: a facts file has one, with fields such as hostname and interfaces", len(docs))}
	}
	rules, err := validator.facts()
	if err != nil {
		return v1alpha1.Facts{}, err
	}
	doc := &docs[0]
	if err := doc.errors(rules.check(doc.values, nil, nil)); err != nil {
		return v1alpha1.Facts{}, err
	}
	var facts v1alpha1.Facts
	err = doc.decode(&facts)
	return facts, err
}

type loader struct {
	validator *Validator
	objects   Objects
	problems  []error
	// seen is the line of each object by kind and name.
	seen map[string]int
}

func (l *loader) add(d *document) {
	if err := l.load(d); err != nil {
		l.problems = append(l.problems, err)
	}
}

func (l *loader) load(d *document) error {
	u := &unstructured.Unstructured{Object: d.values}
	if err := l.once(d, u); err != nil {
		return err
	}
	switch id := d.text("apiVersion") + " " + d.text("kind"); {
	case id == "v1 Namespace":
		return nil
	case id == "v1 Secret":
		return appendSecret(d, &l.objects.Secrets)
	case strings.HasPrefix(id, v1alpha1.GroupVersion.Group+"/"):
		if err := d.errors(l.validator.check(u, nil)); err != nil {
			return err
		}
	default:
		return d.unknownKind()
	}
	switch u.GetKind() {
	case kindNetworkConfig:
		return appendTo(d, &l.objects.NetworkConfigs)
	case kindNodeConfig:
		return appendTo(d, &l.objects.NodeConfigs)
	default:
		return appendTo(d, &l.objects.NodeStates)
	}
}

// once refuses a second object of the same kind and name: which of them counts would be a guess.
func (l *loader) once(d *document, u *unstructured.Unstructured) error {
	id := d.text("kind") + " " + u.GetName()
	if line, again := l.seen[id]; again && u.GetName() != "" {
		return d.at(d.root, "metadata.name", fmt.Sprintf("%s is given twice, first on line %d: remove one", id, line))
	}
	l.seen[id] = d.before + d.root.Line
	return nil
}

func (d *document) unknownKind() error {
	if d.text("kind") == "" || d.text("apiVersion") == "" {
		return d.at(d.root, "", "has no apiVersion and kind: write both, for example apiVersion: "+v1alpha1.GroupVersion.String()+" and kind: NodeConfig")
	}
	return d.atField("kind", fmt.Sprintf(
		"%s of %s is not read here: write a NetworkConfig, NodeConfig or NodeState of %s, or a Secret or Namespace of v1",
		d.text("kind"), d.text("apiVersion"), v1alpha1.GroupVersion))
}

// text is a string at the document's top, or "".
func (d *document) text(key string) string {
	text, _ := d.values[key].(string)
	return text
}

// errors gives each violation its line.
func (d *document) errors(violations field.ErrorList) error {
	problems := make([]error, 0, len(violations))
	for _, v := range violations {
		path := v.Field
		if path == "<nil>" {
			path = ""
		}
		problems = append(problems, d.atField(path, problem(v)))
	}
	slices.SortStableFunc(problems, func(a, b error) int {
		return line(a) - line(b)
	})
	return errors.Join(problems...)
}

func line(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Line
	}
	return 0
}

// problem is the API server's text; where that has no cure, one is added.
func problem(v *field.Error) string {
	body := v.ErrorBody()
	switch v.Type {
	case field.ErrorTypeForbidden:
		return strings.TrimPrefix(body, "Forbidden: ")
	case field.ErrorTypeTypeInvalid:
		return body + "; write a value of that type (text that looks like a number or boolean needs quotes)"
	case field.ErrorTypeRequired:
		return body + "; add it"
	case field.ErrorTypeDuplicate:
		return body + "; remove one"
	}
	return body
}

// decode fills a typed value with the document.
func (d *document) decode(into any) error {
	if err := json.Unmarshal(d.json, into); err != nil {
		return d.at(d.root, "", "does not fit: "+err.Error())
	}
	return nil
}

func appendTo[T any](d *document, list *[]T) error {
	var object T
	if err := d.decode(&object); err != nil {
		return err
	}
	*list = append(*list, object)
	return nil
}
