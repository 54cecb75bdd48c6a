package crd_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"seedbed.dev/seedbed/config/crd"
)

func definitions(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all, err := crd.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("got %d definitions, want 3", len(all))
	}
	return all
}

func TestDefinitionsPassTheAPIServersOwnValidation(t *testing.T) {
	for _, definition := range definitions(t) {
		internal := &apiextensions.CustomResourceDefinition{}
		apiextensionsv1.SetDefaults_CustomResourceDefinition(definition)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&definition.Spec)
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(definition, internal, nil); err != nil {
			t.Fatal(err)
		}
		internal.Status.StoredVersions = []string{"v1alpha1"}
		for _, err := range validation.ValidateCustomResourceDefinition(t.Context(), internal) {
			t.Errorf("%s: %v", definition.Name, err)
		}
	}
}

// An API server compiles new rules with the CEL of the release before its own, so that it can be
// rolled back: Kubernetes 1.31, the oldest that Seedbed runs on, takes what 1.30 knew. That rules
// out the library "format". Cost estimates differ between releases too; those are not checked here.
func TestRulesUseNoCELThatKubernetes131Lacks(t *testing.T) {
	base := environment.MustBaseEnvSet(version.MajorMinor(1, 30))
	compiled := 0
	for _, definition := range definitions(t) {
		var internal apiextensions.JSONSchemaProps
		schema := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(schema, &internal, nil); err != nil {
			t.Fatal(err)
		}
		root, err := structuralschema.NewStructural(&internal)
		if err != nil {
			t.Fatal(err)
		}
		structural(root, definition.Spec.Names.Kind, true, func(path string, s *structuralschema.Structural, isRoot bool) {
			results, err := cel.Compile(s, model.SchemaDeclType(s, isRoot), celconfig.PerCallLimit, base, cel.NewExpressionsEnvLoader())
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for i, result := range results {
				compiled++
				if result.Error != nil {
					t.Errorf("%s, rule %d: %v", path, i, result.Error)
				}
				if result.MessageExpressionError != nil {
					t.Errorf("%s, message %d: %v", path, i, result.MessageExpressionError)
				}
			}
		})
	}
	if compiled < 50 {
		t.Errorf("only %d rules were compiled: the walk misses some", compiled)
	}
}

func structural(s *structuralschema.Structural, path string, isRoot bool, visit func(string, *structuralschema.Structural, bool)) {
	if len(s.XValidations) > 0 {
		visit(path, s, isRoot)
	}
	for name := range s.Properties {
		property := s.Properties[name]
		structural(&property, path+"."+name, false, visit)
	}
	if s.Items != nil {
		structural(s.Items, path+"[]", false, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		structural(s.AdditionalProperties.Structural, path+"{}", false, visit)
	}
}

// walk visits every schema that a field of Seedbed's own leads to.
func walk(t *testing.T, visit func(path string, s *apiextensionsv1.JSONSchemaProps)) {
	t.Helper()
	for _, definition := range definitions(t) {
		for _, top := range []string{"spec", "status"} {
			s := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties[top]
			descend(definition.Spec.Names.Kind+"."+top, &s, visit)
		}
	}
}

func descend(path string, s *apiextensionsv1.JSONSchemaProps, visit func(string, *apiextensionsv1.JSONSchemaProps)) {
	visit(path, s)
	for name := range s.Properties {
		property := s.Properties[name]
		descend(path+"."+name, &property, visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		descend(path+"[]", s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		descend(path+"{}", s.AdditionalProperties.Schema, visit)
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	walk(t, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		if strings.HasSuffix(path, "[]") || strings.HasSuffix(path, "{}") {
			return // the list's or map's own description counts
		}
		if s.Description == "" {
			t.Errorf("%s has no description", path)
		}
		if !strings.HasSuffix(strings.TrimSpace(s.Description), ".") {
			t.Errorf("%s: the description is no sentence: %s", path, s.Description)
		}
	})
}

// The types of the Kubernetes API have bounds of their own, or CEL rules beside them.
var foreign = []string{"NodeConfig.spec.nodeSelector"}

func TestEveryStringListAndMapIsBounded(t *testing.T) {
	walk(t, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		if slices.ContainsFunc(foreign, func(f string) bool { return strings.HasPrefix(path, f+".") }) {
			return
		}
		bounded := true
		switch {
		case s.Type == "string":
			bounded = s.MaxLength != nil || len(s.Enum) > 0 || s.Format == "date-time"
		case s.Type == "array":
			bounded = s.MaxItems != nil
		case s.AdditionalProperties != nil, s.XPreserveUnknownFields != nil:
			bounded = s.MaxProperties != nil
		}
		if !bounded {
			t.Errorf("%s (%s) has no upper bound", path, s.Type)
		}
	})
}

// A default in the CRD would make a small object that is merged over another override it. Counts in
// a status are no such objects.
func TestNoFieldThatAUserWritesHasADefault(t *testing.T) {
	walk(t, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		if s.Default != nil && !strings.Contains(path, ".status.") {
			t.Errorf("%s has the default %s: apply it in resolve and document it", path, s.Default.Raw)
		}
	})
}

// Without a message the API server prints the rule itself, which is no help to a user.
func TestEveryRuleHasAMessage(t *testing.T) {
	walk(t, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		for _, rule := range s.XValidations {
			if rule.Message == "" && rule.MessageExpression == "" {
				t.Errorf("%s: the rule %s has no message", path, rule.Rule)
			}
		}
		if s.Pattern != "" && !strings.Contains(path, ".conditions[]") { // metav1.Condition's own
			t.Errorf("%s has the pattern %s, whose error tells no cure: use a rule with a message", path, s.Pattern)
		}
	})
}

func TestOptionalFieldsOfASpecStateTheirDefault(t *testing.T) {
	walk(t, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		if !strings.Contains(path, "Config.spec") || slices.ContainsFunc(foreign, func(f string) bool { return strings.HasPrefix(path, f) }) {
			return
		}
		for name := range s.Properties {
			property := s.Properties[name]
			if slices.Contains(s.Required, name) || slices.Contains(oneOf, name) {
				continue
			}
			if !strings.Contains(property.Description, "Default") {
				t.Errorf("%s.%s is optional and states no default: %s", path, name, property.Description)
			}
		}
	})
}

// oneOf are fields of which exactly one is given.
var oneOf = []string{"name", "nameRegex", "cidr", "canReach", "contents"}
