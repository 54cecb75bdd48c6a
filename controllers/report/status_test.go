package report_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/state"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// good is a pass over a live host that agrees with revision r1 and had nothing to do.
func good() report.Pass {
	desired, observed := state.New(), state.New()
	for name, c := range map[string]state.Component{
		"flanneld.service": state.ComponentFlannel, "docker.service": state.ComponentDocker,
		"cri-docker.service": state.ComponentCRIDockerd, "cri-docker.socket": state.ComponentCRIDockerd,
		"kubelet.service": state.ComponentKubelet, "kube-proxy.service": state.ComponentKubeProxy,
	} {
		desired.Units[name] = state.Unit{Activity: state.Active, Component: c}
		observed.Units[name] = state.Unit{Activity: state.Active, Uptime: time.Hour}
	}
	return report.Pass{
		Generation: 3, Revision: "r1", Enforced: "r1", Facts: &v1alpha1.Facts{Hostname: "node-a"},
		Desired: desired, Observed: observed, Started: start, Finished: start.Add(time.Second),
	}
}

func result(o apply.Outcome, name string) apply.Result {
	r := apply.Result{Step: plan.Step{Action: plan.Write, Target: state.Ref{Kind: state.KindFile, Name: name}}, Outcome: o}
	if o == apply.Failed || o == apply.Skipped {
		r.Err = fmt.Errorf("file %s: no space left on device", name)
	}
	return r
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason string
		change func(p *report.Pass)
		want   []string
	}{
		{"agrees", "everything holds and runs", func(*report.Pass) {}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=True Succeeded", "Ready=True Succeeded",
		}},
		{"offline", "a host root never pretends to be ready", func(p *report.Pass) { p.Offline = true }, []string{
			"CRIHealthy=Unknown OfflineRoot", "DockerHealthy=Unknown OfflineRoot", "FlannelHealthy=Unknown OfflineRoot",
			"KubeProxyHealthy=Unknown OfflineRoot", "KubeletHealthy=Unknown OfflineRoot",
			"Prepared=True Succeeded", "Ready=False OfflineRoot",
		}},
		{"unassigned", "no NodeConfig governs the node", func(p *report.Pass) {
			*p = report.Pass{Generation: 1, Finished: start}
		}, []string{"Prepared=False NoRevision", "Ready=False NoRevision"}},
		{"stalled", "only a user can help", func(p *report.Pass) {
			*p = report.Pass{Revision: "r2", Stall: &report.Stall{Reason: v1alpha1.ReasonComponentMissing, Message: "no kubelet"}, Finished: start}
		}, []string{"Prepared=False ComponentMissing", "Ready=False ComponentMissing", "Stalled=True ComponentMissing"}},
		{"failed step", "it is tried again, so the node is reconciling", func(p *report.Pass) {
			p.Results = apply.Results{result(apply.Done, "/a"), result(apply.Failed, "/b"), result(apply.Skipped, "/c")}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=False ApplyFailed", "Ready=False ApplyFailed", "Reconciling=True ApplyFailed",
		}},
		{"refused file", "it is refused again until somebody changes it, so the node is stalled and not reconciling", func(p *report.Pass) {
			refused := result(apply.Failed, "/b")
			refused.Err = &host.RefusedError{Path: "/b", Program: "/usr/bin/kubelet", Words: "no such gate", Cure: "correct it"}
			p.Results = apply.Results{refused, result(apply.Skipped, "/c")}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=False ConfigRefused", "Ready=False ConfigRefused", "Stalled=True ConfigRefused",
		}},
		{"did not hold", "a step that succeeded and is to be done again", func(p *report.Pass) {
			p.Remaining = plan.Plan{Steps: []plan.Step{{Action: plan.Set, Target: state.Ref{Kind: state.KindSysctl, Name: "a.b"}, Reason: "is 0"}}}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=False Progressing", "Ready=False Progressing", "Reconciling=True Progressing",
		}},
		{"ledger", "without a ledger nothing goes on", func(p *report.Pass) { p.Err = errors.New("ledger: read-only file system") }, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=False ApplyFailed", "Ready=False ApplyFailed", "Reconciling=True ApplyFailed",
		}},
		{"waits", "running containers are stopped with a permit only, and waiting is no failure", func(p *report.Pass) {
			p.Results = apply.Results{result(apply.Waiting, "/a")}
			p.Remaining = plan.Plan{
				Steps: []plan.Step{{Action: plan.Delete, Waits: true, Blocked: "permit"}},
				Asks:  &plan.Ask{Plan: "0123456789abcdef", Disruption: state.Recreate, Message: "docker0: it has another address"},
			}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=False WaitingForPermit", "Ready=False WaitingForPermit", "Reconciling=True WaitingForPermit",
		}},
		{"waits for a file", "a certificate that is not approved yet is no failure either", func(p *report.Pass) {
			p.Results = apply.Results{result(apply.Waiting, "/a")}
			p.Remaining = plan.Plan{Steps: []plan.Step{{Action: plan.Start, Waits: true, Blocked: "it waits for x.pem"}}}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=False Waiting", "Ready=False Waiting", "Reconciling=True Waiting",
		}},
		{"failed while waiting", "a failure counts more than what waits", func(p *report.Pass) {
			p.Results = apply.Results{result(apply.Waiting, "/a"), result(apply.Failed, "/b")}
			p.Remaining = plan.Plan{Steps: []plan.Step{{Waits: true}}, Asks: &plan.Ask{Plan: "0123456789abcdef"}}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=True Healthy",
			"Prepared=False ApplyFailed", "Ready=False ApplyFailed", "Reconciling=True ApplyFailed",
		}},
		{"crash loop", "a unit that ends after seconds is not healthy while it happens to run", func(p *report.Pass) {
			p.Observed.Units["kubelet.service"] = state.Unit{Activity: state.Active, Uptime: 3 * time.Second, Restarts: 4}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=False CrashLooping",
			"Prepared=True Succeeded", "Ready=False CrashLooping",
		}},
		{"unit died", "files are right but a unit does not run", func(p *report.Pass) {
			p.Observed.Units["kubelet.service"] = state.Unit{Activity: state.Failed}
		}, []string{
			"CRIHealthy=True Healthy", "DockerHealthy=True Healthy", "FlannelHealthy=True Healthy",
			"KubeProxyHealthy=True Healthy", "KubeletHealthy=False UnitNotActive",
			"Prepared=True Succeeded", "Ready=False UnitNotActive",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good()
			c.change(&p)
			// Whatever was true before must not linger.
			before := v1alpha1.NodeStateStatus{Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: "Old"},
				{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: "Old"},
			}}
			var got []string
			for _, cond := range report.Status(before, &p).Conditions {
				got = append(got, fmt.Sprintf("%s=%s %s", cond.Type, cond.Status, cond.Reason))
				if cond.ObservedGeneration != p.Generation {
					t.Errorf("%s observed generation %d, want %d", cond.Type, cond.ObservedGeneration, p.Generation)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRevisionIsAcknowledgedOnlyWhenTheHostAgrees(t *testing.T) {
	before := v1alpha1.NodeStateStatus{Revision: "r0"}
	agrees := good()
	if got := report.Status(before, &agrees).Revision; got != "r1" {
		t.Errorf("a host that agrees acknowledged %q, want r1", got)
	}
	for name, spoil := range map[string]func(*report.Pass){
		"stall":     func(p *report.Pass) { p.Stall = &report.Stall{Reason: "Invalid"} },
		"failure":   func(p *report.Pass) { p.Results = apply.Results{result(apply.Failed, "/a")} },
		"remaining": func(p *report.Pass) { p.Remaining.Steps = []plan.Step{{}} },
		"ledger":    func(p *report.Pass) { p.Err = errors.New("x") },
	} {
		p := good()
		spoil(&p)
		if got := report.Status(before, &p).Revision; got != "r0" {
			t.Errorf("%s: acknowledged %q, want r0", name, got)
		}
	}
}

func TestStallSaysWhatTheHostIsKeptAt(t *testing.T) {
	p := good()
	p.Revision, p.Stall = "r2", &report.Stall{Reason: v1alpha1.ReasonInvalid, Message: "bad flag"}
	stalled := func() string {
		s := report.Status(v1alpha1.NodeStateStatus{}, &p)
		return meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionStalled).Message
	}
	if got, want := stalled(), "bad flag (the host is kept at r1)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Enforced = ""
	if got, want := stalled(), "bad flag (nothing on the host was touched)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSamePassAgainChangesNothing(t *testing.T) {
	p := good()
	first := report.Status(v1alpha1.NodeStateStatus{}, &p)
	p.Started, p.Finished = p.Started.Add(time.Hour), p.Finished.Add(time.Hour)
	if diff := cmp.Diff(first, report.Status(first, &p)); diff != "" {
		t.Errorf("a pass with nothing new changed the status, which would be a write a minute:\n%s", diff)
	}
}

func TestRetryThatFailsAsBeforeIsNotWrittenAgain(t *testing.T) {
	p := good()
	p.Results = apply.Results{result(apply.Failed, "/b")}
	first := report.Status(v1alpha1.NodeStateStatus{}, &p)
	p.Started, p.Finished = p.Started.Add(time.Minute), p.Finished.Add(time.Minute)
	if diff := cmp.Diff(first, report.Status(first, &p)); diff != "" {
		t.Errorf("a broken node writes its status at each retry:\n%s", diff)
	}
}

func TestMessagesAreBoundedAndClean(t *testing.T) {
	p := good()
	for i := range 40 {
		p.Results = append(p.Results, result(apply.Failed, fmt.Sprintf("/%02d/\x1b[31m%s", i, strings.Repeat("é", 400))))
	}
	s := report.Status(v1alpha1.NodeStateStatus{}, &p)
	message := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady).Message
	if len(message) > 1024 {
		t.Errorf("message has %d bytes", len(message))
	}
	if strings.ContainsAny(message, "\x1b\n") {
		t.Errorf("message has control characters: %q", message)
	}
	p = good()
	for i := range 5 {
		p.Results = append(p.Results, result(apply.Failed, fmt.Sprintf("/%d", i)))
	}
	s = report.Status(v1alpha1.NodeStateStatus{}, &p)
	message = meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady).Message
	if !strings.HasSuffix(message, "; and 2 more") || !strings.HasPrefix(message, "file /0:") {
		t.Errorf("message lists the wrong failures: %q", message)
	}
}

func TestApplyAndDriftAreCounted(t *testing.T) {
	p := good()
	p.Results = apply.Results{result(apply.Done, "/a"), result(apply.Deferred, "/b"), result(apply.Failed, "/c"), result(apply.Skipped, "/d")}
	for i, d := range []state.Disruption{state.Reload, state.None, state.None, state.Recreate} {
		p.Results[i].Step.Disruption, p.Results[i].Tried = d, p.Results[i].Outcome != apply.Skipped
	}
	p.Corrected, p.LastCorrected = 7, &state.Correction{What: state.Ref{Kind: state.KindFile, Name: "/a"}, When: start}
	s := report.Status(v1alpha1.NodeStateStatus{}, &p)
	want := &v1alpha1.ApplyStatus{
		Started: metav1.NewTime(start), Finished: metav1.NewTime(start.Add(time.Second)),
		Revision: p.Enforced, Steps: 4, Changed: 1, Deferred: 1, Failed: 2, Disruption: "Reload",
	}
	if diff := cmp.Diff(want, s.Apply); diff != "" {
		t.Errorf("apply (-want +got):\n%s", diff)
	}
	if s.Drift.Corrected != 7 || s.Drift.Last.What != "file /a" {
		t.Errorf("drift: %+v", s.Drift)
	}
	idle := good()
	if again := report.Status(s, &idle); again.Apply == nil {
		t.Error("a pass with nothing to do forgot the last that changed something")
	}
}

func TestDisruptionOfARotatedSecretIsThatOfTheRotation(t *testing.T) {
	at := start
	pass := func(version string, d state.Disruption, waits bool) *report.Pass {
		p := good()
		p.Secrets = []v1alpha1.PinnedSecret{{Name: "ca", ResourceVersion: version}}
		if d != state.None {
			p.Results = apply.Results{{Step: plan.Step{Disruption: d}, Outcome: apply.Done, Tried: true}}
		}
		if waits {
			p.Remaining.Steps = []plan.Step{{Action: plan.Restart, Target: state.Ref{Kind: state.KindUnit, Name: "x.service"}, Blocked: "it waits", Waits: true}}
		}
		at = at.Add(time.Minute)
		p.Started, p.Finished = at, at.Add(time.Second)
		return &p
	}
	reported := func(s v1alpha1.NodeStateStatus, p *report.Pass, want string) v1alpha1.NodeStateStatus {
		t.Helper()
		s = report.Status(s, p)
		if got := string(s.Apply.Disruption); got != want {
			t.Errorf("%v: %s, want %s", p.Secrets, got, want)
		}
		return s
	}
	s := reported(v1alpha1.NodeStateStatus{}, pass("1", state.Recreate, false), "Recreate")
	s = reported(s, pass("2", state.Reload, false), "Reload")
	s = reported(s, pass("3", state.Restart, true), "Restart")
	s = reported(s, pass("3", state.Reload, true), "Restart") // of the same way
	s = reported(s, pass("3", state.None, false), "Restart")
	stalled := pass("4", state.None, false)
	stalled.Stall = &report.Stall{Reason: v1alpha1.ReasonSecretNotFound, Message: "no such key"}
	s = report.Status(s, stalled)
	reported(s, pass("5", state.Reload, false), "Reload")
}

func TestDisruptionIsThatOfTheWholeWayToARevision(t *testing.T) {
	cost := func(d state.Disruption) report.Pass {
		p := good()
		p.Results = apply.Results{{Step: plan.Step{Disruption: d}, Outcome: apply.Done, Tried: true}}
		return p
	}
	halfway := cost(state.Restart)
	halfway.Remaining = plan.Plan{Steps: []plan.Step{{Waits: true, Blocked: "it waits for a lease"}}}
	elsewhere := v1alpha1.NodeStateStatus{Revision: "workers-0", Apply: &v1alpha1.ApplyStatus{Revision: "workers-0", Disruption: "Recreate"}}
	first := report.Status(elsewhere, &halfway)
	if got := first.Apply.Disruption; got != "Restart" {
		t.Errorf("the first pass: %s; what another revision cost does not count", got)
	}
	last := cost(state.None)
	there := report.Status(first, &last)
	if got := there.Apply.Disruption; got != "Restart" {
		t.Errorf("the last pass: %s; what the first one cost is forgotten", got)
	}
	repair := cost(state.Reload)
	if got := report.Status(there, &repair).Apply.Disruption; got != "Reload" {
		t.Errorf("a repair afterwards: %s", got)
	}
}

func TestWhatIsPendingIsAskedForOnceAndGoesWhenItIsDone(t *testing.T) {
	p := good()
	p.Remaining.Asks = &plan.Ask{Plan: "0123456789abcdef", Disruption: state.Recreate, Message: "docker0\nmoves"}
	first := report.Status(v1alpha1.NodeStateStatus{}, &p)
	want := &v1alpha1.PendingPlan{Plan: "0123456789abcdef", Disruption: "Recreate", Message: "docker0 moves", Since: metav1.NewTime(p.Finished)}
	if diff := cmp.Diff(want, first.Pending); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.Finished = p.Finished.Add(time.Hour)
	if again := report.Status(first, &p); !again.Pending.Since.Equal(&first.Pending.Since) {
		t.Errorf("the same plan waits since %s, then since %s", first.Pending.Since, again.Pending.Since)
	}
	p.Remaining.Asks = &plan.Ask{Plan: "fedcba9876543210"}
	if other := report.Status(first, &p); other.Pending.Since.Equal(&first.Pending.Since) || other.Pending.Plan != "fedcba9876543210" {
		t.Errorf("another plan: %+v", other.Pending)
	}
	p.Remaining.Asks = nil
	if done := report.Status(first, &p); done.Pending != nil {
		t.Errorf("nothing waits, and pending is %+v", done.Pending)
	}
}

func TestAComponentSaysAllThatIsWrongWithIt(t *testing.T) {
	p := good()
	for i := range 5 {
		name := fmt.Sprintf("q%d", i)
		p.Desired.Probes[name] = state.Probe{Component: state.ComponentKubelet, Kind: state.ProbeHTTP, Address: "127.0.0.1:1", Path: "/" + name}
		p.Observed.Probes[name] = state.Probe{Failure: "connection refused"}
	}
	s := report.Status(v1alpha1.NodeStateStatus{}, &p)
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionKubeletHealthy)
	if c.Reason != v1alpha1.ReasonNotAnswering || !strings.HasPrefix(c.Message, "q0 at 127.0.0.1:1/q0: connection refused") || !strings.HasSuffix(c.Message, "; and 2 more") {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
}

func TestAQuestionThatNobodyCanLookAtIsNotTakenBack(t *testing.T) {
	p := good()
	p.Remaining.Asks = &plan.Ask{Plan: "0123456789abcdef", Disruption: state.Recreate, Message: "docker0 moves"}
	asked := report.Status(v1alpha1.NodeStateStatus{}, &p)
	for reason, spoil := range map[string]func(*report.Pass){
		"docker0 or its lease is not seen": func(p *report.Pass) { p.Remaining.Blind = true },
		"the ledger is not written":        func(p *report.Pass) { p.Err = errors.New("no space left on device") },
	} {
		p := good()
		spoil(&p)
		if diff := cmp.Diff(asked.Pending, report.Status(asked, &p).Pending); diff != "" {
			t.Errorf("%s: the drain that has begun would end (-before +now):\n%s", reason, diff)
		}
		if never := report.Status(v1alpha1.NodeStateStatus{}, &p).Pending; never != nil {
			t.Errorf("%s: what was never asked is asked: %+v", reason, never)
		}
		p.Remaining.Asks = &plan.Ask{Plan: "fedcba9876543210"}
		if other := report.Status(asked, &p).Pending; other.Plan != "fedcba9876543210" {
			t.Errorf("%s: another question does not take its place: %+v", reason, other)
		}
	}
}
