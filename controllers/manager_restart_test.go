package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/rollout"
)

// everything is what the manager has made of its input, by kind and name, without what differs from
// one run to the next: times, uids, resource versions.
func everything(ctx context.Context) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	visit(ctx, func(o client.Object) {
		shown := map[string]any{"labels": o.GetLabels()}
		switch o := o.(type) {
		case *v1alpha1.NodeConfig:
			shown["status"] = withoutTimes(o.Status.Conditions)
			shown["nodes"], shown["revision"] = o.Status.Nodes, o.Status.Revision
		case *v1alpha1.NetworkConfig:
			shown["status"] = withoutTimes(o.Status.Conditions)
			shown["nodes"] = o.Status.Nodes
		case *corev1.Node:
			shown["annotations"], shown["spec"] = o.Annotations, o.Spec
		case *v1alpha1.NodeState:
			shown["annotations"], shown["permit"] = o.Annotations, o.Spec.Permit
			shown["config"], shown["revision"], shown["secrets"] = o.Spec.Config, o.Spec.Revision, len(o.Spec.Secrets)
		case *appsv1.ControllerRevision:
			shown["data"], shown["number"] = string(o.Data.Raw), o.Revision
		case *rbacv1.ClusterRole:
			shown["rules"] = o.Rules
		case *rbacv1.Role:
			shown["rules"] = o.Rules
		case *rbacv1.ClusterRoleBinding:
			shown["subjects"], shown["role"] = o.Subjects, o.RoleRef
		case *rbacv1.RoleBinding:
			shown["subjects"], shown["role"] = o.Subjects, o.RoleRef
		}
		raw, err := json.Marshal(shown)
		Expect(err).NotTo(HaveOccurred())
		out[fmt.Sprintf("%T %s", o, o.GetName())] = string(raw)
	})
	return out
}

// versions are the resource versions of everything the manager writes.
func versions(ctx context.Context) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	visit(ctx, func(o client.Object) { out[fmt.Sprintf("%T %s", o, o.GetName())] = o.GetResourceVersion() })
	return out
}

func visit(ctx context.Context, see func(client.Object)) {
	GinkgoHelper()
	ours := client.HasLabels{controllers.NodeLabel}
	system := client.InNamespace(v1alpha1.Namespace)
	var (
		configs   v1alpha1.NodeConfigList
		networks  v1alpha1.NetworkConfigList
		nodes     v1alpha1.NodeStateList
		revisions appsv1.ControllerRevisionList
		global    rbacv1.ClusterRoleList
		globalTo  rbacv1.ClusterRoleBindingList
		local     rbacv1.RoleList
		localTo   rbacv1.RoleBindingList
		objects   corev1.NodeList
	)
	Expect(env.Client.List(ctx, &configs)).To(Succeed())
	Expect(env.Client.List(ctx, &networks)).To(Succeed())
	Expect(env.Client.List(ctx, &nodes)).To(Succeed())
	Expect(env.Client.List(ctx, &revisions, system)).To(Succeed())
	Expect(env.Client.List(ctx, &global, ours)).To(Succeed())
	Expect(env.Client.List(ctx, &globalTo, ours)).To(Succeed())
	Expect(env.Client.List(ctx, &local, ours, system)).To(Succeed())
	Expect(env.Client.List(ctx, &localTo, ours, system)).To(Succeed())
	Expect(env.Client.List(ctx, &objects)).To(Succeed())
	for i := range objects.Items {
		see(&objects.Items[i])
	}
	for i := range configs.Items {
		see(&configs.Items[i])
	}
	for i := range networks.Items {
		see(&networks.Items[i])
	}
	for i := range nodes.Items {
		see(&nodes.Items[i])
	}
	for i := range revisions.Items {
		see(&revisions.Items[i])
	}
	for i := range global.Items {
		see(&global.Items[i])
	}
	for i := range globalTo.Items {
		see(&globalTo.Items[i])
	}
	for i := range local.Items {
		see(&local.Items[i])
	}
	for i := range localTo.Items {
		see(&localTo.Items[i])
	}
}

func withoutTimes(conditions []metav1.Condition) []metav1.Condition {
	var out []metav1.Condition
	for _, c := range conditions {
		c.LastTransitionTime = metav1.Time{}
		out = append(out, c)
	}
	return out
}

// autopilot acknowledges every assignment at once, as healthy agents would, and keeps an eye on how
// many nodes are unavailable. It watches, so that it misses no state in between.
type autopilot struct {
	mu     sync.Mutex
	nodes  map[string]*v1alpha1.NodeState
	most   int
	cancel context.CancelFunc
	done   chan struct{}
}

func startAutopilot() *autopilot {
	GinkgoHelper()
	c, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	Expect(err).NotTo(HaveOccurred())
	p := &autopilot{nodes: map[string]*v1alpha1.NodeState{}, done: make(chan struct{})}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	watch, err := c.Watch(ctx, &v1alpha1.NodeStateList{})
	Expect(err).NotTo(HaveOccurred())
	go func() {
		defer close(p.done)
		for e := range watch.ResultChan() {
			if n, ok := e.Object.(*v1alpha1.NodeState); ok {
				p.see(n)
				if n.Spec.Revision != "" && !rollout.Acknowledged(n) {
					n = n.DeepCopy()
					acknowledge(n, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
					_ = c.Status().Update(ctx, n) // a conflict means that a newer one is on its way
				}
			}
		}
	}()
	DeferCleanup(func() {
		p.cancel()
		watch.Stop()
		Eventually(p.done).Should(BeClosed())
	})
	return p
}

func (p *autopilot) see(n *v1alpha1.NodeState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes[n.Name] = n
	unavailable := 0
	for _, n := range p.nodes {
		if rollout.StandingOf(n).Unavailable() {
			unavailable++
		}
	}
	p.most = max(p.most, unavailable)
}

// forget starts counting anew.
func (p *autopilot) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = 0
}

func (p *autopilot) mostUnavailable() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

var _ = Describe("The manager", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	objects := func(ctx context.Context) {
		GinkgoHelper()
		createSecret(ctx)
		registerWorkers(ctx, "node-a", "node-b")
		create(ctx, network(), workers())
	}
	settled := func(ctx context.Context) {
		GinkgoHelper()
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "2 of 2 nodes ready")
		Eventually(func(g Gomega) {
			var n v1alpha1.NetworkConfig
			g.Expect(env.Client.Get(ctx, name("default"), &n)).To(Succeed())
			g.Expect(n.Status.Conditions).To(HaveLen(1))
			g.Expect(n.Status.Conditions[0].Status).To(Equal(metav1.ConditionTrue))
		}).Should(Succeed())
	}

	It("writes nothing when there is nothing to do", func(ctx context.Context) {
		startAutopilot()
		m := startManager()
		objects(ctx)
		settled(ctx)
		Eventually(func(g Gomega) {
			var role rbacv1.Role
			g.Expect(env.Client.Get(ctx, inSystem(v1alpha1.NodeUser("node-b")), &role)).To(Succeed())
			g.Expect(role.Rules).To(HaveLen(2))
		}).Should(Succeed())
		m.stop()
		before, passed := versions(ctx), passes()
		m = startManager()
		// Two NodeStates, two registrations, a NodeConfig and a NetworkConfig are looked at again.
		Eventually(passes).Should(BeNumerically(">=", passed+6))
		Consistently(m.writes.Load).Should(BeZero())
		Expect(versions(ctx)).To(Equal(before))
	})

	It("comes to the same state however often and wherever it is killed", func(ctx context.Context) {
		startAutopilot()
		m := startManager()
		objects(ctx)
		settled(ctx)
		want := everything(ctx)
		writes := m.writes.Load()
		m.stop()
		Expect(writes).To(BeNumerically(">", 10))
		for after := int64(1); after < writes; after++ {
			clean(ctx)
			objects(ctx)
			m := startManager(func(m *runningManager) { m.dieAfter = after })
			select {
			case <-m.done:
			case <-ctx.Done():
				Fail("the manager was not killed")
			case <-settledOr(ctx, m): // it needed fewer writes this time
			}
			m.stop()
			second := startManager()
			settled(ctx)
			Eventually(func() map[string]string { return everything(ctx) }).Should(Equal(want), "killed after write %d of %d", after, writes)
			second.stop()
		}
	})

	It("keeps to maxUnavailable while it is restarted in the middle of changes of mind", func(ctx context.Context) {
		pilot := startAutopilot()
		limit := intstr.FromInt32(2)
		var nodes []string
		for i := range 8 {
			nodes = append(nodes, fmt.Sprintf("node-%d", i))
		}
		createSecret(ctx)
		registerWorkers(ctx, nodes...)
		create(ctx, network(), workers(func(c *v1alpha1.NodeConfig) { c.Spec.Rollout = &v1alpha1.Rollout{MaxUnavailable: &limit} }))
		m := startManager()
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "8 of 8 nodes ready")
		pilot.forget()
		for i := range 6 {
			editWorkers(ctx, motd(fmt.Sprint("mind ", i%3)))
			if i%2 == 0 {
				m.stop()
				m = startManager()
			}
		}
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "8 of 8 nodes ready")
		Expect(pilot.mostUnavailable()).To(BeNumerically("<=", 2))
		Expect(pilot.mostUnavailable()).To(BeNumerically(">", 0))
	})
})

// settledOr is closed when the fleet is ready, or the manager is dead.
func settledOr(ctx context.Context, m *runningManager) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var c v1alpha1.NodeConfig
			if err := env.Client.Get(ctx, name("workers"), &c); err == nil && c.Status.Nodes.Ready == 2 && c.Status.Nodes.Updated == 2 {
				return
			}
			select {
			case <-m.done:
				return
			case <-ctx.Done():
				return
			default:
			}
		}
	}()
	return done
}
