package v1alpha1_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func TestOnlyALabelledConfigMapOfOurNamespaceIsARegistration(t *testing.T) {
	labels := map[string]string{v1alpha1.RegistrationLabel: "true"}
	for _, tc := range []struct {
		reason, namespace, name string
		labels                  map[string]string
		want                    bool
	}{
		{"one", v1alpha1.Namespace, v1alpha1.RegistrationName("a"), labels, true},
		{"in another namespace", "default", v1alpha1.RegistrationName("a"), labels, false},
		{"of another name", v1alpha1.Namespace, "a", labels, false},
		{"without the label", v1alpha1.Namespace, v1alpha1.RegistrationName("a"), nil, false},
		{"with another value", v1alpha1.Namespace, v1alpha1.RegistrationName("a"), map[string]string{v1alpha1.RegistrationLabel: "false"}, false},
	} {
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: tc.namespace, Name: tc.name, Labels: tc.labels}}
		if got := v1alpha1.IsRegistration(o); got != tc.want {
			t.Errorf("%s: got %v", tc.reason, got)
		}
	}
}

func TestOnlyALabelledConfigMapOfOurNamespaceIsATokensScope(t *testing.T) {
	labels := map[string]string{v1alpha1.JoinTokenLabel: "true"}
	for _, tc := range []struct {
		reason, namespace, name string
		labels                  map[string]string
		want                    bool
	}{
		{"one", v1alpha1.Namespace, v1alpha1.JoinName("abcdef"), labels, true},
		{"in another namespace", "default", v1alpha1.JoinName("abcdef"), labels, false},
		{"of another name", v1alpha1.Namespace, "abcdef", labels, false},
		{"without an id", v1alpha1.Namespace, v1alpha1.JoinName(""), labels, false},
		{"without the label", v1alpha1.Namespace, v1alpha1.JoinName("abcdef"), nil, false},
		{"of a registration", v1alpha1.Namespace, v1alpha1.JoinName("abcdef"), map[string]string{v1alpha1.RegistrationLabel: "true"}, false},
	} {
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: tc.namespace, Name: tc.name, Labels: tc.labels}}
		if got := v1alpha1.IsJoinScope(o); got != tc.want {
			t.Errorf("%s: got %v", tc.reason, got)
		}
	}
}
