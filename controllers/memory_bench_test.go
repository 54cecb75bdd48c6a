package controllers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/config/rbac"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/testenv"
)

// program is what `make build` built; its memory is measured as a process of its own.
const program = "../bin/seedbed"

// benchEnv is a real API server with the roles of Seedbed and the Secret of the samples.
func benchEnv(b *testing.B) *testenv.Env {
	b.Helper()
	if _, err := os.Stat(program); err != nil {
		b.Fatalf("%v: run make build", err)
	}
	e, err := testenv.Start(testenv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Stop() })
	roles, err := rbac.All()
	if err != nil {
		b.Fatal(err)
	}
	for _, role := range roles {
		mustCreate(b, e, role)
	}
	made := map[string]*corev1.Secret{}
	for _, name := range []string{v1alpha1.ClusterCASecret, v1alpha1.FlannelEtcdSecret} { // as a seed does
		made[name] = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: name}, Data: map[string][]byte{}}
	}
	for ref, content := range resolvetest.Secrets(b) {
		if secret := made[ref.Name]; secret != nil {
			secret.Data[ref.Key] = content.Reveal()
		}
	}
	for _, secret := range made {
		mustCreate(b, e, secret)
	}
	return e
}

func mustCreate(b *testing.B, e *testenv.Env, o client.Object) {
	b.Helper()
	if err := e.Client.Create(context.Background(), o); err != nil {
		b.Fatal(err)
	}
}

// kubeconfig writes the identity into a file.
func kubeconfig(b *testing.B, config *rest.Config) string {
	b.Helper()
	out := clientcmdapi.NewConfig()
	out.Clusters["c"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	out.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	out.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	out.CurrentContext = "x"
	path := filepath.Join(b.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*out, path); err != nil {
		b.Fatal(err)
	}
	return path
}

// launch runs the program until the end of the benchmark.
func launch(b *testing.B, args ...string) *exec.Cmd {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("seedbed %s: %v\n%s", args[0], err, out.String())
		}
	})
	return cmd
}

// residentMiB is the memory of a process that is in RAM, the pages of its own file among it.
func residentMiB(b *testing.B, pid int) float64 { return memoryMiB(b, pid, "VmRSS") }

// memoryMiB is a field of proc_pid_status(5).
func memoryMiB(b *testing.B, pid int, name string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatal("no ", name)
	return 0
}

func eventually(b *testing.B, what string, limit time.Duration, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("gave up waiting for %s", what)
		}
	}
}

func registration(b *testing.B, node string) *corev1.ConfigMap {
	b.Helper()
	labels, err := json.Marshal(worker())
	if err != nil {
		b.Fatal(err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace, Name: v1alpha1.RegistrationName(node),
			Labels: map[string]string{v1alpha1.RegistrationLabel: "true"},
		},
		Data: map[string]string{v1alpha1.RegistrationNodeNameKey: node, v1alpha1.RegistrationLabelsKey: string(labels)},
	}
}

// BenchmarkAgentMemory is the agent of the guide's first node, 5 s after it has converged: rss-MiB, and
// of it rss-anon-MiB, which is its own, and rss-file-MiB, the pages of the program that it has used.
func BenchmarkAgentMemory(b *testing.B) {
	e := benchEnv(b)
	guide := samples(b)[0]
	managerUser, err := e.User(v1alpha1.ManagerUser)
	if err != nil {
		b.Fatal(err)
	}
	launch(b, "manager", "--kubeconfig", kubeconfig(b, managerUser), "--leader-elect=false", "--metrics-bind-address=0")
	nodeUser, err := e.User(v1alpha1.NodeUser("node-a"), v1alpha1.NodesGroup)
	if err != nil {
		b.Fatal(err)
	}
	mustCreate(b, e, registration(b, "node-a"))
	root, _ := hostRoot(b, guide.input)
	agent := launch(b, "agent", "--kubeconfig", kubeconfig(b, nodeUser), "--node-name=node-a", "--host-root", root,
		"--facts=../config/samples/guide/facts/node-a.yaml")
	if out, err := e.Kubectl("apply", "-f", "../config/samples/guide"); err != nil {
		b.Fatal(err, out)
	}
	eventually(b, "the node", time.Minute, func() bool {
		var n v1alpha1.NodeState
		err := e.Client.Get(context.Background(), name("node-a"), &n)
		return err == nil && meta.IsStatusConditionTrue(n.Status.Conditions, v1alpha1.ConditionPrepared)
	})
	time.Sleep(5 * time.Second)
	for b.Loop() {
		b.ReportMetric(residentMiB(b, agent.Process.Pid), "rss-MiB")
		b.ReportMetric(memoryMiB(b, agent.Process.Pid, "RssAnon"), "rss-anon-MiB")
		b.ReportMetric(memoryMiB(b, agent.Process.Pid, "RssFile"), "rss-file-MiB")
	}
}
