package schema

import (
	"fmt"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/config/crd"
	"seedbed.dev/seedbed/controllers/revision"
)

// Validator checks objects by the CRDs. It is safe for concurrent use. The rules of a kind are
// compiled when the first object of the kind is checked, in some tens of milliseconds.
type Validator struct {
	kinds map[string]func() (*rules, error)
	facts func() (*rules, error)
}

// New reads the CRDs that are part of this program. An error means that they are broken.
func New() (*Validator, error) {
	definitions, err := crd.All()
	if err != nil {
		return nil, err
	}
	v := &Validator{kinds: map[string]func() (*rules, error){}}
	for _, definition := range definitions {
		kind := definition.Spec.Names.Kind
		v.kinds[kind] = lazily(definition)
		if kind == kindNodeState {
			v.facts = lazily(definition, "status", "facts")
		}
	}
	return v, nil
}

func lazily(definition *apiextensionsv1.CustomResourceDefinition, path ...string) func() (*rules, error) {
	return sync.OnceValues(func() (*rules, error) { return compile(definition, path...) })
}

// The kinds of the group.
const (
	kindNetworkConfig = "NetworkConfig"
	kindNodeConfig    = "NodeConfig"
	kindNodeState     = "NodeState"
)

// Validate checks a NetworkConfig, NodeConfig or NodeState, typed or unstructured, as the API
// server would check it when it is created. An unknown field is an error.
func (v *Validator) Validate(object runtime.Object) field.ErrorList { return v.validate(object, nil) }

// ValidateUpdate checks object and the rules on how it may differ from old.
func (v *Validator) ValidateUpdate(object, old runtime.Object) field.ErrorList {
	return v.validate(object, old)
}

// ValidateNodeConfigSpec checks a spec alone; fields are named from "spec" on.
func (v *Validator) ValidateNodeConfigSpec(spec v1alpha1.NodeConfigSpec) field.ErrorList {
	object := &v1alpha1.NodeConfig{Spec: spec}
	object.Name = specName
	return v.Validate(object)
}

// ValidateNetworkConfigSpec checks a spec alone; fields are named from "spec" on.
func (v *Validator) ValidateNetworkConfigSpec(spec v1alpha1.NetworkConfigSpec) field.ErrorList {
	object := &v1alpha1.NetworkConfig{Spec: spec}
	object.Name = specName
	return v.Validate(object)
}

// specName stands in for the name of an object of which only the spec is known.
const specName = "spec"

// ValidateRevision checks both specs of a revision; fields are named from the kind on, such as
// "NodeConfig.spec.docker".
func (v *Validator) ValidateRevision(r revision.Revision) field.ErrorList {
	node := prefixed(kindNodeConfig, v.ValidateNodeConfigSpec(r.Node))
	return append(node, prefixed(kindNetworkConfig, v.ValidateNetworkConfigSpec(r.Network))...)
}

func prefixed(kind string, errs field.ErrorList) field.ErrorList {
	for _, err := range errs {
		err.Field = kind + "." + err.Field
	}
	return errs
}

func (v *Validator) validate(object, old runtime.Object) field.ErrorList {
	fresh, err := untyped(object)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	var previous map[string]any
	if old != nil {
		before, err := untyped(old)
		if err != nil {
			return field.ErrorList{field.InternalError(nil, err)}
		}
		previous = before.Object
	}
	return v.check(fresh, previous)
}

func (v *Validator) check(object *unstructured.Unstructured, old map[string]any) field.ErrorList {
	if errs := v.typeMeta(object); len(errs) > 0 {
		return errs
	}
	rules, err := v.kinds[object.GetKind()]()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	return rules.check(object.Object, old, objectMeta(object.Object))
}

// objectMeta checks metadata, which no CRD describes.
func objectMeta(object map[string]any) field.ErrorList {
	path := field.NewPath("metadata")
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return field.ErrorList{field.TypeInvalid(path, "object", err.Error())}
	}
	if !found {
		return field.ErrorList{field.Required(path.Child("name"), "name or generateName is required")}
	}
	errs := metavalidation.ValidateObjectMeta(meta, false, metavalidation.NameIsDNSSubdomain, path)
	for _, at := range unknown {
		errs = append(errs, &field.Error{Type: field.ErrorTypeForbidden, Field: at, Detail: "unknown field; remove it"})
	}
	return errs
}

func (v *Validator) typeMeta(object *unstructured.Unstructured) field.ErrorList {
	var errs field.ErrorList
	if want := v1alpha1.GroupVersion.String(); object.GetAPIVersion() != want {
		errs = append(errs, field.Invalid(field.NewPath("apiVersion"), object.GetAPIVersion(), "must be "+want))
	}
	if _, ok := v.kinds[object.GetKind()]; !ok {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), object.GetKind(),
			[]string{kindNetworkConfig, kindNodeConfig, kindNodeState}))
	}
	return errs
}

// untyped is a copy of object as JSON has it, with apiVersion and kind.
func untyped(object runtime.Object) (*unstructured.Unstructured, error) {
	if u, ok := object.(*unstructured.Unstructured); ok {
		return u.DeepCopy(), nil
	}
	content, err := toMap(object)
	if err != nil {
		return nil, fmt.Errorf("convert %T: %w", object, err)
	}
	u := &unstructured.Unstructured{Object: content}
	switch object.(type) {
	case *v1alpha1.NetworkConfig:
		u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kindNetworkConfig))
	case *v1alpha1.NodeConfig:
		u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kindNodeConfig))
	case *v1alpha1.NodeState:
		u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kindNodeState))
	}
	return u, nil
}
