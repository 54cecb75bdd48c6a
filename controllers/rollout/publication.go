package rollout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Publication is what flannel's etcd holds of a network, and what it is to hold.
type Publication struct {
	// Generation of the NetworkConfig that was looked at.
	Generation int64
	// Endpoints of the etcd, and ClusterID that it answered with.
	Endpoints []string
	ClusterID string
	// Key is to hold Want.
	Key, Want string
	// Last is what was published last; nil before the first time.
	Last *v1alpha1.PublishedNetwork
	// Trouble is why the etcd cannot be looked at, or why this network has no part in it; nil for none.
	Trouble *Stall
	// Known is false before the etcd was looked at for the first time.
	Known bool
	// Held is what the key holds, which is the one of Last while a change of the prefix is refused;
	// Exists is false when there is no such key.
	Held   string
	Exists bool
	// Leases that nodes hold there now, and Ours, which are those of nodes that Seedbed knows.
	Leases, Ours int
	// Before is how many leases the status counted in the etcd of Last.
	Before int
	// AllowDisruptiveChange of the NetworkConfig.
	AllowDisruptiveChange bool
}

// Decide says what is to be written now, or nil, and what is so until then, as the condition
// Published. A key that somebody changed or deleted is put right. What the user changed is refused
// while leases would be lost by it, unless that is allowed; what was published last stays then.
func (p Publication) Decide() (write *v1alpha1.PublishedNetwork, published metav1.Condition) {
	no := func(reason, message string) (*v1alpha1.PublishedNetwork, metav1.Condition) {
		return nil, p.condition(metav1.ConditionFalse, reason, message)
	}
	switch {
	case p.Trouble != nil:
		return no(p.Trouble.Reason, p.Trouble.Message)
	case !p.Known:
		return no(v1alpha1.ReasonProgressing, fmt.Sprintf("connecting to %s", p.endpoints()))
	}
	if refused := p.refused(); refused != "" {
		_, published = no(v1alpha1.ReasonNetworkChanged, refused)
		if p.Last != nil && !p.Elsewhere() && !p.holds(p.Last.Config) {
			write = p.Last.DeepCopy()
		}
		return write, published
	}
	if !p.holds(p.Want) {
		return p.Wanted(), p.condition(metav1.ConditionFalse, v1alpha1.ReasonProgressing, "writing "+p.Key)
	}
	reason, message := v1alpha1.ReasonSucceeded, fmt.Sprintf("%s holds the network in etcd at %s", p.Key, p.endpoints())
	if p.insecure() {
		reason = v1alpha1.ReasonEtcdInsecure
		message += ", where whoever reaches it can redirect every pod's traffic: use https endpoints and tls (SB021)"
	}
	return nil, p.condition(metav1.ConditionTrue, reason, message)
}

func (p Publication) holds(config string) bool { return p.Exists && p.Held == config }

func (p Publication) condition(status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionPublished, Status: status, Reason: reason, Message: message, ObservedGeneration: p.Generation}
}

func (p Publication) endpoints() string { return strings.Join(p.Endpoints, ", ") }

func (p Publication) insecure() bool {
	for _, e := range p.Endpoints {
		if strings.HasPrefix(e, "http:") {
			return true
		}
	}
	return false
}

// refused says what the user changed that would interrupt nodes with leases. What was published last
// tells that from what somebody did to the key; without that, what the key holds counts.
func (p Publication) refused() string {
	switch {
	case p.AllowDisruptiveChange:
		return ""
	case p.leavesLeases():
		return p.refusalToMove()
	case p.Leases == 0:
		return ""
	}
	before := p.Held
	if p.Last != nil {
		if p.Last.Key != p.Key {
			return p.refusal(fmt.Sprintf("subnetManager.etcd.prefix from %s to %s", prefixOf(p.Last.Key), prefixOf(p.Key)), losesAddresses)
		}
		before = p.Last.Config
	}
	change, cost := configDifference(before, p.Want)
	if change == "" && p.Elsewhere() {
		change, cost = configDifference(p.Held, p.Want) // somebody else's nodes may use that one
	}
	if change == "" {
		return ""
	}
	return p.refusal(change, cost)
}

// What a change costs.
const (
	losesAddresses = "every pod loses its address"
	// partsNodes: both ends of a tunnel must have the same values, and nodes change one after the other.
	partsNodes = "nodes that have changed and nodes that have not do not reach each other's pods"
	// hidesNodes: a flanneld that is started keeps its subnet and the routes that the kernel has, which
	// are gone after a boot; an etcd without the leases of others gives one that has none any subnet.
	hidesNodes = "nodes that have moved and nodes that have not do not learn of each other, and one that boots or joins meanwhile may get another's subnet"
)

func (p Publication) refusal(change, cost string) string {
	return fmt.Sprintf("would change %s under %s: nodes keep what they have; take the change back, or set allowDisruptiveChange: true to accept "+
		"that %s", change, plural(p.Leases, "lease"), cost)
}

func prefixOf(key string) string { return strings.TrimSuffix(key, "/config") }

// flannelConfig is what of flannel's configuration interrupts pods when it changes.
type flannelConfig struct {
	Network   netip.Prefix
	SubnetLen int
	Backend   struct {
		Type      string
		VNI, Port int
	}
}

// configDifference names the first such change, and what it costs. A configuration that flannel cannot
// read is in force nowhere.
func configDifference(before, after string) (change, cost string) {
	a, okA := readConfig(before)
	b, okB := readConfig(after)
	if !okA || !okB {
		return "", ""
	}
	for _, f := range []struct{ field, old, new, cost string }{
		{"podCIDR", a.Network.String(), b.Network.String(), losesAddresses},
		{"podSubnetLength", fmt.Sprint(a.SubnetLen), fmt.Sprint(b.SubnetLen), losesAddresses},
		{"backend.type", a.Backend.Type, b.Backend.Type, partsNodes},
		{"backend.vxlan.vni", fmt.Sprint(a.Backend.VNI), fmt.Sprint(b.Backend.VNI), partsNodes},
		{"backend.vxlan.port", fmt.Sprint(a.Backend.Port), fmt.Sprint(b.Backend.Port), partsNodes},
	} {
		if f.old != f.new {
			return fmt.Sprintf("%s from %s to %s", f.field, f.old, f.new), f.cost
		}
	}
	return "", ""
}

// readConfig applies flannel's defaults (pkg/subnet/config.go, pkg/backend/vxlan/vxlan.go).
func readConfig(text string) (flannelConfig, bool) {
	var c flannelConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil || !c.Network.IsValid() {
		return c, false
	}
	if c.SubnetLen == 0 {
		c.SubnetLen = max(24, c.Network.Bits()+2)
	}
	switch c.Backend.Type = cmp.Or(c.Backend.Type, "udp"); c.Backend.Type {
	case "vxlan":
		c.Backend.VNI, c.Backend.Port = cmp.Or(c.Backend.VNI, 1), cmp.Or(c.Backend.Port, 8472)
	default:
		c.Backend.VNI, c.Backend.Port = 0, 0
	}
	return c, true
}
