package controllers_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/config/admission"
	"seedbed.dev/seedbed/config/rbac"
	"seedbed.dev/seedbed/controllers/testenv"
)

// env is the real API server that all stories share. Each story leaves it empty (see clean).
var env *testenv.Env

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	SetDefaultConsistentlyDuration(700 * time.Millisecond)
	SetDefaultConsistentlyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Controllers")
}

var _ = BeforeSuite(func(ctx context.Context) {
	ctrl.SetLogger(GinkgoLogr)
	var err error
	// As a seed has it: what kubelets may do is not in roles.
	env, err = testenv.Start(testenv.Options{APIServerFlags: map[string]string{
		"authorization-mode": "Node,RBAC", "enable-admission-plugins": "NodeRestriction",
		"enable-bootstrap-token-auth": "true",
	}})
	if testing.Short() && errors.Is(err, testenv.ErrNoComponents) {
		Skip(err.Error())
	}
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
	roles, err := rbac.All()
	Expect(err).NotTo(HaveOccurred())
	policies, err := admission.All()
	Expect(err).NotTo(HaveOccurred())
	for _, object := range slices.Concat(roles, policies) {
		Expect(env.Client.Create(ctx, object)).To(Succeed())
	}
})

// name is the key of a cluster-scoped object.
func name(s string) client.ObjectKey { return client.ObjectKey{Name: s} }

// inSystem is the key of an object in seedbed-system.
func inSystem(s string) client.ObjectKey {
	return client.ObjectKey{Namespace: v1alpha1.Namespace, Name: s}
}
