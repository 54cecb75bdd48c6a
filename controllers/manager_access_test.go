package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
)

// agentClient talks to the API server as a node's agent.
func agentClient(node string) client.WithWatch {
	GinkgoHelper()
	config, err := env.User(v1alpha1.NodeUser(node), v1alpha1.NodesGroup)
	Expect(err).NotTo(HaveOccurred())
	c, err := client.NewWithWatch(config, client.Options{Scheme: env.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// mayDo lists what a user may do in seedbed-system and cluster-wide, as `kubectl auth can-i --list`
// does, without what every authenticated user may, ask about itself, and what every agent may, ask for
// certificates. identity_test.go has the whole.
func mayDo(ctx context.Context, c client.Client) []string {
	GinkgoHelper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: v1alpha1.Namespace}}
	Expect(c.Create(ctx, review)).To(Succeed())
	Expect(review.Status.Incomplete).To(BeFalse())
	var out []string
	for _, r := range review.Status.ResourceRules {
		if slices.Contains([]string{"authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io"}, r.APIGroups[0]) {
			continue
		}
		out = append(out, fmt.Sprintf("%s %s %s", strings.Join(r.Verbs, ","), strings.Join(r.Resources, ","), strings.Join(r.ResourceNames, ",")))
	}
	slices.Sort(out)
	return out
}

var _ = Describe("A node's agent", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	forbidden := WithTransform(apierrors.IsForbidden, BeTrue())
	secret := func(s string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: s}}
	}

	It("may do exactly what its assignment needs", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		create(ctx, secret("other"))
		registerWorkers(ctx, "node-a", "node-b")
		a := agentClient("node-a")
		own := []string{"get,list,watch,delete nodestates node-a", "patch,update nodestates/status node-a"}
		Eventually(func() []string { return mayDo(ctx, a) }).Should(Equal(own), "before it is assigned anything")
		create(ctx, network(), workers())
		first := assigned(ctx, "node-a")["node-a"]
		with := func(revision string) []string {
			return append([]string{"get controllerrevisions " + revision, "get secrets cluster-ca"}, own...)
		}
		Eventually(func() []string { return mayDo(ctx, a) }).Should(Equal(with(first)))

		By("doing it")
		Expect(a.Get(ctx, inSystem(first), &appsv1.ControllerRevision{})).To(Succeed())
		Expect(a.Get(ctx, inSystem("cluster-ca"), &corev1.Secret{})).To(Succeed())
		mine := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", "node-a")}
		Expect(a.List(ctx, &v1alpha1.NodeStateList{}, mine)).To(Succeed())
		watch, err := a.Watch(ctx, &v1alpha1.NodeStateList{}, mine)
		Expect(err).NotTo(HaveOccurred())
		watch.Stop()
		n := nodeState(ctx, "node-a")
		acknowledge(n, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(a.Status().Update(ctx, n)).To(Succeed())

		By("trying anything else")
		Expect(a.List(ctx, &v1alpha1.NodeStateList{})).To(forbidden)
		Expect(a.Get(ctx, name("node-b"), &v1alpha1.NodeState{})).To(forbidden)
		Expect(a.Status().Update(ctx, nodeState(ctx, "node-b"))).To(forbidden)
		Expect(a.Update(ctx, nodeState(ctx, "node-a"))).To(forbidden)
		Expect(a.Delete(ctx, nodeState(ctx, "node-b"))).To(forbidden)
		Expect(a.Get(ctx, inSystem("other"), &corev1.Secret{})).To(forbidden)
		Expect(a.List(ctx, &corev1.SecretList{}, client.InNamespace(v1alpha1.Namespace))).To(forbidden)
		Expect(a.List(ctx, &appsv1.ControllerRevisionList{}, client.InNamespace(v1alpha1.Namespace))).To(forbidden)
		Expect(a.Get(ctx, name("workers"), &v1alpha1.NodeConfig{})).To(forbidden)
		Expect(a.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "node-x"}})).To(forbidden)

		By("being assigned something else: what it no longer needs is withdrawn")
		report(ctx, "node-b", metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		create(ctx, secret("new-ca"))
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Kubernetes.CASecretRef.Name = "new-ca" })
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(first))
		second := nodeState(ctx, "node-a").Spec.Revision
		want := append([]string{"get controllerrevisions " + second, "get secrets new-ca"}, own...)
		Eventually(func() []string { return mayDo(ctx, a) }).Should(Equal(want))
		Expect(a.Get(ctx, inSystem(first), &appsv1.ControllerRevision{})).To(forbidden)
	})

	It("may read what it is assigned before it is assigned it", func(ctx context.Context) {
		var missing []string
		startManager(func(m *runningManager) {
			m.audit = func(verb string, object client.Object) {
				n, ok := object.(*v1alpha1.NodeState)
				if !ok || verb != "patch" {
					return
				}
				role := &rbacv1.Role{}
				if err := env.Client.Get(ctx, inSystem(v1alpha1.NodeUser(n.Name)), role); err != nil {
					missing = append(missing, err.Error())
					return
				}
				var granted []string
				for _, r := range role.Rules {
					granted = append(granted, r.ResourceNames...)
				}
				if !slices.Contains(granted, n.Spec.Revision) || !slices.Contains(granted, n.Spec.Secrets[0].Name) {
					missing = append(missing, fmt.Sprintf("%s is to have %s and may read %v", n.Name, n.Spec.Revision, granted))
				}
			}
		})
		createSecret(ctx)
		registerWorkers(ctx, "node-a", "node-b")
		create(ctx, network(), workers())
		first := assigned(ctx, "node-a", "node-b")
		reportReady(ctx, "node-a", "node-b")
		editWorkers(ctx, motd("new"))
		Eventually(func() string { return nodeState(ctx, "node-a").Spec.Revision }).ShouldNot(Equal(first["node-a"]))
		reportReady(ctx, "node-a")
		Eventually(func() string { return nodeState(ctx, "node-b").Spec.Revision }).ShouldNot(Equal(first["node-b"]))
		Expect(missing).To(BeEmpty())
	})

	It("has its rights put right when somebody changes them", func(ctx context.Context) {
		startManager()
		registerWorkers(ctx, "node-a")
		a := agentClient("node-a")
		own := mayDoNothingElse(ctx, a)
		user := v1alpha1.NodeUser("node-a")
		edit(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: user}}, func(r *rbacv1.Role) {
			r.Rules = []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}
		})
		Eventually(func() []string { return mayDo(ctx, a) }).Should(Equal(own))
		edit(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}}, func(r *rbacv1.ClusterRole) { r.Labels = nil })
		Eventually(func() map[string]string {
			var r rbacv1.ClusterRole
			Expect(env.Client.Get(ctx, name(user), &r)).To(Succeed())
			return r.Labels
		}).Should(HaveKeyWithValue(controllers.NodeLabel, "node-a"))
		Expect(env.Client.Delete(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}})).To(Succeed())
		Expect(env.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		})).To(Or(Succeed(), WithTransform(apierrors.IsAlreadyExists, BeTrue())))
		Eventually(func() string {
			var b rbacv1.ClusterRoleBinding
			_ = env.Client.Get(ctx, name(user), &b)
			return b.RoleRef.Name
		}).Should(Equal(user))
	})

	It("has no rights once its NodeState is gone, without a garbage collector", func(ctx context.Context) {
		startManager()
		registerWorkers(ctx, "node-a", "node-b")
		a := agentClient("node-a")
		mayDoNothingElse(ctx, a)
		Expect(env.Client.Delete(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName("node-a")}})).To(Succeed())
		n := nodeState(ctx, "node-a")
		Expect(env.Client.Delete(ctx, n)).To(Succeed())
		Eventually(func() []string { return mayDo(ctx, a) }).Should(BeEmpty())
		for _, o := range []client.Object{&rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}} {
			Expect(env.Client.Get(ctx, name(v1alpha1.NodeUser("node-a")), o)).To(WithTransform(apierrors.IsNotFound, BeTrue()))
		}
		Expect(env.Client.Get(ctx, name(v1alpha1.NodeUser("node-b")), &rbacv1.ClusterRole{})).To(Succeed())
	})

	It("owns its rights through its NodeState, for the garbage collector", func(ctx context.Context) {
		startManager()
		registerWorkers(ctx, "node-a")
		mayDoNothingElse(ctx, agentClient("node-a"))
		uid := nodeState(ctx, "node-a").UID
		user := v1alpha1.NodeUser("node-a")
		for _, o := range []client.Object{&rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}, &rbacv1.Role{}, &rbacv1.RoleBinding{}} {
			key := name(user)
			switch o.(type) {
			case *rbacv1.Role, *rbacv1.RoleBinding:
				key = inSystem(user)
			}
			Eventually(func() error { return env.Client.Get(ctx, key, o) }).Should(Succeed())
			Expect(o.GetOwnerReferences()).To(HaveLen(1))
			Expect(o.GetOwnerReferences()[0].UID).To(Equal(uid))
		}
	})
})

// mayDoNothingElse waits until an agent has the rights of a node that is assigned nothing.
func mayDoNothingElse(ctx context.Context, a client.Client) []string {
	GinkgoHelper()
	own := []string{"get,list,watch,delete nodestates node-a", "patch,update nodestates/status node-a"}
	Eventually(func() []string { return mayDo(ctx, a) }).Should(Equal(own))
	return own
}

var _ = Describe("A registration", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("makes a NodeState with the labels it gives, and never changes them again", func(ctx context.Context) {
		startManager()
		register(ctx, "node-a", worker())
		Eventually(func() error { return env.Client.Get(ctx, name("node-a"), &v1alpha1.NodeState{}) }).Should(Succeed())
		Expect(nodeState(ctx, "node-a").Labels).To(Equal(worker()))
		Expect(nodeState(ctx, "node-a").Annotations).To(HaveKeyWithValue(v1alpha1.RegistrationAnnotation, v1alpha1.RegistrationName("node-a")), "leaving says so by it")
		edit(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName("node-a")}}, func(c *corev1.ConfigMap) {
			c.Data[v1alpha1.RegistrationLabelsKey] = `{"role":"master"}`
		})
		Consistently(func() map[string]string { return nodeState(ctx, "node-a").Labels }).Should(Equal(worker()))
		Expect(env.Client.Delete(ctx, nodeState(ctx, "node-a"))).To(Succeed())
		Eventually(func() error { return env.Client.Get(ctx, name("node-a"), &v1alpha1.NodeState{}) }).Should(Succeed(), "it is registered still")
	})

	DescribeTable("that is not right makes nothing and says why",
		func(ctx context.Context, configMap string, data map[string]string, why string) {
			startManager()
			Expect(env.Client.Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: configMap, Labels: map[string]string{v1alpha1.RegistrationLabel: "true"}},
				Data:       data,
			})).To(Succeed())
			Eventually(func() string {
				out, err := env.Kubectl("get", "events", "-A", "-o", "jsonpath={.items[?(@.reason=='RegistrationRefused')].message}")
				Expect(err).NotTo(HaveOccurred())
				return out
			}).Should(ContainSubstring(why))
			var nodes v1alpha1.NodeStateList
			Expect(env.Client.List(ctx, &nodes)).To(Succeed())
			Expect(nodes.Items).To(BeEmpty())
			Expect(env.Client.DeleteAllOf(ctx, &corev1.Event{}, client.InNamespace(v1alpha1.Namespace))).To(Succeed())
		},
		Entry("no name", "node-x", map[string]string{}, `data.nodeName ""`),
		Entry("a name that no object can have", "node-x", map[string]string{"nodeName": "Node_X"}, `data.nodeName "Node_X"`),
		Entry("another node's name", "node-x", map[string]string{"nodeName": "y"}, "must be named node-y"),
		Entry("labels that are not JSON", "node-x", map[string]string{"nodeName": "x", "labels": "role=worker"}, "write a JSON object of strings"),
		Entry("labels that no object can have", "node-x", map[string]string{"nodeName": "x", "labels": `{"a b":"c"}`}, "data.labels"),
	)
})
