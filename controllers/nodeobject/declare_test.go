package nodeobject

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func taint(key, value string, effect corev1.TaintEffect) corev1.Taint {
	return corev1.Taint{Key: key, Value: value, Effect: effect}
}

// applied is the Node after the patch, as an API server merges it.
func applied(t *testing.T, node *corev1.Node, p Patch) *corev1.Node {
	t.Helper()
	raw, err := p.Bytes(node.ResourceVersion)
	if err != nil {
		t.Fatal(err)
	}
	var patch struct {
		Metadata struct {
			ResourceVersion     string
			Labels, Annotations map[string]*string
		}
		Spec struct {
			Taints        *[]corev1.Taint
			Unschedulable *bool
			PodCIDR       string
		}
	}
	if err := json.Unmarshal(raw, &patch); err != nil {
		t.Fatal(err)
	}
	if patch.Metadata.ResourceVersion != node.ResourceVersion {
		t.Errorf("the patch is of version %q", patch.Metadata.ResourceVersion)
	}
	after := node.DeepCopy()
	merge := func(have *map[string]string, changes map[string]*string) {
		if *have == nil {
			*have = map[string]string{}
		}
		for key, value := range changes {
			delete(*have, key)
			if value != nil {
				(*have)[key] = *value
			}
		}
	}
	merge(&after.Labels, patch.Metadata.Labels)
	merge(&after.Annotations, patch.Metadata.Annotations)
	if patch.Spec.Taints != nil {
		after.Spec.Taints = *patch.Spec.Taints
	}
	if patch.Spec.Unschedulable != nil {
		after.Spec.Unschedulable = *patch.Spec.Unschedulable
	}
	return after
}

func TestReconcileChangesOwnLabelsAndTaintsOnly(t *testing.T) {
	notReady := taint("node.kubernetes.io/not-ready", "", corev1.TaintEffectNoSchedule)
	tests := []struct {
		reason     string
		labels     map[string]string
		taints     []corev1.Taint
		declared   Declared
		owned      Owned
		wantLabels map[string]string
		wantTaints []corev1.Taint
		nothing    bool
	}{
		{
			"what is declared is added beside what is there",
			map[string]string{"kubernetes.io/os": "linux"},
			[]corev1.Taint{notReady},
			Declared{map[string]string{"rack": "a3"}, []corev1.Taint{taint("db", "x", "NoSchedule")}},
			Owned{},
			map[string]string{"kubernetes.io/os": "linux", "rack": "a3"},
			[]corev1.Taint{notReady, taint("db", "x", "NoSchedule")},
			false,
		},
		{
			"what is there as declared needs nothing",
			map[string]string{"rack": "a3"},
			[]corev1.Taint{taint("db", "x", "NoSchedule"), notReady},
			Declared{map[string]string{"rack": "a3"}, []corev1.Taint{taint("db", "x", "NoSchedule")}},
			Owned{Labels: []string{"rack"}, Taints: []string{"db:NoSchedule"}},
			map[string]string{"rack": "a3"},
			[]corev1.Taint{taint("db", "x", "NoSchedule"), notReady},
			true,
		},
		{
			"what is declared no more goes, if it is ours",
			map[string]string{"rack": "a3", "theirs": "1"},
			[]corev1.Taint{taint("db", "x", "NoSchedule"), taint("theirs", "", "NoExecute")},
			Declared{},
			Owned{Labels: []string{"rack"}, Taints: []string{"db:NoSchedule"}},
			map[string]string{"theirs": "1"},
			[]corev1.Taint{taint("theirs", "", "NoExecute")},
			false,
		},
		{
			"a declared value wins over somebody else's",
			map[string]string{"rack": "b1"},
			[]corev1.Taint{notReady, taint("db", "y", "NoSchedule")},
			Declared{map[string]string{"rack": "a3"}, []corev1.Taint{taint("db", "x", "NoSchedule")}},
			Owned{},
			map[string]string{"rack": "a3"},
			[]corev1.Taint{notReady, taint("db", "x", "NoSchedule")},
			false,
		},
		{
			"the same taint with another effect is another taint",
			nil,
			[]corev1.Taint{taint("db", "x", "NoExecute")},
			Declared{Taints: []corev1.Taint{taint("db", "x", "NoSchedule")}},
			Owned{Taints: []string{"db:NoSchedule"}},
			map[string]string{},
			[]corev1.Taint{taint("db", "x", "NoExecute"), taint("db", "x", "NoSchedule")},
			false,
		},
		{
			"what was ours and is gone already needs nothing",
			map[string]string{"theirs": "1"},
			nil,
			Declared{},
			Owned{Labels: []string{"rack"}, Taints: []string{"db:NoSchedule"}},
			map[string]string{"theirs": "1"},
			nil, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: tt.labels, ResourceVersion: "7"}, Spec: corev1.NodeSpec{Taints: tt.taints}}
			before := node.DeepCopy()
			patch := tt.declared.Reconcile(node, tt.owned)
			if diff := cmp.Diff(before, node); diff != "" {
				t.Errorf("the Node that was read has changed:\n%s", diff)
			}
			if patch.Empty() != tt.nothing {
				t.Errorf("empty: %t", patch.Empty())
			}
			after := applied(t, node, patch)
			if diff := cmp.Diff(tt.wantLabels, after.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wantTaints, after.Spec.Taints); diff != "" {
				t.Errorf("taints (-want +got):\n%s", diff)
			}
			if again := tt.declared.Reconcile(after, tt.declared.Owned()); !again.Empty() {
				t.Errorf("a second pass changes %+v", again)
			}
		})
	}
}

func TestTheTimeATaintWasAddedIsKept(t *testing.T) {
	now := metav1.Now()
	ours := taint("db", "x", "NoExecute")
	ours.TimeAdded = &now
	node := &corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{ours}}}
	d := Declared{Taints: []corev1.Taint{taint("db", "x", "NoExecute"), taint("new", "", "NoSchedule")}}
	p := d.Reconcile(node, d.Owned())
	if p.Taints == nil || (*p.Taints)[0].TimeAdded == nil {
		t.Errorf("%+v", p.Taints)
	}
}

func TestOwnedComesBackFromItsString(t *testing.T) {
	d := Declare(&v1alpha1.NodeRegistration{
		Labels: map[string]v1alpha1.LabelValue{"b": "1", "a": ""},
		Taints: []v1alpha1.Taint{{Key: "t", Effect: "NoSchedule"}, {Key: "s", Value: "v", Effect: "NoExecute"}},
	})
	want := Owned{Labels: []string{"a", "b"}, Taints: []string{"s:NoExecute", "t:NoSchedule"}}
	got, err := ParseOwned(d.Owned().String())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if s := (Owned{}).String(); s != "" {
		t.Errorf("nothing is %q", s)
	}
	if _, err := ParseOwned("{"); err == nil {
		t.Error("half an object is read")
	}
	if diff := cmp.Diff(want, want.With(Owned{Labels: []string{"a"}})); diff != "" {
		t.Errorf("with what it has:\n%s", diff)
	}
}
