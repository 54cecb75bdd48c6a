package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
	"seedbed.dev/seedbed/controllers/rollout"
)

// DrainReconciler evicts the pods of the Nodes that NodeConfigReconciler has cordoned for a drain,
// and notes on the Node how far that is. It decides neither who is drained nor what is permitted.
type DrainReconciler struct {
	client client.Client
	// direct lists pods from the API server: a cache of every pod of the cluster would cost more
	// than all the rest of the manager.
	direct client.Reader
	events events.EventRecorder
	now    func() time.Time
}

// Reconcile takes one Node's drain a step on. What it knows is in the API, so that it can be stopped
// anywhere and called again.
func (r *DrainReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var node corev1.Node
	if err := r.client.Get(ctx, req.NamespacedName, &node); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	drain := nodeobject.DrainOf(&node)
	if !drain.UnderWay() || drain.Drained {
		return ctrl.Result{}, nil
	}
	var state v1alpha1.NodeState
	if err := r.client.Get(ctx, req.NamespacedName, &state); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err) // NodeReconciler ends the drain
	}
	if state.Spec.Permit == drain.Plan {
		return ctrl.Result{}, nil
	}
	policy, timeout, err := r.policy(ctx, &state)
	if err != nil || policy == v1alpha1.DrainNever {
		return ctrl.Result{}, err // NodeConfigReconciler grants at once
	}
	return r.step(ctx, &state, &node, *drain, timeout)
}

func (r *DrainReconciler) step(ctx context.Context, state *v1alpha1.NodeState, node *corev1.Node, drain nodeobject.Drain, timeout time.Duration) (ctrl.Result, error) {
	pods, err := r.pods(ctx, node)
	if err != nil {
		return ctrl.Result{}, err
	}
	elapsed := r.now().Sub(drain.Started)
	if len(pods) == 0 {
		return settle(r.drained(ctx, state, node, drain))
	}
	blocked := r.evict(ctx, pods)
	if elapsed >= timeout {
		return settle(r.giveUp(ctx, state, node, drain, cmp.Or(blocked, terminating(pods[0])), timeout))
	}
	if err := r.note(ctx, state, node, drain, blocked); err != nil {
		return settle(err)
	}
	return ctrl.Result{RequeueAfter: min(evictionPause(elapsed), timeout-elapsed)}, nil
}

// evictionPause grows with the time that a drain has taken, as a back-off that survives a restart.
func evictionPause(elapsed time.Duration) time.Duration {
	return min(max(elapsed/4, time.Second), 30*time.Second)
}

func (r *DrainReconciler) policy(ctx context.Context, state *v1alpha1.NodeState) (v1alpha1.DrainPolicy, time.Duration, error) {
	var config v1alpha1.NodeConfig
	err := r.client.Get(ctx, client.ObjectKey{Name: state.Spec.Config}, &config)
	if client.IgnoreNotFound(err) != nil {
		return "", 0, fmt.Errorf("get NodeConfig %s: %w", state.Spec.Config, err)
	}
	policy, timeout := rollout.Drain(config.Spec.Rollout) // the defaults, if it is gone
	return policy, timeout, nil
}

// pods are those that have to leave a Node, by namespace and name. While its kubelet is not heard of,
// those that are being deleted are not waited for: it is the kubelet that ends them.
func (r *DrainReconciler) pods(ctx context.Context, node *corev1.Node) ([]*corev1.Pod, error) {
	var list corev1.PodList
	if err := r.direct.List(ctx, &list, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return nil, fmt.Errorf("list pods of Node %s: %w", node.Name, err)
	}
	silent := nodeobject.Down(node) != ""
	var pods []*corev1.Pod
	for i := range list.Items {
		pod := &list.Items[i]
		if !nodeobject.Leaves(pod) || silent && pod.DeletionTimestamp != nil {
			continue
		}
		pods = append(pods, pod)
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return pods, nil
}

// evict asks for each pod's eviction, which PodDisruptionBudgets may refuse, and returns what was
// said of the first that was refused. One that is refused does not keep the others.
func (r *DrainReconciler) evict(ctx context.Context, pods []*corev1.Pod) (blocked string) {
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		eviction := &policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
			DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}},
		}
		err := r.client.SubResource("eviction").Create(ctx, pod, eviction)
		switch {
		case err == nil:
			evictionsTotal.WithLabelValues("evicted").Inc()
		case apierrors.IsNotFound(err), apierrors.IsConflict(err): // gone, or another of its name
		case blocked == "":
			blocked = refused(pod, err)
			fallthrough
		default:
			evictionsTotal.WithLabelValues("refused").Inc()
		}
	}
	return blocked
}

// refused names the pod and, if it is that, the budget that keeps it.
func refused(pod *corev1.Pod, err error) string {
	message := fmt.Sprintf("pod %s/%s: %s", pod.Namespace, pod.Name, err)
	if cause, ok := apierrors.StatusCause(err, policyv1.DisruptionBudgetCause); ok && cause.Message != "" {
		message = fmt.Sprintf("pod %s/%s: %s", pod.Namespace, pod.Name, cause.Message)
	}
	return message
}

func terminating(pod *corev1.Pod) string {
	return fmt.Sprintf("pod %s/%s has been evicted and does not end", pod.Namespace, pod.Name)
}

func (r *DrainReconciler) drained(ctx context.Context, state *v1alpha1.NodeState, node *corev1.Node, drain nodeobject.Drain) error {
	drain.Drained, drain.Blocked = true, ""
	patch, err := drain.Store()
	if err != nil {
		return err
	}
	if _, err := patchNode(ctx, r.client, node, patch); err != nil {
		return err
	}
	drainsTotal.WithLabelValues("drained").Inc()
	publish(r.events, nodeDrained(state, r.now().Sub(drain.Started)))
	return nil
}

// note stores what stands in the way, when that has changed, and says so when it is new.
func (r *DrainReconciler) note(ctx context.Context, state *v1alpha1.NodeState, node *corev1.Node, drain nodeobject.Drain, blocked string) error {
	if drain.Blocked == blocked {
		return nil
	}
	isNew := drain.Blocked == ""
	drain.Blocked = blocked
	patch, err := drain.Store()
	if err != nil {
		return err
	}
	if _, err := patchNode(ctx, r.client, node, patch); err != nil {
		return err
	}
	if isNew {
		publish(r.events, drainBlocked(state, blocked))
	}
	return nil
}

func (r *DrainReconciler) giveUp(ctx context.Context, state *v1alpha1.NodeState, node *corev1.Node, drain nodeobject.Drain, why string, timeout time.Duration) error {
	patch, err := nodeobject.GiveUp(node, drain, why, r.now())
	if err != nil {
		return err
	}
	if _, err := patchNode(ctx, r.client, node, patch); err != nil {
		return err
	}
	drainsTotal.WithLabelValues("given-up").Inc()
	publish(r.events, drainGivenUp(state, why, timeout))
	return nil
}
