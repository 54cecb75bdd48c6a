package controllers

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

// stripNode keeps of a Node what the manager decides by: of a Node with fifty images that is a
// twentieth, and the rest of it changes with every heartbeat. What the cache holds must therefore
// only be patched, never updated.
func stripNode(in any) (any, error) {
	full, ok := in.(*corev1.Node)
	if !ok {
		return in, nil
	}
	node := &corev1.Node{
		TypeMeta: full.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: full.Name, UID: full.UID, ResourceVersion: full.ResourceVersion, Labels: full.Labels,
			CreationTimestamp: full.CreationTimestamp, DeletionTimestamp: full.DeletionTimestamp,
		},
		Spec: corev1.NodeSpec{
			PodCIDR: full.Spec.PodCIDR, PodCIDRs: full.Spec.PodCIDRs,
			Taints: full.Spec.Taints, Unschedulable: full.Spec.Unschedulable,
		},
	}
	for _, key := range []string{nodeobject.AnnotationDrain, v1alpha1.LeftAnnotation, publicIPAnnotation} {
		if value, ok := full.Annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&node.ObjectMeta, key, value)
		}
	}
	// Whether, and on which machine, a kubelet has registered the Node.
	node.Status.NodeInfo.MachineID = full.Status.NodeInfo.MachineID
	node.Status.NodeInfo.KubeletVersion = full.Status.NodeInfo.KubeletVersion
	for _, c := range full.Status.Conditions {
		if c.Type == corev1.NodeReady {
			c.LastHeartbeatTime = metav1.Time{}
			node.Status.Conditions = []corev1.NodeCondition{c}
		}
	}
	return node, nil
}

// nodeMatters lets through what stripNode keeps and leaves out heartbeats.
func nodeMatters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		now, also := e.ObjectNew.(*corev1.Node)
		return !ok || !also || !maps.Equal(before.Labels, now.Labels) || !maps.Equal(before.Annotations, now.Annotations) ||
			!equality.Semantic.DeepEqual(before.Spec, now.Spec) || !equality.Semantic.DeepEqual(before.Status, now.Status) ||
			before.DeletionTimestamp.IsZero() != now.DeletionTimestamp.IsZero()
	}}
}

// stateMattersToNode lets through what may change the Node of a NodeState.
func stateMattersToNode() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.NodeState)
		now, also := e.ObjectNew.(*v1alpha1.NodeState)
		return !ok || !also || before.Spec.Revision != now.Spec.Revision || hasNode(before) != hasNode(now) ||
			before.Annotations[AnnotationOwned] != now.Annotations[AnnotationOwned]
	}}
}

// nodeConfigsOfNode are the NodeConfig that assigned a Node's NodeState, and the one that governs it now
// and may only wait for the Node to go.
func (w wakes) nodeConfigsOfNode(ctx context.Context, node client.Object) []reconcile.Request {
	var state v1alpha1.NodeState
	// Without a NodeState no NodeConfig is concerned; another failure is made up for by the next pass.
	if err := w.client.Get(ctx, client.ObjectKey{Name: node.GetName()}, &state, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var requests []reconcile.Request
	if state.Spec.Config != "" {
		requests = append(requests, request(state.Spec.Config))
	}
	governor, err := governorOf(ctx, w.client, &state)
	if err != nil {
		log.FromContext(ctx).Error(err, "finding a Node's NodeConfig")
	}
	if governor != nil && governor.Name != state.Spec.Config {
		requests = append(requests, request(governor.Name))
	}
	return requests
}

func sameName(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{request(o.GetName())}
}
