package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/hack/lab"
)

// The seed of the lab, with the service range of the install guide.
const (
	apiServer     = "https://" + lab.SeedAddress + ":6443"
	flannelPrefix = "/kube-centos/network"
)

// cluster is a seed with its manager, and what reaches it.
type cluster struct {
	dir     string
	program string
	seed    *process
	manager *process

	config *rest.Config
	api    client.Client
	kube   kubernetes.Interface
}

// process is a program that runs at the seed's side until it is stopped.
type process struct {
	argv []string
	stop context.CancelFunc
	done chan error
}

func startCluster(ctx context.Context) *cluster {
	GinkgoHelper()
	c := &cluster{dir: filepath.Join(on.Folder(), "data"), program: filepath.Join(on.Served(), "seedbed")}
	c.startSeed(ctx)
	c.connect()
	c.startManager()
	DeferCleanup(func() {
		c.manager.end()
		c.seed.end()
	})
	return c
}

func (c *cluster) startSeed(ctx context.Context) {
	GinkgoHelper()
	ready := filepath.Join(on.Folder(), "ready")
	Expect(os.RemoveAll(ready)).To(Succeed())
	c.seed = start("seed.log", c.program, "seed", "--data-dir", c.dir, "--components", componentsFolder(),
		"--bind-address", lab.SeedAddress, "--secure-port", "6443",
		"--flannel-etcd-port", "2379", "--flannel-prefix", flannelPrefix, "--ready-file", ready)
	Eventually(func() error {
		select {
		case err := <-c.seed.done:
			c.seed.done <- err
			return StopTrying("the seed ended").Wrap(err)
		default:
			_, err := os.Stat(ready)
			return err
		}
	}).WithContext(ctx).Should(Succeed())
}

func (c *cluster) startManager() {
	GinkgoHelper()
	c.manager = start("manager.log", c.program, "manager", "--kubeconfig", filepath.Join(c.dir, "manager.kubeconfig"))
}

// connect makes clients for the seed's administrator.
func (c *cluster) connect() {
	GinkgoHelper()
	c.config = c.rest("admin")
	Expect(v1alpha1.AddToScheme(clientscheme.Scheme)).To(Succeed())
	var err error
	c.api, err = client.New(c.config, client.Options{Scheme: clientscheme.Scheme})
	succeed(err)
	c.kube, err = kubernetes.NewForConfig(c.config)
	succeed(err)
}

// rest is the configuration of one of the seed's own identities, dialing from among the lab.
func (c *cluster) rest(identity string) *rest.Config {
	GinkgoHelper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(c.dir, identity+".kubeconfig"))
	succeed(err)
	config.Dial = on.DialContext
	config.QPS = -1
	return config
}

// seedbed runs the program at the seed's side.
func (c *cluster) seedbed(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := on.Seed(ctx, append([]string{c.program}, args...)...)
	succeed(err)
	return out
}

// kubectl runs kubectl as the administrator, as a user would.
func (c *cluster) kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := c.tryKubectl(ctx, args...)
	succeed(err)
	return out
}

func (c *cluster) tryKubectl(ctx context.Context, args ...string) (string, error) {
	argv := []string{filepath.Join(componentsFolder(), "kubectl"), "--kubeconfig", filepath.Join(c.dir, "admin.kubeconfig")}
	return on.Seed(ctx, append(argv, args...)...)
}

// joinArguments makes a token for workers and returns what follows `seedbed` in the line that a user copies.
func (c *cluster) joinArguments(ctx context.Context, flags ...string) []string {
	GinkgoHelper()
	out := c.seedbed(ctx, append([]string{
		"seed", "token", "create", "--data-dir", c.dir,
		"--labels", "role=worker", "--addresses", "10.64.3.0/26",
	}, flags...)...)
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "seedbed" && fields[1] == "join" {
			return fields[1:]
		}
	}
	Fail("no line to join with in: " + out)
	return nil
}

func start(log string, argv ...string) *process {
	GinkgoHelper()
	file, err := os.OpenFile(filepath.Join(on.Folder(), log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	succeed(err)
	ctx, stop := context.WithCancel(context.Background())
	p := &process{argv: argv, stop: stop, done: make(chan error, 1)}
	go func() {
		defer func() { _ = file.Close() }()
		p.done <- on.Run(ctx, lab.Command{On: lab.Seed, Argv: argv, Stdout: file, Stderr: file})
	}()
	return p
}

// end stops it in order and waits.
func (p *process) end() {
	GinkgoHelper()
	p.stop()
	select {
	case err := <-p.done:
		p.done <- err
	case <-time.After(time.Minute):
		Fail(strings.Join(p.argv, " ") + " does not end")
	}
}

// componentsFolder holds the programs of the control plane.
func componentsFolder() string {
	folder, err := filepath.Abs("../../../../bin/components/current")
	succeed(err)
	return folder
}

// logOf is the last of what a program of the seed's side wrote.
func logOf(name string) string {
	content, err := os.ReadFile(filepath.Join(on.Folder(), name))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	const enough = 4000
	return string(content[max(0, len(content)-enough):])
}

// ready returns the status of the Ready condition of a Node.
func ready(n *corev1.Node) corev1.ConditionStatus {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == corev1.NodeReady {
			return n.Status.Conditions[i].Status
		}
	}
	return corev1.ConditionUnknown
}
