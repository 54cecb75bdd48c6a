package nodeobject

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func begun(t *testing.T, node *corev1.Node) *corev1.Node {
	t.Helper()
	p, err := Begin(node, "2c26b46b", noon)
	if err != nil {
		t.Fatal(err)
	}
	return applied(t, node, p)
}

func cordonedByHand() *corev1.Node { return &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}} }

func TestADrainUncordonsOnlyWhatItCordoned(t *testing.T) {
	for reason, node := range map[string]*corev1.Node{"schedulable": {}, "cordoned by hand": cordonedByHand()} {
		was := node.Spec.Unschedulable
		during := begun(t, node)
		d := DrainOf(during)
		if !during.Spec.Unschedulable || !d.UnderWay() || d.Plan != "2c26b46b" || !d.Started.Equal(noon) {
			t.Errorf("%s: begun: %t %+v", reason, during.Spec.Unschedulable, d)
		}
		after := applied(t, during, End(during))
		if after.Spec.Unschedulable != was || DrainOf(after) != nil || !End(after).Empty() {
			t.Errorf("%s: ended: unschedulable %t, %+v", reason, after.Spec.Unschedulable, DrainOf(after))
		}
	}
}

func TestAnAttemptThatIsGivenUpUncordonsAndIsRemembered(t *testing.T) {
	during := begun(t, &corev1.Node{})
	p, err := GiveUp(during, *DrainOf(during), "pod a/b", noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	after := applied(t, during, p)
	d := DrainOf(after)
	if after.Spec.Unschedulable || d == nil || d.UnderWay() || d.Blocked != "pod a/b" {
		t.Errorf("given up: unschedulable %t, %+v", after.Spec.Unschedulable, d)
	}
	again := applied(t, begun(t, after), Patch{})
	if d := DrainOf(again); !d.UnderWay() || !d.Cordoned || !again.Spec.Unschedulable {
		t.Errorf("the next attempt: %+v", d)
	}
	byHand := begun(t, cordonedByHand())
	if p, err = GiveUp(byHand, *DrainOf(byHand), "", noon); err != nil || p.Unschedulable != nil {
		t.Errorf("a cordon of somebody else: %+v, %v", p, err)
	}
}

func TestADrainThatIsBegunTwiceKeepsItsCordon(t *testing.T) {
	twice := begun(t, begun(t, &corev1.Node{}))
	if after := applied(t, twice, End(twice)); after.Spec.Unschedulable {
		t.Error("the Node stays cordoned")
	}
}

func TestAnAnnotationThatCannotBeReadIsNoDrain(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{AnnotationDrain: "{"}}}
	if DrainOf(node) != nil {
		t.Error("read")
	}
	if after := applied(t, node, End(node)); len(after.Annotations) != 0 {
		t.Errorf("it stays: %v", after.Annotations)
	}
}

func TestLeaves(t *testing.T) {
	yes := true
	ownedBy := func(kind string, controller *bool) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: kind, Name: "x", Controller: controller}}
	}
	tests := []struct {
		reason string
		pod    corev1.Pod
		want   bool
	}{
		{"a Deployment's", corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: ownedBy("ReplicaSet", &yes)}}, true},
		{
			"one with an emptyDir", corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{OwnerReferences: ownedBy("StatefulSet", &yes)},
				Spec:       corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}},
			}, true,
		},
		{"a DaemonSet's", corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: ownedBy("DaemonSet", &yes)}}, false},
		{
			"a static pod's mirror", corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}, OwnerReferences: ownedBy("Node", &yes),
			}}, false,
		},
		{"a Job's that succeeded", corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: ownedBy("Job", &yes)}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, false},
		{"a Job's that failed", corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: ownedBy("Job", &yes)}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}, false},
		{"nobody's", corev1.Pod{}, false},
		{"owned, and made anew by nobody", corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: ownedBy("ConfigMap", nil)}}, false},
	}
	for _, tt := range tests {
		if got := Leaves(&tt.pod); got != tt.want {
			t.Errorf("%s: %t", tt.reason, got)
		}
	}
}

func TestANodeIsTakenForDownOrGoneByEvidenceOnly(t *testing.T) {
	with := func(status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionUnknown},
			{Type: corev1.NodeReady, Status: status, Reason: "R", Message: "m"},
		}}}
	}
	registered := func(n *corev1.Node) *corev1.Node {
		n.Status.NodeInfo.KubeletVersion = "v1.37.2"
		return n
	}
	left := func(n *corev1.Node) *corev1.Node {
		n.Annotations = map[string]string{v1alpha1.LeftAnnotation: "2026-11-23T10:00:00Z"}
		return n
	}
	tests := []struct {
		reason string
		node   *corev1.Node
		down   string
		alive  bool
		gone   bool
	}{
		{"nothing was said yet", &corev1.Node{}, "", false, true},
		{"missed by the node controller before a kubelet came", with(corev1.ConditionUnknown), "R: m", false, true},
		{"ready", registered(with(corev1.ConditionTrue)), "", true, false},
		{"not ready", registered(with(corev1.ConditionFalse)), "R: m", false, false},
		{"silent, and it may come back", registered(with(corev1.ConditionUnknown)), "R: m", false, false},
		{"left", left(registered(with(corev1.ConditionFalse))), "R: m", false, true},
		{"left, and silent since", left(registered(with(corev1.ConditionUnknown))), "R: m", false, true},
		{"left, and came again", left(registered(with(corev1.ConditionTrue))), "", true, false},
	}
	for _, tt := range tests {
		if Down(tt.node) != tt.down || Alive(tt.node) != tt.alive || Gone(tt.node) != tt.gone {
			t.Errorf("%s: %q, alive %t, gone %t", tt.reason, Down(tt.node), Alive(tt.node), Gone(tt.node))
		}
	}
}

func TestTheNoteThatAHostLeftIsTakenOffOnceItsKubeletRunsAgain(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.LeftAnnotation: "2026-11-23T10:00:00Z"}}}
	var silent, back Patch
	Back(node, &silent)
	if !silent.Empty() {
		t.Errorf("%+v for a kubelet that does not run", silent)
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	Back(node, &back)
	if value, found := back.Annotations[v1alpha1.LeftAnnotation]; !found || value != nil {
		t.Errorf("%+v for one that does", back)
	}
}
