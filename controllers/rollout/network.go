package rollout

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// NetworkInForce is the network that some nodes are assigned.
type NetworkInForce struct {
	Nodes []string
	// Leased are those of Nodes whose flannel has a lease.
	Leased []string
	Spec   v1alpha1.NetworkConfigSpec
}

// AssignedNetworks are the networks, without their Spec yet, of nodes by the revision that they are
// assigned.
func AssignedNetworks(nodes []*v1alpha1.NodeState) map[string]NetworkInForce {
	assigned := map[string]NetworkInForce{}
	for _, n := range nodes {
		if n.Spec.Revision == "" {
			continue
		}
		f := assigned[n.Spec.Revision]
		f.Nodes = append(f.Nodes, n.Name)
		if HasLease(n) {
			f.Leased = append(f.Leased, n.Name)
		}
		assigned[n.Spec.Revision] = f
	}
	return assigned
}

// NetworkChange compares the network that is wanted with those in force and returns why it is
// refused, or "". The API's own transition rules do not see a NetworkConfig that is deleted and
// created again, or another one being referred to; this does.
func NetworkChange(name string, want v1alpha1.NetworkConfigSpec, inForce []NetworkInForce) string {
	if want.AllowDisruptiveChange {
		return ""
	}
	nodes := map[string][]string{}
	for _, f := range inForce {
		if d := networkDifference(f.Spec, want); d != "" {
			nodes[d] = append(nodes[d], f.Nodes...)
		}
	}
	var reasons []string
	for d, n := range nodes {
		slices.Sort(n)
		reasons = append(reasons, fmt.Sprintf("%s under %s", d, list(n)))
	}
	if len(reasons) == 0 {
		return ""
	}
	slices.Sort(reasons)
	return fmt.Sprintf("NetworkConfig %s would change %s, which interrupts every pod there: keep the old value, "+
		"or set allowDisruptiveChange: true on it", name, strings.Join(reasons, ", and "))
}

// networkDifference names the first field in which b would interrupt the pods of a.
func networkDifference(a, b v1alpha1.NetworkConfigSpec) string {
	oldVNI, oldPort := vxlan(a)
	newVNI, newPort := vxlan(b)
	for _, f := range []struct{ field, old, new string }{
		{"podCIDR", a.PodCIDR, b.PodCIDR},
		{"serviceCIDR", a.ServiceCIDR, b.ServiceCIDR},
		{"podSubnetLength", fmt.Sprint(subnetLength(a)), fmt.Sprint(subnetLength(b))},
		{"backend.type", string(backendType(a)), string(backendType(b))},
		{"backend.vxlan.vni", fmt.Sprint(oldVNI), fmt.Sprint(newVNI)},
		{"backend.vxlan.port", fmt.Sprint(oldPort), fmt.Sprint(newPort)},
		{"subnetManager", subnetManager(a), subnetManager(b)},
	} {
		if f.old != f.new {
			return fmt.Sprintf("%s from %s to %s", f.field, f.old, f.new)
		}
	}
	return ""
}

// subnetManager is where nodes' subnets are, with the API's documented defaults: in another place they
// are given out anew. The endpoints are left out, since they may be those of one and the same etcd:
// Publication looks at what is there.
func subnetManager(n v1alpha1.NetworkConfigSpec) string {
	if n.SubnetManager == nil || n.SubnetManager.Etcd == nil {
		return string(v1alpha1.SubnetManagerKubernetes)
	}
	prefix := v1alpha1.DefaultEtcdPrefix
	if p := n.SubnetManager.Etcd.Prefix; p != nil {
		prefix = *p
	}
	return fmt.Sprintf("%s below %s", v1alpha1.SubnetManagerEtcd, prefix)
}

// subnetLength is the length with the API's documented default.
func subnetLength(n v1alpha1.NetworkConfigSpec) int32 {
	if n.PodSubnetLength == nil {
		return 24
	}
	return *n.PodSubnetLength
}

// backendType is the type with the API's documented default.
func backendType(n v1alpha1.NetworkConfigSpec) v1alpha1.BackendType {
	if n.Backend == nil || n.Backend.Type == nil {
		return v1alpha1.BackendVXLAN
	}
	return *n.Backend.Type
}

// vxlan are the identifier and the port of the VXLAN backend with the API's documented defaults. A node
// drops packets with others than its own, and nodes change one after the other.
func vxlan(n v1alpha1.NetworkConfigSpec) (vni, port int32) {
	vni, port = 1, 8472
	if n.Backend == nil || n.Backend.VXLAN == nil {
		return vni, port
	}
	if v := n.Backend.VXLAN.VNI; v != nil {
		vni = *v
	}
	if p := n.Backend.VXLAN.Port; p != nil {
		port = *p
	}
	return vni, port
}

// Unpublished says what keeps a network from nodes: one that was refused, as a Stall, or a change that
// flannel's etcd does not hold yet, in words. A node's flanneld reads the configuration when it starts,
// so nodes are told of a change after etcd is, and of another etcd after it was looked at. The first time nobody waits: flanneld does.
func Unpublished(n *v1alpha1.NetworkConfig, want v1alpha1.PublishedNetwork) (refused *Stall, wait string) {
	published := meta.FindStatusCondition(n.Status.Conditions, v1alpha1.ConditionPublished)
	if published != nil && published.Status == metav1.ConditionFalse && published.ObservedGeneration == n.Generation &&
		(published.Reason == v1alpha1.ReasonNetworkChanged || published.Reason == v1alpha1.ReasonPrefixConflict) {
		return &Stall{Reason: published.Reason, Message: fmt.Sprintf("NetworkConfig %s %s", n.Name, published.Message)}, ""
	}
	if last := n.Status.Published; last != nil && (last.Key != want.Key || last.Config != want.Config || otherEndpoints(last, want.Endpoints)) {
		return nil, fmt.Sprintf("NetworkConfig %s was changed and is not in flannel's etcd yet: see its condition Published", n.Name)
	}
	return nil, ""
}
