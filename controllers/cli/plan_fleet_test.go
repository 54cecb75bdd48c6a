package cli

import (
	"context"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/schema"
)

// fleetCase is a cluster with a node that is at the guide's objects, and these as an edited file.
type fleetCase struct {
	files    schema.Objects
	config   *v1alpha1.NodeConfig
	network  *v1alpha1.NetworkConfig
	revision *appsv1.ControllerRevision
	node     *v1alpha1.NodeState
	// stored are all objects of the cluster by what they are called here; those of the guide are there.
	stored map[string]client.Object
	calls  interceptor.Funcs
	in     offlineInput
}

// guideFleet is one where before is part of the configuration already; it may be nil.
func guideFleet(t *testing.T, before func(*v1alpha1.NodeConfig, *v1alpha1.NetworkConfig)) *fleetCase {
	t.Helper()
	objects, err := loadObjects([]string{guide}, nil)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := loadFacts(nodeA)
	if err != nil {
		t.Fatal(err)
	}
	c := &fleetCase{stored: map[string]client.Object{}, config: &objects.NodeConfigs[0], network: &objects.NetworkConfigs[0]}
	if before != nil {
		before(c.config, c.network)
	}
	secrets := map[string]*corev1.Secret{}
	for i := range objects.Secrets {
		secrets[objects.Secrets[i].Name] = &objects.Secrets[i]
		c.stored[objects.Secrets[i].Name] = &objects.Secrets[i]
	}
	for ref, content := range resolvetest.Secrets(t) {
		if secrets[ref.Name] == nil {
			secrets[ref.Name] = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: ref.Name}, Data: map[string][]byte{}}
			c.stored[ref.Name] = secrets[ref.Name]
		}
		secrets[ref.Name].Data[ref.Key] = content.Reveal()
	}
	c.revision = revisionObject(t, *c.config, *c.network)
	c.stored["revision"] = c.revision
	c.node = &v1alpha1.NodeState{
		ObjectMeta: metav1.ObjectMeta{Name: "node-a", Labels: map[string]string{"role": "worker"}},
		Spec:       v1alpha1.NodeStateSpec{Config: c.config.Name, Revision: c.revision.Name},
		Status:     v1alpha1.NodeStateStatus{Facts: &facts, Revision: c.revision.Name},
	}
	for name := range secrets {
		// as the fake numbers what it is given
		c.node.Status.Secrets = append(c.node.Status.Secrets, v1alpha1.PinnedSecret{Name: name, ResourceVersion: "999"})
	}
	c.stored["node-a"] = c.node
	c.files = schema.Objects{NodeConfigs: objects.NodeConfigs, NetworkConfigs: objects.NetworkConfigs}
	return c
}

func revisionObject(t *testing.T, config v1alpha1.NodeConfig, network v1alpha1.NetworkConfig) *appsv1.ControllerRevision {
	t.Helper()
	data, name, err := revision.New(config.Spec, network.Spec).Encode(config.Name)
	if err != nil {
		t.Fatal(err)
	}
	return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: name}, Data: runtime.RawExtension{Raw: data}}
}

// plans are those of a user who may read all, by node.
func (c *fleetCase) plans(t *testing.T) map[string]nodePlan {
	t.Helper()
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(c.calls)
	for _, o := range c.stored {
		builder = builder.WithObjects(o.DeepCopyObject().(client.Object))
	}
	plans, err := c.in.planFleet(t.Context(), cluster{builder.Build(), "fake"}, c.files)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]nodePlan{}
	for _, p := range plans {
		for _, node := range p.Nodes {
			all[node] = p
		}
	}
	return all
}

// notes are those of a plan as one text.
func (v nodePlan) noted() string { return strings.Join(v.Notes, "\n") }

func TestANodeThatIsAtItsRevisionHasNothingToDo(t *testing.T) {
	if got := guideFleet(t, nil).plans(t)["node-a"]; len(got.Steps) > 0 || len(got.Notes) > 0 {
		t.Errorf("%s\n%s", got.Plan, got.noted())
	}
}

func TestAPlanIsThatOfTheWantedRevisionWhateverBecameOfTheOne(t *testing.T) {
	version := func(c *fleetCase, v string) {
		for i := range c.node.Status.Facts.Components {
			if k := &c.node.Status.Facts.Components[i]; k.Name == v1alpha1.ComponentKubelet || k.Name == v1alpha1.ComponentKubeProxy {
				k.Version = v
			}
		}
	}
	for name, c := range map[string]struct {
		before func(*v1alpha1.NodeConfig, *v1alpha1.NetworkConfig)
		do     func(*fleetCase)
		says   string
	}{
		"the kubelet was updated by hand, and the file says so now": {
			do: func(c *fleetCase) {
				version(c, "v1.38.0")
				c.config.Spec.Kubernetes.Version = "v1.38.0"
			},
			says: "does not go with what the machine is now: facts.components",
		},
		"the same where something is to be downloaded, so that part of the old revision can be realised": {
			before: func(c *v1alpha1.NodeConfig, _ *v1alpha1.NetworkConfig) {
				c.Spec.Binaries = []v1alpha1.Binary{{Path: "/usr/local/bin/mine", URL: "https://example.com/mine", SHA256: strings.Repeat("a1", 32)}}
			},
			do: func(c *fleetCase) {
				version(c, "v1.38.0")
				c.config.Spec.Kubernetes.Version = "v1.38.0"
			},
			says: "does not go with what the machine is now: facts.components",
		},
		"an interface was renamed, and the network follows": {
			before: func(_ *v1alpha1.NodeConfig, n *v1alpha1.NetworkConfig) {
				n.Spec.Interface = v1alpha1.InterfaceSelector{Name: new("old0")}
			},
			do:   func(c *fleetCase) { c.network.Spec.Interface.Name = new("eth4") },
			says: "does not go with what the machine is now: network.interface",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := guideFleet(t, c.before)
			c.do(fleet)
			got := fleet.plans(t)["node-a"]
			if len(got.Steps) < 10 || strings.Contains(got.noted(), "stays as it is") {
				t.Errorf("not planned: %s\n%s", got.Plan, got.noted())
			}
			for _, says := range []string{c.says, "compares with an empty host", "seedbed plan --host-root / does"} {
				if !strings.Contains(got.noted(), says) {
					t.Errorf("no %q in %s", says, got.noted())
				}
			}
		})
	}
}

// another adds a node with the labels and facts of the first one.
func (c *fleetCase) another(name string) *v1alpha1.NodeState {
	n := c.node.DeepCopy()
	n.Name = name
	c.stored[name] = n
	return n
}

func TestOneRevisionThatIsGoneKeepsNoOtherNodeFromBeingPlanned(t *testing.T) {
	for name, c := range map[string]struct {
		named func(*fleetCase) string
		says  string
	}{
		"deleted": {func(*fleetCase) string { return "workers-0123456789" }, "revision workers-0123456789, which it is at, is not stored any more"},
		"not one of Seedbed's, which a node says it is at": {func(c *fleetCase) string {
			other := c.revision.DeepCopy()
			other.Name, other.Data.Raw = "web-1", []byte(`{"spec":{"template":{}}}`)
			c.stored["web-1"] = other
			return "web-1"
		}, "revision web-1, which it is at, cannot be read: decode revision"},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := guideFleet(t, nil)
			fleet.another("node-b").Status.Revision = c.named(fleet)
			got := fleet.plans(t)
			if a := got["node-a"]; len(a.Steps) > 0 || len(a.Notes) > 0 {
				t.Errorf("node-a is at it: %s\n%s", a.Plan, a.noted())
			}
			if b := got["node-b"]; len(b.Steps) < 10 || !strings.Contains(b.noted(), c.says) || !strings.Contains(b.noted(), "compares with an empty host") {
				t.Errorf("%s\n%s", b.Plan, b.noted())
			}
		})
	}
}

func TestWhatTheManagerRefusesIsSaidOfEachNodeOfTheNodeConfig(t *testing.T) {
	fleet := guideFleet(t, nil)
	fresh := fleet.another("node-n")
	fresh.Spec, fresh.Status.Revision, fresh.Status.Secrets = v1alpha1.NodeStateSpec{}, "", nil
	fleet.another("other").Labels["role"] = "db"
	fleet.network.Spec.PodCIDR = "172.31.0.0/16"
	const refusal = "the manager will refuse it: NetworkConfig default would change podCIDR from 172.30.0.0/16 to 172.31.0.0/16 under node-a,"
	for _, named := range []string{"", "node-a", "node-n"} {
		fleet.in.nodeName = named
		for node, plan := range fleet.plans(t) {
			if strings.Contains(plan.noted(), refusal) != (node != "other") {
				t.Errorf("--node-name %q: %s: %s", named, node, plan.noted())
			}
		}
	}
}

func TestAnotherEtcdThanNodesHaveLeasesInIsLookedIntoFirst(t *testing.T) {
	fleet := guideFleet(t, nil)
	fleet.network.Spec.SubnetManager.Etcd.Endpoints = []v1alpha1.EtcdEndpoint{"https://10.64.3.200:2379"}
	const looks = "the manager looks into the other etcd first, and refuses it unless the nodes' leases are there"
	if got := fleet.plans(t)["node-a"].noted(); strings.Contains(got, looks) {
		t.Errorf("no node has a lease: %s", got)
	}
	meta.SetStatusCondition(&fleet.node.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionFlannelHealthy, Status: metav1.ConditionTrue, Reason: "Running"})
	if got := fleet.plans(t)["node-a"].noted(); !strings.Contains(got, looks) {
		t.Error(got)
	}
	fleet.network.Spec.AllowDisruptiveChange = true
	if got := fleet.plans(t)["node-a"].noted(); strings.Contains(got, looks) {
		t.Errorf("it was accepted: %s", got)
	}
}

func TestANetworkThatNodesAreAssignedAlreadyIsNotRefused(t *testing.T) {
	fleet := guideFleet(t, nil)
	fleet.network.Spec.PodCIDR = "172.31.0.0/16"
	next := revisionObject(t, *fleet.config, *fleet.network)
	fleet.stored["next"], fleet.node.Spec.Revision = next, next.Name
	if got := fleet.plans(t)["node-a"].noted(); strings.Contains(got, "refuse") || !strings.Contains(got, "it is on its way") {
		t.Error(got)
	}
}

func TestASecretThatIsNotThereIsNotOneThatCannotBeRead(t *testing.T) {
	forbidden := func(c *fleetCase, name string) {
		c.calls.Get = func(ctx context.Context, server client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if key.Name == name {
				return apierrors.NewForbidden(corev1.Resource("secrets"), name, nil)
			}
			return server.Get(ctx, key, o, opts...)
		}
	}
	refer := func(c *fleetCase, name, key string) {
		c.config.Spec.Docker.Registries[0].CASecretRef = &v1alpha1.SecretKeyReference{Name: name, Key: key}
	}
	authority := func(c *fleetCase) []byte { return c.stored["registry-ca"].(*corev1.Secret).Data["ca.crt"] }
	const refused, unread, stays = "the manager will refuse it: SecretNotFound: no Secret new in namespace seedbed-system", "cannot be read", "it cannot be brought there"
	for name, c := range map[string]struct {
		do   func(*fleetCase)
		says string
	}{
		"one that is not there is refused": {func(c *fleetCase) { refer(c, "new", "ca.crt") }, refused},
		"one in a file is there then": {func(c *fleetCase) {
			refer(c, "new", "ca.crt")
			c.files.Secrets = []corev1.Secret{*secretWith("new", "ca.crt", authority(c))}
		}, ""},
		"one in a file without the key is not enough": {func(c *fleetCase) {
			refer(c, "new", "ca.crt")
			c.files.Secrets = []corev1.Secret{*secretWith("new", "other", authority(c))}
		}, stays},
		"one without the key is not enough either": {func(c *fleetCase) { refer(c, "registry-ca", "other") }, stays},
		"one that may not be read may have it": {func(c *fleetCase) {
			refer(c, "registry-ca", "other")
			forbidden(c, "registry-ca")
		}, unread},
		"one that may not be read, with another key in a file": {func(c *fleetCase) {
			forbidden(c, "registry-ca")
			c.files.Secrets = []corev1.Secret{*secretWith("registry-ca", "other", authority(c))}
		}, unread},
		"one that may not be read, with the key in a file": {func(c *fleetCase) {
			forbidden(c, "registry-ca")
			c.files.Secrets = []corev1.Secret{*secretWith("registry-ca", "ca.crt", authority(c))}
		}, ""},
		"a whole one that may not be read, with its key in a file": {func(c *fleetCase) {
			forbidden(c, "registry-login")
			login := c.stored["registry-login"].(*corev1.Secret).Data[corev1.DockerConfigJsonKey]
			c.files.Secrets = []corev1.Secret{*secretWith("registry-login", corev1.DockerConfigJsonKey, login)}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := guideFleet(t, nil)
			c.do(fleet)
			got := fleet.plans(t)["node-a"].noted()
			for _, says := range []string{refused, unread, stays} {
				if strings.Contains(got, says) != (says == c.says) {
					t.Errorf("want %q: %s", c.says, got)
				}
			}
		})
	}
}

func secretWith(name, key string, content []byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: name}, Data: map[string][]byte{key: content}}
}

// byNodes has the Kubernetes subnet manager give out the network.
func byNodes(_ *v1alpha1.NodeConfig, n *v1alpha1.NetworkConfig) { n.Spec.SubnetManager = nil }

func (c *fleetCase) share(node, podCIDR string) {
	c.stored["Node "+node] = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: corev1.NodeSpec{PodCIDR: podCIDR}}
}

func TestAPodCIDRThatANodeCannotHaveIsSaidToHoldTheNodeBack(t *testing.T) {
	fleet := guideFleet(t, byNodes)
	fleet.share("node-a", "172.30.7.0/24")
	fleet.another("node-b")
	fleet.share("node-b", "172.31.7.0/24") // made anew already
	fleet.another("node-c")                // deleted
	fleet.network.Spec.PodCIDR, fleet.network.Spec.AllowDisruptiveChange = "172.31.0.0/16", true
	const held = "the manager holds it back: spec.podCIDR of Node node-a is outside podCIDR 172.31.0.0/16"
	for name, plan := range fleet.plans(t) {
		if got := strings.Contains(plan.noted(), held); got != (name == "node-a") || strings.Contains(plan.noted(), "refuse") {
			t.Errorf("%s: %s", name, plan.noted())
		}
		if got := plan.String(); !strings.Contains(got, "for which the Node has to be made anew with a spec.podCIDR in 172.31.0.0/16") {
			t.Errorf("%s: the plan does not say what the next lease takes: %s", name, got)
		}
	}
}

func TestAPodCIDRThatHasTheNodesShareHoldsNothingBack(t *testing.T) {
	fleet := guideFleet(t, byNodes)
	fleet.share("node-a", "172.30.7.0/24")
	fleet.network.Spec.PodCIDR, fleet.network.Spec.AllowDisruptiveChange = "172.16.0.0/12", true
	if got := fleet.plans(t)["node-a"]; strings.Contains(got.noted(), "holds it back") || strings.Contains(got.String(), "docker0") {
		t.Errorf("%s\n%s", got.Plan, got.noted())
	}
}
