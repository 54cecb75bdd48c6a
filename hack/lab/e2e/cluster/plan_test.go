package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/hack/lab"
)

// foreseen is what `seedbed plan` said on a node before anything was changed.
type foreseen struct {
	Revision   string `json:"revision"`
	Disruption string `json:"disruption"`
	Steps      []struct {
		Action     string `json:"action"`
		Target     string `json:"target"`
		Disruption string `json:"disruption"`
	} `json:"steps"`
}

// disturbed lists the units that the plan disturbs, without ".service".
func (f foreseen) disturbed() []string {
	var units []string
	for _, s := range f.Steps {
		name, isUnit := strings.CutPrefix(s.Target, "unit ")
		if isUnit && s.Disruption != "None" {
			units = append(units, strings.TrimSuffix(name, ".service"))
		}
	}
	slices.Sort(units)
	return units
}

// plan asks a node what a change of the NodeConfig would do there, as its user can: with the objects as he
// would apply them, on standard input.
func (c *cluster) plan(ctx context.Context, node string, change func(*v1alpha1.NodeConfigSpec)) foreseen {
	GinkgoHelper()
	config, network := &v1alpha1.NodeConfig{}, &v1alpha1.NetworkConfig{}
	Expect(c.api.Get(ctx, client.ObjectKey{Name: "workers"}, config)).To(Succeed())
	Expect(c.api.Get(ctx, client.ObjectKey{Name: "default"}, network)).To(Succeed())
	change(&config.Spec)
	var objects bytes.Buffer
	for _, o := range []runtime.Object{
		&v1alpha1.NodeConfig{TypeMeta: typeMeta("NodeConfig"), ObjectMeta: metav1.ObjectMeta{Name: "workers"}, Spec: config.Spec},
		&v1alpha1.NetworkConfig{TypeMeta: typeMeta("NetworkConfig"), ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: network.Spec},
	} {
		text, err := yaml.Marshal(o)
		Expect(err).NotTo(HaveOccurred())
		objects.WriteString("---\n")
		objects.Write(text)
	}
	var out, problems bytes.Buffer
	err := on.Run(ctx, lab.Command{
		On: node, Argv: []string{"seedbed", "plan", "-f", "-", "--host-root", "/", "-o", "json"},
		Stdin: &objects, Stdout: &out, Stderr: &problems,
	})
	Expect(err).NotTo(HaveOccurred(), problems.String())
	var found foreseen
	Expect(json.Unmarshal(out.Bytes(), &found)).To(Succeed(), out.String())
	return found
}

// came says whether what a node did last is what its plan had foreseen.
func (c *cluster) came(ctx context.Context, node string, plan foreseen) {
	GinkgoHelper()
	state := c.state(ctx, node)
	Expect(state.Spec.Revision).To(Equal(plan.Revision))
	Expect(string(state.Status.Apply.Disruption)).To(Equal(plan.Disruption))
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
}
