package controllers

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// access keeps what each node's agent may read in step with what the node is assigned: a grant is
// there before the assignment that needs it, and one that is not needed is withdrawn after.
type access struct {
	client client.Client
	// locks, by node, keep a withdrawal from falling between a grant and the assignment that it is
	// for. Leader election keeps other processes out.
	locks [64]sync.Mutex
}

func (a *access) lock(node string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(node)) // never fails
	return &a.locks[h.Sum32()%uint32(len(a.locks))]
}

// assign gives a node its target and returns the NodeState as written. Until withdraw is called the
// agent may read both the old and the new.
func (a *access) assign(ctx context.Context, node *v1alpha1.NodeState, target v1alpha1.NodeStateSpec) (*v1alpha1.NodeState, error) {
	lock := a.lock(node.Name)
	lock.Lock()
	defer lock.Unlock()
	if err := a.grant(ctx, node, node.Spec, target); err != nil {
		return nil, err
	}
	assigned := node.DeepCopy()
	// The rest of the spec is not the rollout's.
	assigned.Spec.Config, assigned.Spec.Revision, assigned.Spec.Secrets = target.Config, target.Revision, slices.Clone(target.Secrets)
	if err := a.client.Patch(ctx, assigned, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("assign %s to NodeState %s: %w", target.Revision, node.Name, err)
	}
	return assigned, nil
}

// withdraw leaves a node's agent exactly what its NodeState is assigned now, and an agent whose
// NodeState is gone nothing.
func (a *access) withdraw(ctx context.Context, name string) error {
	lock := a.lock(name)
	lock.Lock()
	defer lock.Unlock()
	var node v1alpha1.NodeState
	err := a.client.Get(ctx, client.ObjectKey{Name: name}, &node)
	switch {
	case apierrors.IsNotFound(err):
		return a.revoke(ctx, name)
	case err != nil:
		return fmt.Errorf("get NodeState %s: %w", name, err)
	}
	return a.grant(ctx, &node, node.Spec)
}

// grant makes the node's RBAC objects allow what the specs name and nothing else.
func (a *access) grant(ctx context.Context, node *v1alpha1.NodeState, specs ...v1alpha1.NodeStateSpec) error {
	for _, object := range accessObjects(node.Name, grants(specs...)) {
		object.SetOwnerReferences(ownedBy(node))
		if err := a.ensure(ctx, object); err != nil {
			return fmt.Errorf("%s of NodeState %s: %w", kindOf(object), node.Name, err)
		}
	}
	return nil
}

// revoke deletes the node's RBAC objects. The garbage collector would, too, but a seed need not
// have one.
func (a *access) revoke(ctx context.Context, name string) error {
	for _, object := range accessObjects(name, nil) {
		found := object.DeepCopyObject().(client.Object)
		err := a.client.Get(ctx, client.ObjectKeyFromObject(object), found)
		if err == nil {
			err = a.client.Delete(ctx, found)
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s of NodeState %s: %w", kindOf(object), name, err)
		}
	}
	return nil
}

// ensure makes an RBAC object as wanted. One that exists and that the cache does not show has lost
// the label it is found by, and is written over.
func (a *access) ensure(ctx context.Context, want client.Object) error {
	have := want.DeepCopyObject().(client.Object)
	err := a.client.Get(ctx, client.ObjectKeyFromObject(want), have)
	switch {
	case err == nil && sameAccess(have, want):
		return nil
	case err == nil:
		want.SetResourceVersion(have.GetResourceVersion())
		err = a.client.Update(ctx, want)
	case apierrors.IsNotFound(err):
		err = a.client.Create(ctx, want)
		if apierrors.IsAlreadyExists(err) {
			err = a.client.Update(ctx, want)
		}
	}
	if apierrors.IsInvalid(err) {
		return a.replace(ctx, want)
	}
	return err
}

// replace makes a binding anew that somebody made for another role: a roleRef cannot be changed.
func (a *access) replace(ctx context.Context, want client.Object) error {
	// The cache may not show the object, so that its end must not be waited for there.
	if err := client.IgnoreNotFound(a.client.Delete(ctx, want, client.DisableReadYourWritesConsistency)); err != nil {
		return err
	}
	want.SetResourceVersion("")
	return a.client.Create(ctx, want)
}

// sameAccess compares what matters: who may do what, and who owns the object.
func sameAccess(have, want client.Object) bool {
	if have.GetLabels()[NodeLabel] != want.GetLabels()[NodeLabel] ||
		!equality.Semantic.DeepEqual(have.GetOwnerReferences(), want.GetOwnerReferences()) {
		return false
	}
	switch w := want.(type) {
	case *rbacv1.ClusterRole:
		h := have.(*rbacv1.ClusterRole)
		return equality.Semantic.DeepEqual(h.Rules, w.Rules) && h.AggregationRule == nil
	case *rbacv1.Role:
		return equality.Semantic.DeepEqual(have.(*rbacv1.Role).Rules, w.Rules)
	case *rbacv1.ClusterRoleBinding:
		h := have.(*rbacv1.ClusterRoleBinding)
		return h.RoleRef == w.RoleRef && slices.Equal(h.Subjects, w.Subjects)
	case *rbacv1.RoleBinding:
		h := have.(*rbacv1.RoleBinding)
		return h.RoleRef == w.RoleRef && slices.Equal(h.Subjects, w.Subjects)
	}
	return false
}
