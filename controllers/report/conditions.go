package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	// maxMessage keeps a condition's message far below the API's limit of 32 KiB.
	maxMessage = 1024
	maxWhat    = 512
	// maxListed is how many failures a message spells out; the rest are counted.
	maxListed = 3
)

// verdict is the state of one condition before it is compared with the last one.
type verdict struct {
	status          metav1.ConditionStatus
	reason, message string
}

func conditions(before []metav1.Condition, p *Pass) []metav1.Condition {
	next := slices.Clone(before)
	set := func(kind string, v verdict) {
		meta.SetStatusCondition(&next, metav1.Condition{
			Type: kind, Status: v.status, Reason: v.reason, Message: bounded(v.message, maxMessage),
			ObservedGeneration: p.Generation, LastTransitionTime: metav1.NewTime(p.Finished).Rfc3339Copy(),
		})
	}
	prepared, findings := preparedVerdict(p), p.Findings()
	set(v1alpha1.ConditionPrepared, prepared)
	set(v1alpha1.ConditionReady, readyVerdict(p, prepared, findings))
	for kind, v := range map[string]*verdict{
		v1alpha1.ConditionStalled:     stalledVerdict(p),
		v1alpha1.ConditionReconciling: reconcilingVerdict(p),
	} {
		if v == nil {
			meta.RemoveStatusCondition(&next, kind)
		} else {
			set(kind, *v)
		}
	}
	for _, c := range components {
		if name, ok := chain.UnitOf(p.Desired, c.component); ok {
			set(c.condition, health(p, name, c.component, findings))
		} else {
			meta.RemoveStatusCondition(&next, c.condition)
		}
	}
	slices.SortFunc(next, func(a, b metav1.Condition) int { return cmp.Compare(a.Type, b.Type) })
	return next
}

func preparedVerdict(p *Pass) verdict {
	switch {
	case p.Revision == "":
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonNoRevision, "no NodeConfig governs this node yet"}
	case p.Stall != nil:
		return verdict{metav1.ConditionFalse, p.Stall.Reason, stallMessage(p)}
	case p.Err != nil:
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, p.Err.Error()}
	case p.refused():
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonConfigRefused, failures(p.Results)}
	case p.failed() > 0:
		return verdict{metav1.ConditionFalse, failedReason(p.Results), failures(p.Results)}
	case p.Waits() && p.Remaining.Asks != nil:
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonWaitingForPermit, p.Remaining.Asks.Message + ": the manager drains the node first"}
	case p.Waits():
		s := p.waiting()
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonWaiting, fmt.Sprintf("%s: %s", s.Target, s.Blocked)}
	case p.Desired.Partial || p.Remaining.Installs():
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonInstalling, installing(p)}
	case len(p.Remaining.Steps) > 0:
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonProgressing, remaining(p)}
	}
	return verdict{metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "the host holds revision " + p.Revision}
}

func readyVerdict(p *Pass, prepared verdict, findings []chain.Finding) verdict {
	if prepared.status != metav1.ConditionTrue {
		return prepared
	}
	if p.Offline {
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonOfflineRoot, "the host root is prepared; nothing runs on it"}
	}
	if v := worst(findings, func(chain.Finding) bool { return true }); v != nil {
		return *v
	}
	return verdict{metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "the host holds revision " + p.Revision + " and its components are healthy"}
}

// stalledVerdict: a file that its program refuses is refused again until somebody changes it.
func stalledVerdict(p *Pass) *verdict {
	switch {
	case p.Stall != nil:
		return &verdict{metav1.ConditionTrue, p.Stall.Reason, stallMessage(p)}
	case p.Err == nil && p.refused():
		return &verdict{metav1.ConditionTrue, v1alpha1.ReasonConfigRefused, failures(p.Results)}
	}
	return nil
}

func stallMessage(p *Pass) string {
	if p.Desired.Partial {
		return p.Stall.Message + " (what runs on the host is left as it is)"
	}
	if p.Enforced == "" {
		return p.Stall.Message + " (nothing on the host was touched)"
	}
	return fmt.Sprintf("%s (the host is kept at %s)", p.Stall.Message, p.Enforced)
}

// reconcilingVerdict: work goes on by itself, since a failed step is tried again.
func reconcilingVerdict(p *Pass) *verdict {
	switch {
	case p.Revision == "" || stalledVerdict(p) != nil:
		return nil
	case p.Err != nil || p.failed() > 0:
		return &verdict{metav1.ConditionTrue, failedReason(p.Results), "trying again"}
	case p.Waits() && p.Remaining.Asks != nil:
		return &verdict{metav1.ConditionTrue, v1alpha1.ReasonWaitingForPermit, "goes on with the manager's permit"}
	case p.Waits():
		return &verdict{metav1.ConditionTrue, v1alpha1.ReasonWaiting, "goes on when that is there"}
	case p.Desired.Partial || p.Remaining.Installs():
		return &verdict{metav1.ConditionTrue, v1alpha1.ReasonInstalling, installing(p)}
	case len(p.Remaining.Steps) > 0:
		return &verdict{metav1.ConditionTrue, v1alpha1.ReasonProgressing, remaining(p)}
	}
	return nil
}

func remaining(p *Pass) string {
	s := &p.Remaining.Steps[0]
	return fmt.Sprintf("%d steps remain, first: %s %s (%s)", len(p.Remaining.Steps), s.Action, s.Target, s.Reason)
}

// failures names the first steps that failed; what was skipped because of them is counted.
func failures(results apply.Results) string {
	var failed []string
	for i := range results {
		if results[i].Outcome == apply.Failed {
			failed = append(failed, results[i].Err.Error())
		}
	}
	message := listed(failed)
	if n := results.Count(apply.Skipped); n > 0 {
		message += fmt.Sprintf("; steps waiting for them: %d", n)
	}
	return message
}

// failedReason is that of the first failure that has a reason of its own.
func failedReason(results apply.Results) string {
	for i := range results {
		if typed, ok := errors.AsType[*host.Error](results[i].Err); ok && results[i].Outcome == apply.Failed {
			return typed.Reason
		}
	}
	return v1alpha1.ReasonApplyFailed
}

// installing names what is being installed, before the rest of the revision is known.
func installing(p *Pass) string {
	var names []string
	for i := range p.Remaining.Steps {
		if s := &p.Remaining.Steps[i]; s.Target.Kind == state.KindPackage || s.Target.Kind == state.KindBinary {
			names = append(names, fmt.Sprintf("%s %s", s.Action, s.Target))
		}
	}
	if len(names) == 0 {
		return "the rest can be planned once packages and binaries are installed"
	}
	return listed(names) + "; the rest can be planned then"
}

func listed(items []string) string {
	slices.Sort(items)
	return first(items)
}

// first spells the first items out and counts the rest.
func first(items []string) string {
	rest := len(items) - maxListed
	if rest > 0 {
		items = items[:maxListed]
	}
	message := strings.Join(items, "; ")
	if rest > 0 {
		message += fmt.Sprintf("; and %d more", rest)
	}
	return message
}

// bounded cuts a text at a rune and takes control characters out, since some of it comes from
// programs on the host.
func bounded(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= limit {
		return text
	}
	cut := limit - len("...")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}
