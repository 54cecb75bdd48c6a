package schema_test

import (
	"runtime"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/schema"
)

func validNetwork() v1alpha1.NetworkConfigSpec {
	return v1alpha1.NetworkConfigSpec{PodCIDR: "172.30.0.0/16", ServiceCIDR: "10.254.0.0/16", Interface: v1alpha1.InterfaceSelector{Name: new("eth4")}}
}

func validNode() v1alpha1.NodeConfigSpec {
	return v1alpha1.NodeConfigSpec{
		NodeSelector: metav1.LabelSelector{MatchLabels: map[string]string{"role": "worker"}},
		NetworkRef:   v1alpha1.NetworkReference{Name: "default"},
		Kubernetes: v1alpha1.Kubernetes{
			Version: "v1.37.2", APIServer: "https://10.64.3.1:6443",
			CASecretRef: v1alpha1.SecretKeyReference{Name: "cluster-ca", Key: "ca.crt"},
		},
	}
}

func newValidator(t testing.TB) *schema.Validator {
	t.Helper()
	v, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTypedObjectsAreValidated(t *testing.T) {
	v := newValidator(t)
	good := []k8sruntime.Object{
		&v1alpha1.NetworkConfig{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: validNetwork()},
		&v1alpha1.NodeConfig{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: validNode()},
		&v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
	}
	for _, object := range good {
		if errs := v.Validate(object); len(errs) > 0 {
			t.Errorf("%T: %v", object, errs.ToAggregate())
		}
	}
	bad := &v1alpha1.NetworkConfig{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: validNetwork()}
	bad.Spec.PodCIDR = "172.30.0.0/33"
	if errs := v.Validate(bad); len(errs) != 1 || errs[0].Field != "spec.podCIDR" {
		t.Errorf("got %v, want one error about spec.podCIDR", errs)
	}
	if errs := v.Validate(&metav1.Status{}); len(errs) == 0 {
		t.Error("an object of another group passes")
	}
}

func TestAnOldObjectBringsTheTransitionRules(t *testing.T) {
	v := newValidator(t)
	before := &v1alpha1.NetworkConfig{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: validNetwork()}
	after := before.DeepCopy()
	after.Spec.PodCIDR = "172.31.0.0/16"
	if errs := v.Validate(after); len(errs) > 0 {
		t.Errorf("without an old object: %v", errs)
	}
	if errs := v.ValidateUpdate(after, before); len(errs) != 1 || !strings.Contains(errs[0].Detail, "podCIDR cannot change") {
		t.Errorf("with an old object: got %v, want one error", errs)
	}
}

// A revision reaches the agent without the API server's admission; a hostile or damaged one must
// be stopped by the same rules.
func TestARevisionIsValidatedAsItsObjectsAre(t *testing.T) {
	v := newValidator(t)
	if errs := v.ValidateRevision(revision.New(validNode(), validNetwork())); len(errs) > 0 {
		t.Fatalf("valid: %v", errs)
	}
	node, network := validNode(), validNetwork()
	node.Files = []v1alpha1.File{{Path: "/etc/../proc/x", Contents: new("x")}}
	network.ServiceCIDR = "172.30.0.0/16"
	var fields []string
	for _, err := range v.ValidateRevision(revision.New(node, network)) {
		fields = append(fields, err.Field)
	}
	if got := strings.Join(fields, " "); got != "NodeConfig.spec.files[0].path NetworkConfig.spec.serviceCIDR" {
		t.Errorf("got errors about %s", got)
	}
}

func TestValidateLeavesTheObjectAlone(t *testing.T) {
	v := newValidator(t)
	object := &v1alpha1.NodeConfig{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: validNode()}
	before := object.DeepCopy()
	v.Validate(object)
	if object.Kind != before.Kind || object.Spec.Kubernetes.Version != before.Spec.Kubernetes.Version {
		t.Error("the object was changed")
	}
}

func BenchmarkValidateNodeConfig(b *testing.B) {
	v, spec := newValidator(b), validNode()
	v.ValidateNodeConfigSpec(spec)
	b.ReportAllocs()
	for b.Loop() {
		v.ValidateNodeConfigSpec(spec)
	}
}

// The time and the heap of the agent's first validation, which compiles the rules of both kinds.
func BenchmarkFirstValidation(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var keep []*schema.Validator
	for b.Loop() {
		v := newValidator(b)
		v.ValidateRevision(revision.New(validNode(), validNetwork()))
		keep = append(keep, v)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(keep))/(1<<20), "MiB-heap/op")
	runtime.KeepAlive(keep)
}
