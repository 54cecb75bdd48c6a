package controllers

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
)

// conflictPause is the wait before an object that somebody else wrote meanwhile is looked at again.
const conflictPause = 100 * time.Millisecond

// settle turns a conflict with another writer, of an object that is there or is not there yet, into
// another pass soon. It is how optimistic locking works and no failure, so it is neither logged nor
// counted as one.
func settle(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil
	}
	return ctrl.Result{}, err
}

// mergeConditions returns want with the transition times of the conditions in have that kept their
// status, and with now for the others.
func mergeConditions(have, want []metav1.Condition) []metav1.Condition {
	merged := make([]metav1.Condition, 0, len(want))
	for _, c := range want {
		if old := meta.FindStatusCondition(have, c.Type); old != nil && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		} else {
			c.LastTransitionTime = metav1.Now()
		}
		merged = append(merged, c)
	}
	return merged
}
