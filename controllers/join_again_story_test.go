package controllers_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
)

var _ = Describe("A node that joins again", func() {
	var m *member
	BeforeEach(func(ctx context.Context) {
		DeferCleanup(clean)
		startManager()
		startSigner(time.Hour)
		createRealSecret(ctx)
		create(ctx, network(), workers())
		offerJoining(ctx, approve.Scope{Labels: worker(), Nodes: []string{"node-a"}})
		m = newMember()
		m.follow("node-a")
		m.join(ctx)
		nodeSays(ctx, "node-a", v1alpha1.ConditionPrepared, v1alpha1.ReasonSucceeded, "")
	})

	It("keeps what its agent did, also when its first join was cut off before it could note that it had joined", func(ctx context.Context) {
		record := string(m.fake.Store("join.json"))
		m.fake.PutStore("join.json", []byte(strings.Replace(record, `"joined": true`, `"joined": false`, 1)))
		Expect(string(m.fake.Store("join.json"))).NotTo(Equal(record))
		Expect(m.node.Host.Units.Do(ctx, resolve.UnitAgent, host.Stop)).To(Succeed())
		jobs := len(m.fake.Jobs(resolve.UnitKubelet))
		m.join(ctx)
		Expect(m.fake.Jobs(resolve.UnitKubelet)).To(HaveLen(jobs), "the kubelet was touched")
		Expect(string(m.fake.Store("join.json"))).To(Equal(record))
	})

	It("gets a NodeState again when its own was deleted, and goes on as it is", func(ctx context.Context) {
		jobs, gone := len(m.fake.Jobs(resolve.UnitKubelet)), nodeState(ctx, "node-a")
		Expect(env.Client.Delete(ctx, gone)).To(Succeed())
		m.join(ctx)
		Expect(nodeState(ctx, "node-a").UID).NotTo(Equal(gone.UID))
		Expect(nodeState(ctx, "node-a").Labels).To(Equal(worker()))
		nodeSays(ctx, "node-a", v1alpha1.ConditionPrepared, v1alpha1.ReasonSucceeded, "")
		Expect(m.fake.Jobs(resolve.UnitKubelet)).To(HaveLen(jobs), "the kubelet was touched")
	})
})

// join joins within the time that a story has.
func (m *member) join(ctx context.Context) {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	Expect(m.node.Join(ctx, joinRequest("node-a"))).To(Succeed())
}
