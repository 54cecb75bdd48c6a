package controllers_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/api/meta"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	stage "seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

const dockerUnitFile = "/usr/lib/systemd/system/docker.service"

// without returns the facts of the guide's machine, with apt, without some components.
func without(t *testing.T, names ...v1alpha1.ComponentName) v1alpha1.Facts {
	t.Helper()
	facts := resolvetest.Load(t, "guide").Facts
	facts.PackageManager = v1alpha1.PackageManagerApt
	facts.Components = slices.DeleteFunc(slices.Clone(facts.Components), func(c v1alpha1.ComponentFacts) bool { return slices.Contains(names, c.Name) })
	return facts
}

// bareMachine is the guide's machine without docker, which a package brings.
func bareMachine(t *testing.T) *hosttest.Fake {
	t.Helper()
	f := machineWith(without(t, v1alpha1.ComponentDocker))
	f.Delete(dockerUnitFile)
	for _, version := range []string{"26.1.5", "26.1.9", "27.5.1"} {
		f.AddPackage("docker-ce", version+"-1", hosttest.Brings{
			Files: map[string]state.File{dockerUnitFile: {Content: []byte("[Service]\nExecStart=/usr/bin/dockerd\n[Install]\nWantedBy=multi-user.target\n")}},
			Component: &v1alpha1.ComponentFacts{
				Name: v1alpha1.ComponentDocker, Version: version, Path: "/usr/bin/dockerd", Source: v1alpha1.SourcePackage, ExecStart: []string{"/usr/bin/dockerd"},
			},
		})
	}
	f.AddPackage("conntrack", "1.4", hosttest.Brings{})
	return f
}

func wants(t *testing.T, generation int64, name, version string) *controllers.Assignment {
	t.Helper()
	return assignment(t, generation, func(n *v1alpha1.NodeConfigSpec) {
		n.Packages = &v1alpha1.Packages{Present: []v1alpha1.Package{{Name: v1alpha1.PackageName(name), Version: &version}}}
	})
}

// after returns the next pass that is over: one that is about to install says so before.
func (a *testAgent) after(t *testing.T) stage.Pass {
	t.Helper()
	for {
		if p := a.next(t); len(p.Results) > 0 || !p.Remaining.Installs() {
			return p
		}
	}
}

func readiness(p *stage.Pass) (reason, message string) {
	c := meta.FindStatusCondition(stage.Status(v1alpha1.NodeStateStatus{}, p).Conditions, v1alpha1.ConditionReady)
	return c.Reason, c.Message
}

func mustAgree(t *testing.T, p *stage.Pass) {
	t.Helper()
	if !p.Agrees() {
		t.Fatalf("the host does not agree: stall %+v, error %v\n%v\nremaining:\n%s", p.Stall, p.Err, p.Results.Err(), p.Remaining)
	}
}

func TestBareNodeIsInstalledAndConfiguredInOnePass(t *testing.T) {
	f := bareMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(wants(t, 1, "docker-ce", "26.1.5-1"))
	first := a.next(t)
	if reason, message := readiness(&first); reason != v1alpha1.ReasonInstalling || !strings.Contains(message, "install package docker-ce") {
		t.Errorf("before the installation Ready says %s: %s", reason, message)
	}
	p := a.after(t)
	mustAgree(t, &p)
	jobs := f.Jobs("docker.service")
	if len(jobs) != 1 || jobs[0].Verb != host.Start || jobs[0].Stale {
		t.Errorf("docker ran before it was configured, or not: %+v", jobs)
	}
	f.ForgetJournal()
	a.events <- struct{}{}
	if p := a.next(t); !p.Agrees() || f.Changes() != 0 {
		t.Errorf("the next pass made calls:\n%s", strings.Join(f.Journal(), "\n"))
	}
}

func TestAPassThatReadsTheFactsTwiceSaysOnceWhatTheyLack(t *testing.T) {
	f := bareMachine(t)
	a := newAgent(t, f)
	var mu sync.Mutex
	var lines []string
	a.Pipeline.Log = funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, args)
	}, funcr.Options{})
	reader := &countedFacts{FactsReader: a.Pipeline.Host.Facts}
	a.Pipeline.Host.Facts = reader
	a.run(t)
	a.Assign(wants(t, 1, "docker-ce", "26.1.5-1"))
	p := a.after(t)
	mustAgree(t, &p)
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(strings.Join(lines, "\n"), "override.conf"); n != 1 || reader.times < 2 {
		t.Errorf("facts read %d times, and their error logged %d times, want once:\n%s", reader.times, n, strings.Join(lines, "\n"))
	}
}

// countedFacts are all there, and come with an error.
type countedFacts struct {
	host.FactsReader
	times int
}

func (f *countedFacts) Facts(ctx context.Context) (v1alpha1.Facts, error) {
	f.times++
	facts, err := f.FactsReader.Facts(ctx)
	return facts, errors.Join(err, errors.New("component rkt: file override.conf sets ExecStart"))
}

func TestPackageThatSomebodyRemovesIsPutBackAndTheRestOfTheNodeStays(t *testing.T) {
	f := bareMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(wants(t, 1, "docker-ce", "26.1.5-1"))
	p := a.after(t)
	mustAgree(t, &p)
	kubelet := f.Unit("kubelet.service").Invocation
	files := f.Paths()
	f.RemovePackage("docker-ce")
	f.ForgetJournal()
	a.events <- struct{}{}
	p = a.after(t)
	mustAgree(t, &p)
	if f.Unit("kubelet.service").Invocation != kubelet || f.Unit("docker.service").Activity != state.Active {
		t.Error("the kubelet was restarted, or docker does not run")
	}
	if now := f.Paths(); !slices.Equal(files, now) {
		t.Errorf("files changed from %v to %v", files, now)
	}
	for _, call := range f.Journal() {
		if strings.HasPrefix(call, "files.Remove") {
			t.Errorf("something was removed: %s", call)
		}
	}
	if got := p.Corrected; got == 0 {
		t.Error("a package that somebody removed is no drift")
	}
}

func TestPackageThatIsNotAvailableLeavesTheNodeAsItIsAndStillRepaired(t *testing.T) {
	f := bareMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(wants(t, 1, "docker-ce", "26.1.5-1"))
	p := a.after(t)
	mustAgree(t, &p)
	docker := f.Unit("docker.service").Invocation
	f.Put("/etc/docker/daemon.json", state.File{Content: []byte("{}"), Mode: 0o644})
	a.Assign(wants(t, 2, "docker-ce", "9.9"))
	p = a.after(t)
	if reason, message := readiness(&p); reason != v1alpha1.ReasonPackageNotAvailable || !strings.Contains(message, "9.9") {
		t.Errorf("Ready says %s: %s", reason, message)
	}
	if got, _ := f.Package("docker-ce"); got.Version != "26.1.5-1" || !got.Held || f.Unit("docker.service").Invocation != docker {
		t.Errorf("docker-ce is %+v, or docker was restarted", got)
	}
	if now, _ := f.File("/etc/docker/daemon.json"); string(now.Content) == "{}" {
		t.Error("drift is not repaired while a package is not available")
	}
	if n := f.Count("packages.Change"); n != 2 {
		t.Errorf("%d transactions were tried: one for each pass is enough", n)
	}
	f.AddPackage("docker-ce", "9.9", hosttest.Brings{})
	a.events <- struct{}{}
	p = a.after(t)
	if got, _ := f.Package("docker-ce"); got.Version != "9.9" {
		t.Errorf("docker-ce is %+v once it is available: %v", got, p.Results.Err())
	}
}

func TestUpgradeIsPlannedAgainWithTheNewVersion(t *testing.T) {
	f := bareMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(wants(t, 1, "docker-ce", "26.1.5-1"))
	p := a.after(t)
	mustAgree(t, &p)
	before := len(f.Jobs("docker.service"))
	a.Assign(wants(t, 2, "docker-ce", "27.5.1-1"))
	p = a.after(t)
	mustAgree(t, &p)
	if p.Facts == nil || !slices.ContainsFunc(p.Facts.Components, func(c v1alpha1.ComponentFacts) bool { return c.Version == "27.5.1" }) {
		t.Error("the facts are those from before the upgrade")
	}
	// The package's own scripts have restarted docker; that is enough.
	if jobs := f.Jobs("docker.service")[before:]; len(jobs) != 0 {
		t.Errorf("docker was restarted twice for one upgrade: %+v", jobs)
	}
}

func TestPackagesThatDoNotBringTheProgramStallTheNode(t *testing.T) {
	f := bareMachine(t)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(wants(t, 1, "conntrack", "1.4"))
	p := a.after(t)
	if p.Stall == nil || p.Stall.Reason != v1alpha1.ReasonComponentMissing || !strings.Contains(p.Stall.Message, "installed and do not bring it") {
		t.Errorf("stall is %+v", p.Stall)
	}
	if _, ok := f.Package("conntrack"); !ok {
		t.Error("what could be installed was not")
	}
	for _, path := range f.Paths() {
		if strings.HasPrefix(path, "/etc/docker") || strings.HasPrefix(path, "/etc/kubernetes/kubelet") {
			t.Errorf("%s was written although the node is only partly known", path)
		}
	}
}

func TestNodeIsKeptAtItsRevisionWhileTheNextOnesProgramsAreMissing(t *testing.T) {
	f := machineWith(without(t))
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	p := a.next(t)
	mustAgree(t, &p)
	first := p.Revision
	kubelet := f.Unit("kubelet.service").Invocation
	content := []byte("kubelet 1.38")
	next := assignment(t, 2, func(n *v1alpha1.NodeConfigSpec) {
		n.Kubernetes.Version = "v1.38.0"
		n.Binaries = []v1alpha1.Binary{
			{Path: "/usr/local/bin/kubelet", URL: "https://example.com/kubelet", SHA256: state.Hash(content)},
			{Path: "/usr/local/bin/kube-proxy", URL: "https://example.com/kubelet", SHA256: state.Hash(content)},
		}
	})
	// The programs on the host are of another minor, and the download is away.
	f.Put("/etc/docker/daemon.json", state.File{Content: []byte("{}"), Mode: 0o644})
	a.Assign(next)
	p = a.after(t)
	if reason, _ := readiness(&p); reason != v1alpha1.ReasonDownloadFailed || p.Enforced != first {
		t.Errorf("Ready says %s, and the host is kept at %s, want %s", reason, p.Enforced, first)
	}
	if now, _ := f.File("/etc/docker/daemon.json"); string(now.Content) == "{}" || f.Unit("kubelet.service").Invocation != kubelet {
		t.Error("while a program is missing, drift is not repaired, or the kubelet was restarted")
	}
	// It comes back, and the programs say what they are.
	f.Serve("https://example.com/kubelet", content)
	facts := without(t)
	for i := range facts.Components {
		if c := &facts.Components[i]; c.Name == v1alpha1.ComponentKubelet || c.Name == v1alpha1.ComponentKubeProxy {
			c.Version = "v1.38.0"
		}
	}
	f.SetFacts(facts)
	a.events <- struct{}{}
	p = a.after(t)
	mustAgree(t, &p)
	if p.Enforced == first || p.Enforced != p.Revision {
		t.Errorf("the host is at %s, want %s", p.Enforced, p.Revision)
	}
}

func TestAgentThatIsKilledWhileInstallingGoesOnAndInstallsOnce(t *testing.T) {
	reference := bareMachine(t)
	run := func(f *hosttest.Fake) *stage.Pass {
		a := newAgent(t, f)
		var held *controllers.Assignment
		want := wants(t, 1, "docker-ce", "26.1.5-1")
		a.Pipeline.Progress = nil
		p, _ := a.Pipeline.Pass(context.Background(), want, held)
		return &p
	}
	mustAgree(t, run(reference))
	for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
		for n := 1; ; n += 3 {
			f := bareMachine(t)
			f.KillAt(n, when)
			run(f)
			if !f.Killed() {
				break
			}
			f = f.Restart()
			mustAgree(t, run(f))
			if f.Dump() != reference.Dump() {
				t.Errorf("killed at call %d (%v): another end\n%s\n%s", n, when, reference.Dump(), f.Dump())
			}
			if jobs := f.Jobs("docker.service"); len(jobs) != 1 {
				t.Errorf("killed at call %d (%v): docker had the jobs %+v", n, when, jobs)
			}
		}
	}
}
