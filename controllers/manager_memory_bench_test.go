package controllers_test

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/testenv"
)

// fleetSize is the design's.
const fleetSize = 5000

// everyNode does something for each of the fleet's nodes, several at once.
func everyNode(b *testing.B, do func(ctx context.Context, name string) error) {
	b.Helper()
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(8)
	for i := range fleetSize {
		group.Go(func() error { return do(ctx, fmt.Sprintf("node-%04d", i)) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// fatNode is a Node as a kubelet reports it, with fifty images.
func fatNode(name string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
		corev1.LabelArchStable: "amd64", corev1.LabelOSStable: "linux", corev1.LabelHostname: name,
	}}}
	for i := range 50 {
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{
			Names:     []string{fmt.Sprintf("registry.example.com/team/service-%02d@sha256:%064d", i, i), fmt.Sprintf("registry.example.com/team/service-%02d:v1.2.3", i)},
			SizeBytes: 100 << 20,
		})
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}
	return node
}

// reported is what the agent of a healthy node says.
func reported(n *v1alpha1.NodeState, facts v1alpha1.Facts) v1alpha1.NodeStateStatus {
	now := metav1.Now()
	s := v1alpha1.NodeStateStatus{
		ObservedGeneration: n.Generation, Facts: &facts, Revision: n.Spec.Revision, Secrets: n.Spec.Secrets,
		Apply: &v1alpha1.ApplyStatus{Started: now, Finished: now, Steps: 60, Changed: 60, Disruption: "Restart"},
		Drift: &v1alpha1.DriftStatus{Corrected: 1, Last: &v1alpha1.DriftRecord{What: "file /etc/docker/daemon.json", When: now}},
	}
	for _, kind := range []string{
		v1alpha1.ConditionPrepared, v1alpha1.ConditionReady, v1alpha1.ConditionFlannelHealthy, v1alpha1.ConditionDockerHealthy,
		v1alpha1.ConditionCRIHealthy, v1alpha1.ConditionKubeletHealthy, v1alpha1.ConditionKubeProxyHealthy,
	} {
		s.Conditions = append(s.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, ObservedGeneration: n.Generation, LastTransitionTime: now,
			Message: "the host holds revision " + n.Spec.Revision + " and its components are healthy",
		})
	}
	return s
}

// readyNodes is how many nodes a NodeConfig counts as ready.
func readyNodes(e *testenv.Env) int {
	var c v1alpha1.NodeConfig
	if err := e.Client.Get(context.Background(), name("workers"), &c); err != nil {
		return 0
	}
	return int(c.Status.Nodes.Ready)
}

func adopted(e *testenv.Env) int {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NodeList"))
	if err := e.Client.List(context.Background(), &list, client.HasLabels{controllers.NodeLabel}); err != nil {
		return 0
	}
	return len(list.Items)
}

// BenchmarkManagerMemory is the manager of 5,000 nodes that are all ready: rss-MiB when it has been
// running for three minutes, rss-start-MiB when it has just read them all, and rss-joined-MiB of the
// one before, 5 s after it has assigned all of them at once and adopted their Nodes.
func BenchmarkManagerMemory(b *testing.B) {
	e := benchEnv(b)
	managerUser, err := e.User(v1alpha1.ManagerUser)
	if err != nil {
		b.Fatal(err)
	}
	everyNode(b, func(ctx context.Context, name string) error {
		joined := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: worker(), Annotations: map[string]string{v1alpha1.MachineIDAnnotation: "machine"},
		}}
		if err := e.Client.Create(ctx, joined); err != nil {
			return err
		}
		return e.Client.Create(ctx, fatNode(name))
	})
	if out, err := e.Kubectl("apply", "-f", "../config/samples/guide"); err != nil {
		b.Fatal(err, out)
	}
	start := func() *exec.Cmd {
		return launch(b, "manager", "--kubeconfig", kubeconfig(b, managerUser), "--leader-elect=false", "--metrics-bind-address=0")
	}
	manager := start()
	eventually(b, "5,000 Nodes", 15*time.Minute, func() bool { return adopted(e) == fleetSize })
	time.Sleep(5 * time.Second)
	joined := residentMiB(b, manager.Process.Pid)
	if err := manager.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	facts := samples(b)[0].input.Facts
	everyNode(b, func(ctx context.Context, node string) error {
		var n v1alpha1.NodeState
		if err := e.Client.Get(ctx, name(node), &n); err != nil {
			return err
		}
		n.Status = reported(&n, facts)
		return e.Client.Status().Update(ctx, &n)
	})
	manager = start()
	eventually(b, "5,000 nodes that are ready", time.Minute, func() bool { return readyNodes(e) == fleetSize })
	atStart := residentMiB(b, manager.Process.Pid)
	time.Sleep(3 * time.Minute) // the runtime gives memory back every two
	for b.Loop() {
		b.ReportMetric(joined, "rss-joined-MiB")
		b.ReportMetric(atStart, "rss-start-MiB")
		b.ReportMetric(residentMiB(b, manager.Process.Pid), "rss-MiB")
	}
}
