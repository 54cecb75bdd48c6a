package cluster

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/hack/lab"
)

// Units of a node, in the order of the chain.
var chain = []string{"flanneld", "docker", "cri-docker", "kubelet", "kube-proxy"}

// hosts are those of the lab.
func hosts(ctx context.Context) []lab.Host {
	GinkgoHelper()
	found, err := on.Hosts(ctx)
	succeed(err)
	return found
}

// host runs a program on a host and returns what it wrote, without space around it.
func host(ctx context.Context, node string, argv ...string) string {
	GinkgoHelper()
	out, err := on.Exec(ctx, node, argv...)
	succeed(err)
	return strings.TrimSpace(out)
}

// unit returns one property of a unit, as systemd has it.
func unit(ctx context.Context, node, name, property string) string {
	GinkgoHelper()
	return host(ctx, node, "systemctl", "show", "--value", "--property", property, name)
}

// pids are the main processes of the chain's units, by unit.
func pids(ctx context.Context, node string) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	for _, name := range chain {
		found[name] = unit(ctx, node, name, "MainPID")
		Expect(found[name]).NotTo(Equal("0"), "%s does not run on %s", name, node)
	}
	return found
}

// invocations are the runs of the chain's units, by unit: each start is another.
func invocations(ctx context.Context, node string) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	for _, name := range chain {
		found[name] = unit(ctx, node, name, "InvocationID")
	}
	return found
}

// subnet is the node's share of the pods' addresses, as flannel wrote it down.
func subnet(ctx context.Context, node string) string {
	GinkgoHelper()
	for line := range strings.Lines(host(ctx, node, "cat", "/run/flannel/subnet.env")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "FLANNEL_SUBNET="); ok {
			return value
		}
	}
	Fail(node + ": no FLANNEL_SUBNET in /run/flannel/subnet.env")
	return ""
}

// bridge is docker0's address; empty while there is none.
func bridge(ctx context.Context, node string) string {
	fields := strings.Fields(orEmpty(on.Exec(ctx, node, "ip", "-4", "-oneline", "address", "show", "dev", "docker0")))
	const address = 3
	if len(fields) <= address {
		return ""
	}
	return fields[address]
}

// nodeReady asks whether Kubernetes has the node as Ready.
func (c *cluster) nodeReady(ctx context.Context, node string) error {
	n := &corev1.Node{}
	if err := c.api.Get(ctx, client.ObjectKey{Name: node}, n); err != nil {
		return err
	}
	if ready(n) != corev1.ConditionTrue {
		return errors.New("Node " + node + " is not Ready")
	}
	return nil
}

func (c *cluster) state(ctx context.Context, node string) *v1alpha1.NodeState {
	GinkgoHelper()
	s := &v1alpha1.NodeState{}
	Expect(c.api.Get(ctx, client.ObjectKey{Name: node}, s)).To(Succeed())
	return s
}

// synced asks whether the node's agent is at what it is assigned, and says that all of it works.
func (c *cluster) synced(ctx context.Context, node string) error {
	s := &v1alpha1.NodeState{}
	if err := c.api.Get(ctx, client.ObjectKey{Name: node}, s); err != nil {
		return err
	}
	found := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case found == nil || s.Spec.Revision == "":
		return errors.New(node + " has reported nothing yet")
	case found.Status != "True":
		return errors.New(node + ": " + found.Reason + ": " + found.Message)
	case s.Status.Revision != s.Spec.Revision || s.Status.ObservedGeneration != s.Generation:
		return errors.New(node + " is at " + s.Status.Revision + ", not at " + s.Spec.Revision)
	}
	return nil
}

// settled waits until the nodes are Ready, for Kubernetes and for Seedbed.
func (c *cluster) settled(ctx context.Context, nodes ...lab.Host) {
	GinkgoHelper()
	for _, n := range nodes {
		Eventually(func() error { return c.nodeReady(ctx, n.Name) }).Should(Succeed())
		Eventually(func() error { return c.synced(ctx, n.Name) }).Should(Succeed())
	}
}

// applyCluster writes the manifest with what the lab serves and applies it.
func (c *cluster) applyCluster(ctx context.Context, subnetManager string) {
	GinkgoHelper()
	text, err := template.ParseFiles("testdata/cluster.yaml")
	succeed(err)
	values := struct {
		SubnetManager, Docker string
		Binaries              map[string]string
	}{subnetManager, dockerVersion(ctx), map[string]string{}}
	for _, name := range []string{"flanneld", "cri-dockerd", "kubelet", "kube-proxy"} {
		values.Binaries[name] = sum(filepath.Join(on.Served(), name))
	}
	var manifest bytes.Buffer
	Expect(text.Execute(&manifest, values)).To(Succeed())
	file := filepath.Join(on.Folder(), "cluster.yaml")
	Expect(os.WriteFile(file, manifest.Bytes(), 0o600)).To(Succeed())
	GinkgoWriter.Print(c.kubectl(ctx, "apply", "-f", file))
}

// dockerVersion is what the repository on the hosts has.
func dockerVersion(ctx context.Context) string {
	GinkgoHelper()
	lines := bufio.NewScanner(strings.NewReader(host(ctx, "node-a", "cat", "/srv/repo/Packages")))
	ours := false
	for lines.Scan() {
		switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
		case "Package":
			ours = value == "docker.io"
		case "Version":
			if ours {
				return value
			}
		}
	}
	Fail("no docker.io in /srv/repo")
	return ""
}

func sum(path string) string {
	GinkgoHelper()
	file, err := os.Open(path)
	succeed(err)
	defer func() { _ = file.Close() }()
	digest := sha256.New()
	_, err = io.Copy(digest, file)
	succeed(err)
	return hex.EncodeToString(digest.Sum(nil))
}
