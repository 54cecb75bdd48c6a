package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Wanted is what is to be published, and where.
func (p Publication) Wanted() *v1alpha1.PublishedNetwork {
	return &v1alpha1.PublishedNetwork{
		Key: p.Key, Config: p.Want, Endpoints: slices.Sorted(slices.Values(p.Endpoints)), ClusterID: p.ClusterID,
	}
}

// Elsewhere says that the etcd is, or may be, another one than the network was published in last.
//
// Endpoints tell more than etcd's cluster ID. The ID is a hash of the peer URLs and the token that the
// first members were started with (etcd, server/etcdserver/api/membership), so every etcd with the
// defaults of these has the same one, as the install guide's has, and one that was rebuilt at its
// place keeps its own. So at the same endpoints it is the same etcd, whatever became of its data; at
// others of which some are the same, the ID tells; at quite others nothing does, and only the leases
// that are there can.
func (p Publication) Elsewhere() bool {
	if p.Last == nil || !otherEndpoints(p.Last, p.Endpoints) {
		return false
	}
	shared := slices.ContainsFunc(p.Endpoints, func(e string) bool { return slices.Contains(p.Last.Endpoints, e) })
	return !shared || p.ClusterID != p.Last.ClusterID
}

// otherEndpoints compares sets. What a release before this one published has none.
func otherEndpoints(last *v1alpha1.PublishedNetwork, endpoints []string) bool {
	return len(last.Endpoints) > 0 && !slices.Equal(slices.Sorted(slices.Values(last.Endpoints)), slices.Sorted(slices.Values(endpoints)))
}

// leavesLeases says that nodes had leases where the network was published last, and have none where it
// is to be.
func (p Publication) leavesLeases() bool { return p.Elsewhere() && p.Before > 0 && p.Ours == 0 }

func (p Publication) refusalToMove() string {
	another := "another etcd"
	if p.ClusterID != p.Last.ClusterID {
		another += fmt.Sprintf(" (cluster %s, and %s before)", p.ClusterID, p.Last.ClusterID)
	}
	return fmt.Sprintf("would change subnetManager.etcd.endpoints from %s to %s, %s, under %s that it does not have: %s",
		strings.Join(p.Last.Endpoints, ", "), p.endpoints(), another, plural(p.Before, "lease"), moveCure)
}

// moveCure is what to do about it.
const moveCure = "nodes keep what they have; first move the members of the old etcd there, or restore its snapshot there; " +
	"or take the change back; or set allowDisruptiveChange: true to accept that " + hidesNodes

// NetworkMove keeps nodes that have leases from an etcd that has none: refused, or until the manager has
// looked at what is there. Publication does not see it where the NetworkConfig is not the one that the
// nodes have: it was deleted and created again, or another one is referred to.
func NetworkMove(n *v1alpha1.NetworkConfig, inForce []NetworkInForce) (refused *Stall, wait string) {
	want := endpointsOf(n.Spec)
	if n.Spec.AllowDisruptiveChange || len(want) == 0 {
		return nil, ""
	}
	nodes, from := map[string]bool{}, map[string]bool{}
	for _, f := range inForce {
		has := endpointsOf(f.Spec)
		if len(has) == 0 || slices.ContainsFunc(has, func(e string) bool { return slices.Contains(want, e) }) {
			continue
		}
		for _, node := range f.Leased {
			nodes[node], from[strings.Join(has, ", ")] = true, true
		}
	}
	switch p := n.Status.Published; {
	case len(nodes) == 0:
		return nil, ""
	case p == nil || n.Status.Leases == nil || otherEndpoints(p, want):
		return nil, fmt.Sprintf("NetworkConfig %s has another etcd, which was not looked at yet: see its condition Published", n.Name)
	case n.Status.Leases.Count > 0:
		return nil, ""
	}
	return &Stall{Reason: v1alpha1.ReasonNetworkChanged, Message: fmt.Sprintf(
		"NetworkConfig %s would change subnetManager.etcd.endpoints from %s to %s, an etcd without leases, under %s: %s", n.Name,
		strings.Join(slices.Sorted(maps.Keys(from)), " and "), strings.Join(want, ", "), list(slices.Sorted(maps.Keys(nodes))), moveCure)}, ""
}

// HasLease says that a node's flannel has one, by what its agent says.
func HasLease(n *v1alpha1.NodeState) bool {
	return meta.IsStatusConditionTrue(n.Status.Conditions, v1alpha1.ConditionFlannelHealthy)
}

// endpointsOf are sorted; there are none with the subnet manager Kubernetes.
func endpointsOf(n v1alpha1.NetworkConfigSpec) []string {
	if n.SubnetManager == nil || n.SubnetManager.Etcd == nil {
		return nil
	}
	var all []string
	for _, e := range n.SubnetManager.Etcd.Endpoints {
		all = append(all, string(e))
	}
	slices.Sort(all)
	return all
}
