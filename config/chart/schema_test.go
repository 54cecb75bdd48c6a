package chart_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// kubeconform checks manifests strictly against the schemas in a folder. The kinds of the Prometheus
// operator are left out: their schemas are not in Kubernetes.
func kubeconform(ctx context.Context, schemas string, manifests []byte) error {
	path, err := program("KUBECONFORM")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, path, "-strict", "-summary", "-skip=ServiceMonitor,PrometheusRule",
		"-schema-location="+schemas+"/{{.ResourceKind}}{{.KindSuffix}}.json")
	command.Stdin = bytes.NewReader(manifests)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubeconform: %w: %s", err, out)
	}
	return nil
}

// writeSchemas turns what an API server serves at /openapi/v2 into one JSON schema file a kind, named
// as kubeconform looks for them. Published schemas would have to be downloaded; these are of the
// very release that the tests run on, and know Seedbed's own kinds.
func writeSchemas(ctx context.Context, config *rest.Config, folder string) error {
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	served, err := api.RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("get schemas: %w", err)
	}
	var document struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(served, &document); err != nil {
		return fmt.Errorf("parse schemas: %w", err)
	}
	for name, definition := range document.Definitions {
		document.Definitions[name] = strict(name, definition)
	}
	for name, definition := range document.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		for _, kind := range kinds {
			if err := writeSchema(folder, kind.(map[string]any), name, document.Definitions); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeSchema(folder string, kind map[string]any, name string, definitions map[string]map[string]any) error {
	parts := []string{kind["kind"].(string)}
	if group := kind["group"].(string); group != "" {
		first, _, _ := strings.Cut(group, ".")
		parts = append(parts, first)
	}
	parts = append(parts, kind["version"].(string))
	used := map[string]map[string]any{}
	collect(definitions[name], definitions, used)
	schema, err := json.Marshal(map[string]any{"allOf": []any{definitions[name]}, "definitions": used})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, strings.ToLower(strings.Join(parts, "-"))+".json"), schema, 0o600)
}

// strict refuses fields that are not known, and says in JSON schema what OpenAPI v2 cannot.
func strict(name string, definition map[string]any) map[string]any {
	switch {
	case strings.HasSuffix(name, ".util.intstr.IntOrString"):
		return map[string]any{"type": []any{"string", "integer"}}
	case strings.HasSuffix(name, ".api.resource.Quantity"):
		return map[string]any{"type": []any{"string", "number"}}
	}
	refuseUnknown(definition)
	return definition
}

func refuseUnknown(value any) {
	switch value := value.(type) {
	case map[string]any:
		_, isObject := value["properties"].(map[string]any)
		_, open := value["additionalProperties"]
		preserves, _ := value["x-kubernetes-preserve-unknown-fields"].(bool)
		if isObject && !open && !preserves {
			value["additionalProperties"] = false
		}
		for _, one := range value {
			refuseUnknown(one)
		}
	case []any:
		for _, one := range value {
			refuseUnknown(one)
		}
	}
}

// collect adds the definitions that schema refers to, and those that they refer to.
func collect(schema any, all, used map[string]map[string]any) {
	switch schema := schema.(type) {
	case map[string]any:
		if reference, ok := schema["$ref"].(string); ok {
			name := strings.TrimPrefix(reference, "#/definitions/")
			if _, done := used[name]; !done {
				used[name] = all[name]
				collect(all[name], all, used)
			}
		}
		for _, one := range schema {
			collect(one, all, used)
		}
	case []any:
		for _, one := range schema {
			collect(one, all, used)
		}
	}
}
