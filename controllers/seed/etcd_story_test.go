package seed_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/seed"
	"seedbed.dev/seedbed/controllers/seed/pki"
)

// One seed lives through the whole story, so the order of its parts counts.
var _ = Describe("The etcd of a seed", Ordered, func() {
	const prefix = "/kube-centos/network"
	var (
		layout        seed.Layout
		o             seed.Options
		p             *process
		admin         client.Client
		root, flannel *clientv3.Client
	)
	connect := func(pair string) *clientv3.Client {
		GinkgoHelper()
		return etcdClient(fmt.Sprintf("https://127.0.0.1:%d", o.FlannelEtcdPort), layout.PKI(), pair)
	}
	BeforeAll(func() {
		layout = seed.Layout{Root: filepath.Join(GinkgoT().TempDir(), "data")}
		o = options(layout.Root)
		o.FlannelEtcdPort, o.FlannelPrefixes = freePort(), []string{prefix}
		p = startReady(o)
		admin = as(layout.Kubeconfig("admin"))
		root, flannel = connect("etcd/apiserver-client"), connect("etcd/flannel-client")
	})
	AfterEach(func() {
		if p != nil && CurrentSpecReport().Failed() {
			AddReportEntry("output of the seed", string(p.out.Contents())+string(p.err.Contents()))
		}
	})

	It("is where nodes reach it, and its certificate for flannel is in a Secret", func(ctx SpecContext) {
		Expect(p.out.Contents()).To(ContainSubstring(fmt.Sprintf(
			"flannel's etcd:  https://127.0.0.1:%d, prefix %s, with the certificate in Secret seedbed-system/flannel-etcd", o.FlannelEtcdPort, prefix)))
		secret := &corev1.Secret{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: v1alpha1.FlannelEtcdSecret}, secret)).To(Succeed())
		for key, path := range map[string]string{
			"ca.crt": layout.PKI().CertFile("etcd/ca"), "tls.crt": layout.PKI().CertFile("etcd/flannel-client"), "tls.key": layout.PKI().KeyFile("etcd/flannel-client"),
		} {
			Expect(os.ReadFile(path)).To(Equal(secret.Data[key]), key)
		}
		Expect(secret.Data).To(HaveLen(3))
	}, SpecTimeout(soon))

	It("lets flannel do what flanneld does", func(ctx SpecContext) {
		_, err := flannel.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(prefix+"/config"), "=", 0)).
			Then(clientv3.OpPut(prefix+"/config", `{"Network":"172.30.0.0/16"}`)).Commit()
		Expect(err).NotTo(HaveOccurred())
		config, err := flannel.Get(ctx, prefix+"/config")
		Expect(err).NotTo(HaveOccurred())
		Expect(config.Kvs).To(HaveLen(1))

		changes := flannel.Watch(clientv3.WithRequireLeader(ctx), prefix+"/subnets", clientv3.WithPrefix(), clientv3.WithRev(config.Header.Revision+1))
		lease, err := flannel.Grant(ctx, 3600)
		Expect(err).NotTo(HaveOccurred())
		key := prefix + "/subnets/172.30.38.0-24"
		put, err := flannel.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), "=", 0)).
			Then(clientv3.OpPut(key, `{"PublicIP":"10.64.3.8"}`, clientv3.WithLease(lease.ID))).Commit()
		Expect(err).NotTo(HaveOccurred())
		Expect(put.Succeeded).To(BeTrue())
		subnets, err := flannel.Get(ctx, prefix+"/subnets", clientv3.WithPrefix())
		Expect(err).NotTo(HaveOccurred())
		Expect(subnets.Kvs).To(HaveLen(1))
		left, err := flannel.TimeToLive(ctx, clientv3.LeaseID(subnets.Kvs[0].Lease))
		Expect(err).NotTo(HaveOccurred())
		Expect(left.TTL).To(BeNumerically(">", 3000))
		var seen clientv3.WatchResponse
		Eventually(changes).Should(Receive(&seen))
		Expect(seen.Err()).NotTo(HaveOccurred())
		Expect(string(seen.Events[0].Kv.Key)).To(Equal(key))
		_, err = flannel.Revoke(ctx, lease.ID)
		Expect(err).NotTo(HaveOccurred())
		Eventually(changes).Should(Receive(&seen))
		Expect(seen.Events[0].Type).To(Equal(clientv3.EventTypeDelete))
	}, SpecTimeout(soon))

	It("shows flannel nothing of the cluster, and lets it change nothing there", func(ctx SpecContext) {
		secrets, err := root.Get(ctx, "/registry/secrets/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
		Expect(err).NotTo(HaveOccurred())
		Expect(secrets.Kvs).NotTo(BeEmpty(), "there is something to be protected")
		foreign := string(secrets.Kvs[0].Key)
		leases, err := root.Leases(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(leases.Leases).NotTo(BeEmpty(), "kube-apiserver has leases of its own")
		outcomes := map[string]string{}
		for what, try := range etcdIntrusions(ctx, flannel, foreign, prefix, leases.Leases[0].ID) {
			outcomes[what] = fmt.Sprint(try())
		}
		Expect(outcomes).To(HaveEach(ContainSubstring("permission denied")))
		watch, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		for response := range flannel.Watch(watch, "/registry/", clientv3.WithPrefix()) {
			Expect(response.Err()).To(MatchError(ContainSubstring("permission denied")))
			Expect(response.Events).To(BeEmpty())
		}
		Expect(watch.Err()).NotTo(HaveOccurred(), "etcd refused, and the watch did not just stay empty")
	}, SpecTimeout(soon))

	It("lets nobody in whom it does not know, though its authority signed for them", func(ctx SpecContext) {
		authority, err := layout.PKI().LoadAuthority("etcd/ca", time.Now())
		Expect(err).NotTo(HaveOccurred())
		_, _, err = layout.PKI().EnsurePair("etcd/stranger", authority, pki.Spec{CommonName: "stranger", Usage: pki.Client}, time.Now())
		Expect(err).NotTo(HaveOccurred())
		_, err = connect("etcd/stranger").Get(ctx, prefix+"/config")
		Expect(err).To(MatchError(ContainSubstring("permission denied")))
	}, SpecTimeout(soon))

	It("holds out under load and when it dies", func(ctx SpecContext) {
		var wait sync.WaitGroup
		load, stop := context.WithCancel(ctx)
		refused := make(chan error, 100)
		for w := range 4 {
			wait.Go(func() { hammer(load, admin, fmt.Sprintf("load-%d", w), refused) })
		}
		time.Sleep(3 * time.Second)
		now, err := root.Get(ctx, "nothing")
		Expect(err).NotTo(HaveOccurred())
		_, err = root.Compact(ctx, now.Header.Revision-10)
		Expect(err).NotTo(HaveOccurred())
		Expect(syscall.Kill(p.children()["etcd"], syscall.SIGKILL)).To(Succeed())
		Eventually(p.exitedOr(p.out), soon).Should(gbytes.Say(`etcd answers again`))
		time.Sleep(3 * time.Second)
		stop()
		wait.Wait()
		close(refused)
		for err := range refused {
			Expect(err.Error()).NotTo(SatisfyAny(ContainSubstring("permission denied"), ContainSubstring("auth")))
		}
		Expect(admin.Create(ctx, network("after", "172.28.0.0/16"))).To(Succeed())
		_, err = flannel.Get(ctx, "/registry/", clientv3.WithPrefix())
		Expect(err).To(MatchError(ContainSubstring("permission denied")), "authentication is on after a crash, too")
	}, SpecTimeout(soon))

	It("changes nothing at the next start, and lets flannel into other prefixes at one that says so", func(ctx SpecContext) {
		p.stop()
		p = startReady(o)
		Expect(p.out.Contents()).NotTo(ContainSubstring("etcd lets in"))
		p.stop()
		o.FlannelPrefixes = []string{"/atomic.io/network"}
		p = startReady(o)
		Expect(p.out.Contents()).To(ContainSubstring("role flannel is no longer let into /kube-centos/network/, role flannel is let into /atomic.io/network/"))
		Eventually(func() error { _, err := flannel.Get(ctx, prefix+"/config"); return err }).Should(MatchError(ContainSubstring("permission denied")))
		_, err := flannel.Get(ctx, "/atomic.io/network/config")
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(soon))

	It("is guarded at the next start where an older seed did not", func(ctx SpecContext) {
		_, err := root.AuthDisable(ctx)
		Expect(err).NotTo(HaveOccurred())
		for _, user := range []string{"flannel", "kube-apiserver", "root"} {
			_, err := root.UserDelete(ctx, user)
			Expect(err).NotTo(HaveOccurred())
		}
		_, err = root.RoleDelete(ctx, "flannel")
		Expect(err).NotTo(HaveOccurred())
		_, err = flannel.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		Expect(err).NotTo(HaveOccurred(), "this etcd is open now")
		p.stop()
		p = startReady(o)
		Expect(p.out.Contents()).To(ContainSubstring("authentication is on"))
		_, err = flannel.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		Expect(err).To(MatchError(ContainSubstring("permission denied")))
		Expect(admin.Get(ctx, client.ObjectKey{Name: "after"}, &v1alpha1.NetworkConfig{})).To(Succeed())
		p.stop()
	}, SpecTimeout(soon))
})

// etcdIntrusions are what a node's certificate must not be able to do, by what it would be.
func etcdIntrusions(ctx context.Context, c *clientv3.Client, foreign, prefix string, lease clientv3.LeaseID) map[string]func() error {
	return map[string]func() error{
		"read a Secret": func() error { _, err := c.Get(ctx, foreign); return err },
		"count Secrets": func() error {
			_, err := c.Get(ctx, "/registry/secrets/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			return err
		},
		"read all keys":                func() error { _, err := c.Get(ctx, "", clientv3.WithPrefix()); return err },
		"read from its prefix onwards": func() error { _, err := c.Get(ctx, prefix+"/", clientv3.WithFromKey()); return err },
		"read another's prefix":        func() error { _, err := c.Get(ctx, prefix+"-2/config"); return err },
		"write a Secret":               func() error { _, err := c.Put(ctx, foreign, ""); return err },
		"delete a Secret":              func() error { _, err := c.Delete(ctx, foreign); return err },
		"write outside of everything":  func() error { _, err := c.Put(ctx, "/anything", ""); return err },
		"read in a transaction": func() error {
			_, err := c.Txn(ctx).Then(clientv3.OpGet(foreign)).Commit()
			return err
		},
		"guess in a transaction": func() error {
			_, err := c.Txn(ctx).If(clientv3.Compare(clientv3.Value(foreign), ">", "a")).Then(clientv3.OpGet(prefix + "/config")).Commit()
			return err
		},
		"end kube-apiserver's leases": func() error { _, err := c.Revoke(ctx, lease); return err },
		"see which keys they hold":    func() error { _, err := c.TimeToLive(ctx, lease, clientv3.WithAttachedKeys()); return err },
		"copy the database": func() error {
			r, err := c.Snapshot(ctx)
			if err == nil {
				_, err = r.Read(make([]byte, 1))
			}
			return err
		},
		"turn authentication off": func() error { _, err := c.AuthDisable(ctx); return err },
		"make itself root":        func() error { _, err := c.UserGrantRole(ctx, "flannel", "root"); return err },
		"add a user":              func() error { _, err := c.UserAdd(ctx, "intruder", "password"); return err },
		"widen its role": func() error {
			_, err := c.RoleGrantPermission(ctx, "flannel", "", "\x00", clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		"add a member":      func() error { _, err := c.MemberAdd(ctx, []string{"http://127.0.0.1:1"}); return err },
		"raise an alarm":    func() error { _, err := c.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: 1, Alarm: 1}); return err },
		"compact":           func() error { _, err := c.Compact(ctx, 2); return err },
		"defragment":        func() error { _, err := c.Defragment(ctx, c.Endpoints()[0]); return err },
		"hash the contents": func() error { _, err := c.HashKV(ctx, c.Endpoints()[0], 0); return err },
	}
}

// hammer writes, reads and deletes until ctx ends, and hands over what failed.
func hammer(ctx context.Context, c client.Client, name string, failed chan<- error) {
	for ctx.Err() == nil {
		config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"x": strings.Repeat("x", 1000)}}
		event := &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: "default", GenerateName: name},
			InvolvedObject: corev1.ObjectReference{Kind: "ConfigMap", Namespace: "default", Name: name},
		}
		for _, err := range []error{c.Create(ctx, config), c.Create(ctx, event), c.List(ctx, &corev1.SecretList{}), c.Delete(ctx, config)} {
			if err == nil || ctx.Err() != nil {
				continue
			}
			select {
			case failed <- err:
			default:
			}
		}
	}
}

// etcdClient connects with one of the seed's certificates.
func etcdClient(endpoint string, store pki.Store, pair string) *clientv3.Client {
	GinkgoHelper()
	tlsConfig, err := transport.TLSInfo{
		TrustedCAFile: store.CertFile("etcd/ca"), CertFile: store.CertFile(pair), KeyFile: store.KeyFile(pair),
	}.ClientConfig()
	Expect(err).NotTo(HaveOccurred())
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: tlsConfig, Logger: zap.NewNop()})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(c.Close)
	return c
}
