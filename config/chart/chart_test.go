package chart_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"seedbed.dev/seedbed/config/admission"
	"seedbed.dev/seedbed/config/rbac"
)

func TestWithDefaultValuesTheChartHasTheseObjects(t *testing.T) {
	want := []string{
		"ClusterRole seedbed-admin", "ClusterRole seedbed-flannels", "ClusterRole seedbed-manager", "ClusterRole seedbed-viewer",
		"ClusterRoleBinding seedbed-certificates", "ClusterRoleBinding seedbed-flannels",
		"ClusterRoleBinding seedbed-kube-proxies", "ClusterRoleBinding seedbed-manager",
		"CustomResourceDefinition networkconfigs.seedbed.dev",
		"CustomResourceDefinition nodeconfigs.seedbed.dev",
		"CustomResourceDefinition nodestates.seedbed.dev",
		"Deployment seedbed-manager", "PodDisruptionBudget seedbed-manager",
		"Role seedbed-manager", "Role seedbed-manager-apiserver", "Role seedbed-manager-cluster-info", "Role seedbed-manager-events", "Role seedbed-nodes-events",
		"RoleBinding seedbed-manager", "RoleBinding seedbed-manager-apiserver", "RoleBinding seedbed-manager-cluster-info", "RoleBinding seedbed-manager-events", "RoleBinding seedbed-nodes-events",
		"Service seedbed-metrics", "ServiceAccount seedbed-manager",
		"ValidatingAdmissionPolicy seedbed-certificates", "ValidatingAdmissionPolicy seedbed-events",
		"ValidatingAdmissionPolicy seedbed-flannels", "ValidatingAdmissionPolicy seedbed-nodestates",
		"ValidatingAdmissionPolicyBinding seedbed-certificates", "ValidatingAdmissionPolicyBinding seedbed-events",
		"ValidatingAdmissionPolicyBinding seedbed-flannels", "ValidatingAdmissionPolicyBinding seedbed-nodestates",
	}
	if diff := cmp.Diff(want, names(render(t))); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestOptionalObjectsComeAndGoWithTheirValues(t *testing.T) {
	cases := map[string]struct {
		reason  string
		args    []string
		added   []string
		removed []string
	}{
		"everything": {
			reason: "each optional object has a value that turns it on",
			args:   []string{allValues},
			added:  []string{"NetworkPolicy seedbed-manager", "PrometheusRule seedbed-manager", "ServiceMonitor seedbed-manager"},
		},
		"no CRDs": {
			reason: "someone else may install the CRDs",
			args:   []string{"--set=crds.install=false"},
			removed: []string{
				"CustomResourceDefinition networkconfigs.seedbed.dev",
				"CustomResourceDefinition nodeconfigs.seedbed.dev",
				"CustomResourceDefinition nodestates.seedbed.dev",
			},
		},
		"one replica": {
			reason:  "a budget of one for a single replica would block every drain of its node",
			args:    []string{"--set=manager.replicas=1"},
			removed: []string{"PodDisruptionBudget seedbed-manager"},
		},
	}
	base := names(render(t))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := names(render(t, tc.args...))
			want := slices.DeleteFunc(slices.Clone(base), func(n string) bool { return slices.Contains(tc.removed, n) })
			want = slices.Sorted(slices.Values(append(want, tc.added...)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestCRDsAreThoseOfConfigCRDAndAreKept(t *testing.T) {
	rendered := render(t)
	files, err := filepath.Glob("../crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs in config/crd: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source, err := objects(content)
		if err != nil || len(source) != 1 {
			t.Fatalf("%s: %d objects, %v", file, len(source), err)
		}
		want := source[0]
		annotations := want.GetAnnotations()
		annotations["helm.sh/resource-policy"] = "keep"
		want.SetAnnotations(annotations)
		got := pick(t, rendered, "CustomResourceDefinition", want.GetName())
		if diff := cmp.Diff(want.Object, got.Object); diff != "" {
			t.Errorf("%s: run make generate (-config/crd +chart):\n%s", want.GetName(), diff)
		}
	}
}

func TestRolesAreThoseOfConfigRBACForTheServiceAccount(t *testing.T) {
	rendered := render(t)
	want, err := rbac.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range want {
		if forTheSeed(object) {
			continue
		}
		got := pick(t, rendered, object.GetKind(), object.GetName()).DeepCopy()
		for key, value := range object.GetLabels() {
			if got.GetLabels()[key] != value {
				t.Errorf("%s %s: label %s is %q, want %q: aggregation goes by it", got.GetKind(), got.GetName(), key, got.GetLabels()[key], value)
			}
		}
		got.SetLabels(object.GetLabels())
		account := []any{map[string]any{"kind": "ServiceAccount", "name": "seedbed-manager", "namespace": namespace}}
		if subjects, _, _ := unstructured.NestedSlice(object.Object, "subjects"); len(subjects) == 1 && fmt.Sprint(subjects[0]) == fmt.Sprint(map[string]any{
			"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "seedbed:manager",
		}) {
			object.Object["subjects"] = account
		}
		if diff := cmp.Diff(object.Object, got.Object); diff != "" {
			t.Errorf("%s %s: run make generate (-config/rbac +chart):\n%s", got.GetKind(), got.GetName(), diff)
		}
	}
}

func TestPoliciesAreThoseOfConfigAdmission(t *testing.T) {
	rendered := render(t)
	want, err := admission.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range want {
		got := pick(t, rendered, object.GetKind(), object.GetName()).DeepCopy()
		got.SetLabels(nil)
		if diff := cmp.Diff(object.Object, got.Object); diff != "" {
			t.Errorf("%s %s: run make generate (-config/admission +chart):\n%s", got.GetKind(), got.GetName(), diff)
		}
	}
}

// forTheSeed is true for what only a control plane of `seedbed seed` needs.
func forTheSeed(object *unstructured.Unstructured) bool {
	return slices.Contains([]string{
		"seedbed-admins", "seedbed-apiserver-kubelet-client", "seedbed-cluster-info", "seedbed-manager-signer",
	}, object.GetName())
}

func TestBadValuesAreRefusedByName(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		says   []string
	}{
		"another namespace": {
			reason: "the API keeps its Secrets and revisions in one namespace",
			args:   []string{"--namespace=default"},
			says:   []string{`namespace "default"`, "--namespace seedbed-system --create-namespace"},
		},
		"an old cluster": {
			reason: "CEL's IP library came with 1.31",
			args:   []string{"--kube-version=1.30.9"},
			says:   []string{"requires kubeVersion", "1.30.9"},
		},
		"a misspelt value": {reason: "it would be ignored without a word", args: []string{"--set=manager.replica=3"}, says: []string{"replica"}},
		"too many":         {reason: "only one leads", args: []string{"--set=manager.replicas=6"}, says: []string{"replicas", "5"}},
		"a low port":       {reason: "a process that is not root cannot bind it", args: []string{"--set=metrics.port=80"}, says: []string{"port", "1,024"}},
		"the health port":  {reason: "two listeners on one port", args: []string{"--set=metrics.port=8081"}, says: []string{"port"}},
		"a bad digest":     {reason: "the image could not be pulled", args: []string{"--set=image.digest=sha256:12"}, says: []string{"digest"}},
		"no image":         {reason: "there is nothing to run", args: []string{"--set=image.repository="}, says: []string{"repository"}},
		"a bare argument":  {reason: "it would be taken for another command", args: []string{"--set=manager.extraArgs={seed}"}, says: []string{"extraArgs"}},
		"a bad interval":   {reason: "the operator would refuse the monitor", args: []string{"--set=metrics.serviceMonitor.interval=often"}, says: []string{"interval"}},
	}
	render(t) // skips where there is no helm
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := template(t.Context(), tc.args...)
			if err == nil {
				t.Fatalf("accepted, but %s", tc.reason)
			}
			for _, text := range tc.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("the message does not say %q:\n%v", text, err)
				}
			}
		})
	}
}

func TestTheMetricsPortIsReachedByItsName(t *testing.T) {
	rendered := render(t, allValues)
	deployment := as[appsv1.Deployment](t, pick(t, rendered, "Deployment", "seedbed-manager"))
	service := as[corev1.Service](t, pick(t, rendered, "Service", "seedbed-metrics"))
	pod := labels.Set(deployment.Spec.Template.Labels)
	if !labels.SelectorFromSet(service.Spec.Selector).Matches(pod) {
		t.Errorf("the Service selects %v, the pods have %v", service.Spec.Selector, pod)
	}
	ports := map[string]int32{}
	for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
		ports[port.Name] = port.ContainerPort
	}
	if got := ports[service.Spec.Ports[0].TargetPort.StrVal]; got != 9090 {
		t.Errorf("the Service leads to port %d of the pod, want metrics.port, 9090", got)
	}
	monitor := pick(t, rendered, "ServiceMonitor", "seedbed-manager")
	selected, _, err := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	if err != nil || !labels.SelectorFromSet(selected).Matches(labels.Set(service.Labels)) {
		t.Errorf("the ServiceMonitor selects %v (%v), the Service has %v", selected, err, service.Labels)
	}
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	if err != nil || len(endpoints) != 1 || endpoints[0].(map[string]any)["port"] != service.Spec.Ports[0].Name {
		t.Errorf("the ServiceMonitor scrapes %v (%v), the Service has port %s", endpoints, err, service.Spec.Ports[0].Name)
	}
}

func TestAlertsAskOnlyForMetricsThatTheManagerHas(t *testing.T) {
	rule := pick(t, render(t, allValues), "PrometheusRule", "seedbed-manager")
	groups, _, err := unstructured.NestedSlice(rule.Object, "spec", "groups")
	if err != nil || len(groups) == 0 {
		t.Fatalf("groups %v, %v", groups, err)
	}
	known := registeredNames(t)
	metric := regexp.MustCompile(`\bseedbed_[a-z_]+`)
	for _, group := range groups {
		for _, one := range group.(map[string]any)["rules"].([]any) {
			alert := one.(map[string]any)
			for _, field := range []string{"alert", "expr", "for", "labels", "annotations"} {
				if alert[field] == nil {
					t.Errorf("alert %v has no %s", alert["alert"], field)
				}
			}
			for _, name := range metric.FindAllString(fmt.Sprint(alert["expr"]), -1) {
				if !slices.Contains(known, name) {
					t.Errorf("alert %v asks for %s, which nothing registers; there are: %s", alert["alert"], name, strings.Join(known, ", "))
				}
			}
		}
	}
}

// registeredNames are the names in the code: a registry tells those of vectors only after use.
func registeredNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../controllers/*_metrics.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no *_metrics.go found: %v", err)
	}
	var names []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`Name: +"(seedbed_[a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
			names = append(names, match[1])
		}
	}
	return names
}

func names(of []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range of {
		all = append(all, o.GetKind()+" "+o.GetName())
	}
	slices.Sort(all)
	return all
}
