package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	stage "seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

const daemonJSON = "/etc/docker/daemon.json"

// guideMachine is a running host with the guide's interfaces and programs.
func guideMachine(t testing.TB) *hosttest.Fake {
	return machineWith(resolvetest.Load(t, "guide").Facts)
}

func machineWith(facts v1alpha1.Facts) *hosttest.Fake {
	f := hosttest.New()
	f.SetFacts(facts)
	f.AddModule("br_netfilter", map[string]string{
		"net.bridge.bridge-nf-call-iptables": "0", "net.bridge.bridge-nf-call-ip6tables": "0",
	})
	f.AddModule("overlay", nil)
	for _, sysctl := range []string{
		"net.ipv4.ip_forward", "net.netfilter.nf_conntrack_max", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter",
	} {
		f.AddSysctl(sysctl, "0")
	}
	f.Put("/usr/lib/systemd/system/docker.service", state.File{
		Content: []byte("[Service]\nExecStart=/usr/bin/dockerd\n[Install]\nWantedBy=multi-user.target\n"),
		Mode:    0o644, Owner: "root", Group: "root",
	})
	f.SetChain("filter/FORWARD", "DROP")
	for _, certificate := range []string{resolve.PathAgentClient, resolve.PathFlannelClient, resolve.PathKubeProxyClient} {
		certify(f, certificate)
	}
	return f
}

// certify is what the agent's certificate managers do when a request is signed.
func certify(f *hosttest.Fake, path string) {
	f.Put(path, state.File{Content: []byte("certificate and key\n"), Mode: 0o600, Owner: "root", Group: "root"})
}

// assignment of the guide's NodeConfig after a change.
func assignment(t *testing.T, generation int64, change func(*v1alpha1.NodeConfigSpec)) *controllers.Assignment {
	t.Helper()
	in := resolvetest.Load(t, "guide")
	node := in.Revision.Node
	if change != nil {
		change(&node)
	}
	data, name, err := revision.New(node, in.Revision.Network).Encode("workers")
	if err != nil {
		t.Fatal(err)
	}
	return &controllers.Assignment{Generation: generation, Revision: name, Data: data, Contents: resolvetest.Secrets(t)}
}

// testAgent is an agent on a fake host whose passes are delivered on a channel.
type testAgent struct {
	*controllers.Agent
	passes chan stage.Pass
	events chan struct{}
	// watched are the paths of the last pass; read them after it was delivered.
	watched []string
}

func (a *testAgent) Events() <-chan struct{} { return a.events }
func (a *testAgent) Set(paths []string)      { a.watched = paths }
func (a *testAgent) Degraded() string        { return "" }

func newAgent(t *testing.T, f *hosttest.Fake) *testAgent {
	t.Helper()
	h := f.Host()
	book, err := apply.Open(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	a := &testAgent{passes: make(chan stage.Pass, 100), events: make(chan struct{}, 1)}
	a.Agent = &controllers.Agent{
		Pipeline: &controllers.Pipeline{
			NodeName: "node-a", Host: h, Book: book, Now: time.Now, Log: testr.New(t),
			Validate: func(revision.Revision) field.ErrorList { return nil },
		},
		Cache: controllers.AssignmentCache{Store: h.Store}, Watcher: a, Resync: time.Hour,
		Report: func(p stage.Pass) { a.passes <- p }, Jitter: func() float64 { return 0 }, Log: testr.New(t),
	}
	if err := a.Init(); err != nil {
		t.Fatal(err)
	}
	return a
}

// run starts the agent's loop; it ends with the test or with stop.
func (a *testAgent) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return stop
}

func (a *testAgent) next(t *testing.T) stage.Pass {
	t.Helper()
	select {
	case p := <-a.passes:
		return p
	case <-time.After(10 * time.Second):
		t.Fatal("no pass")
		return stage.Pass{}
	}
}

func TestAssignedNodeConvergesAndTheNextPassWritesNothing(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.run(t)
	want := assignment(t, 1, nil)
	a.Assign(want)
	p := a.next(t)
	if !p.Agrees() {
		t.Fatalf("the host does not agree: stall %+v, error %v\n%v\nremaining:\n%s", p.Stall, p.Err, p.Results.Err(), p.Remaining)
	}
	for _, unit := range []string{"flanneld.service", "docker.service", "kubelet.service", "kube-proxy.service"} {
		if got := f.Unit(unit).Activity; got != "active" {
			t.Errorf("%s is %q", unit, got)
		}
	}
	f.ForgetJournal()
	a.events <- struct{}{}
	if p := a.next(t); !p.Agrees() || f.Changes() != 0 {
		t.Errorf("a pass with nothing to do made calls:\n%s", strings.Join(f.Journal(), "\n"))
	}
}

func TestDriftIsRepairedWhenAFileEventComes(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	a.next(t)
	good, _ := f.File(daemonJSON)
	bad := good
	bad.Content = []byte("{")
	f.Put(daemonJSON, bad)
	a.events <- struct{}{}
	p := a.next(t)
	if got, _ := f.File(daemonJSON); got.Digest() != good.Digest() {
		t.Error("daemon.json was not put right")
	}
	if len(p.Corrections()) != 1 || p.Corrected != 1 {
		t.Errorf("corrections %v, count %d; want one", p.Corrections(), p.Corrected)
	}
	if jobs := f.Jobs("docker.service"); len(jobs) != 2 || jobs[1].Verb != host.Reload {
		t.Errorf("docker had the jobs %+v, want its start and a reload: it may have been told to read the bad file", jobs)
	}
}

func TestWhatSendsNoEventsIsPutRightWithinTwoSecondsToo(t *testing.T) {
	const sysctl, forward = "net.ipv4.ip_forward", "filter/FORWARD"
	f := guideMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	a.next(t)
	for what, change := range map[string]func(){
		sysctl:  func() { f.AddSysctl(sysctl, "0") },
		forward: func() { f.SetChain(forward, "DROP") },
	} {
		change()
		p := a.next(t) // the pause of a host in order is 10 s
		if len(p.Corrections()) != 1 || p.Corrections()[0].Name != what {
			t.Errorf("%s was changed; corrected %v", what, p.Corrections())
		}
	}
	f.ForgetJournal()
	select {
	case p := <-a.passes:
		t.Errorf("a pass though nobody changed anything: %+v", p.Plan)
	case <-time.After(2500 * time.Millisecond): // more than two looks
	}
	if f.Changes() != 0 {
		t.Errorf("looking made changes:\n%s", strings.Join(f.Journal(), "\n"))
	}
}

func TestReloadableChangeReloadsDockerAndRestartsNothing(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	a.next(t)
	downloads := int32(20)
	a.Assign(assignment(t, 2, func(n *v1alpha1.NodeConfigSpec) { n.Docker.MaxConcurrentDownloads = &downloads }))
	p := a.next(t)
	if !p.Agrees() || p.Plan.Disruption().String() != "Reload" {
		t.Errorf("agrees %v, disruption %s\n%s", p.Agrees(), p.Plan.Disruption(), p.Plan)
	}
	jobs := f.Jobs("docker.service")
	if len(jobs) != 2 || jobs[1].Verb != host.Reload {
		t.Errorf("docker's jobs: %v, want a start and a reload", jobs)
	}
	if n := len(f.Jobs("kubelet.service")); n != 1 {
		t.Errorf("the kubelet had %d jobs, want its start alone", n)
	}
}

func TestRevisionThatCannotBeRenderedTouchesNothingAndTheOldOneIsKeptUp(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.run(t)
	first := assignment(t, 1, nil)
	a.Assign(first)
	a.next(t)
	before := f.Dump()
	f.ForgetJournal()
	a.Assign(assignment(t, 2, func(n *v1alpha1.NodeConfigSpec) {
		n.Kubelet = &v1alpha1.Kubelet{ExtraArgs: []v1alpha1.Argument{"--network-plugin=cni"}}
	}))
	p := a.next(t)
	if p.Stall == nil || !strings.Contains(p.Stall.Message, "--network-plugin") || !strings.Contains(p.Stall.Message, "1.24") {
		t.Fatalf("the stall does not name the flag and the release that removed it: %+v", p.Stall)
	}
	if f.Dump() != before || f.Changes() != 0 {
		t.Errorf("the host was touched:\n%s", strings.Join(f.Journal(), "\n"))
	}
	if p.Enforced != first.Revision {
		t.Errorf("enforced %q, want %q", p.Enforced, first.Revision)
	}
	// Drift is still put right, towards the revision that works.
	f.Delete(daemonJSON)
	a.events <- struct{}{}
	a.next(t)
	if f.Dump() != before {
		t.Error("drift was not repaired while the new revision is stalled")
	}
	// And the next boot starts from the one that works.
	a = newAgent(t, f.Restart())
	if got := a.Assigned(); got == nil || got.Revision != first.Revision {
		t.Errorf("kept on disk: %+v, want %s", got, first.Revision)
	}
}

func TestFirstRevisionThatCannotBeRenderedTouchesNothing(t *testing.T) {
	f := guideMachine(t)
	facts := resolvetest.Load(t, "guide").Facts
	facts.Components = slices.DeleteFunc(facts.Components, func(c v1alpha1.ComponentFacts) bool { return c.Name == "kubelet" })
	f.SetFacts(facts)
	before := f.Dump()
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	p := a.next(t)
	if p.Stall == nil || p.Stall.Reason != v1alpha1.ReasonComponentMissing {
		t.Errorf("stall %+v, want %s", p.Stall, v1alpha1.ReasonComponentMissing)
	}
	if f.Dump() != before || len(f.StoreNames()) != 0 {
		t.Errorf("something was written: %v", f.StoreNames())
	}
}

func TestAgentThatBootsWithoutAPIKeepsTheHost(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	stop := a.run(t)
	a.Assign(assignment(t, 1, nil))
	a.next(t)
	stop()
	want := f.Dump()

	f = f.PowerCut() // nobody calls Assign from here on
	f.Delete(daemonJSON)
	a = newAgent(t, f)
	a.run(t)
	if p := a.next(t); !p.Agrees() {
		t.Errorf("not in sync from disk alone: stall %+v, error %v, %v", p.Stall, p.Err, p.Results.Err())
	}
	if diff := cmp.Diff(want, f.Dump()); diff != "" {
		t.Errorf("the host after the boot (-before +after):\n%s", diff)
	}
}

func TestFactsThatAreNotThereYetAtBootAreTakenFromTheLastPass(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	stop := a.run(t)
	a.Assign(assignment(t, 1, nil))
	a.next(t)
	stop()
	f = f.Restart()
	facts := resolvetest.Load(t, "guide").Facts
	facts.Interfaces = nil // the network is not up
	f.SetFacts(facts)
	f.Delete(daemonJSON)
	a = newAgent(t, f)
	a.run(t)
	if p := a.next(t); p.Stall == nil || p.Enforced == "" || p.Results.Err() != nil {
		t.Errorf("stall %+v, enforced %q, error %v; want the host kept and the cause said", p.Stall, p.Enforced, p.Results.Err())
	}
	if _, ok := f.File(daemonJSON); !ok {
		t.Error("daemon.json was not put back before the network was up")
	}
}

func TestUnassignedNodeIsLeftAloneAndKeepsWhatItHas(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.run(t)
	before := f.Dump()
	a.Assign(&controllers.Assignment{Generation: 1})
	if p := a.next(t); p.Changed() || f.Dump() != before {
		t.Error("a node that nothing governs was changed")
	}
	a.Assign(assignment(t, 2, nil))
	a.next(t)
	converged := f.Dump()
	a.Assign(&controllers.Assignment{Generation: 3})
	if p := a.next(t); p.Changed() || f.Dump() != converged {
		t.Error("a node that nothing governs any more was changed: removal is only ever explicit")
	}
}

func TestFailedPassIsTriedAgainByItself(t *testing.T) {
	f := guideMachine(t)
	f.FailWhen(func(c hosttest.Call) error {
		if c.Op == "files.Write" {
			return errors.New("no space left on device")
		}
		return nil
	})
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	if p := a.next(t); p.Agrees() || p.Results.Err() == nil {
		t.Fatal("the failure was not reported")
	}
	f.FailWhen(nil)
	if p := a.next(t); !p.Agrees() {
		t.Errorf("the retry did not converge: %v", p.Results.Err())
	}
}

func TestSecretsNeverReachLogsPlansOrTheLedger(t *testing.T) {
	f := hosttest.New()
	in := resolvetest.Load(t, "full")
	f.SetFacts(in.Facts)
	data, name, err := in.Revision.Encode("full")
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, f)
	a.Pipeline.NodeName = in.NodeName
	a.run(t)
	a.Assign(&controllers.Assignment{Generation: 1, Revision: name, Data: data, Contents: resolvetest.Secrets(t)})
	p := a.next(t)
	status := stage.Status(v1alpha1.NodeStateStatus{}, &p)
	texts := map[string]string{"plan": p.Plan.String(), "ledger": string(f.Store("ledger.json")), "status": dump(t, status)}
	for _, secret := range []string{resolvetest.Token, resolvetest.ProxyURL, resolvetest.RegistryAuth, resolvetest.FileSecret} {
		for where, text := range texts {
			if strings.Contains(text, strings.TrimSpace(secret)) {
				t.Errorf("the %s has a secret", where)
			}
		}
	}
}

// hanging is a systemd with a job that does not end.
type hanging struct {
	host.Units
	name string
}

func (h hanging) Do(ctx context.Context, name string, v host.Verb) error {
	if name == h.name {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return h.Units.Do(ctx, name, v)
}

func TestMendedRevisionDoesNotWaitForAJobOfTheBrokenOne(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.Pipeline.Host.Units = hanging{a.Pipeline.Host.Units, "seedbed-docker-opts.service"}
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	for len(f.Jobs("flanneld.service")) == 0 {
		time.Sleep(time.Millisecond)
	}
	downloads := int32(20)
	mended := assignment(t, 2, func(n *v1alpha1.NodeConfigSpec) { n.Docker.MaxConcurrentDownloads = &downloads })
	a.Assign(mended)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if written, _ := f.File(daemonJSON); strings.Contains(string(written.Content), "20") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the mended revision was not looked at")
		}
	}
}

func TestNewRevisionIsNeverBegunOnStaleFacts(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	a.next(t)
	facts := resolvetest.Load(t, "guide").Facts
	facts.Interfaces = nil
	f.SetFacts(facts)
	before := f.Dump()
	downloads := int32(20)
	a.Assign(assignment(t, 2, func(n *v1alpha1.NodeConfigSpec) { n.Docker.MaxConcurrentDownloads = &downloads }))
	if p := a.next(t); p.Stall == nil || p.Agrees() || f.Dump() != before {
		t.Errorf("stall %+v, agrees %v with no interface", p.Stall, p.Agrees())
	}
}

func TestFactsOnDiskFollowTheHost(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	stop := a.run(t)
	a.Assign(assignment(t, 1, nil))
	facts := *a.next(t).Facts.DeepCopy()
	for i := range facts.Interfaces {
		for j, address := range facts.Interfaces[i].Addresses {
			facts.Interfaces[i].Addresses[j] = strings.Replace(address, "10.64.3.8/", "10.64.3.9/", 1)
		}
	}
	f.SetFacts(facts)
	a.events <- struct{}{}
	if p := a.next(t); !p.Agrees() || !p.Changed() {
		t.Fatalf("the new address changed nothing: stall %+v\n%s", p.Stall, p.Plan)
	}
	stop()
	want := f.Dump()
	f = f.Restart()
	facts.Interfaces = nil // the network is not up yet
	f.SetFacts(facts)
	a = newAgent(t, f)
	a.run(t)
	if p := a.next(t); f.Dump() != want {
		t.Errorf("the boot put the host back to an address it no longer has:\n%s", p.Plan)
	}
}

func dump(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestStallSaysWhatCouldNotBeFoundOutAboutTheHost(t *testing.T) {
	f := guideMachine(t)
	facts := resolvetest.Load(t, "guide").Facts
	facts.Components = slices.DeleteFunc(facts.Components, func(c v1alpha1.ComponentFacts) bool { return c.Name == "docker" })
	f.SetFacts(facts)
	a := newAgent(t, f)
	a.Pipeline.Host.Facts = incompleteFacts{facts}
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	if p := a.next(t); p.Stall == nil || !strings.Contains(p.Stall.Message, "override.conf sets ExecStart") {
		t.Errorf("stall %+v, want the cause that the facts reader found", p.Stall)
	}
}

// incompleteFacts are what a host says when one program could not be made out.
type incompleteFacts struct{ found v1alpha1.Facts }

func (f incompleteFacts) Facts(context.Context) (v1alpha1.Facts, error) {
	return f.found, errors.New("component docker: file override.conf sets ExecStart")
}
