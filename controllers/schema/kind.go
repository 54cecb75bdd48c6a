package schema

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// rules are the compiled checks of one schema: those of a kind, or of one field of it.
type rules struct {
	schema  *structuralschema.Structural
	openAPI validation.SchemaValidator
	cel     *cel.Validator
	// resource is true for a whole object, whose apiVersion, kind and metadata are known fields.
	resource bool
}

// compile builds the checks of a definition's schema, or of the field that path leads to.
func compile(definition *apiextensionsv1.CustomResourceDefinition, path ...string) (*rules, error) {
	var internal apiextensions.JSONSchemaProps
	external := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(external, &internal, nil); err != nil {
		return nil, fmt.Errorf("convert schema of %s: %w", definition.Name, err)
	}
	for _, name := range path {
		internal = internal.Properties[name]
	}
	structural, err := structuralschema.NewStructural(&internal)
	if err != nil {
		return nil, fmt.Errorf("read schema of %s: %w", definition.Name, err)
	}
	openAPI, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, fmt.Errorf("compile schema of %s: %w", definition.Name, err)
	}
	resource := len(path) == 0
	return &rules{
		schema: structural, openAPI: openAPI, resource: resource,
		cel: cel.NewValidator(structural, resource, celconfig.PerCallLimit),
	}, nil
}

// check adds to errs, what is wrong with the object's metadata, all that the API server would find,
// in its order. object loses its unknown fields, each of which is an error. Transition rules are
// checked when there is an old object.
func (r *rules) check(object, old map[string]any, errs field.ErrorList) field.ErrorList {
	errs = append(errs, r.unknownFields(object)...)
	if old == nil {
		errs = append(errs, validation.ValidateCustomResource(nil, object, r.openAPI)...)
	} else {
		errs = append(errs, validation.ValidateCustomResourceUpdate(nil, object, old, r.openAPI)...)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, r.schema, object)...)
	if blocksCEL(errs) || r.cel == nil {
		return errs
	}
	var previous any // a nil map would count as an old object
	if old != nil {
		previous = old
	}
	violations, _ := r.cel.Validate(context.Background(), nil, r.schema, object, previous, celconfig.RuntimeCELCostBudget)
	return append(errs, violations...)
}

// blocksCEL is true when the object's shape is so wrong that the API server leaves out CEL rules.
func blocksCEL(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

func (r *rules) unknownFields(object map[string]any) field.ErrorList {
	var errs field.ErrorList
	options := structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, path := range pruning.PruneWithOptions(object, r.schema, r.resource, options) {
		errs = append(errs, &field.Error{Type: field.ErrorTypeForbidden, Field: path, Detail: "unknown field; " + r.cure(path)})
	}
	return errs
}

// cure names the known field that an unknown one was probably meant to be.
func (r *rules) cure(path string) string {
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	if known := nearest(name, r.fields(parent)); known != "" {
		return "did you mean " + known + "?"
	}
	return "remove it (kubectl explain lists the fields)"
}

// fields are the known ones of the object at path.
func (r *rules) fields(path string) map[string]structuralschema.Structural {
	at := r.schema
	for part := range strings.SplitSeq(path, ".") {
		if part == "" {
			continue
		}
		name, _, isList := strings.Cut(part, "[")
		next, ok := at.Properties[name]
		if !ok {
			return nil
		}
		if at = &next; isList && at.Items != nil {
			at = at.Items
		}
	}
	return at.Properties
}

// toMap is the JSON form of a typed object.
func toMap(object any) (map[string]any, error) {
	return runtime.DefaultUnstructuredConverter.ToUnstructured(object)
}
