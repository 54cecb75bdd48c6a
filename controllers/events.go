package controllers

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/report"
)

// Event is something that happened to an object, as a value: the functions below are the list of
// all that Seedbed's agent says, manager_events.go has the manager's.
type Event struct {
	Object  runtime.Object
	Type    string
	Reason  string
	Action  string
	Message string
}

// maxNote is the API's limit on the text of an event.
const maxNote = 1024

func publish(recorder events.EventRecorder, list ...Event) {
	for i := range list {
		e := &list[i]
		recorder.Eventf(e.Object, nil, e.Type, e.Reason, e.Action, "%s", e.note())
	}
}

// note is the message within the API's limit.
func (e *Event) note() string {
	if len(e.Message) <= maxNote {
		return e.Message
	}
	return strings.ToValidUTF8(e.Message[:maxNote-3], "") + "..."
}

// passEvents are the events of one pass, compared with the NodeState before it: what was put
// right, what was applied, and what began to fail or to stall.
func passEvents(before *v1alpha1.NodeState, p *report.Pass) []Event {
	var list []Event
	if drift := p.Corrections(); len(drift) > 0 {
		list = append(list, driftCorrected(before, p))
	}
	switch {
	case p.Stall != nil:
		if !alreadySays(before, v1alpha1.ConditionStalled, p.Stall.Reason) {
			list = append(list, nodeStalled(before, p.Stall))
		}
	case len(p.Results.Refused()) > 0:
		if !alreadySays(before, v1alpha1.ConditionStalled, v1alpha1.ReasonConfigRefused) {
			list = append(list, configRefused(before, p))
		}
	case p.Results.Count(apply.Failed) > 0:
		if !alreadySays(before, v1alpha1.ConditionReconciling, v1alpha1.ReasonApplyFailed) {
			list = append(list, applyFailed(before, p))
		}
	case p.Agrees() && p.Revision != before.Status.Revision:
		list = append(list, revisionApplied(before, p))
	}
	return list
}

func alreadySays(node *v1alpha1.NodeState, condition, reason string) bool {
	c := meta.FindStatusCondition(node.Status.Conditions, condition)
	return c != nil && c.Reason == reason
}

func driftCorrected(node *v1alpha1.NodeState, p *report.Pass) Event {
	refs := p.Corrections()
	message := refs[0].String()
	if len(refs) > 1 {
		message = fmt.Sprintf("%s and %d more", message, len(refs)-1)
	}
	return Event{node, corev1.EventTypeWarning, "DriftCorrected", "Correct", message + " changed by somebody else; put right"}
}

func nodeStalled(node *v1alpha1.NodeState, s *report.Stall) Event {
	return Event{node, corev1.EventTypeWarning, s.Reason, "Resolve", s.Message}
}

func applyFailed(node *v1alpha1.NodeState, p *report.Pass) Event {
	return Event{node, corev1.EventTypeWarning, v1alpha1.ReasonApplyFailed, "Apply", oneLine(p.Results.Err())}
}

func configRefused(node *v1alpha1.NodeState, p *report.Pass) Event {
	return Event{node, corev1.EventTypeWarning, v1alpha1.ReasonConfigRefused, "Check", oneLine(p.Results.Err())}
}

func revisionApplied(node *v1alpha1.NodeState, p *report.Pass) Event {
	message := fmt.Sprintf("the host holds revision %s: %d steps, disruption %s", p.Revision, len(p.Results), report.Disruption(node.Status, p))
	return Event{node, corev1.EventTypeNormal, "RevisionApplied", "Apply", message}
}
