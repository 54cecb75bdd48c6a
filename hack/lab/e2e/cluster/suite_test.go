package cluster

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"seedbed.dev/seedbed/hack/lab"
)

// What of the tests is to run: all; short, for `make e2e-short`; or network, which is what another subnet
// manager and another layout of interfaces could break.
const (
	scopeAll     = "all"
	scopeShort   = "short"
	scopeNetwork = "network"
)

func scope() string {
	if s := os.Getenv("E2E_SCOPE"); s != "" {
		return s
	}
	return scopeAll
}

// only skips what is not of this run's scope.
func only(scopes ...string) {
	if !slices.Contains(append(scopes, scopeAll), scope()) {
		Skip("not tested with E2E_SCOPE=" + scope() + ": `make e2e` tests it")
	}
}

// patience of the suite's own steps, long enough to build everything from nothing.
const (
	upPatience   = 30 * time.Minute
	downPatience = time.Minute
)

func TestCluster(t *testing.T) {
	if os.Getenv("E2E_NODES") == "" {
		t.Skip("needs hosts: `make e2e` and `make e2e-short` boot them")
	}
	if os.Getenv("LAB") == "skip" {
		t.Skip("LAB=skip: this machine is not to run a lab")
	}
	RegisterFailHandler(Fail)
	log.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
	RunSpecs(t, "A cluster on real hosts")
}

// The subnet managers of flannel. One run has one of them: the guide's by default, and with Kubernetes, whose
// hosts have a public interface with the default route too, as the guide's have (SB007).
const (
	etcdManager       = "Etcd"
	kubernetesManager = "Kubernetes"
)

func subnetManager() string {
	if m := os.Getenv("E2E_SUBNET_MANAGER"); m != "" {
		return m
	}
	return etcdManager
}

// needsEtcd skips what is about leases in etcd.
func needsEtcd() {
	if subnetManager() != etcdManager {
		Skip("leases are in etcd with that subnet manager only")
	}
}

// on is the lab of this run, made is the cluster in it.
var (
	on   *lab.Lab
	made *cluster
)

var _ = BeforeSuite(func(ctx SpecContext) {
	nodes, err := strconv.Atoi(os.Getenv("E2E_NODES"))
	Expect(err).NotTo(HaveOccurred(), "E2E_NODES is how many hosts to boot")
	stage("lab up", func() {
		on, err = lab.Start(ctx, lab.Options{
			Nodes: nodes, TwoInterfaces: subnetManager() == kubernetesManager,
			Keep: os.Getenv("E2E_KEEP") != "", Progress: GinkgoWriter,
		})
		succeed(err)
	})
	DeferCleanup(func(ctx SpecContext) {
		if os.Getenv("E2E_KEEP") == "" {
			stage("lab down", func() { succeed(on.Down(ctx)) })
		}
	}, NodeTimeout(downPatience))
	stage("seed up", func() { made = startCluster(ctx) })
}, NodeTimeout(upPatience), PollProgressAfter(upPatience))

// What a user would look at when something does not work.
var _ = JustAfterEach(func(ctx SpecContext) {
	if !CurrentSpecReport().Failed() || made == nil {
		return
	}
	for _, what := range []string{"nodestates,nodeconfigs,networkconfigs,nodes", "pods,services -A"} {
		out, err := made.tryKubectl(ctx, append([]string{"get", "-o", "wide"}, strings.Fields(what)...)...)
		GinkgoWriter.Println(out, err)
	}
	for _, h := range hosts(ctx) {
		out, err := on.Exec(ctx, h.Name, "journalctl", "--no-pager", "--output", "cat", "--lines", "30", "--unit", "seedbed-agent")
		GinkgoWriter.Printf("--- the agent of %s\n%s%v\n", h.Name, out, err)
	}
	GinkgoWriter.Printf("--- the manager\n%s\n", logOf("manager.log"))
}, NodeTimeout(time.Minute))

var _ = ReportAfterSuite("times", func(_ SpecContext, _ types.Report) { fmt.Print(stages) })

// succeed fails with what the error says, which for a program that failed is what a reader needs.
func succeed(err error) {
	if err != nil {
		Fail(err.Error(), 1)
	}
}

// stageTimes is a table of how long the stages took.
type stageTimes []string

func (t stageTimes) String() string {
	text := "\ntime of each stage\n"
	for _, line := range t {
		text += "  " + line + "\n"
	}
	return text
}

var stages stageTimes

// stage runs one stage and notes how long it took.
func stage(name string, run func()) time.Duration {
	GinkgoHelper()
	By(name)
	began := time.Now()
	run()
	took := time.Since(began)
	noteStage(name, took)
	return took
}

func noteStage(name string, took time.Duration) {
	stages = append(stages, fmt.Sprintf("%-52s %6.1f s", name, took.Seconds()))
}
