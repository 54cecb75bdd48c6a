package rollout

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func TestPublication(t *testing.T) {
	const (
		key    = "/coreos.com/network/config"
		config = `{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1}}`
		other  = `{"Network":"172.31.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1}}`
		vni    = `{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":2}}`
		port   = `{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","Port":4789}}`
		mtu    = `{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1,"Port":8472,"MTU":1400}}`
	)
	last := func(config string) func(*Publication) {
		return func(p *Publication) { p.Last = &v1alpha1.PublishedNetwork{Key: key, Config: config} }
	}
	held := func(config string) func(*Publication) {
		return func(p *Publication) { p.Held, p.Exists = config, true }
	}
	leases := func(n int) func(*Publication) { return func(p *Publication) { p.Leases = n } }
	elsewhere := func(p *Publication) {
		p.Last = &v1alpha1.PublishedNetwork{Key: "/kube-centos/network/config", Config: config}
	}
	allow := func(p *Publication) { p.AllowDisruptiveChange = true }
	// lastAt is what was published at other endpoints, in a cluster, when nodes had leases there.
	lastAt := func(config, cluster string, before int, endpoints ...string) func(*Publication) {
		return func(p *Publication) {
			p.Last = &v1alpha1.PublishedNetwork{Key: key, Config: config, Endpoints: endpoints, ClusterID: cluster}
			p.Before = before
		}
	}
	ours := func(n int) func(*Publication) { return func(p *Publication) { p.Leases, p.Ours = n, n } }
	const (
		a, b, c     = "https://10.64.3.1:2379", "https://10.64.3.2:2379", "https://10.64.3.7:2379" // c is the wanted one
		one, two    = "cdf818194e3a8c32", "1"
		toAnother   = "would change subnetManager.etcd.endpoints from https://10.64.3.1:2379 to https://10.64.3.7:2379, another etcd, under 3 leases that it does not have: nodes keep what they have; first move the members of the old etcd there, or restore its snapshot there; or take the change back; or set allowDisruptiveChange: true to accept that nodes that have moved and nodes that have not do not learn of each other, and one that boots or joins meanwhile may get another's subnet"
		withCluster = "to https://10.64.3.7:2379, another etcd (cluster cdf818194e3a8c32, and 1 before), under 1 lease"
	)
	for _, tc := range []struct {
		reason  string
		changes []func(*Publication)
		write   string
		want    string // reason of Published
		message string
	}{
		{"the first time", nil, config, v1alpha1.ReasonProgressing, "writing " + key},
		{"as it should be", []func(*Publication){held(config), last(config), leases(3)}, "", v1alpha1.ReasonSucceeded, key + " holds the network in etcd at https://10.64.3.7:2379"},
		{"over http", []func(*Publication){held(config), func(p *Publication) { p.Endpoints = []string{"http://10.64.3.7:2379"} }}, "", v1alpha1.ReasonEtcdInsecure, "SB021"},
		{"not looked at yet", []func(*Publication){func(p *Publication) { p.Known = false }}, "", v1alpha1.ReasonProgressing, "connecting to https://10.64.3.7:2379"},
		{"etcd is away", []func(*Publication){held(other), func(p *Publication) { p.Trouble = &Stall{v1alpha1.ReasonEtcdUnreachable, "no answer"} }}, "", v1alpha1.ReasonEtcdUnreachable, "no answer"},
		{"deleted by somebody, under leases", []func(*Publication){last(config), leases(3)}, config, v1alpha1.ReasonProgressing, ""},
		{"changed by somebody, under leases", []func(*Publication){held(other), last(config), leases(3)}, config, v1alpha1.ReasonProgressing, ""},
		{"the guide's own value is there", []func(*Publication){held(`{"Network": "172.30.0.0/16", "SubnetLen": 24, "Backend": {"Type": "vxlan"}}`), leases(3)}, config, v1alpha1.ReasonProgressing, ""},
		{"another network was there before us", []func(*Publication){held(other), leases(3)}, "", v1alpha1.ReasonNetworkChanged, "would change podCIDR from 172.31.0.0/16 to 172.30.0.0/16 under 3 leases"},
		{"flannel's own defaults were there", []func(*Publication){held(`{"Network":"172.30.0.0/16"}`), leases(1)}, "", v1alpha1.ReasonNetworkChanged, "backend.type from udp to vxlan under 1 lease:"},
		{"nonsense was there before us", []func(*Publication){held(`x`), leases(3)}, config, v1alpha1.ReasonProgressing, ""},
		{"another network, and nobody has a lease", []func(*Publication){held(other), last(other)}, config, v1alpha1.ReasonProgressing, ""},
		{"the user changed it under leases", []func(*Publication){held(other), last(other), leases(2)}, "", v1alpha1.ReasonNetworkChanged, "set allowDisruptiveChange: true"},
		{"the user changed it and accepts it", []func(*Publication){held(other), last(other), leases(2), allow}, config, v1alpha1.ReasonProgressing, ""},
		{"the VNI, which parts nodes", []func(*Publication){held(vni), last(vni), leases(2)}, "", v1alpha1.ReasonNetworkChanged, "would change backend.vxlan.vni from 2 to 1 under 2 leases: nodes keep what they have; take the change back, or set allowDisruptiveChange: true"},
		{"the VNI, accepted", []func(*Publication){held(vni), last(vni), leases(2), allow}, config, v1alpha1.ReasonProgressing, ""},
		{"the VNI without leases", []func(*Publication){held(vni), last(vni)}, config, v1alpha1.ReasonProgressing, ""},
		{"the VXLAN port", []func(*Publication){held(port), last(port), leases(2)}, "", v1alpha1.ReasonNetworkChanged, "would change backend.vxlan.port from 4789 to 8472"},
		{"what interrupts nobody", []func(*Publication){held(mtu), last(mtu), leases(2)}, config, v1alpha1.ReasonProgressing, ""},
		{"refused, and deleted by somebody", []func(*Publication){last(other), leases(2)}, other, v1alpha1.ReasonNetworkChanged, ""},
		{"the prefix under leases", []func(*Publication){elsewhere, held(config), leases(2)}, "", v1alpha1.ReasonNetworkChanged, "subnetManager.etcd.prefix from /kube-centos/network to /coreos.com/network under 2 leases"},
		{"the prefix without leases", []func(*Publication){elsewhere}, config, v1alpha1.ReasonProgressing, ""},
		{"another etcd, empty, of the same cluster ID, as all that are started with defaults", []func(*Publication){lastAt(config, one, 3, a)}, "", v1alpha1.ReasonNetworkChanged, toAnother},
		{"another etcd, empty, of another cluster ID", []func(*Publication){lastAt(config, two, 1, a)}, "", v1alpha1.ReasonNetworkChanged, withCluster},
		{"another etcd, where somebody wrote the configuration as the guide does", []func(*Publication){lastAt(config, one, 3, a), held(config)}, "", v1alpha1.ReasonNetworkChanged, toAnother},
		{"another etcd with leases of machines that are not ours", []func(*Publication){lastAt(config, one, 3, a), held(config), leases(2)}, "", v1alpha1.ReasonNetworkChanged, toAnother},
		{"another etcd, accepted", []func(*Publication){lastAt(config, two, 3, a), allow}, config, v1alpha1.ReasonProgressing, ""},
		{"another etcd, and no node had a lease in the one before", []func(*Publication){lastAt(config, two, 0, a)}, config, v1alpha1.ReasonProgressing, ""},
		{"other endpoints of one etcd", []func(*Publication){lastAt(config, one, 3, a, b), held(config), ours(3)}, "", v1alpha1.ReasonSucceeded, ""},
		{"restored from a snapshot on other machines, as another cluster", []func(*Publication){lastAt(config, two, 3, a), held(config), ours(3)}, "", v1alpha1.ReasonSucceeded, ""},
		{"restored with the configuration of then", []func(*Publication){lastAt(config, two, 3, a), held(mtu), ours(2)}, config, v1alpha1.ReasonProgressing, ""},
		{"another etcd with another network and its leases, and no node had one", []func(*Publication){lastAt(config, two, 0, a), held(other), leases(2)}, "", v1alpha1.ReasonNetworkChanged, "would change podCIDR from 172.31.0.0/16 to 172.30.0.0/16 under 2 leases"},
		{"a restored etcd, and another network with it: the old network is not written there", []func(*Publication){lastAt(other, two, 2, a), held(mtu), ours(2)}, "", v1alpha1.ReasonNetworkChanged, "would change podCIDR"},
		{"members replaced one by one, of which one stays", []func(*Publication){lastAt(config, one, 3, a, c)}, config, v1alpha1.ReasonProgressing, ""},
		{"one endpoint stays, and another cluster answers", []func(*Publication){lastAt(config, two, 1, a, c)}, "", v1alpha1.ReasonNetworkChanged, "(cluster cdf818194e3a8c32, and 1 before), under 1 lease"},
		{"rebuilt at its place without its data", []func(*Publication){lastAt(config, one, 3, c)}, config, v1alpha1.ReasonProgressing, ""},
		{"rebuilt at its place with other members", []func(*Publication){lastAt(config, two, 3, c)}, config, v1alpha1.ReasonProgressing, ""},
		{"published by a release that took no note of endpoints", []func(*Publication){lastAt(config, "", 3)}, config, v1alpha1.ReasonProgressing, ""},
		{"the prefix, accepted", []func(*Publication){elsewhere, leases(2), allow}, config, v1alpha1.ReasonProgressing, ""},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			p := Publication{Generation: 7, Endpoints: []string{c}, ClusterID: one, Key: key, Want: config, Known: true}
			for _, change := range tc.changes {
				change(&p)
			}
			write, condition := p.Decide()
			got := ""
			if write != nil {
				got = write.Config
			}
			if got != tc.write || condition.Reason != tc.want || !strings.Contains(condition.Message, tc.message) {
				t.Errorf("writes %q and says %s: %s", got, condition.Reason, condition.Message)
			}
			isTrue := tc.want == v1alpha1.ReasonSucceeded || tc.want == v1alpha1.ReasonEtcdInsecure
			if condition.Type != v1alpha1.ConditionPublished || condition.ObservedGeneration != 7 || (condition.Status == metav1.ConditionTrue) != isTrue {
				t.Errorf("got %+v", condition)
			}
		})
	}
}

func TestNodesAreToldOfAChangeAfterEtcdIs(t *testing.T) {
	const key = "/coreos.com/network/config"
	published := func(config string, conditions ...metav1.Condition) *v1alpha1.NetworkConfig {
		n := &v1alpha1.NetworkConfig{}
		n.Name, n.Generation = "default", 2
		n.Status.Conditions = conditions
		if config != "" {
			n.Status.Published = &v1alpha1.PublishedNetwork{Key: key, Config: config, Endpoints: []string{"https://a:2379", "https://b:2379"}}
		}
		return n
	}
	refused := metav1.Condition{Type: v1alpha1.ConditionPublished, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNetworkChanged, Message: "would change podCIDR", ObservedGeneration: 2}
	rival := refused
	rival.Reason = v1alpha1.ReasonPrefixConflict
	old := refused
	old.ObservedGeneration = 1
	for _, tc := range []struct {
		reason        string
		network       *v1alpha1.NetworkConfig
		stalls, waits bool
	}{
		{"never published: flanneld waits itself", published(""), false, false},
		{"published", published("new"), false, false},
		{"not published yet", published("old"), false, true},
		{"refused", published("old", refused), true, false},
		{"another NetworkConfig has the key", published("", rival), true, false},
		{"refused before, changed since", published("old", old), false, true},
	} {
		want := v1alpha1.PublishedNetwork{Key: key, Config: "new", Endpoints: []string{"https://b:2379", "https://a:2379"}}
		stall, wait := Unpublished(tc.network, want)
		if (stall != nil) != tc.stalls || (wait != "") != tc.waits {
			t.Errorf("%s: stall %v, wait %q", tc.reason, stall, wait)
		}
	}
	if _, wait := Unpublished(published("new"), v1alpha1.PublishedNetwork{Key: "/kube-centos/network/config", Config: "new"}); wait == "" {
		t.Error("another prefix is not waited for")
	}
	elsewhere := v1alpha1.PublishedNetwork{Key: key, Config: "new", Endpoints: []string{"https://c:2379"}}
	if _, wait := Unpublished(published("new"), elsewhere); wait == "" {
		t.Error("another etcd is not waited for")
	}
	before := published("new")
	before.Status.Published.Endpoints = nil
	if _, wait := Unpublished(before, elsewhere); wait != "" {
		t.Error("what a release published that took no note of endpoints is waited for:", wait)
	}
}

func TestANetworkThatIsNotPublishedIsNotReady(t *testing.T) {
	condition := func(status metav1.ConditionStatus, reason string) *metav1.Condition {
		return &metav1.Condition{Type: v1alpha1.ConditionPublished, Status: status, Reason: reason, Message: "because", ObservedGeneration: 3}
	}
	for _, tc := range []struct {
		reason    string
		published *metav1.Condition
		want      string // the conditions in order, with their reasons
	}{
		{"nothing is to be published", nil, "Ready=False NoNodes"},
		{"published", condition(metav1.ConditionTrue, v1alpha1.ReasonSucceeded), "Published=True Succeeded, Ready=False NoNodes"},
		{"an outage passes", condition(metav1.ConditionFalse, v1alpha1.ReasonEtcdUnreachable), "Published=False EtcdUnreachable, Ready=False EtcdUnreachable"},
		{"connecting", condition(metav1.ConditionFalse, v1alpha1.ReasonProgressing), "Published=False Progressing, Ready=False Progressing"},
		{"a refusal does not pass", condition(metav1.ConditionFalse, v1alpha1.ReasonEtcdPermissionDenied), "Published=False EtcdPermissionDenied, Ready=False EtcdPermissionDenied, Stalled=True EtcdPermissionDenied"},
		{"a refused change", condition(metav1.ConditionFalse, v1alpha1.ReasonNetworkChanged), "Published=False NetworkChangeRefused, Ready=False NetworkChangeRefused, Stalled=True NetworkChangeRefused"},
	} {
		status := NetworkStatus(NetworkView{Generation: 3, Published: tc.published})
		var got []string
		for _, c := range status.Conditions {
			got = append(got, c.Type+"="+string(c.Status)+" "+c.Reason)
			if c.ObservedGeneration != 3 {
				t.Errorf("%s: %s is about generation %d", tc.reason, c.Type, c.ObservedGeneration)
			}
		}
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%s: got %s, want %s", tc.reason, strings.Join(got, ", "), tc.want)
		}
	}
}
