package controllers_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden lists of what each identity may do")

// The whole of what each identity may do, so that a right more or less is seen in review. What
// config/admission takes back is not in it, nor what kubelets may, which Kubernetes' own node
// authorizer decides without roles.
var _ = Describe("What each identity may do", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("is what the golden lists say", func(ctx context.Context) {
		startManager()
		createSecret(ctx)
		create(ctx, network(), workers())
		registerWorkers(ctx, "node-a")
		revision := assigned(ctx, "node-a")["node-a"]
		mayReadAssigned := func() bool {
			return slices.ContainsFunc(mayDo(ctx, agentClient("node-a")), func(s string) bool { return strings.Contains(s, revision) })
		}
		Eventually(mayReadAssigned).Should(BeTrue())
		for _, who := range []struct{ file, user, group string }{
			{"node", v1alpha1.NodeUser("node-a"), v1alpha1.NodesGroup},
			{"kube-proxy", v1alpha1.KubeProxyUser("node-a"), v1alpha1.KubeProxiesGroup},
			{"flannel", v1alpha1.FlannelUser("node-a"), v1alpha1.FlannelsGroup},
			{"bootstrap-token", v1alpha1.BootstrapUser(joinToken), v1alpha1.BootstrapGroup},
			{"manager", v1alpha1.ManagerUser, "system:authenticated"},
		} {
			golden := filepath.Join("testdata", "identities", who.file+".txt")
			got := strings.ReplaceAll(canI(ctx, who.user, who.group), revision, "REVISION")
			if *update {
				Expect(os.MkdirAll(filepath.Dir(golden), 0o750)).To(Succeed())
				Expect(os.WriteFile(golden, []byte(got), 0o600)).To(Succeed())
			}
			want, err := os.ReadFile(golden)
			Expect(err).NotTo(HaveOccurred())
			Expect(cmp.Diff(string(want), got)).To(BeEmpty(), "%s: if this is meant, run the test with -update", golden)
		}
	})
})

// canI is what `kubectl auth can-i --list` asks for, in the namespaces where Seedbed has roles, in an
// order of its own: kubectl's is that in which the API server comes across the roles.
func canI(ctx context.Context, user, group string) string {
	GinkgoHelper()
	c := userClient(user, group)
	var out strings.Builder
	for _, namespace := range []string{v1alpha1.Namespace, metav1.NamespaceDefault, metav1.NamespacePublic} {
		review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
		Expect(c.Create(ctx, review)).To(Succeed())
		fmt.Fprintf(&out, "# %s in namespace %s\n", user, namespace)
		for _, line := range rights(review.Status) {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// rights are the rules, one line for each resource and path, sorted.
func rights(status authorizationv1.SubjectRulesReviewStatus) []string {
	verbs := map[string][]string{}
	for _, r := range status.ResourceRules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				what := strings.TrimSuffix(resource+"."+group, ".")
				if len(r.ResourceNames) > 0 {
					what += " " + strings.Join(r.ResourceNames, ",")
				}
				verbs[what] = append(verbs[what], r.Verbs...)
			}
		}
	}
	for _, r := range status.NonResourceRules {
		for _, path := range r.NonResourceURLs {
			verbs[path] = append(verbs[path], r.Verbs...)
		}
	}
	var lines []string
	for what, can := range verbs {
		slices.Sort(can)
		lines = append(lines, what+": "+strings.Join(slices.Compact(can), " "))
	}
	slices.Sort(lines)
	return lines
}
