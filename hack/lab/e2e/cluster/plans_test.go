package cluster

import (
	"bytes"
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/hack/lab"
)

// nothing is a change that changes nothing.
func nothing(*v1alpha1.NodeConfigSpec) {}

// planned is what `seedbed plan` says on a host about a change that has not been made.
func (c *cluster) planned(ctx context.Context, node string, change func(*v1alpha1.NodeConfigSpec)) string {
	GinkgoHelper()
	network, config := &v1alpha1.NetworkConfig{}, &v1alpha1.NodeConfig{}
	Expect(c.api.Get(ctx, client.ObjectKey{Name: "default"}, network)).To(Succeed())
	Expect(c.api.Get(ctx, client.ObjectKey{Name: "workers"}, config)).To(Succeed())
	change(&config.Spec)
	var files bytes.Buffer
	for kind, o := range map[string]client.Object{"NetworkConfig": network, "NodeConfig": config} {
		o.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
		content, err := yaml.Marshal(o)
		succeed(err)
		files.WriteString("---\n" + string(content))
	}
	var out, errors bytes.Buffer
	err := on.Run(ctx, lab.Command{
		On: node, Argv: []string{"/usr/local/bin/seedbed", "plan", "-f", "-", "--host-root", "/"},
		Stdin: &files, Stdout: &out, Stderr: &errors,
	})
	Expect(err).NotTo(HaveOccurred(), errors.String())
	return out.String()
}
