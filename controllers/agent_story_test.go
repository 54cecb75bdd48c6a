package controllers_test

import (
	"bytes"
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/schema"
)

// liveAgent is an agent with the identity of its node, on a fake running host.
type liveAgent struct {
	fake   *hosttest.Fake
	events chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
}

func (a *liveAgent) Events() <-chan struct{} { return a.events }
func (a *liveAgent) Set([]string)            {}
func (a *liveAgent) Degraded() string        { return "" }

// startAgent runs the agent of a node until stop or the end of the story.
func startAgent(node string, fake *hosttest.Fake, config *rest.Config) *liveAgent {
	GinkgoHelper()
	h := fake.Host()
	book, err := apply.Open(h.Store)
	Expect(err).NotTo(HaveOccurred())
	validator, err := schema.New()
	Expect(err).NotTo(HaveOccurred())
	a := &liveAgent{fake: fake, events: make(chan struct{}, 1), done: make(chan struct{})}
	agent := &controllers.Agent{
		Pipeline: &controllers.Pipeline{
			NodeName: node, Host: h, Book: book, Validate: validator.ValidateRevision, Now: time.Now, Log: GinkgoLogr,
		},
		Cache: controllers.AssignmentCache{Store: h.Store}, Watcher: a, Resync: time.Hour,
		Jitter: func() float64 { return 0 }, Log: GinkgoLogr,
	}
	Expect(agent.Init()).To(Succeed())
	options, err := controllers.AgentOptions(node)
	Expect(err).NotTo(HaveOccurred())
	options.Metrics = server.Options{BindAddress: "0"}
	again := true // several agents in this process
	options.Controller.SkipNameValidation = &again
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	go func() {
		defer GinkgoRecover()
		defer close(a.done)
		Expect(controllers.RunAgent(ctx, config, agent, options)).To(Succeed())
	}()
	DeferCleanup(a.stop)
	return a
}

func (a *liveAgent) stop() {
	a.cancel()
	Eventually(a.done).Should(BeClosed())
}

// wake is what inotify does when a managed file changes.
func (a *liveAgent) wake() { a.events <- struct{}{} }

func nodeUser(node string) *rest.Config {
	GinkgoHelper()
	config, err := env.User(v1alpha1.NodeUser(node), v1alpha1.NodesGroup)
	Expect(err).NotTo(HaveOccurred())
	return config
}

// createRealSecret makes cluster-ca with a certificate that an agent accepts.
func createRealSecret(ctx context.Context) {
	GinkgoHelper()
	ca := resolvetest.Secrets(GinkgoTB())[v1alpha1.SecretKeyReference{Name: "cluster-ca", Key: "ca.crt"}]
	create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "cluster-ca"},
		Data:       map[string][]byte{"ca.crt": ca.Reveal()},
	})
}

// nodeSays waits for a condition of a NodeState.
func nodeSays(ctx context.Context, node, kind, reason, part string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var n v1alpha1.NodeState
		g.Expect(env.Client.Get(ctx, name(node), &n)).To(Succeed())
		found := meta.FindStatusCondition(n.Status.Conditions, kind)
		g.Expect(found).NotTo(BeNil(), "%s of %v", kind, n.Status.Conditions)
		g.Expect(found.Reason).To(Equal(reason), found.Message)
		g.Expect(found.Message).To(ContainSubstring(part))
		g.Expect(n.Status.ObservedGeneration).To(Equal(n.Generation))
	}).Should(Succeed())
}

func machineOfGuide() *hosttest.Fake {
	in := resolvetest.Load(GinkgoTB(), "guide")
	return machineWith(in.Facts)
}

var _ = Describe("A node's agent", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	// joined is a node whose agent has brought its host to the first revision.
	joined := func(ctx context.Context) *liveAgent {
		GinkgoHelper()
		startManager()
		createRealSecret(ctx)
		registerWorkers(ctx, "node-a")
		create(ctx, network(), workers())
		a := startAgent("node-a", machineOfGuide(), nodeUser("node-a"))
		nodeSays(ctx, "node-a", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "its components are healthy")
		return a
	}

	It("brings the host to what kubectl apply said, with its own certificate, and the NodeConfig becomes Ready", func(ctx context.Context) {
		a := joined(ctx)
		says(ctx, "workers", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "1 of 1 node ready")
		n := nodeState(ctx, "node-a")
		Expect(n.Status.Revision).To(Equal(n.Spec.Revision))
		Expect(n.Status.Secrets).To(Equal(n.Spec.Secrets))
		Expect(n.Status.Facts.Hostname).NotTo(BeEmpty())
		Expect(n.Status.Apply.Failed).To(BeZero())
		Expect(a.fake.Unit("docker.service").Activity).To(BeEquivalentTo("active"))
		Eventually(func(g Gomega) {
			var events eventsv1.EventList
			g.Expect(env.Client.List(ctx, &events)).To(Succeed())
			g.Expect(events.Items).To(ContainElement(HaveField("Reason", "RevisionApplied")))
		}).Should(Succeed())
	})

	It("reports drift that it put right, and restarts nothing for it", func(ctx context.Context) {
		a := joined(ctx)
		jobs := len(a.fake.Jobs("docker.service"))
		a.fake.Delete(daemonJSON)
		a.wake()
		Eventually(func() string {
			if d := nodeState(ctx, "node-a").Status.Drift; d != nil && d.Last != nil {
				return d.Last.What
			}
			return ""
		}).Should(Equal("file " + daemonJSON))
		for _, job := range a.fake.Jobs("docker.service")[jobs:] {
			Expect(job.Verb).To(Equal(host.Reload))
		}
		nodeSays(ctx, "node-a", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "its components are healthy")
	})

	It("writes no status when a pass finds nothing new", func(ctx context.Context) {
		a := joined(ctx)
		at := nodeState(ctx, "node-a").ResourceVersion
		for range 5 {
			a.wake()
			time.Sleep(30 * time.Millisecond)
		}
		Consistently(func() string { return nodeState(ctx, "node-a").ResourceVersion }).Should(Equal(at))
	})

	It("says why it is stalled, keeps the host, and heals when the object is fixed", func(ctx context.Context) {
		a := joined(ctx)
		before := a.fake.Dump()
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) {
			s.Kubelet = &v1alpha1.Kubelet{ExtraArgs: []v1alpha1.Argument{"--network-plugin=cni"}}
		})
		nodeSays(ctx, "node-a", v1alpha1.ConditionStalled, v1alpha1.ReasonVersionUnsupported, "--network-plugin")
		Expect(a.fake.Dump()).To(Equal(before))
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Kubelet = nil })
		nodeSays(ctx, "node-a", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "its components are healthy")
		Expect(meta.FindStatusCondition(nodeState(ctx, "node-a").Status.Conditions, v1alpha1.ConditionStalled)).To(BeNil())
		Expect(a.fake.Dump()).To(Equal(before))
	})

	It("says which file a program refuses, leaves its unit running, and heals when the object is fixed", func(ctx context.Context) {
		a := joined(ctx)
		const message = "unrecognized feature gate: NoSuchGate"
		a.fake.Judge("/usr/local/bin/kubelet", func(t host.Trial) (host.Answer, error) {
			if bytes.Contains(t.Content, []byte("NoSuchGate")) {
				return host.Answer{Status: 2, Output: "panic: " + message + "\n\ngoroutine 1 [running]:\n"}, nil
			}
			return host.Answer{Marked: true}, nil
		})
		before, jobs := a.fake.Dump(), len(a.fake.Jobs("kubelet.service"))
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) {
			s.Kubelet = &v1alpha1.Kubelet{Config: &runtime.RawExtension{Raw: []byte(`{"featureGates":{"NoSuchGate":true}}`)}}
		})
		nodeSays(ctx, "node-a", v1alpha1.ConditionStalled, v1alpha1.ReasonConfigRefused, message)
		nodeSays(ctx, "node-a", v1alpha1.ConditionReady, v1alpha1.ReasonConfigRefused, "file /var/lib/kubelet/config.yaml: /usr/local/bin/kubelet refuses it")
		Expect(a.fake.Dump()).To(Equal(before))
		Expect(a.fake.Jobs("kubelet.service")).To(HaveLen(jobs))
		Eventually(func(g Gomega) {
			var events eventsv1.EventList
			g.Expect(env.Client.List(ctx, &events)).To(Succeed())
			g.Expect(events.Items).To(ContainElement(And(HaveField("Reason", v1alpha1.ReasonConfigRefused), HaveField("Note", ContainSubstring(message)))))
		}).Should(Succeed())
		says(ctx, "workers", v1alpha1.ConditionStalled, v1alpha1.ReasonNodesFailed, message)
		editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Kubelet = nil })
		nodeSays(ctx, "node-a", v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "its components are healthy")
		Expect(a.fake.Jobs("kubelet.service")).To(HaveLen(jobs))
	})

	It("follows a Secret that is rotated", func(ctx context.Context) {
		a := joined(ctx)
		rotated := resolvetest.Secrets(GinkgoTB())[v1alpha1.SecretKeyReference{Name: "cluster-ca", Key: "ca.crt"}].Reveal()
		rotated = append([]byte("# rotated\n"), rotated...)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "cluster-ca"}}
		edit(ctx, secret, func(s *corev1.Secret) { s.Data["ca.crt"] = rotated })
		Eventually(func() string {
			f, _ := a.fake.File("/etc/kubernetes/pki/ca.crt")
			return string(f.Content)
		}).Should(ContainSubstring("# rotated"))
	})

	It("keeps the host when its NodeState is deleted, and while it is made anew", func(ctx context.Context) {
		a := joined(ctx)
		before := a.fake.Dump()
		a.fake.ForgetJournal()
		uid := nodeState(ctx, "node-a").UID
		Expect(env.Client.Delete(ctx, nodeState(ctx, "node-a"))).To(Succeed())
		Eventually(func(g Gomega) {
			var n v1alpha1.NodeState
			g.Expect(env.Client.Get(ctx, name("node-a"), &n)).To(Succeed())
			g.Expect(n.UID).NotTo(Equal(uid))
			g.Expect(n.Status.Revision).NotTo(BeEmpty())
		}).Should(Succeed())
		Expect(a.fake.Dump()).To(Equal(before))
		for _, call := range a.fake.Journal() {
			Expect(call).To(HavePrefix("store."), "only the agent's own memory may be written")
		}
	})

	It("works from its disk while the API server cannot be reached", func(ctx context.Context) {
		a := joined(ctx)
		a.stop()
		away := rest.CopyConfig(nodeUser("node-a"))
		away.Host = "https://127.0.0.1:1"
		fake := a.fake.PowerCut()
		fake.Delete(daemonJSON)
		b := startAgent("node-a", fake, away)
		Eventually(func() bool { _, ok := fake.File(daemonJSON); return ok }).Should(BeTrue())
		fake.Delete(daemonJSON)
		b.wake()
		Eventually(func() bool { _, ok := fake.File(daemonJSON); return ok }).Should(BeTrue())
	})

	It("ends the same when it is killed at any moment, and restarts docker once for one change", func(ctx context.Context) {
		a := joined(ctx)
		fake := a.fake
		root := []string{"/data/a", "/data/b", "/data/c", "/data/d"}
		for i, killAt := range []int{1, 3, 5, 6} {
			runs := startsOf(fake)
			fake.KillAt(killAt, hosttest.When(i%2))
			editWorkers(ctx, func(s *v1alpha1.NodeConfigSpec) { s.Docker = &v1alpha1.Docker{DataRoot: &root[i]} })
			Eventually(fake.Killed).Should(BeTrue(), "the change needs at least %d calls", killAt)
			a.stop()
			fake = fake.Restart()
			a = startAgent("node-a", fake, nodeUser("node-a"))
			Eventually(func(g Gomega) {
				n := nodeState(ctx, "node-a")
				f, _ := fake.File(daemonJSON)
				g.Expect(string(f.Content)).To(ContainSubstring(root[i]))
				g.Expect(n.Status.Revision).To(Equal(n.Spec.Revision))
			}).Should(Succeed())
			Expect(startsOf(fake)-runs).To(Equal(1), "killed at call %d", killAt)
		}
	})
})

// startsOf counts docker's starts and restarts.
func startsOf(f *hosttest.Fake) int {
	n := 0
	for _, j := range f.Jobs("docker.service") {
		if j.Result == "done" && strings.HasSuffix(string(j.Verb), "start") {
			n++
		}
	}
	return n
}
