// Package chart_test renders the Helm chart with the real helm and holds it to what it promises:
// that it is valid, that it carries config/crd and config/rbac and nothing else of its own making,
// and that a real API server takes its objects into a namespace with Pod Security "restricted".
package chart_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	namespace = "seedbed-system"
	allValues = "--values=ci/all-values.yaml"
)

// errNoProgram says that a test program was not named; `make test` names all.
var errNoProgram = errors.New("not set: run the tests with make test, or set it to the program's path")

// program returns the path in an environment variable.
func program(variable string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("%s: %w", variable, errNoProgram)
}

// template runs `helm template` on this chart and returns what it printed.
func template(ctx context.Context, args ...string) ([]byte, error) {
	helm, err := program("HELM")
	if err != nil {
		return nil, err
	}
	all := append([]string{"template", "seedbed", ".", "--namespace=" + namespace, "--kube-version=1.31.0"}, args...)
	command := exec.CommandContext(ctx, helm, all...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("helm %v: %w: %s", all, err, stderr.String())
	}
	return out, nil
}

// objects parses a stream of YAML documents.
func objects(manifests []byte) ([]*unstructured.Unstructured, error) {
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	var found []*unstructured.Unstructured
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		object := map[string]any{}
		if err := sigsyaml.UnmarshalStrict(document, &object); err != nil {
			return nil, fmt.Errorf("parse manifest: %w\n%s", err, document)
		}
		if len(object) > 0 {
			found = append(found, &unstructured.Unstructured{Object: object})
		}
	}
}

// render is template and objects for a plain test, which is skipped where there is no helm.
func render(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	manifests, err := template(t.Context(), args...)
	if errors.Is(err, errNoProgram) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	found, err := objects(manifests)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// pick returns the object of that kind and name.
func pick(t *testing.T, from []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range from {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("the chart has no %s %s", kind, name)
	return nil
}

// as converts an object to its Go type; a field that the type does not have is an error.
func as[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return typed
}
