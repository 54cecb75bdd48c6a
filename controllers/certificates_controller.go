package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/sign"
)

// serverPause is the wait before a request that depends on the API server's address is looked at again.
const serverPause = 10 * time.Second

// CertificateReconciler approves and refuses the certificate signing requests of nodes, by the rules
// of package approve, and makes the NodeStates of those that join.
type CertificateReconciler struct {
	client client.Client
	// live reads past the cache: a token that was deleted a moment ago admits nobody.
	live   client.Reader
	events events.EventRecorder
	now    func() time.Time
	// authority signs what is approved; nil where kube-controller-manager does.
	authority *sign.Authority
}

// Reconcile decides a request that nobody has decided yet, signs one that was approved, and deletes old
// ones.
func (r *CertificateReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var csr certificatesv1.CertificateSigningRequest
	if err := r.client.Get(ctx, req.NamespacedName, &csr); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	signs := r.authority != nil
	switch {
	case signs && toBeSigned(&csr):
		return settle(r.sign(ctx, &csr))
	case signs && !r.now().Before(endOf(&csr)):
		return settle(r.discard(ctx, &csr))
	case undecided(&csr):
		decision, err := r.decide(ctx, &csr)
		if err != nil {
			return settle(err)
		}
		if decision.Reason == approve.ReasonServerUnknown {
			return ctrl.Result{RequeueAfter: serverPause}, nil
		}
	}
	if !signs {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: endOf(&csr).Sub(r.now())}, nil
}

// decide does what the rules say. A NodeState is made before the request is approved: an agent with a
// certificate finds itself.
func (r *CertificateReconciler) decide(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) (approve.Decision, error) {
	in := approve.Input{Request: requestOf(csr), Now: r.now()}
	claim, ours := approve.Read(in.Request)
	if !ours {
		return approve.Decision{}, nil
	}
	node, err := r.node(ctx, claim.Node)
	if err != nil {
		return approve.Decision{}, err
	}
	in.Node = viewOf(node)
	if err := errors.Join(r.readScope(ctx, claim.TokenID, &in), r.readKubelet(ctx, claim, &in), r.readOthers(ctx, claim, &in)); err != nil {
		return approve.Decision{}, err
	}
	decision := approve.Decide(in)
	if decision.Register {
		if node, err = r.register(ctx, claim, node, in); err != nil {
			return approve.Decision{}, err
		}
	}
	switch decision.Verdict {
	case approve.Approved:
		if err := r.answer(ctx, csr, certificatesv1.CertificateApproved, decision); err != nil {
			return approve.Decision{}, err
		}
		publish(r.events, certificateApproved(node, csr, decision))
	case approve.Denied:
		if err := r.answer(ctx, csr, certificatesv1.CertificateDenied, decision); err != nil {
			return approve.Decision{}, err
		}
		publish(r.events, certificateRefused(csr, decision))
	case approve.Waiting:
		publish(r.events, certificateWaits(csr, decision))
	case approve.Ignored:
	}
	return decision, nil
}

// register makes the NodeState of a node that joins. One that an administrator registered keeps its
// labels, and its addresses if it has any.
func (r *CertificateReconciler) register(ctx context.Context, claim approve.Claim, node *v1alpha1.NodeState, in approve.Input) (*v1alpha1.NodeState, error) {
	by := map[string]string{v1alpha1.MachineIDAnnotation: in.Request.MachineID, v1alpha1.JoinTokenAnnotation: claim.TokenID}
	if node == nil {
		node = &v1alpha1.NodeState{
			ObjectMeta: metav1.ObjectMeta{Name: claim.Node, Labels: in.Scope.Labels, Annotations: by},
			Spec:       v1alpha1.NodeStateSpec{Addresses: in.Scope.Addresses},
		}
		if err := r.client.Create(ctx, node); err != nil {
			return nil, fmt.Errorf("create NodeState %s: %w", claim.Node, err)
		}
		publish(r.events, nodeJoined(node))
		return node, nil
	}
	claimed := node.DeepCopy()
	claimed.Annotations = labels.Merge(claimed.Annotations, by)
	if len(claimed.Spec.Addresses) == 0 {
		claimed.Spec.Addresses = in.Scope.Addresses
	}
	if err := r.client.Patch(ctx, claimed, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("give NodeState %s its machine-id: %w", claim.Node, err)
	}
	publish(r.events, nodeJoined(claimed))
	return claimed, nil
}

// answer writes a condition. That somebody else decided meanwhile is a conflict, so that nothing is
// decided twice.
func (r *CertificateReconciler) answer(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType, d approve.Decision) error {
	decided := csr.DeepCopy()
	decided.Status.Conditions = append(decided.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: d.Reason, Message: d.Message,
		LastUpdateTime: metav1.NewTime(r.now()),
	})
	if err := r.client.SubResource("approval").Update(ctx, decided); err != nil {
		return fmt.Errorf("write condition %s of certificate signing request %s: %w", kind, csr.Name, err)
	}
	return nil
}

func has(csr *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(csr.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == kind })
}

func undecided(csr *certificatesv1.CertificateSigningRequest) bool {
	return !has(csr, certificatesv1.CertificateApproved) && !has(csr, certificatesv1.CertificateDenied) && !has(csr, certificatesv1.CertificateFailed)
}
