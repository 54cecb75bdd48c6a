package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/hack/lab"
)

const (
	namespace = "default"
	webPort   = 8080
	hostPort  = 8088
)

// podOn is the name of the test's pod on a host; it answers with its name.
func podOn(node string) string { return "web-" + node }

// pods tests what a cluster is for. The images come from archives, since the lab has no registry.
func pods() {
	BeforeAll(func(ctx context.Context) {
		for _, h := range hosts(ctx) {
			loadImages(ctx, h.Name)
		}
		coredns, err := filepath.Abs("testdata/coredns.yaml")
		succeed(err)
		made.kubectl(ctx, "apply", "-f", coredns)
		for _, h := range hosts(ctx) {
			made.runPod(ctx, h.Name)
			made.serve(ctx, "only-"+h.Name, corev1.ServiceTypeClusterIP, map[string]string{"on": h.Name})
		}
		made.serve(ctx, "web", corev1.ServiceTypeNodePort, map[string]string{"app": "web"})
		stage("a pod on each node", func() {
			for _, h := range hosts(ctx) {
				made.kubectl(ctx, "wait", "--for=condition=Ready", "pod/"+podOn(h.Name), "--timeout=120s")
			}
		})
	})

	each := func(check func(ctx context.Context, from, to lab.Host)) func(context.Context) {
		return func(ctx context.Context) {
			all := hosts(ctx)
			for i, from := range all {
				check(ctx, from, all[(i+1)%len(all)])
			}
		}
	}

	It("gives each pod an address of its node's docker0", each(func(ctx context.Context, from, _ lab.Host) {
		Expect(netip.MustParsePrefix(subnet(ctx, from.Name)).Masked().Contains(netip.MustParseAddr(made.podIP(ctx, from.Name)))).To(BeTrue())
	}))
	It("lets pods reach pods of other nodes", each(func(ctx context.Context, from, to lab.Host) {
		made.podReaches(ctx, from.Name, fmt.Sprintf("http://%s:%d/hostname", made.podIP(ctx, to.Name), webPort), podOn(to.Name))
	}))
	It("lets nodes reach pods of other nodes", each(func(ctx context.Context, from, to lab.Host) {
		reaches(ctx, from.Name, fmt.Sprintf("http://%s:%d/hostname", made.podIP(ctx, to.Name), webPort), podOn(to.Name))
	}))
	It("answers a Service's address from pods of other nodes", each(func(ctx context.Context, from, to lab.Host) {
		made.podReaches(ctx, from.Name, "http://"+made.service(ctx, "only-"+to.Name).Spec.ClusterIP+"/hostname", podOn(to.Name))
	}))
	It("answers a Service's address from nodes", each(func(ctx context.Context, from, to lab.Host) {
		reaches(ctx, from.Name, "http://"+made.service(ctx, "only-"+to.Name).Spec.ClusterIP+"/hostname", podOn(to.Name))
	}))
	It("lets a pod reach itself through its own Service (SB011)", each(func(ctx context.Context, from, _ lab.Host) {
		made.podReaches(ctx, from.Name, "http://"+made.service(ctx, "only-"+from.Name).Spec.ClusterIP+"/hostname", podOn(from.Name))
	}))
	It("answers a NodePort on each node from outside the cluster", each(func(ctx context.Context, from, _ lab.Host) {
		reaches(ctx, lab.Seed, fmt.Sprintf("http://%s:%d/hostname", from.Address, made.service(ctx, "web").Spec.Ports[0].NodePort), "web-node-")
	}))
	It("answers a hostPort from another node (SB016)", each(func(ctx context.Context, from, to lab.Host) {
		reaches(ctx, from.Name, fmt.Sprintf("http://%s:%d/hostname", to.Address, hostPort), podOn(to.Name))
	}))
	It("serves kubectl exec and logs", each(func(ctx context.Context, from, _ lab.Host) {
		Expect(made.kubectl(ctx, "exec", podOn(from.Name), "--", "/agnhost", "--help")).To(ContainSubstring("netexec"))
		Eventually(func() (string, error) { return made.tryKubectl(ctx, "logs", podOn(from.Name)) }).Should(ContainSubstring("HTTP server"))
	}))
	It("resolves names of Services in pods (SB010)", func(ctx context.Context) {
		made.kubectl(ctx, "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s")
		each(func(ctx context.Context, from, to lab.Host) {
			made.podReaches(ctx, from.Name, "http://only-"+to.Name+"/hostname", podOn(to.Name))
			made.podReaches(ctx, from.Name, "http://only-"+to.Name+".default.svc.cluster.local/hostname", podOn(to.Name))
		})(ctx)
	})
	It("lets large packets through from pod to pod (SB026)", each(func(ctx context.Context, from, to lab.Host) {
		out, err := made.tryKubectl(ctx, "exec", podOn(from.Name), "--", "ping", "-c", "2", "-W", "2", "-M", "do", "-s", "1400", made.podIP(ctx, to.Name))
		Expect(err).NotTo(HaveOccurred(), out)
	}))
}

func loadImages(ctx context.Context, node string) {
	GinkgoHelper()
	for _, archive := range []string{"pause", "test", "coredns"} {
		host(ctx, node, "docker", "load", "--quiet", "--input", "/srv/images/"+archive+".tar")
	}
}

func (c *cluster) runPod(ctx context.Context, node string) {
	GinkgoHelper()
	now := int64(1)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: podOn(node), Labels: map[string]string{"app": "web", "on": node}},
		Spec: corev1.PodSpec{
			NodeName: node, TerminationGracePeriodSeconds: &now,
			Containers: []corev1.Container{{
				Name: "web", Image: lab.TestImage, ImagePullPolicy: corev1.PullNever,
				Args:  []string{"netexec", fmt.Sprintf("--http-port=%d", webPort)},
				Ports: []corev1.ContainerPort{{ContainerPort: webPort, HostPort: hostPort}},
			}},
		},
	}
	// The account that pods run as is made by kube-controller-manager, a moment after its namespace.
	Eventually(func() error { return client.IgnoreAlreadyExists(c.api.Create(ctx, pod)) }).Should(Succeed())
}

func (c *cluster) serve(ctx context.Context, name string, kind corev1.ServiceType, selector map[string]string) {
	GinkgoHelper()
	Expect(client.IgnoreAlreadyExists(c.api.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.ServiceSpec{
			Type: kind, Selector: selector,
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(webPort)}},
		},
	}))).To(Succeed())
}

func (c *cluster) service(ctx context.Context, name string) *corev1.Service {
	GinkgoHelper()
	s := &corev1.Service{}
	Expect(c.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)).To(Succeed())
	return s
}

func (c *cluster) pod(ctx context.Context, node string) *corev1.Pod {
	GinkgoHelper()
	p := &corev1.Pod{}
	Expect(c.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: podOn(node)}, p)).To(Succeed())
	return p
}

func (c *cluster) podIP(ctx context.Context, node string) string {
	GinkgoHelper()
	return c.pod(ctx, node).Status.PodIP
}

// reachPatience is how long an address may take to answer: kube-proxy has to hear of a new Service.
const reachPatience = 20 * time.Second

var curl = []string{"curl", "--silent", "--show-error", "--fail", "--max-time", "3"}

// podReaches waits until the URL answers a node's pod with the text.
func (c *cluster) podReaches(ctx context.Context, node, url, text string) {
	GinkgoHelper()
	Eventually(func() (string, error) {
		return c.tryKubectl(ctx, append(append([]string{"exec", podOn(node), "--"}, curl...), url)...)
	}).WithTimeout(reachPatience).Should(ContainSubstring(text), "from the pod on %s to %s", node, url)
}

// reaches waits until the URL answers a host, or the seed, with the text.
func reaches(ctx context.Context, from, url, text string) {
	GinkgoHelper()
	Eventually(func() (string, error) { return on.Exec(ctx, from, append(slices.Clip(curl), url)...) }).
		WithTimeout(reachPatience).Should(ContainSubstring(text), "from %s to %s", from, url)
}

// containers are the ids of all containers that run on a host.
func containers(ctx context.Context, node string) []string {
	GinkgoHelper()
	return strings.Fields(host(ctx, node, "docker", "ps", "--quiet", "--no-trunc"))
}
