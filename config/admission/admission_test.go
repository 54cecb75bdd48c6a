package admission_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/config/admission"
	"seedbed.dev/seedbed/controllers/testenv"
)

var env *testenv.Env

func TestAdmission(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Admission")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	env, err = testenv.Start(testenv.Options{})
	if testing.Short() && errors.Is(err, testenv.ErrNoComponents) {
		Skip(err.Error())
	}
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
	mayDoEverything(ctx)
	policies, err := admission.All()
	Expect(err).NotTo(HaveOccurred())
	for _, policy := range policies {
		Expect(env.Client.Create(ctx, policy)).To(Succeed())
	}
	awaitPolicies(ctx)
})

// mayDoEverything binds the groups to cluster-admin: what is refused here, the policies refuse, and
// not RBAC.
func mayDoEverything(ctx context.Context) {
	GinkgoHelper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "everything"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}
	for _, group := range []string{v1alpha1.NodesGroup, v1alpha1.KubeProxiesGroup, v1alpha1.FlannelsGroup, v1alpha1.BootstrapGroup} {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group})
	}
	Expect(env.Client.Create(ctx, binding)).To(Succeed())
}

// awaitPolicies waits until the API server, which reads policies through a watch, goes by each.
func awaitPolicies(ctx context.Context) {
	GinkgoHelper()
	dry := func(c client.Client, o client.Object) func() error {
		return func() error { return c.Create(ctx, o.DeepCopyObject().(client.Object), client.DryRunAll) }
	}
	for _, probe := range []func() error{
		dry(agent("a"), &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "b"}}),
		dry(agent("a"), event("a.1", "NodeState", "b")),
		dry(agent("a"), request("kubernetes.io/kubelet-serving", "client auth")),
		dry(flannel("a"), node("b")),
	} {
		Eventually(probe).Should(beForbidden())
	}
}

func beForbidden() OmegaMatcher { return WithTransform(apierrors.IsForbidden, BeTrue()) }

// refusedWith matches a refusal by one of the policies, with a part of what it says.
func refusedWith(text string) OmegaMatcher {
	return And(beForbidden(), MatchError(ContainSubstring("ValidatingAdmissionPolicy")), MatchError(ContainSubstring(text)))
}

func as(user, group string) client.Client {
	GinkgoHelper()
	config, err := env.User(user, group)
	Expect(err).NotTo(HaveOccurred())
	c, err := client.New(config, client.Options{Scheme: env.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func agent(node string) client.Client {
	return as(v1alpha1.NodeUser(node), v1alpha1.NodesGroup)
}

func kubeProxy(node string) client.Client {
	return as(v1alpha1.KubeProxyUser(node), v1alpha1.KubeProxiesGroup)
}

func flannel(node string) client.Client {
	return as(v1alpha1.FlannelUser(node), v1alpha1.FlannelsGroup)
}

func joining(token string) client.Client {
	return as(v1alpha1.BootstrapUser(token), v1alpha1.BootstrapGroup)
}
