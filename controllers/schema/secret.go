package schema

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// appendSecret reads a Secret strictly. No error holds any of its values.
func appendSecret(d *document, list *[]corev1.Secret) error {
	if err := errors.Join(d.secretData()...); err != nil {
		return err
	}
	var secret corev1.Secret
	unknown, err := kjson.UnmarshalStrict(d.json, &secret)
	if problems := d.secretShape(unknown, err); len(problems) > 0 {
		return errors.Join(problems...)
	}
	switch {
	case secret.Name == "":
		return d.atField("metadata.name", "is missing: add the name that the references use")
	case secret.Namespace != "" && secret.Namespace != v1alpha1.Namespace:
		return d.atField("metadata.namespace", secret.Namespace+" is not read: references lead to Secrets in "+v1alpha1.Namespace)
	}
	for key, text := range secret.StringData {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		secret.Data[key] = []byte(text)
	}
	secret.StringData = nil
	*list = append(*list, secret)
	return nil
}

// secretData finds the values that are not what data and stringData take.
func (d *document) secretData() []error {
	var problems []error
	encoded, _ := d.values["data"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(encoded)) {
		text, isText := encoded[key].(string)
		if _, err := base64.StdEncoding.DecodeString(text); err != nil || !isText {
			problems = append(problems, d.atField(child("data", key), "is not base64: encode the value, or move it to stringData as plain text"))
		}
	}
	plain, _ := d.values["stringData"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(plain)) {
		if _, isText := plain[key].(string); !isText {
			problems = append(problems, d.atField(child("stringData", key), "is not text: put it in quotes"))
		}
	}
	return problems
}

// secretShape gives the decoder's errors their lines.
func (d *document) secretShape(unknown []error, err error) []error {
	var problems []error
	for _, u := range unknown {
		if at, ok := errors.AsType[kjson.FieldError](u); ok {
			problems = append(problems, d.atField(at.FieldPath(), "is no field of a Secret: correct or remove it"))
		} else {
			problems = append(problems, d.atField("", "is no Secret: "+u.Error()))
		}
	}
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mismatch):
		problems = append(problems, d.atField(mismatch.Field, "is not of the type that a Secret has there: correct it"))
	case err != nil:
		problems = append(problems, d.atField("", "is no Secret: "+err.Error()))
	}
	return problems
}

func (d *document) atField(path, problem string) error {
	return &Error{File: d.file, Line: d.line(path), Field: path, Problem: problem}
}
