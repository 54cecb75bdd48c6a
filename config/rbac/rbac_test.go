package rbac

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

func all(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// rules returns the rules of each role, by kind, namespace and name; strictly, so that a misspelt
// field is seen.
func rules(t *testing.T) map[string][]rbacv1.PolicyRule {
	t.Helper()
	m := map[string][]rbacv1.PolicyRule{}
	for _, o := range all(t) {
		var role struct {
			rbacv1.ClusterRole `json:",inline"`
			RoleRef            rbacv1.RoleRef   `json:"roleRef"`
			Subjects           []rbacv1.Subject `json:"subjects,omitempty"`
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &role, true); err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
		m[key(o.GetKind(), o.GetNamespace(), o.GetName())] = role.Rules
	}
	return m
}

func key(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

func TestEveryObjectIsThereOnce(t *testing.T) {
	if got, want := len(rules(t)), len(all(t)); got != want || got == 0 {
		t.Errorf("%d different objects of %d", got, want)
	}
}

func TestNothingIsGrantedByWildcardOrByTheRightToGrant(t *testing.T) {
	for role, rules := range rules(t) {
		for _, r := range rules {
			for _, list := range [][]string{r.Verbs, r.APIGroups, r.Resources} {
				for _, forbidden := range []string{"*", "escalate", "bind", "impersonate"} {
					if slices.Contains(list, forbidden) {
						t.Errorf("%s: %q in %v", role, forbidden, list)
					}
				}
			}
		}
	}
}

func TestSecretsAreReadInOurNamespaceOnly(t *testing.T) {
	for role, rules := range rules(t) {
		for _, r := range rules {
			if slices.Contains(r.Resources, "secrets") && (role != key("Role", "seedbed-system", "seedbed-manager") || slices.Contains(r.Verbs, "update")) {
				t.Errorf("%s: %v", role, r)
			}
		}
	}
}

func TestTheManagerNeverUpdatesWhatItsCacheHoldsInPart(t *testing.T) {
	found := 0
	for _, r := range rules(t)[key("ClusterRole", "", "seedbed-manager")] {
		for _, resource := range []string{"nodes", "nodestates"} {
			if !slices.Contains(r.Resources, resource) {
				continue
			}
			found++
			if slices.Contains(r.Verbs, "update") || !slices.Contains(r.Verbs, "patch") {
				t.Errorf("%s: %v; an update from the cache would take fields from the object", resource, r.Verbs)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d rules for nodes and nodestates, want 2", found)
	}
}

func TestEveryBindingRefersToARoleThatIsThere(t *testing.T) {
	there := rules(t)
	builtIn := []string{"cluster-admin", "system:kubelet-api-admin", "system:node-bootstrapper", "system:node-proxier"}
	for _, o := range all(t) {
		ref, found, err := unstructured.NestedStringMap(o.Object, "roleRef")
		if err != nil {
			t.Fatal(err)
		}
		if !found || slices.Contains(builtIn, ref["name"]) {
			continue
		}
		namespace := o.GetNamespace()
		if ref["kind"] == "ClusterRole" {
			namespace = ""
		}
		if _, ok := there[key(ref["kind"], namespace, ref["name"])]; !ok {
			t.Errorf("%s %s refers to %v, which is not there", o.GetKind(), o.GetName(), ref)
		}
	}
}
