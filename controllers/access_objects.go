package controllers

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// grants are the rules by which an agent may read what the specs name, and only by name: RBAC takes
// a rule without names as one for every object, so a spec that names nothing gives no rule.
func grants(specs ...v1alpha1.NodeStateSpec) []rbacv1.PolicyRule {
	var revisions, secrets []string
	for _, spec := range specs {
		if spec.Revision != "" {
			revisions = append(revisions, spec.Revision)
		}
		for _, pin := range spec.Secrets {
			secrets = append(secrets, pin.Name)
		}
	}
	var rules []rbacv1.PolicyRule
	add := func(group, resource string, names []string) {
		slices.Sort(names)
		if names = slices.Compact(names); len(names) > 0 {
			rules = append(rules, rbacv1.PolicyRule{
				APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names, Verbs: []string{"get"},
			})
		}
	}
	add(appsv1.GroupName, "controllerrevisions", revisions)
	add(corev1.GroupName, "secrets", secrets)
	return rules
}

// ownState are the rules by which an agent follows its NodeState, reports in its status, and deletes it
// when the node leaves. List and watch are limited by name, too, and so need the field selector
// metadata.name.
func ownState(name string) []rbacv1.PolicyRule {
	group := []string{v1alpha1.GroupVersion.Group}
	return []rbacv1.PolicyRule{
		{APIGroups: group, Resources: []string{"nodestates"}, ResourceNames: []string{name}, Verbs: []string{"get", "list", "watch", "delete"}},
		{APIGroups: group, Resources: []string{"nodestates/status"}, ResourceNames: []string{name}, Verbs: []string{"patch", "update"}},
	}
}

// accessObjects are the RBAC objects of a node's agent, roles before the bindings that refer to
// them. All have the name of the agent's user.
func accessObjects(node string, rules []rbacv1.PolicyRule) []client.Object {
	user := v1alpha1.NodeUser(node)
	global := metav1.ObjectMeta{Name: user, Labels: map[string]string{NodeLabel: node}}
	local := *global.DeepCopy()
	local.Namespace = v1alpha1.Namespace
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	role := func(kind string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: user}
	}
	return []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: global, Rules: ownState(node)},
		&rbacv1.ClusterRoleBinding{ObjectMeta: *global.DeepCopy(), Subjects: subjects, RoleRef: role("ClusterRole")},
		&rbacv1.Role{ObjectMeta: local, Rules: rules},
		&rbacv1.RoleBinding{ObjectMeta: *local.DeepCopy(), Subjects: slices.Clone(subjects), RoleRef: role("Role")},
	}
}

// ownedBy makes a garbage collector delete an object with its NodeState.
func ownedBy(node *v1alpha1.NodeState) []metav1.OwnerReference {
	controller := true
	return []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "NodeState",
		Name: node.Name, UID: node.UID, Controller: &controller,
	}}
}

// kindOf names an object's Go type, which for API objects is its kind.
func kindOf(object client.Object) string {
	name := fmt.Sprintf("%T", object)
	return name[strings.LastIndex(name, ".")+1:]
}
