package install

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// TakenError says that there is a node of that name already: registered with other labels, or not
// registered at all.
type TakenError struct {
	Node string
	// Labels it is registered with.
	Labels map[string]string
	// Unregistered is true for a node that joined with a token, or whose NodeState somebody made by
	// hand. Labels of a registration would not become its.
	Unregistered bool
}

func (e *TakenError) Error() string {
	if e.Unregistered {
		return fmt.Sprintf("node %s: the name is taken by a node that joined with a token, or whose NodeState was made by hand: choose another name, "+
			"or release it with `kubectl delete nodestate %s` when that node has left", e.Node, e.Node)
	}
	with := "no labels"
	if len(e.Labels) > 0 {
		with = "the labels " + labels.Set(e.Labels).String()
	}
	return fmt.Sprintf("node %s: the name is taken, registered with %s: use those, choose another name, or release it with "+
		"`kubectl delete configmap -n %s %s` and `kubectl delete nodestate %s`",
		e.Node, with, v1alpha1.Namespace, v1alpha1.RegistrationName(e.Node), e.Node)
}

// Register makes the registration of a node. A node that is registered with the same labels is left
// alone; one with others, or that is there without being registered, is a *TakenError.
func (i *Installer) Register(ctx context.Context, node string, nodeLabels map[string]string) (created bool, err error) {
	registration, err := newRegistration(node, nodeLabels)
	if err != nil {
		return false, err
	}
	if err := i.checkFree(ctx, node, registration); err != nil {
		return false, err
	}
	// Created, not applied, so that of two who register one name at the same time one is told.
	err = i.client.Create(ctx, registration, fieldOwner)
	if err == nil {
		return true, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("register node %s: %w", node, err)
	}
	current := &corev1.ConfigMap{}
	if err := i.client.Get(ctx, ctrlclient.ObjectKeyFromObject(registration), current); err != nil {
		return false, fmt.Errorf("read registration of node %s: %w", node, err)
	}
	existing, err := labelsOf(current)
	if err != nil {
		return false, err
	}
	if !maps.Equal(existing, nodeLabels) {
		return false, &TakenError{Node: node, Labels: existing}
	}
	return false, nil
}

// checkFree refuses the name of a NodeState that no registration is about.
func (i *Installer) checkFree(ctx context.Context, node string, registration *corev1.ConfigMap) error {
	err := i.client.Get(ctx, ctrlclient.ObjectKey{Name: node}, &v1alpha1.NodeState{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read NodeState %s: %w", node, err)
	}
	err = i.client.Get(ctx, ctrlclient.ObjectKeyFromObject(registration), &corev1.ConfigMap{})
	if apierrors.IsNotFound(err) {
		return &TakenError{Node: node, Unregistered: true}
	}
	if err != nil {
		return fmt.Errorf("read registration of node %s: %w", node, err)
	}
	return nil
}

func newRegistration(node string, nodeLabels map[string]string) (*corev1.ConfigMap, error) {
	if nodeLabels == nil {
		nodeLabels = map[string]string{}
	}
	encoded, err := json.Marshal(nodeLabels)
	if err != nil {
		return nil, fmt.Errorf("encode labels of node %s: %w", node, err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:      v1alpha1.RegistrationName(node),
			Namespace: v1alpha1.Namespace,
			Labels:    map[string]string{v1alpha1.RegistrationLabel: "true"},
		},
		Data: map[string]string{
			v1alpha1.RegistrationNodeNameKey: node,
			v1alpha1.RegistrationLabelsKey:   string(encoded),
		},
	}, nil
}

// labelsOf is what a registration says; no labels are an empty map.
func labelsOf(registration *corev1.ConfigMap) (map[string]string, error) {
	nodeLabels := map[string]string{}
	if err := json.Unmarshal([]byte(registration.Data[v1alpha1.RegistrationLabelsKey]), &nodeLabels); err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s: data.%s is not a JSON object of strings: %w: delete it to register the node again",
			registration.Namespace, registration.Name, v1alpha1.RegistrationLabelsKey, err)
	}
	return nodeLabels, nil
}
