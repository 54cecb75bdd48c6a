package v1alpha1_test

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// invalid is an object that must be refused.
type invalid struct {
	// reason the object is wrong.
	reason string
	// patch on the smallest valid object.
	patch string
	// field the error must name.
	field string
	// want is what the message must say: the value where it helps, and the cure.
	want string
}

var _ = Describe("An invalid object is refused, with field, value and cure, by the API server and offline alike", func() {
	for _, table := range []struct {
		kind, base string
		cases      []invalid
	}{
		{"NetworkConfig", networkConfig, invalidNetworks},
		{"NodeConfig", nodeConfig, slices.Concat(invalidNodes, invalidComponents, invalidHostThings, invalidInstalls)},
		{"NodeState", nodeState, invalidStates},
	} {
		Context(table.kind, func() {
			for _, c := range table.cases {
				It(c.reason, func(ctx SpecContext) {
					object := patched(table.base, c.patch)
					server := refusal(ctx, object)
					Expect(server).To(ContainElement(And(HavePrefix(c.field+": "), ContainSubstring(c.want))), "the API server")
					Expect(cmp.Diff(server, sorted(offline.Validate(object)))).To(BeEmpty(), "the API server (-) and the offline validator (+) differ")
				})
			}
		})
	}
})

// notChecked is a hint of the API server, not a violation.
const notChecked = "Invalid value: null: some validation rules were not checked"

// refusal returns why the API server refuses the object, as sorted lines "field: message".
func refusal(ctx context.Context, object *unstructured.Unstructured) []string {
	GinkgoHelper()
	var err error
	if _, found := object.Object["status"]; found {
		err = writeStatus(ctx, object)
	} else {
		err = env.Client.Create(ctx, object.DeepCopy(), client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
	}
	Expect(err).To(HaveOccurred(), "the API server takes the object")
	var status apierrors.APIStatus
	Expect(errors.As(err, &status)).To(BeTrue(), "%v", err)
	Expect(status.Status().Details).NotTo(BeNil(), "%v", err)
	var lines []string
	for _, cause := range status.Status().Details.Causes {
		if !strings.HasPrefix(cause.Message, notChecked) {
			lines = append(lines, cause.Field+": "+cause.Message)
		}
	}
	Expect(lines).NotTo(BeEmpty(), "%v", err)
	slices.Sort(lines)
	return lines
}

// writeStatus creates the object and writes its status, as an agent does.
func writeStatus(ctx context.Context, object *unstructured.Unstructured) error {
	GinkgoHelper()
	created := object.DeepCopy()
	delete(created.Object, "status")
	Expect(env.Client.Create(ctx, created)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, created)).To(Succeed()) })
	created.Object["status"] = object.Object["status"]
	return env.Client.Status().Update(ctx, created)
}

func sorted(errs field.ErrorList) []string {
	var lines []string
	for _, err := range errs {
		lines = append(lines, err.Field+": "+err.ErrorBody())
	}
	slices.Sort(lines)
	return lines
}
