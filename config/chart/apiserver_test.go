package chart_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/controllers/testenv"
)

var (
	env      *testenv.Env
	warnings = &recorder{}
	// api is the administrator's client, with the warnings of the API server recorded.
	api client.Client
)

func TestChartOnAnAPIServer(t *testing.T) {
	for _, variable := range []string{"HELM", "KUBECONFORM"} {
		if _, err := program(variable); err != nil {
			t.Skip(err)
		}
	}
	var err error
	env, err = testenv.Start(testenv.Options{})
	if testing.Short() && errors.Is(err, testenv.ErrNoComponents) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	RegisterFailHandler(Fail)
	RunSpecs(t, "The chart on an API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	config := rest.CopyConfig(env.Config)
	config.WarningHandlerWithContext = warnings
	var err error
	api, err = client.New(config, client.Options{Scheme: env.Scheme})
	Expect(err).NotTo(HaveOccurred())
	enforce := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	Expect(api.Patch(ctx, enforce, client.RawPatch("application/merge-patch+json", []byte(
		`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/warn":"restricted"}}}`,
	)))).To(Succeed())
})

var _ = Describe("The rendered chart", Ordered, func() {
	for _, values := range []string{"--set=manager.replicas=2", allValues} {
		It("is valid by the API server's own schemas, with "+values, func(ctx SpecContext) {
			manifests, err := template(ctx, values)
			Expect(err).NotTo(HaveOccurred())
			schemas := GinkgoT().TempDir()
			Expect(writeSchemas(ctx, env.Config, schemas)).To(Succeed())
			Expect(kubeconform(ctx, schemas, manifests)).To(Succeed())
		})

		It("is taken without a warning, twice, with "+values, func(ctx SpecContext) {
			for range 2 {
				warnings.forget()
				for _, object := range installable(ctx, values) {
					Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
						client.ForceOwnership, client.FieldOwner("helm"))).To(Succeed(), "%s %s", object.GetKind(), object.GetName())
				}
				Expect(warnings.said()).To(BeEmpty())
			}
		})

		It("runs pods that Pod Security \"restricted\" lets in, with "+values, func(ctx SpecContext) {
			warnings.forget()
			Expect(api.Create(ctx, managerPod(ctx, values), client.DryRunAll)).To(Succeed())
			Expect(warnings.said()).To(BeEmpty())
		})
	}

	It("would be kept out if it asked for more", func(ctx SpecContext) {
		for what, spoil := range map[string]func(*corev1.PodSpec){
			"runAsNonRoot":             func(s *corev1.PodSpec) { s.SecurityContext.RunAsNonRoot = nil },
			"seccompProfile":           func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = nil },
			"allowPrivilegeEscalation": func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil },
			"capabilities":             func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.Capabilities = nil },
			"host namespaces":          func(s *corev1.PodSpec) { s.HostNetwork = true },
		} {
			pod := managerPod(ctx, allValues)
			spoil(&pod.Spec)
			Expect(api.Create(ctx, pod, client.DryRunAll)).To(MatchError(ContainSubstring(what)))
		}
	})

	It("fails validation if a field is misspelt", func(ctx SpecContext) {
		manifests, err := template(ctx)
		Expect(err).NotTo(HaveOccurred())
		schemas := GinkgoT().TempDir()
		Expect(writeSchemas(ctx, env.Config, schemas)).To(Succeed())
		spoilt := strings.Replace(string(manifests), "terminationGracePeriodSeconds:", "terminationGraceSeconds:", 1)
		Expect(spoilt).NotTo(Equal(string(manifests)))
		Expect(kubeconform(ctx, schemas, []byte(spoilt))).To(MatchError(ContainSubstring("terminationGraceSeconds")))
	})
})

var _ = Describe("The manager's ServiceAccount", func() {
	const user = "system:serviceaccount:seedbed-system:seedbed-manager"

	DescribeTable("may do its work and no more", func(ctx SpecContext, allowed bool, verb, group, resource, inNamespace string) {
		for _, object := range installable(ctx, allValues) {
			Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership, client.FieldOwner("helm"))).To(Succeed())
		}
		name, subresource, _ := strings.Cut(resource, "/")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: []string{"system:serviceaccounts", "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: verb, Group: group, Resource: name, Subresource: subresource, Namespace: inNamespace,
			},
		}}
		// The authorizer reads roles through a watch, a moment after they are written.
		Eventually(func(g Gomega) {
			g.Expect(api.Create(ctx, review)).To(Succeed())
			g.Expect(review.Status.Allowed).To(Equal(allowed), review.Status.Reason)
		}).Should(Succeed())
	},
		Entry("creates NodeStates", true, "create", "seedbed.dev", "nodestates", ""),
		Entry("writes the status of NodeConfigs", true, "patch", "seedbed.dev", "nodeconfigs/status", ""),
		Entry("cuts revisions", true, "create", "apps", "controllerrevisions", namespace),
		Entry("leads by a lease", true, "update", "coordination.k8s.io", "leases", namespace),
		Entry("watches the Secrets beside it", true, "watch", "", "secrets", namespace),
		Entry("sees no other Secrets", false, "get", "", "secrets", "kube-system"),
		Entry("changes no Secret", false, "update", "", "secrets", namespace),
		Entry("rewrites no NodeConfig", false, "update", "seedbed.dev", "nodeconfigs", ""),
		Entry("grants nothing that it does not have", false, "escalate", "rbac.authorization.k8s.io", "clusterroles", ""),
		Entry("impersonates nobody", false, "impersonate", "", "users", ""),
		Entry("touches no pods", false, "delete", "", "pods", namespace),
	)
})

// installable are the rendered objects less those of the Prometheus operator, whose kinds a bare
// API server does not have.
func installable(ctx context.Context, values string) []*unstructured.Unstructured {
	GinkgoHelper()
	manifests, err := template(ctx, values)
	Expect(err).NotTo(HaveOccurred())
	all, err := objects(manifests)
	Expect(err).NotTo(HaveOccurred())
	var found []*unstructured.Unstructured
	for _, o := range all {
		if o.GroupVersionKind().Group != "monitoring.coreos.com" {
			found = append(found, o)
		}
	}
	return found
}

// managerPod is the pod that the Deployment's ReplicaSet would create.
func managerPod(ctx context.Context, values string) *corev1.Pod {
	GinkgoHelper()
	for _, object := range installable(ctx, values) {
		if object.GetKind() != "Deployment" {
			continue
		}
		deployment := &appsv1.Deployment{}
		Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, deployment, true)).To(Succeed())
		template := deployment.Spec.Template
		template.Namespace, template.GenerateName = namespace, deployment.Name+"-"
		return &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	}
	Fail("the chart has no Deployment")
	return nil
}

// recorder keeps the warnings that an API server sends along with its answers.
type recorder struct {
	mu   sync.Mutex
	text []string
}

func (r *recorder) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, text)
}

func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = nil
}

func (r *recorder) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text
}
