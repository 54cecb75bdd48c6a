package v1alpha1_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var _ = Describe("kubectl", Ordered, func() {
	now := metav1.Now()
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: now}
	}

	BeforeAll(func(ctx SpecContext) {
		network := &v1alpha1.NetworkConfig{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.NetworkConfigSpec{
			PodCIDR: "172.30.0.0/16", ServiceCIDR: "10.254.0.0/16", Interface: v1alpha1.InterfaceSelector{Name: new("eth4")},
		}}
		Expect(env.Client.Create(ctx, network)).To(Succeed())
		network.Status = v1alpha1.NetworkConfigStatus{ObservedGeneration: 1, Nodes: 2, Leases: &v1alpha1.LeaseStatus{
			Count: 2, Conflicts: 1, First: []v1alpha1.LeaseConflict{{
				Subnet: "172.30.38.0/24", PublicIP: "10.64.3.8", Reason: v1alpha1.LeaseNoNode, Message: "no node has 10.64.3.8",
			}},
		}, Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "In use by 2 nodes"),
		}}
		Expect(env.Client.Status().Update(ctx, network)).To(Succeed())

		config := &v1alpha1.NodeConfig{ObjectMeta: metav1.ObjectMeta{Name: "workers"}, Spec: v1alpha1.NodeConfigSpec{
			NetworkRef: v1alpha1.NetworkReference{Name: "default"},
			Kubernetes: v1alpha1.Kubernetes{
				Version: "v1.37.2", APIServer: "https://10.64.3.7:6443",
				CASecretRef: v1alpha1.SecretKeyReference{Name: "cluster-ca", Key: "ca.crt"},
			},
		}}
		Expect(env.Client.Create(ctx, config)).To(Succeed())
		config.Status = v1alpha1.NodeConfigStatus{
			Revision: "workers-6f9c4d7b21",
			Nodes:    v1alpha1.NodeCounts{Matched: 3, Updated: 2, Ready: 1},
			Conditions: []metav1.Condition{
				condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "1 of 3 nodes ready"),
			},
		}
		Expect(env.Client.Status().Update(ctx, config)).To(Succeed())

		state := &v1alpha1.NodeState{
			ObjectMeta: metav1.ObjectMeta{Name: "node-a"},
			Spec:       v1alpha1.NodeStateSpec{Config: "workers", Revision: "workers-6f9c4d7b21"},
		}
		Expect(env.Client.Create(ctx, state)).To(Succeed())
		state.Status = v1alpha1.NodeStateStatus{
			Revision: "workers-58d1aa0000", Drift: &v1alpha1.DriftStatus{Corrected: 4},
			Conditions: []metav1.Condition{
				condition(v1alpha1.ConditionPrepared, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "All files are in place"),
				condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOfflineRoot, "The host is not running"),
			},
		}
		Expect(env.Client.Status().Update(ctx, state)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(env.Client.Delete(ctx, network)).To(Succeed())
			Expect(env.Client.Delete(ctx, config)).To(Succeed())
			Expect(env.Client.Delete(ctx, state)).To(Succeed())
		})
	})

	table := func(args ...string) [][]string {
		GinkgoHelper()
		out, err := env.Kubectl(append([]string{"get"}, args...)...)
		Expect(err).NotTo(HaveOccurred())
		var rows [][]string
		for line := range strings.Lines(out) {
			rows = append(rows, strings.Fields(line))
		}
		return rows
	}

	It("shows a network by its short name", func() {
		rows := table("netcfg")
		Expect(rows[0]).To(Equal([]string{"NAME", "PODS", "SERVICES", "NODES", "LEASES", "CONFLICTS", "READY", "AGE"}))
		Expect(rows[1][:7]).To(Equal([]string{"default", "172.30.0.0/16", "10.254.0.0/16", "2", "2", "1", "True"}))
		Expect(table("netcfg", "-o", "wide")[0]).To(ContainElements("PUBLISHED", "STATUS"))
	})

	It("shows how far a NodeConfig is rolled out, and why", func() {
		rows := table("nodecfg")
		Expect(rows[0]).To(Equal([]string{"NAME", "NETWORK", "KUBERNETES", "NODES", "UPDATED", "READY", "STATUS", "AGE"}))
		Expect(strings.Join(rows[1], " ")).To(HavePrefix("workers default v1.37.2 3 2 1 1 of 3 nodes ready"))
		Expect(table("nodecfg", "-o", "wide")[0]).To(ContainElement("REVISION"))
	})

	It("shows what a node is at, and what it wants", func() {
		rows := table("nodestate")
		Expect(rows[0]).To(Equal([]string{"NAME", "CONFIG", "REVISION", "PREPARED", "READY", "REASON", "DRIFT", "AGE"}))
		Expect(rows[1][:7]).To(Equal([]string{"node-a", "workers", "workers-58d1aa0000", "True", "False", "OfflineRoot", "4"}))
		Expect(table("nodestate", "-o", "wide")[0]).To(ContainElements("WANTED", "STATUS"))
	})

	It("shows everything by the category seedbed", func() {
		out, err := env.Kubectl("get", "seedbed", "-o", "name")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Fields(out)).To(ConsistOf("networkconfig.seedbed.dev/default", "nodeconfig.seedbed.dev/workers", "nodestate.seedbed.dev/node-a"))
	})

	It("explains a field with meaning, default and example", func() {
		out, err := env.Kubectl("explain", "nodeconfig.spec.docker.registryMirrors")
		Expect(err).NotTo(HaveOccurred())
		Expect(words(out)).To(And(ContainSubstring("tried in order"), ContainSubstring("Example:"), ContainSubstring("docker.mirrors.ustc.edu.cn")))
		out, err = env.Kubectl("explain", "nodeconfig.spec.docker")
		Expect(err).NotTo(HaveOccurred())
		Expect(words(out)).To(And(ContainSubstring("maxConcurrentDownloads <integer>"), ContainSubstring("Default: 3 (dockerd's).")))
		Expect(out).NotTo(ContainSubstring("<no description>"))
	})

	It("waits for a condition", func() {
		_, err := env.Kubectl("wait", "--for=condition=Ready", "netcfg/default", "--timeout=5s")
		Expect(err).NotTo(HaveOccurred())
	})
})

// words is text without its line breaks and runs of spaces.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
