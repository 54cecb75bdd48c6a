package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// RegistrationReconciler creates a NodeState for each registration. The NodeState is there for as
// long as the registration is: a machine is forgotten by deleting the registration first.
type RegistrationReconciler struct {
	client client.Client
	events events.EventRecorder
}

// Reconcile creates the NodeState that a registration asks for. The labels of one that exists are
// an administrator's to change, and never overwritten.
func (r *RegistrationReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var registration corev1.ConfigMap
	if err := r.client.Get(ctx, req.NamespacedName, &registration); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !v1alpha1.IsRegistration(&registration) || !registration.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	node, err := registeredNode(&registration)
	if err != nil {
		publish(r.events, registrationRefused(&registration, err))
		return ctrl.Result{}, reconcile.TerminalError(fmt.Errorf("registration %s: %w", req.Name, err))
	}
	err = r.client.Get(ctx, client.ObjectKeyFromObject(node), &v1alpha1.NodeState{})
	if !apierrors.IsNotFound(err) {
		return ctrl.Result{}, err
	}
	if err := r.client.Create(ctx, node); err != nil {
		return settle(fmt.Errorf("create NodeState %s: %w", node.Name, err))
	}
	publish(r.events, nodeRegistered(node, &registration))
	return ctrl.Result{}, nil
}

// registeredNode reads a registration.
func registeredNode(registration *corev1.ConfigMap) (*v1alpha1.NodeState, error) {
	name := registration.Data[v1alpha1.RegistrationNodeNameKey]
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return nil, fmt.Errorf("data.%s %q: %s", v1alpha1.RegistrationNodeNameKey, name, strings.Join(problems, "; "))
	}
	if want := v1alpha1.RegistrationName(name); registration.Name != want {
		return nil, fmt.Errorf("data.%s %q: the ConfigMap that registers it must be named %s", v1alpha1.RegistrationNodeNameKey, name, want)
	}
	node := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{
		Name: name, Annotations: map[string]string{v1alpha1.RegistrationAnnotation: registration.Name},
	}}
	raw := registration.Data[v1alpha1.RegistrationLabelsKey]
	if raw == "" {
		return node, nil
	}
	path := field.NewPath("data", v1alpha1.RegistrationLabelsKey)
	if err := json.Unmarshal([]byte(raw), &node.Labels); err != nil {
		return nil, fmt.Errorf("%s: %w: write a JSON object of strings, such as {\"role\":\"worker\"}", path, err)
	}
	if errs := metavalidation.ValidateLabels(node.Labels, path); len(errs) > 0 {
		return nil, errors.New(errs.ToAggregate().Error())
	}
	return node, nil
}
