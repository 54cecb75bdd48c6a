package controllers

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/leases"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/rollout"
)

// anyNode is a NodeState in any condition that an agent could report.
func anyNode(r *rand.Rand, name string) *v1alpha1.NodeState {
	revisions := []string{"", "workers-1", "workers-2"}
	pins := [][]v1alpha1.PinnedSecret{nil, {{Name: "ca", UID: "1", ResourceVersion: "1"}}, {{Name: "ca", UID: "1", ResourceVersion: "2"}}}
	n := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 2, Annotations: map[string]string{}}}
	n.Spec = v1alpha1.NodeStateSpec{Config: "workers", Revision: revisions[r.IntN(3)], Secrets: pins[r.IntN(3)]}
	s := &n.Status
	s.ObservedGeneration, s.Revision, s.Secrets = int64(r.IntN(3)), revisions[r.IntN(3)], pins[r.IntN(3)]
	if r.IntN(2) == 0 {
		s.Apply = &v1alpha1.ApplyStatus{Steps: 3, Changed: 2, Failed: int32(r.IntN(2)), Disruption: "Restart"}
		s.Drift = &v1alpha1.DriftStatus{Corrected: 1}
	}
	if r.IntN(4) == 0 {
		s.Pending = &v1alpha1.PendingPlan{Plan: "2c26b46b", Disruption: "Recreate", Message: "docker0 changes"}
	}
	if r.IntN(3) > 0 {
		s.Facts = &v1alpha1.Facts{
			OS: "debian 12", Components: []v1alpha1.ComponentFacts{{Name: v1alpha1.ComponentDocker, Version: "26.1.5"}},
			Interfaces: []v1alpha1.InterfaceFacts{{Name: "eth4", Addresses: []string{fmt.Sprintf("10.64.3.%d/26", r.IntN(60)+1)}}, {Name: "eth5", Addresses: []string{"120.92.8.115/28"}}},
			Routes:     []v1alpha1.RouteFacts{{Destination: "0.0.0.0/0", Interface: []string{"eth4", "eth5"}[r.IntN(2)]}},
		}
	}
	for _, kind := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, v1alpha1.ConditionPrepared,
		v1alpha1.ConditionConflicted, v1alpha1.ConditionFlannelHealthy, v1alpha1.ConditionDockerHealthy, v1alpha1.ConditionKubeletHealthy,
	} {
		if r.IntN(3) == 0 {
			continue
		}
		c := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
		if r.IntN(2) == 0 {
			c.Status, c.Message = metav1.ConditionFalse, fmt.Sprintf("%s of %s", kind, name)
			c.Reason = []string{v1alpha1.ReasonOfflineRoot, v1alpha1.ReasonApplyFailed, v1alpha1.ReasonWaiting}[r.IntN(3)]
		}
		s.Conditions = append(s.Conditions, c)
	}
	return n
}

// decisions are all that the manager makes of NodeStates.
func decisions(nodes []*v1alpha1.NodeState) map[string]any {
	target, now := v1alpha1.NodeStateSpec{Config: "workers", Revision: "workers-2"}, time.Unix(1000, 0)
	var turn, permits, shown []string
	for _, n := range rollout.Assign(rollout.Input{Nodes: nodes, Target: target}).Now {
		turn = append(turn, n.Name)
	}
	for _, step := range rollout.PermitsOf(rollout.PermitInput{Nodes: nodes, Now: now}).Steps {
		permits = append(permits, fmt.Sprintf("%d %s", step.Action, drainStarted(step.Node).Message))
	}
	cidr, target8 := "10.64.3.0/26", "8.8.8.8"
	for _, n := range nodes {
		line := fmt.Sprintf("%s %v %v %v %v", n.Name, hasNode(n), interfacesOf(n), leases.NodeOf(n), rollout.HasLease(n))
		if n.Status.Facts != nil {
			byRange, _ := resolve.NodeIP(v1alpha1.InterfaceSelector{CIDR: &cidr}, *n.Status.Facts)
			byRoute, _ := resolve.NodeIP(v1alpha1.InterfaceSelector{CanReach: &target8}, *n.Status.Facts)
			line += fmt.Sprint(byRange, byRoute)
		}
		shown = append(shown, line)
	}
	return map[string]any{
		"status": rollout.Status(rollout.View{Nodes: nodes, Revision: "workers-2", Target: &target}), "turn": turn, "permits": permits,
		"prune": rollout.Prune([]rollout.Revision{{Name: "workers-0", Number: 0}, {Name: "workers-1", Number: 1}}, nodes, "workers-2"), "nodes": shown,
	}
}

func TestTheManagerDecidesTheSameByWhatItsCacheHolds(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // any nodes, the same each time
		var whole, held []*v1alpha1.NodeState
		for i := range 1 + r.IntN(6) {
			n := anyNode(r, fmt.Sprintf("node-%d", i))
			stripped, err := stripNodeState(n.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			whole, held = append(whole, n), append(held, stripped.(*v1alpha1.NodeState))
		}
		if diff := cmp.Diff(decisions(whole), decisions(held), cmp.AllowUnexported(leases.Node{})); diff != "" {
			t.Fatalf("seed %d: -by the whole objects +by the cache's:\n%s", seed, diff)
		}
	}
}

func TestAccessThatSomebodyChangedIsSeenInTheCache(t *testing.T) {
	node := &v1alpha1.NodeState{ObjectMeta: metav1.ObjectMeta{Name: "node-a", UID: "1"}}
	changes := map[string]func(client.Object){
		"label": func(o client.Object) { o.SetLabels(map[string]string{NodeLabel: "node-b"}) },
		"owner": func(o client.Object) { o.SetOwnerReferences(nil) },
		"what is granted, and to whom": func(o client.Object) {
			switch o := o.(type) {
			case *rbacv1.ClusterRole:
				o.Rules[0].Verbs = []string{"*"}
			case *rbacv1.Role:
				o.Rules[0].ResourceNames = nil
			case *rbacv1.ClusterRoleBinding:
				o.Subjects = append(o.Subjects, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "mallory"})
			case *rbacv1.RoleBinding:
				o.Subjects[0].Name = "mallory"
			}
		},
	}
	for i, kind := range []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} {
		object := func(change func(client.Object)) client.Object {
			o := accessObjects(node.Name, grants(v1alpha1.NodeStateSpec{Revision: "workers-1"}))[i]
			o.SetOwnerReferences(ownedBy(node))
			change(o)
			return o
		}
		want := object(func(client.Object) {})
		stored := object(func(o client.Object) {
			o.SetUID("2")
			o.SetAnnotations(map[string]string{"theirs": "1"})
			o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: fieldOwner}})
		})
		if held, err := stripAccess(stored); err != nil || !sameAccess(held.(client.Object), want) {
			t.Errorf("%s: what is as it is to be would be written again: %v", kind, err)
		}
		for _, change := range slices.Sorted(maps.Keys(changes)) {
			if held, err := stripAccess(object(changes[change])); err != nil || sameAccess(held.(client.Object), want) {
				t.Errorf("%s: its %s changed, and the manager does not see it: %v", kind, change, err)
			}
		}
	}
}
