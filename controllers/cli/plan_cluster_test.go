package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/config/rbac"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/testenv"
)

// fleetEnv is an API server with the guide's objects and two nodes that are at them, one that no
// NodeConfig selects, and one of which nothing is known yet.
func fleetEnv(t *testing.T) *testenv.Env {
	t.Helper()
	env, err := testenv.Start(testenv.Options{})
	if testing.Short() && errors.Is(err, testenv.ErrNoComponents) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	made := map[string]*corev1.Secret{}
	for ref, content := range resolvetest.Secrets(t) {
		if ref.Name != v1alpha1.ClusterCASecret && ref.Name != v1alpha1.FlannelEtcdSecret {
			continue
		}
		if made[ref.Name] == nil {
			made[ref.Name] = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: ref.Name}, Data: map[string][]byte{}}
		}
		made[ref.Name].Data[ref.Key] = content.Reveal()
	}
	for _, secret := range made {
		create(t, env, secret)
	}
	if out, err := env.Kubectl("apply", "-f", guide); err != nil {
		t.Fatal(err, out)
	}
	var config v1alpha1.NodeConfig
	var network v1alpha1.NetworkConfig
	get(t, env, "workers", &config)
	get(t, env, "default", &network)
	rev := revision.New(config.Spec, network.Spec)
	data, name, err := rev.Encode("workers")
	if err != nil {
		t.Fatal(err)
	}
	create(t, env, &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: name}, Data: runtime.RawExtension{Raw: data}, Revision: 1})
	facts, err := loadFacts(nodeA)
	if err != nil {
		t.Fatal(err)
	}
	at := v1alpha1.NodeStateStatus{Facts: &facts, Revision: name, Secrets: pins(t, env, rev)}
	node(t, env, "node-a", "worker", at)
	node(t, env, "node-b", "worker", at)
	node(t, env, "other", "db", at)
	node(t, env, "silent", "worker", v1alpha1.NodeStateStatus{})
	return env
}

func create(t *testing.T, env *testenv.Env, o client.Object) {
	t.Helper()
	if err := env.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, env *testenv.Env, name string, o client.Object) {
	t.Helper()
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: name}, o); err != nil {
		t.Fatal(err)
	}
}

func pins(t *testing.T, env *testenv.Env, rev revision.Revision) []v1alpha1.PinnedSecret {
	t.Helper()
	var all []v1alpha1.PinnedSecret
	for _, name := range rev.SecretNames() {
		var s corev1.Secret
		if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, v1alpha1.PinnedSecret{Name: name, UID: s.UID, ResourceVersion: s.ResourceVersion})
	}
	return all
}

func node(t *testing.T, env *testenv.Env, name, role string, status v1alpha1.NodeStateStatus) {
	t.Helper()
	n := &v1alpha1.NodeState{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"role": role}},
		Spec:       v1alpha1.NodeStateSpec{Config: "workers", Revision: status.Revision, Secrets: status.Secrets},
	}
	create(t, env, n)
	n.Status = status
	if err := env.Client.Status().Update(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	create(t, env, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

func kubeconfigOf(t *testing.T, config *rest.Config) []byte {
	t.Helper()
	out := clientcmdapi.NewConfig()
	out.Clusters["c"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	out.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	out.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	out.CurrentContext = "x"
	raw, err := clientcmd.Write(*out)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func written(t *testing.T, kubeconfig []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// said are the paragraphs of a plan, by the nodes they begin with.
func said(out string) map[string]string {
	all := map[string]string{}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(out), "\n\n") {
		nodes, _, _ := strings.Cut(paragraph, ", at ")
		nodes, _, _ = strings.Cut(nodes, ", from ")
		all[nodes] = paragraph
	}
	return all
}

func TestPlanOfACluster(t *testing.T) {
	env := fleetEnv(t)
	kubeconfig := written(t, env.Kubeconfig)
	plan := func(t *testing.T, args ...string) map[string]string {
		t.Helper()
		return said(mustRun(t, append([]string{"plan", "--kubeconfig", kubeconfig}, args...)...))
	}
	t.Run("of what is there has nothing to do, and says of whom nothing is known", func(t *testing.T) {
		all := plan(t)
		for nodes, says := range map[string]string{
			"node-a, node-b": "Nothing to do.", "other": "no NodeConfig selects node other", "silent": "has not reported what the machine is",
		} {
			if !strings.Contains(all[nodes], says) {
				t.Errorf("%s: no %q in %q", nodes, says, all)
			}
		}
	})
	t.Run("of a file costs what it costs on the nodes, and tells alike nodes once", func(t *testing.T) {
		all := plan(t, "-f", edited(t, "maxConcurrentDownloads: 10", "maxConcurrentDownloads: 20"))
		if got := all["node-a, node-b"]; !strings.Contains(got, "\n2 steps; Reload: docker.service.\n") {
			t.Errorf("%q", all)
		}
	})
	t.Run("of one node is of that alone, and of none that is not there", func(t *testing.T) {
		if all := plan(t, "--node-name", "node-b"); len(all) != 1 || all["node-b"] == "" {
			t.Errorf("%q", all)
		}
		if _, err := run(t, "", "plan", "--kubeconfig", kubeconfig, "--node-name", "x"); err == nil || !strings.Contains(err.Error(), "node-a, node-b, other, silent") {
			t.Errorf("%v", err)
		}
	})
	t.Run("of another network foresees docker0, and that the manager will refuse it", func(t *testing.T) {
		got := plan(t, "-f", edited(t, "podCIDR: 172.30.0.0/16", "podCIDR: 172.31.0.0/16"))["node-a, node-b"]
		for _, says := range []string{"later Recreate: docker0, all containers", "podCIDR 172.30.0.0/16 becomes 172.31.0.0/16", "the manager will refuse it", "allowDisruptiveChange"} {
			if !strings.Contains(got, says) {
				t.Errorf("no %q in %s", says, got)
			}
		}
	})
	t.Run("of labels and taints disturbs nothing on the host and says what the manager does", func(t *testing.T) {
		got := plan(t, "-f", edited(t, "  networkRef:", "  node: {labels: {example.com/rack: a3}, taints: [{key: x, effect: NoExecute}]}\n  networkRef:"))["node-a, node-b"]
		for _, says := range []string{"Nothing to do.", "Node object: label example.com/rack=a3 is set", "taint x:NoExecute is put on, which evicts pods"} {
			if !strings.Contains(got, says) {
				t.Errorf("no %q in %s", says, got)
			}
		}
	})
	t.Run("for a program is a list, and changes nothing", func(t *testing.T) {
		before := versions(t, env)
		var list []nodePlan
		out := mustRun(t, "plan", "--kubeconfig", kubeconfig, "-o", "json", "-f", edited(t, "maxConcurrentDownloads: 10", "maxConcurrentDownloads: 20"))
		if err := json.Unmarshal([]byte(out), &list); err != nil || list[0].Disruption.String() != "Reload" || list[0].Disturbs[0].Target.Name != "docker.service" {
			t.Errorf("%v\n%s", err, out)
		}
		if after := versions(t, env); after != before {
			t.Errorf("the cluster changed from %s to %s", before, after)
		}
	})
	t.Run("of a Secret that changed is a change, and of one that cannot be read it says so", func(t *testing.T) {
		cannotRead(t, env, kubeconfig)
	})
}

// versions are those of all NodeStates.
func versions(t *testing.T, env *testenv.Env) string {
	t.Helper()
	var list v1alpha1.NodeStateList
	if err := env.Client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range list.Items {
		all = append(all, list.Items[i].ResourceVersion)
	}
	return strings.Join(all, " ")
}

func cannotRead(t *testing.T, env *testenv.Env, kubeconfig string) {
	t.Helper()
	roles, err := rbac.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range roles {
		if role.GetName() == "seedbed-viewer" {
			create(t, env, role)
		}
	}
	// What the built-in role view has of its own, where a controller manager puts it together.
	create(t, env, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "test-revisions"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"controllerrevisions"}, Verbs: []string{"get"}}},
	})
	for _, role := range []string{"seedbed-viewer", "test-revisions"} {
		create(t, env, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "test-" + role}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "viewer"}},
		})
	}
	user, err := env.User("viewer")
	if err != nil {
		t.Fatal(err)
	}
	viewer := written(t, kubeconfigOf(t, user))
	got := said(mustRun(t, "plan", "--kubeconfig", viewer))["node-a, node-b"]
	if !strings.Contains(got, "Secret cluster-ca cannot be read") || strings.Contains(got, "content changed") {
		t.Errorf("a viewer sees %s", got)
	}
	login := `{"stringData":{".dockerconfigjson":"{\"auths\":{\"10.64.3.7:8000\":{\"auth\":\"eDp5\"}}}"}}`
	if out, err := env.Kubectl("patch", "secret", "-n", v1alpha1.Namespace, "registry-login", "-p", login); err != nil {
		t.Fatal(err, out)
	}
	if got := said(mustRun(t, "plan", "--kubeconfig", kubeconfig))["node-a, node-b"]; !strings.Contains(got, "content changed") {
		t.Errorf("a Secret changed, and the plan is %s", got)
	}
}
