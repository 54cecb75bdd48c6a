package seed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/seed"
)

// optionsVariable has the options of a seed that this test binary is to be, as JSON: a seed in a
// process of its own can be sent signals and looked at from outside.
const optionsVariable = "SEED_TEST_OPTIONS"

// soon bounds what a control plane may take on a busy machine.
const soon = 90 * time.Second

func TestMain(m *testing.M) {
	if encoded := os.Getenv(optionsVariable); encoded != "" {
		os.Exit(beSeed(encoded))
	}
	os.Exit(m.Run())
}

// beSeed does what `seedbed seed` does.
func beSeed(encoded string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var o seed.Options
	err := json.Unmarshal([]byte(encoded), &o)
	if err == nil {
		err = seed.Run(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestSeed(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrl.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(soon)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Seed")
}

// assets is the folder of the real components.
func assets() string {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(dir, name)); dir == "" || err != nil {
			const missing = "KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver; run: make components"
			if testing.Short() {
				Skip(missing)
			}
			Fail(missing)
		}
	}
	return dir
}

func options(dataDir string) seed.Options {
	return seed.Options{
		DataDir: dataDir, Components: assets(), BindAddress: seed.DefaultBindAddress,
		ServiceRange: seed.DefaultServiceRange, NodeMaskSize: seed.DefaultNodeMaskSize,
		ReadyFile: dataDir + ".ready",
	}
}

// process is a seed in a process of its own.
type process struct {
	cmd      *exec.Cmd
	out, err *gbytes.Buffer
	exited   chan struct{}
}

// started are all of them. One outlives the spec that started it, so they end with the suite.
var started []*process

var _ = AfterSuite(func() {
	for _, p := range started {
		p.kill()
	}
})

func start(o seed.Options) *process {
	GinkgoHelper()
	encoded, err := json.Marshal(o)
	Expect(err).NotTo(HaveOccurred())
	exe, err := os.Executable()
	Expect(err).NotTo(HaveOccurred())
	p := &process{cmd: exec.Command(exe), out: gbytes.NewBuffer(), err: gbytes.NewBuffer(), exited: make(chan struct{})}
	// etcd takes options from its environment; these must not reach it.
	p.cmd.Env = append(os.Environ(), optionsVariable+"="+string(encoded), "ETCD_NAME=intruder", "ETCD_DATA_DIR=/nowhere")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	Expect(p.cmd.Start()).To(Succeed())
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	started = append(started, p)
	return p
}

// startReady starts a seed and waits until it is ready.
func startReady(o seed.Options) *process {
	GinkgoHelper()
	p := start(o)
	Eventually(p.exitedOr(p.out), soon).Should(gbytes.Say(`s  ready\n`), "%s", p.err.Contents())
	return p
}

// exitedOr is the output, or the end of waiting for it: a seed that has ended says nothing more.
func (p *process) exitedOr(b *gbytes.Buffer) func() *gbytes.Buffer {
	return func() *gbytes.Buffer {
		select {
		case <-p.exited:
			StopTrying("the seed ended: " + string(p.err.Contents())).Now()
		default:
		}
		return b
	}
}

func (p *process) signal(sig syscall.Signal) {
	GinkgoHelper()
	Expect(p.cmd.Process.Signal(sig)).To(Succeed())
}

// kill is for the end of a test that failed: children end with the seed.
func (p *process) kill() {
	select {
	case <-p.exited:
	default:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// stop asks the seed to end and expects it to do so cleanly.
func (p *process) stop() {
	GinkgoHelper()
	children := p.children()
	p.signal(syscall.SIGTERM)
	Eventually(p.exited, soon).Should(BeClosed())
	Expect(p.cmd.ProcessState.ExitCode()).To(Equal(0), "%s", p.err.Contents())
	for name, pid := range children {
		Expect(running(pid)).To(BeFalse(), "%s, process %d", name, pid)
	}
}

// children are the processes that the seed started, by the name of their program.
func (p *process) children() map[string]int {
	GinkgoHelper()
	children := map[string]int{}
	entries, err := os.ReadDir("/proc")
	Expect(err).NotTo(HaveOccurred())
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// pid (name) state ppid …; the name may have spaces.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if fields[1] != strconv.Itoa(p.cmd.Process.Pid) {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		program, _, _ := strings.Cut(string(cmdline), "\x00")
		children[filepath.Base(program)] = pid
	}
	return children
}

// running is false for a process that is gone or that only waits for its parent to take note.
func running(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return fields[0] != "Z"
}

func config(kubeconfig string) *rest.Config {
	GinkgoHelper()
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	return c
}

// as is a client with the identity of a kubeconfig.
func as(kubeconfig string) client.Client {
	GinkgoHelper()
	return clientOf(config(kubeconfig))
}

func clientOf(c *rest.Config) client.Client {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	cl, err := client.New(c, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return cl
}

// listen takes a port of loopback, and lets go of it at the end of the test.
func listen() (port int) {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func keys(m map[string]int) []string {
	var k []string
	for name := range m {
		k = append(k, name)
	}
	slices.Sort(k)
	return k
}

// freePort is a port that was free a moment ago.
func freePort() int {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
