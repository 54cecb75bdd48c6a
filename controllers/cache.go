package controllers

import (
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// managerCache holds of each kind the objects that the manager uses, and of those that there are as
// many of as nodes, or more, what it decides by. What is stripped must be patched, never updated: an
// update would take from the object what is not here. The manager's role does not allow it, either.
//
// Kinds without a namespace are named for another reason, too: the cache of the others asks the REST
// mapper at each read.
func managerCache() (cache.Options, error) {
	ofNodes, err := labels.NewRequirement(NodeLabel, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, fmt.Errorf("build selector: %w", err)
	}
	access := cache.ByObject{Label: labels.NewSelector().Add(*ofNodes), Transform: stripAccess}
	return cache.Options{
		DefaultNamespaces: map[string]cache.Config{v1alpha1.Namespace: {}},
		DefaultTransform:  cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.NodeConfig{}:                      {},
			&v1alpha1.NetworkConfig{}:                   {},
			&v1alpha1.NodeState{}:                       {Transform: stripNodeState},
			&certificatesv1.CertificateSigningRequest{}: {},
			&corev1.Node{}:                              {Transform: stripNode},
			&corev1.Secret{}:                            {Transform: stripSecret},
			&corev1.ConfigMap{}:                         {Label: labels.SelectorFromSet(labels.Set{v1alpha1.RegistrationLabel: "true"})},
			&rbacv1.ClusterRole{}:                       access,
			&rbacv1.ClusterRoleBinding{}:                access,
			&rbacv1.Role{}:                              access,
			&rbacv1.RoleBinding{}:                       access,
		},
	}, nil
}

// stripSecret keeps of a Secret's metadata what pins it. Annotations go, since kubectl apply writes
// the whole content into one.
func stripSecret(in any) (any, error) {
	if object, err := meta.Accessor(in); err == nil {
		object.SetManagedFields(nil)
		object.SetAnnotations(nil)
	}
	return in, nil
}

// decisive are the conditions of a NodeState that the manager looks at. The health of each component
// is in Ready; flannel's says whether a node that is not ready has a lease all the same.
var decisive = []string{v1alpha1.ConditionPrepared, v1alpha1.ConditionReady, v1alpha1.ConditionStalled, v1alpha1.ConditionFlannelHealthy}

// stripNodeState leaves out what is for people to read: most of what an agent reports. What a node
// repeats of its assignment, as it does once it is there, is held once.
func stripNodeState(in any) (any, error) {
	node, ok := in.(*v1alpha1.NodeState)
	if !ok {
		return in, nil
	}
	node.ManagedFields = nil
	s := &node.Status
	s.Drift = nil
	if s.Apply != nil {
		s.Apply = &v1alpha1.ApplyStatus{Failed: s.Apply.Failed}
	}
	if s.Facts != nil {
		s.Facts = &v1alpha1.Facts{Interfaces: s.Facts.Interfaces, Routes: s.Facts.Routes}
	}
	var conditions []metav1.Condition
	for i := range s.Conditions {
		if slices.Contains(decisive, s.Conditions[i].Type) {
			conditions = append(conditions, s.Conditions[i])
		}
	}
	s.Conditions = slices.Clip(slices.Clone(conditions))
	if s.Revision == node.Spec.Revision {
		s.Revision = node.Spec.Revision
	}
	if slices.Equal(s.Secrets, node.Spec.Secrets) {
		s.Secrets = node.Spec.Secrets
	}
	return node, nil
}

// stripAccess keeps of an RBAC object's metadata what sameAccess compares.
func stripAccess(in any) (any, error) {
	object, err := meta.Accessor(in)
	if err != nil {
		return in, nil //nolint:nilerr // the end of an object that was not seen
	}
	object.SetManagedFields(nil)
	object.SetAnnotations(nil)
	object.SetUID("")
	return in, nil
}
