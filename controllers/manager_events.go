package controllers

import (
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/leases"
)

func revisionCreated(config *v1alpha1.NodeConfig, name string, bytes int) Event {
	return Event{config, corev1.EventTypeNormal, "RevisionCreated", "Cut", fmt.Sprintf("revision %s of %d bytes", name, bytes)}
}

func nodeAssigned(node *v1alpha1.NodeState, config *v1alpha1.NodeConfig) Event {
	message := fmt.Sprintf("NodeConfig %s assigns revision %s with %d Secrets", config.Name, node.Spec.Revision, len(node.Spec.Secrets))
	return Event{node, corev1.EventTypeNormal, "NodeAssigned", "Assign", message}
}

func registrationRefused(registration *corev1.ConfigMap, err error) Event {
	return Event{registration, corev1.EventTypeWarning, "RegistrationRefused", "Register", err.Error()}
}

func nodeRegistered(node *v1alpha1.NodeState, registration *corev1.ConfigMap) Event {
	return Event{node, corev1.EventTypeNormal, "NodeRegistered", "Register", "registered by ConfigMap " + registration.Name}
}

func nodeJoined(node *v1alpha1.NodeState) Event {
	return Event{node, corev1.EventTypeNormal, "NodeJoined", "Join", "a machine joined by this name"}
}

func certificateApproved(node *v1alpha1.NodeState, csr *certificatesv1.CertificateSigningRequest, d approve.Decision) Event {
	return Event{node, corev1.EventTypeNormal, "CertificateApproved", "Approve", fmt.Sprintf("certificate signing request %s: %s", csr.Name, d.Message)}
}

func certificateRefused(csr *certificatesv1.CertificateSigningRequest, d approve.Decision) Event {
	return Event{csr, corev1.EventTypeWarning, d.Reason, "Approve", d.Message}
}

func certificateWaits(csr *certificatesv1.CertificateSigningRequest, d approve.Decision) Event {
	return Event{csr, corev1.EventTypeWarning, d.Reason, "Approve", d.Message}
}

func certificateFailed(csr *certificatesv1.CertificateSigningRequest, err error) Event {
	return Event{csr, corev1.EventTypeWarning, "SignerValidationFailure", "Sign", err.Error()}
}

// turned are the events of a status that was written: what has become true of the object that a
// user must see to. A conflict stalls as well and is told once.
func turned(object runtime.Object, before, now []metav1.Condition) []Event {
	var list []Event
	for _, kind := range []string{v1alpha1.ConditionConflicted, v1alpha1.ConditionStalled} {
		c := meta.FindStatusCondition(now, kind)
		if c == nil || c.Status != metav1.ConditionTrue {
			continue
		}
		old := meta.FindStatusCondition(before, kind)
		if old != nil && old.Status == c.Status && old.Reason == c.Reason && old.Message == c.Message {
			continue
		}
		if kind == v1alpha1.ConditionStalled && c.Reason == v1alpha1.ReasonPriorityConflict {
			continue
		}
		list = append(list, Event{object, corev1.EventTypeWarning, c.Reason, "Reconcile", c.Message})
	}
	return list
}

func networkPublished(n *v1alpha1.NetworkConfig, key string, repair bool) Event {
	if repair {
		return Event{n, corev1.EventTypeWarning, "DriftCorrected", "Publish", key + " in flannel's etcd changed by somebody else; put right"}
	}
	return Event{n, corev1.EventTypeNormal, "NetworkPublished", "Publish", "wrote " + key + " in flannel's etcd"}
}

func leaseReleased(n *v1alpha1.NetworkConfig, d leases.Departure) Event {
	message := fmt.Sprintf("released %s, the lease of node %s at %s, which was deleted", d.Lease.Subnet, d.Node, d.Lease.PublicIP)
	return Event{n, corev1.EventTypeNormal, "LeaseReleased", "Release", message}
}

// unpublished warns of a network whose etcd began not to answer, or to be open to everybody. What a
// user must see to first is told as Stalled.
func unpublished(n *v1alpha1.NetworkConfig, before []metav1.Condition) []Event {
	c, old := meta.FindStatusCondition(n.Status.Conditions, v1alpha1.ConditionPublished), meta.FindStatusCondition(before, v1alpha1.ConditionPublished)
	if c == nil || old != nil && old.Reason == c.Reason ||
		c.Reason != v1alpha1.ReasonEtcdUnreachable && c.Reason != v1alpha1.ReasonEtcdInsecure {
		return nil
	}
	return []Event{{n, corev1.EventTypeWarning, c.Reason, "Publish", c.Message}}
}
