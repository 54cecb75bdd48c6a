package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
)

// managerConfig authenticates as the manager: what its roles do not allow fails in these stories.
var managerConfig = sync.OnceValues(func() (*rest.Config, error) { return env.User(v1alpha1.ManagerUser) })

// runningManager is a manager that a story can stop as a crash would: between any two requests.
type runningManager struct {
	// writes counts the requests that were let through; audit, if set, is called before each.
	writes atomic.Int64
	audit  func(verb string, object client.Object)
	// dieAfter ends the manager once it has made so many writes; 0 is never.
	dieAfter int64
	dead     atomic.Bool

	services controllers.Services

	cancel context.CancelFunc
	done   chan struct{}
}

// startManager runs the manager's controllers until stop or the end of the story.
func startManager(change ...func(*runningManager)) *runningManager {
	GinkgoHelper()
	m := &runningManager{done: make(chan struct{})}
	for _, c := range change {
		c(m)
	}
	config, err := managerConfig()
	Expect(err).NotTo(HaveOccurred())
	options, err := controllers.ManagerOptions()
	Expect(err).NotTo(HaveOccurred())
	options.Metrics = metricsserver.Options{BindAddress: "0"}
	again := true // controllers of one name are started several times in this process
	options.Controller.SkipNameValidation = &again
	options.NewClient = func(config *rest.Config, o client.Options) (client.Client, error) {
		c, err := client.New(config, o)
		return &auditedClient{Client: c, m: m}, err
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	mgr, err := ctrl.NewManager(config, options)
	Expect(err).NotTo(HaveOccurred())
	Expect(controllers.SetupManager(mgr, m.services)).To(Succeed())
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	go func() {
		defer GinkgoRecover()
		defer close(m.done)
		Expect(mgr.Start(ctx)).To(Succeed())
	}()
	DeferCleanup(m.stop)
	return m
}

func (m *runningManager) stop() {
	m.cancel()
	Eventually(m.done).Should(BeClosed())
}

var errKilled = fmt.Errorf("the manager was killed: %w", context.Canceled)

// write lets a request through, unless the manager is dead by now.
func (m *runningManager) write(verb string, object client.Object, do func() error) error {
	if m.dead.Load() {
		return errKilled
	}
	if m.audit != nil {
		m.audit(verb, object)
	}
	n := m.writes.Add(1)
	if m.dieAfter > 0 && n > m.dieAfter {
		m.dead.Store(true)
		m.cancel()
		return errKilled
	}
	return do()
}

// auditedClient is a client whose writes a story sees and can stop.
type auditedClient struct {
	client.Client
	m *runningManager
}

func (c *auditedClient) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return c.m.write("create", o, func() error { return c.Client.Create(ctx, o, opts...) })
}

func (c *auditedClient) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	return c.m.write("update", o, func() error { return c.Client.Update(ctx, o, opts...) })
}

func (c *auditedClient) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	return c.m.write("patch", o, func() error { return c.Client.Patch(ctx, o, p, opts...) })
}

func (c *auditedClient) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	return c.m.write("delete", o, func() error { return c.Client.Delete(ctx, o, opts...) })
}

func (c *auditedClient) Status() client.SubResourceWriter {
	return &auditedStatus{SubResourceWriter: c.Client.Status(), m: c.m}
}

func (c *auditedClient) SubResource(subresource string) client.SubResourceClient {
	return &auditedSubresource{SubResourceClient: c.Client.SubResource(subresource), name: subresource, m: c.m}
}

type auditedSubresource struct {
	client.SubResourceClient
	name string
	m    *runningManager
}

func (s *auditedSubresource) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	return s.m.write("update "+s.name, o, func() error { return s.SubResourceClient.Update(ctx, o, opts...) })
}

func (s *auditedSubresource) Create(ctx context.Context, o, sub client.Object, opts ...client.SubResourceCreateOption) error {
	return s.m.write("create "+s.name, o, func() error { return s.SubResourceClient.Create(ctx, o, sub, opts...) })
}

type auditedStatus struct {
	client.SubResourceWriter
	m *runningManager
}

func (s *auditedStatus) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.m.write("patch status", o, func() error { return s.SubResourceWriter.Patch(ctx, o, p, opts...) })
}

// passes is how many reconciles have ended in this process so far.
func passes() float64 {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	sum := 0.0
	for _, f := range families {
		if f.GetName() == "controller_runtime_reconcile_total" {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// gauges are the values of a metric that have all of the given label values.
func gauges(metric string, labels ...string) []float64 {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	var values []float64
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if len(has) == len(labels) && !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(has, l) }) {
				values = append(values, m.GetGauge().GetValue())
			}
		}
	}
	return values
}

// clean deletes everything that a story made.
func clean(ctx context.Context) {
	GinkgoHelper()
	ours := client.HasLabels{controllers.NodeLabel}
	for _, object := range []client.Object{
		&v1alpha1.NodeConfig{}, &v1alpha1.NetworkConfig{}, &v1alpha1.NodeState{}, &certificatesv1.CertificateSigningRequest{},
	} {
		Expect(env.Client.DeleteAllOf(ctx, object)).To(Succeed())
	}
	for _, object := range []client.Object{&appsv1.ControllerRevision{}, &corev1.Secret{}, &corev1.ConfigMap{}} {
		Expect(env.Client.DeleteAllOf(ctx, object, client.InNamespace(v1alpha1.Namespace))).To(Succeed())
	}
	for _, object := range []client.Object{&rbacv1.Role{}, &rbacv1.RoleBinding{}} {
		Expect(env.Client.DeleteAllOf(ctx, object, client.InNamespace(v1alpha1.Namespace), ours)).To(Succeed())
	}
	for _, object := range []client.Object{&rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}} {
		Expect(env.Client.DeleteAllOf(ctx, object, ours)).To(Succeed())
	}
	Expect(env.Client.DeleteAllOf(ctx, &eventsv1.Event{}, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
	cleanCluster(ctx)
}

// register makes a node as an administrator does.
func register(ctx context.Context, node string, labels map[string]string) {
	GinkgoHelper()
	raw, err := json.Marshal(labels)
	Expect(err).NotTo(HaveOccurred())
	Expect(env.Client.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName(node),
			Labels: map[string]string{v1alpha1.RegistrationLabel: "true"},
		},
		Data: map[string]string{v1alpha1.RegistrationNodeNameKey: node, v1alpha1.RegistrationLabelsKey: string(raw)},
	})).To(Succeed())
}

func worker() map[string]string { return map[string]string{"role": "worker"} }

func registerWorkers(ctx context.Context, nodes ...string) {
	GinkgoHelper()
	for _, n := range nodes {
		register(ctx, n, worker())
	}
}

// createSecret makes the Secret that sample refers to.
func createSecret(ctx context.Context) {
	GinkgoHelper()
	Expect(env.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "cluster-ca"},
		StringData: map[string]string{"ca.crt": "certificate"},
	})).To(Succeed())
}

func network() *v1alpha1.NetworkConfig {
	cidr := "10.64.3.0/26"
	return &v1alpha1.NetworkConfig{
		ObjectMeta: metav1.ObjectMeta{Name: "default"},
		Spec: v1alpha1.NetworkConfigSpec{
			PodCIDR: "172.30.0.0/16", ServiceCIDR: "10.254.0.0/16",
			Interface: v1alpha1.InterfaceSelector{CIDR: &cidr},
		},
	}
}

func workers(change ...func(*v1alpha1.NodeConfig)) *v1alpha1.NodeConfig {
	c := &v1alpha1.NodeConfig{
		ObjectMeta: metav1.ObjectMeta{Name: "workers"},
		Spec: v1alpha1.NodeConfigSpec{
			NodeSelector: metav1.LabelSelector{MatchLabels: worker()},
			NetworkRef:   v1alpha1.NetworkReference{Name: "default"},
			Kubernetes: v1alpha1.Kubernetes{
				Version: "v1.37.2", APIServer: "https://10.64.3.1:6443",
				CASecretRef: v1alpha1.SecretKeyReference{Name: "cluster-ca", Key: "ca.crt"},
			},
		},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func create(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, o := range objects {
		Expect(env.Client.Create(ctx, o)).To(Succeed())
	}
}

// edit changes an object as `kubectl edit` does.
func edit[T client.Object](ctx context.Context, object T, change func(T)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		change(object)
		g.Expect(env.Client.Update(ctx, object)).To(Succeed())
	}).Should(Succeed())
}

func editWorkers(ctx context.Context, change func(*v1alpha1.NodeConfigSpec)) {
	GinkgoHelper()
	edit(ctx, workers(), func(c *v1alpha1.NodeConfig) { change(&c.Spec) })
}

// motd makes a NodeConfig ask for something else.
func motd(contents string) func(*v1alpha1.NodeConfigSpec) {
	return func(s *v1alpha1.NodeConfigSpec) {
		s.Files = []v1alpha1.File{{Path: "/etc/motd", Contents: &contents}}
	}
}

// nodeState waits for the manager to have made it: a registration and a NodeConfig are reconciled in
// any order.
func nodeState(ctx context.Context, node string) *v1alpha1.NodeState {
	GinkgoHelper()
	n := &v1alpha1.NodeState{}
	Eventually(func() error { return env.Client.Get(ctx, name(node), n) }).Should(Succeed())
	return n
}

func nodeConfig(ctx context.Context, config string) *v1alpha1.NodeConfig {
	GinkgoHelper()
	c := &v1alpha1.NodeConfig{}
	Expect(env.Client.Get(ctx, name(config), c)).To(Succeed())
	return c
}

// assigned returns the revision that each node is assigned, once they all are.
func assigned(ctx context.Context, nodes ...string) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, n := range nodes {
		Eventually(func(g Gomega) {
			var state v1alpha1.NodeState
			g.Expect(env.Client.Get(ctx, name(n), &state)).To(Succeed())
			g.Expect(state.Spec.Revision).NotTo(BeEmpty())
			out[n] = state.Spec.Revision
		}).Should(Succeed(), n)
	}
	return out
}

// says waits for a condition of a NodeConfig.
func says(ctx context.Context, config, kind, reason, part string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var c v1alpha1.NodeConfig
		g.Expect(env.Client.Get(ctx, name(config), &c)).To(Succeed())
		found := meta.FindStatusCondition(c.Status.Conditions, kind)
		g.Expect(found).NotTo(BeNil(), "%s of %v", kind, c.Status.Conditions)
		g.Expect(found.Reason).To(Equal(reason), found.Message)
		g.Expect(found.Message).To(ContainSubstring(part))
		g.Expect(found.ObservedGeneration).To(Equal(c.Generation))
	}).Should(Succeed())
}

// report writes a NodeState's status as its agent does once the host is at what is assigned.
func report(ctx context.Context, node string, ready metav1.ConditionStatus, reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		n := &v1alpha1.NodeState{}
		g.Expect(env.Client.Get(ctx, name(node), n)).To(Succeed())
		acknowledge(n, ready, reason)
		g.Expect(env.Client.Status().Update(ctx, n)).To(Succeed())
	}).Should(Succeed())
}

func acknowledge(n *v1alpha1.NodeState, ready metav1.ConditionStatus, reason string) {
	n.Status.ObservedGeneration = n.Generation
	n.Status.Revision, n.Status.Secrets = n.Spec.Revision, n.Spec.Secrets
	for kind, status := range map[string]metav1.ConditionStatus{v1alpha1.ConditionPrepared: metav1.ConditionTrue, v1alpha1.ConditionReady: ready} {
		meta.SetStatusCondition(&n.Status.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: "reported by a test", ObservedGeneration: n.Generation,
		})
	}
}

func reportReady(ctx context.Context, nodes ...string) {
	GinkgoHelper()
	for _, n := range nodes {
		report(ctx, n, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	}
}
