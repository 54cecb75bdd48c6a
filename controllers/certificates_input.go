package controllers

import (
	"context"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
)

// node reads a NodeState; nil is one that is not there.
func (r *CertificateReconciler) node(ctx context.Context, name string) (*v1alpha1.NodeState, error) {
	if name == "" {
		return nil, nil
	}
	var node v1alpha1.NodeState
	err := r.live.Get(ctx, client.ObjectKey{Name: name}, &node)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get NodeState %s: %w", name, err)
	}
	return &node, nil
}

// readScope reads what a token may be used for into the input. That it cannot be made out is a reason
// to refuse and no failure.
func (r *CertificateReconciler) readScope(ctx context.Context, tokenID string, in *approve.Input) error {
	if tokenID == "" {
		return nil
	}
	var stored corev1.ConfigMap
	err := r.live.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: v1alpha1.JoinName(tokenID)}, &stored)
	if apierrors.IsNotFound(err) || err == nil && !v1alpha1.IsJoinScope(&stored) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get the scope of token %s: %w", tokenID, err)
	}
	var scope approve.Scope
	if scope, in.ScopeErr = approve.ReadScope(stored.Data); in.ScopeErr == nil {
		in.Scope = &scope
	}
	return nil
}

// readKubelet reads whether the cluster has a machine of that name already into the input.
func (r *CertificateReconciler) readKubelet(ctx context.Context, claim approve.Claim, in *approve.Input) error {
	if claim.TokenID == "" || claim.Node == "" {
		return nil
	}
	var node corev1.Node
	if err := r.client.Get(ctx, client.ObjectKey{Name: claim.Node}, &node, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("get Node %s: %w", claim.Node, err)
	}
	if info := node.Status.NodeInfo; info.KubeletVersion != "" || info.MachineID != "" {
		in.Kubelet = &approve.Kubelet{MachineID: info.MachineID, Ours: node.Labels[NodeLabel] == node.Name}
	}
	return nil
}

// readOthers reads what a node may not serve at, nor join by, because it is somebody else's.
func (r *CertificateReconciler) readOthers(ctx context.Context, claim approve.Claim, in *approve.Input) error {
	joins := claim.Kind == approve.Agent && claim.TokenID != "" && in.Node == nil
	serves := claim.Kind == approve.KubeletServing && in.Node != nil
	if !joins && !serves {
		return nil
	}
	var configs v1alpha1.NodeConfigList
	var nodes v1alpha1.NodeStateList
	if err := errors.Join(r.client.List(ctx, &configs, client.UnsafeDisableDeepCopy), r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy)); err != nil {
		return fmt.Errorf("list whose addresses and names are taken: %w", err)
	}
	servers, err := r.servers(ctx)
	if err != nil {
		return err
	}
	in.Others = approve.Others(claim.Node, servers, configs.Items, nodes.Items)
	in.ServerNames = approve.ServerNames(servers, configs.Items)
	return nil
}

func requestOf(csr *certificatesv1.CertificateSigningRequest) approve.Request {
	usages := make([]string, 0, len(csr.Spec.Usages))
	for _, u := range csr.Spec.Usages {
		usages = append(usages, string(u))
	}
	return approve.Request{
		Signer: csr.Spec.SignerName, User: csr.Spec.Username, Groups: csr.Spec.Groups,
		Usages: usages, PEM: csr.Spec.Request, Made: csr.CreationTimestamp.Time, MachineID: csr.Annotations[v1alpha1.MachineIDAnnotation],
	}
}

func viewOf(node *v1alpha1.NodeState) *approve.Node {
	if node == nil {
		return nil
	}
	return &approve.Node{
		MachineID: node.Annotations[v1alpha1.MachineIDAnnotation],
		TokenID:   node.Annotations[v1alpha1.JoinTokenAnnotation],
		Addresses: node.Spec.Addresses,
		Reported:  node.Status.ObservedGeneration > 0 || node.Status.Facts != nil,
		Leaving:   !node.DeletionTimestamp.IsZero(),
	}
}
