package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// cleanCluster deletes what stories made that is not Seedbed's.
func cleanCluster(ctx context.Context) {
	GinkgoHelper()
	inDefault := client.InNamespace(metav1.NamespaceDefault)
	Expect(env.Client.DeleteAllOf(ctx, &corev1.Node{})).To(Succeed())
	Expect(env.Client.DeleteAllOf(ctx, &corev1.Pod{}, inDefault, client.GracePeriodSeconds(0))).To(Succeed())
	Expect(env.Client.DeleteAllOf(ctx, &policyv1.PodDisruptionBudget{}, inDefault)).To(Succeed())
}

// joined makes NodeStates as the manager does for a machine that has joined.
func joined(ctx context.Context, nodes ...string) {
	GinkgoHelper()
	for _, n := range nodes {
		create(ctx, &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{
			Name: n, Labels: worker(), Annotations: map[string]string{v1alpha1.MachineIDAnnotation: "machine-" + n},
		}})
	}
}

func node(ctx context.Context, n string) *corev1.Node {
	GinkgoHelper()
	object := &corev1.Node{}
	Expect(env.Client.Get(ctx, name(n), object)).To(Succeed())
	return object
}

// nodeOf waits for a Node.
func nodeOf(ctx context.Context, n string) *corev1.Node {
	GinkgoHelper()
	Eventually(func() error { return env.Client.Get(ctx, name(n), &corev1.Node{}) }).Should(Succeed())
	return node(ctx, n)
}

func noNode(ctx context.Context, n string) bool {
	return apierrors.IsNotFound(env.Client.Get(ctx, name(n), &corev1.Node{}))
}

// kubelet reports a Node's Ready condition as its kubelet does, or the node controller in its place.
func kubelet(ctx context.Context, n string, ready corev1.ConditionStatus) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		object := &corev1.Node{}
		g.Expect(env.Client.Get(ctx, name(n), object)).To(Succeed())
		object.Status.NodeInfo.KubeletVersion = "v1.37.2"
		object.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: ready, Reason: "Test", Message: "reported by a test", LastHeartbeatTime: metav1.Now(),
		}}
		g.Expect(env.Client.Status().Update(ctx, object)).To(Succeed())
	}).Should(Succeed())
}

// hostLeft says on a Node what `seedbed leave` does, in one request and as the kubelet may.
func hostLeft(ctx context.Context, n string) {
	GinkgoHelper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"2026-11-23T10:00:00Z"}},"status":{"conditions":[{"type":"Ready","status":"False","reason":"NodeLeft"}]}}`, v1alpha1.LeftAnnotation)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n}}
	Expect(env.Client.Status().Patch(ctx, node, client.RawPatch(types.StrategicMergePatchType, []byte(patch)))).To(Succeed())
	Expect(node.Annotations).To(HaveKey(v1alpha1.LeftAnnotation))
}

// running makes a pod on a Node that runs and ends at once when it is told to.
func running(ctx context.Context, pod, onNode string, change ...func(*corev1.Pod)) {
	GinkgoHelper()
	yes, now := true, int64(0)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, Name: pod, Labels: map[string]string{"app": "web"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "1", Controller: &yes}},
		},
		Spec: corev1.PodSpec{
			NodeName: onNode, TerminationGracePeriodSeconds: &now,
			Containers: []corev1.Container{{Name: "web", Image: "web"}},
			Volumes:    []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		},
	}
	for _, c := range change {
		c(p)
	}
	create(ctx, p)
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	Expect(env.Client.Status().Update(ctx, p)).To(Succeed())
}

func ofKind(kind string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.OwnerReferences[0].Kind = kind }
}

func ofNobody(p *corev1.Pod) { p.OwnerReferences = nil }

// pods are the names of those that are there.
func pods(ctx context.Context) []string {
	GinkgoHelper()
	var list corev1.PodList
	Expect(env.Client.List(ctx, &list, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// budget lets so many of the pods of running be evicted, which the disruption controller would have
// worked out.
func budget(ctx context.Context, allowed int32) {
	GinkgoHelper()
	least := intstr.FromInt32(2)
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &least, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	create(ctx, b)
	allow(ctx, allowed)
}

func allow(ctx context.Context, allowed int32) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		b := &policyv1.PodDisruptionBudget{}
		g.Expect(env.Client.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "web"}, b)).To(Succeed())
		b.Status = policyv1.PodDisruptionBudgetStatus{
			ObservedGeneration: b.Generation, DisruptionsAllowed: allowed, CurrentHealthy: 2 + allowed, DesiredHealthy: 2, ExpectedPods: 2 + allowed,
		}
		g.Expect(env.Client.Status().Update(ctx, b)).To(Succeed())
	}).Should(Succeed())
}

// askPermit reports that a plan waits for a permit, as an agent with containers does.
func askPermit(ctx context.Context, plan v1alpha1.PlanHash, nodes ...string) {
	GinkgoHelper()
	for _, n := range nodes {
		Eventually(func(g Gomega) {
			state := &v1alpha1.NodeState{}
			g.Expect(env.Client.Get(ctx, name(n), state)).To(Succeed())
			state.Status.ObservedGeneration = state.Generation
			state.Status.Pending = &v1alpha1.PendingPlan{Plan: plan, Disruption: "Recreate", Message: "docker0", Since: metav1.Now()}
			meta.SetStatusCondition(&state.Status.Conditions, metav1.Condition{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWaitingForPermit, Message: "docker0",
			})
			g.Expect(env.Client.Status().Update(ctx, state)).To(Succeed())
		}).Should(Succeed())
	}
}

// obey carries out what is permitted, as an agent does.
func obey(ctx context.Context, n string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		state := &v1alpha1.NodeState{}
		g.Expect(env.Client.Get(ctx, name(n), state)).To(Succeed())
		g.Expect(state.Status.Pending).NotTo(BeNil())
		g.Expect(state.Spec.Permit).To(Equal(state.Status.Pending.Plan))
		state.Status.Pending = nil
		acknowledge(state, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		g.Expect(env.Client.Status().Update(ctx, state)).To(Succeed())
	}).WithTimeout(time.Minute).Should(Succeed()) // a manager or two may start meanwhile
}

func permitOf(ctx context.Context, n string) func() v1alpha1.PlanHash {
	return func() v1alpha1.PlanHash { return nodeState(ctx, n).Spec.Permit }
}

func cordoned(ctx context.Context, n string) func() bool {
	return func() bool { return node(ctx, n).Spec.Unschedulable }
}

// fleetOf is a NodeConfig with nodes that have joined, run and are ready at its revision.
func fleetOf(ctx context.Context, config *v1alpha1.NodeConfig, nodes ...string) {
	GinkgoHelper()
	createSecret(ctx)
	joined(ctx, nodes...)
	create(ctx, network(), config)
	assigned(ctx, nodes...)
	for _, n := range nodes {
		nodeOf(ctx, n)
		kubelet(ctx, n, corev1.ConditionTrue)
	}
	reportReady(ctx, nodes...)
	says(ctx, config.Name, v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "nodes ready")
}

func withDrain(policy v1alpha1.DrainPolicy, timeout time.Duration) func(*v1alpha1.NodeConfig) {
	return func(c *v1alpha1.NodeConfig) {
		c.Spec.Rollout = &v1alpha1.Rollout{Drain: &v1alpha1.Drain{Policy: &policy, Timeout: &metav1.Duration{Duration: timeout}}}
	}
}
