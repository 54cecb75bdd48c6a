package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/nodeobject"
)

const (
	planA = v1alpha1.PlanHash("aaaaaaaa")
	planB = v1alpha1.PlanHash("bbbbbbbb")
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// asking waits with a plan for a permit, as its agent reports of the present spec.
func asking(plan v1alpha1.PlanHash) func(*v1alpha1.NodeState) {
	return func(n *v1alpha1.NodeState) {
		n.Status.ObservedGeneration = n.Generation
		n.Status.Pending = &v1alpha1.PendingPlan{Plan: plan, Disruption: "Recreate"}
	}
}

// waiting is what an agent says of itself while it does.
var waiting = with(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWaitingForPermit, "docker0: the manager drains the node first")

func permitted(plan v1alpha1.PlanHash) func(*v1alpha1.NodeState) {
	return func(n *v1alpha1.NodeState) { n.Spec.Permit = plan }
}

// assignedAndAsking has got a new revision and waits with it for a permit.
func assignedAndAsking(name string, more ...func(*v1alpha1.NodeState)) *v1alpha1.NodeState {
	return node(name, append([]func(*v1alpha1.NodeState){assignedTo(newSpec), ready, asking(planA)}, more...)...)
}

func draining(plan v1alpha1.PlanHash) Evidence {
	return Evidence{Drain: &nodeobject.Drain{Plan: plan, Started: noon, Cordoned: true}}
}

func drained(plan v1alpha1.PlanHash) Evidence {
	e := draining(plan)
	e.Drain.Drained = true
	return e
}

func givenUp(ago time.Duration) Evidence {
	e := draining(planA)
	at := noon.Add(-ago)
	e.Drain.GivenUp, e.Drain.Blocked, e.Drain.Cordoned = &at, "pod a/b", false
	return e
}

func never(r v1alpha1.Rollout) *v1alpha1.Rollout {
	policy := v1alpha1.DrainNever
	r.Drain = &v1alpha1.Drain{Policy: &policy}
	return &r
}

func steps(p Permits) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, fmt.Sprint([]string{"drain", "renew", "grant", "finish"}[s.Action], " ", s.Node.Name))
	}
	return out
}

func TestPermits(t *testing.T) {
	stale := func(n *v1alpha1.NodeState) { n.Status.ObservedGeneration = 1 }
	type evidence = map[string]Evidence
	tests := []struct {
		reason   string
		nodes    []*v1alpha1.NodeState
		evidence evidence
		rollout  *v1alpha1.Rollout
		gone     bool
		want     []string
		again    time.Duration
	}{
		{"nobody asks", []*v1alpha1.NodeState{healthy("a", newSpec)}, nil, nil, false, nil, 0},
		{
			"one at a time, by name",
			[]*v1alpha1.NodeState{assignedAndAsking("b"), assignedAndAsking("a")},
			nil, nil, false,
			[]string{"drain a"},
			0,
		},
		{"one that repairs drift asks like one with a new revision", []*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, ready, asking(planA))}, nil, nil, false, []string{"drain a"}, 0},
		{
			"a drain takes the slot until it is over",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b")},
			evidence{"a": draining(planA)},
			nil, false, nil, 0,
		},
		{
			"what is drained is permitted",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b")},
			evidence{"a": drained(planA)},
			nil, false,
			[]string{"grant a"},
			0,
		},
		{
			"a permit takes the slot until it is taken back",
			[]*v1alpha1.NodeState{assignedAndAsking("a", permitted(planA)), assignedAndAsking("b")},
			evidence{"a": drained(planA)},
			nil, false, nil, 0,
		},
		{
			"done, and not well yet: it stays cordoned and keeps the slot",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, notReady, permitted(planA)), assignedAndAsking("b")},
			evidence{"a": drained(planA)},
			nil, false, nil, 0,
		},
		{
			"done, and the agent has not seen its spec since",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, ready, permitted(planA), stale)},
			evidence{"a": drained(planA)},
			nil, false, nil, 0,
		},
		{
			"done, and the kubelet is not heard of yet",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, ready, permitted(planA))},
			evidence{"a": {Down: "silent", Drain: drained(planA).Drain}},
			nil, false, nil, 0,
		},
		{
			"done and well: the next one's turn is after that is written",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, ready, permitted(planA)), assignedAndAsking("b")},
			evidence{"a": drained(planA)},
			nil, false,
			[]string{"finish a"},
			0,
		},
		{
			"stopped between uncordoning and taking the permit back",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, ready, permitted(planA))},
			nil, nil, false,
			[]string{"finish a"},
			0,
		},
		{
			"the question is taken back before the permit: uncordoned, well or not",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, notReady)},
			evidence{"a": draining(planA)},
			nil, false,
			[]string{"finish a"},
			0,
		},
		{
			"the question is taken back after an attempt was given up",
			[]*v1alpha1.NodeState{healthy("a", newSpec)},
			evidence{"a": givenUp(time.Hour)},
			nil, false,
			[]string{"finish a"},
			0,
		},
		{
			"another plan than the drain is for",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), ready, asking(planB))},
			evidence{"a": draining(planA)},
			nil, false,
			[]string{"renew a"},
			0,
		},
		{
			"another plan than is permitted: not permitted with it, and drained anew",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), ready, permitted(planA), asking(planB))},
			evidence{"a": drained(planA)},
			nil, false,
			[]string{"renew a"},
			0,
		},
		{
			"what is asked about a spec that was replaced meanwhile is not answered",
			[]*v1alpha1.NodeState{assignedAndAsking("a", stale), assignedAndAsking("b", stale)},
			evidence{"b": drained(planA)},
			atMost("2"), false, nil, 0,
		},
		{
			"a node that changes without asking takes the slot",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec)), assignedAndAsking("b")},
			nil, nil, false, nil, 0,
		},
		{
			"a node that is broken takes the slot",
			[]*v1alpha1.NodeState{node("a", assignedTo(newSpec), acknowledging, notReady), assignedAndAsking("b")},
			nil, nil, false, nil, 0,
		},
		{
			"a node whose agent is dead takes the slot, whatever its last words were",
			[]*v1alpha1.NodeState{healthy("a", newSpec), assignedAndAsking("b")},
			evidence{"a": {Down: "NodeStatusUnknown"}},
			nil, false, nil, 0,
		},
		{
			"a broken node that asks comes first and needs no further slot",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), node("z", assignedTo(newSpec), acknowledging, notReady, asking(planA))},
			nil, nil, false,
			[]string{"drain z"},
			0,
		},
		{
			"a node that is not ready only because it waits is not broken",
			[]*v1alpha1.NodeState{node("x", assignedTo(newSpec), acknowledging, notReady), node("a", assignedTo(newSpec), acknowledging, waiting, asking(planA))},
			nil, nil, false, nil, 0,
		},
		{
			"many broken nodes that ask are still taken one at a time",
			[]*v1alpha1.NodeState{
				node("y", assignedTo(newSpec), acknowledging, notReady, asking(planA)), node("z", assignedTo(newSpec), acknowledging, notReady, asking(planA)),
			},
			nil, nil, false,
			[]string{"drain y"},
			0,
		},
		{
			"new machines and host roots take no slot and make none",
			[]*v1alpha1.NodeState{
				node("new"), node("root", assignedTo(newSpec), offline), node("root-2", assignedTo(newSpec), offline, asking(planA)), assignedAndAsking("a"), assignedAndAsking("b"),
			},
			nil, atMost("50%"), false,
			[]string{"drain a"},
			0,
		},
		{
			"a percentage",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b"), assignedAndAsking("c"), healthy("d", newSpec)},
			nil, atMost("50%"), false,
			[]string{"drain a", "drain b"},
			0,
		},
		{
			"paused begins nothing",
			[]*v1alpha1.NodeState{assignedAndAsking("a")},
			nil, &v1alpha1.Rollout{Paused: true}, false, nil, 0,
		},
		{
			"paused ends what began and is not permitted: it is uncordoned with nothing changed",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b"), assignedAndAsking("c", stale), assignedAndAsking("d", permitted(planB))},
			evidence{"a": draining(planA), "b": drained(planA), "c": drained(planA), "d": drained(planA)},
			&v1alpha1.Rollout{Paused: true}, false,
			[]string{"finish a", "finish b", "finish c", "finish d"},
			0,
		},
		{
			"so it does with policy Never",
			[]*v1alpha1.NodeState{assignedAndAsking("a")},
			evidence{"a": draining(planA)},
			never(v1alpha1.Rollout{Paused: true}), false,
			[]string{"finish a"},
			0,
		},
		{
			"what is permitted goes on to its end, paused or not",
			[]*v1alpha1.NodeState{
				assignedAndAsking("a", permitted(planA)), node("b", assignedTo(newSpec), acknowledging, ready, permitted(planA)),
				node("c", assignedTo(newSpec), acknowledging, notReady, permitted(planA)),
			},
			evidence{"a": drained(planA), "b": drained(planA), "c": drained(planA)},
			&v1alpha1.Rollout{Paused: true}, false,
			[]string{"finish b"},
			0,
		},
		{
			"an attempt that was given up is remembered while it is paused",
			[]*v1alpha1.NodeState{assignedAndAsking("a")},
			evidence{"a": givenUp(time.Minute)},
			&v1alpha1.Rollout{Paused: true}, false, nil, 0,
		},
		{
			"without its NodeConfig nothing begins, and what began ends",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b"), node("c", assignedTo(newSpec), acknowledging, ready, permitted(planA))},
			evidence{"a": drained(planA)},
			nil, true,
			[]string{"grant a", "finish c"},
			0,
		},
		{
			"policy Never permits without a drain, and not more nodes at once",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b")},
			nil, never(v1alpha1.Rollout{}), false,
			[]string{"grant a"},
			0,
		},
		{
			"policy Never ends a drain with the permit",
			[]*v1alpha1.NodeState{assignedAndAsking("a")},
			evidence{"a": draining(planA)},
			never(v1alpha1.Rollout{}), false,
			[]string{"grant a"},
			0,
		},
		{
			"an attempt that was given up frees the slot, and is repeated after as long again",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b")},
			evidence{"a": givenUp(time.Minute)},
			nil, false,
			[]string{"drain b"},
			4 * time.Minute,
		},
		{
			"those not tried yet come before those given up",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b")},
			evidence{"a": givenUp(time.Hour)},
			nil, false,
			[]string{"drain b"},
			0,
		},
		{
			"it is repeated when nobody else asks",
			[]*v1alpha1.NodeState{assignedAndAsking("a")},
			evidence{"a": givenUp(5 * time.Minute)},
			nil, false,
			[]string{"drain a"},
			0,
		},
		{
			"the first of several is waited for",
			[]*v1alpha1.NodeState{assignedAndAsking("a"), assignedAndAsking("b")},
			evidence{"a": givenUp(time.Minute), "b": givenUp(2 * time.Minute)},
			nil, false, nil,
			3 * time.Minute,
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			got := PermitsOf(PermitInput{Nodes: tt.nodes, Evidence: tt.evidence, Rollout: tt.rollout, Gone: tt.gone, Now: noon})
			if diff := cmp.Diff(tt.want, steps(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Again != tt.again {
				t.Errorf("again in %s, want %s", got.Again, tt.again)
			}
		})
	}
}

func TestAssignCountsWhatTheClusterKnows(t *testing.T) {
	for reason, e := range map[string]Evidence{
		"the kubelet is not heard of": {Down: "NodeStatusUnknown"},
		"the node is drained":         draining(planA),
	} {
		in := Input{
			Nodes:    []*v1alpha1.NodeState{healthy("a", newSpec), healthy("b", oldSpec)},
			Evidence: map[string]Evidence{"a": e}, Target: newSpec,
		}
		if got := Assign(in); len(got.Now) != 0 || !slices.Equal(got.Waiting, []string{"b"}) {
			t.Errorf("%s: %d now, waiting %v", reason, len(got.Now), got.Waiting)
		}
	}
	withPermit := Input{Nodes: []*v1alpha1.NodeState{healthy("a", newSpec), healthy("b", oldSpec)}, Target: newSpec}
	withPermit.Nodes[0].Spec.Permit = planA
	if got := Assign(withPermit); len(got.Now) != 0 {
		t.Error("a node under a permit makes room")
	}
}

func TestDrainDefaults(t *testing.T) {
	if policy, timeout := Drain(nil); policy != v1alpha1.DrainWhenNeeded || timeout != 5*time.Minute {
		t.Errorf("%s %s", policy, timeout)
	}
	r := never(v1alpha1.Rollout{})
	r.Drain.Timeout = &metav1.Duration{Duration: time.Hour}
	if policy, timeout := Drain(r); policy != v1alpha1.DrainNever || timeout != time.Hour {
		t.Errorf("%s %s", policy, timeout)
	}
}

// world carries out what is decided, and lets agents, kubelets and pods do what they like.
type world struct {
	r        *rand.Rand
	nodes    []*v1alpha1.NodeState
	evidence map[string]Evidence
	now      time.Time
	rollout  *v1alpha1.Rollout
}

func (w *world) input() PermitInput {
	return PermitInput{Nodes: w.nodes, Evidence: w.evidence, Rollout: w.rollout, Now: w.now}
}

func (w *world) carryOut(s PermitStep) {
	e := w.evidence[s.Node.Name]
	switch s.Action {
	case BeginDrain, RenewDrain:
		e.Drain = &nodeobject.Drain{Plan: s.Node.Status.Pending.Plan, Started: w.now}
	case Grant:
		s.Node.Spec.Permit, s.Node.Generation = s.Node.Status.Pending.Plan, s.Node.Generation+1
	case Finish:
		e.Drain = nil
		if s.Node.Spec.Permit != "" {
			s.Node.Spec.Permit, s.Node.Generation = "", s.Node.Generation+1
		}
	}
	w.evidence[s.Node.Name] = e
}

// live is what happens on the nodes between two passes. calm is a world in which all goes well.
func (w *world) live(calm bool) {
	for _, n := range w.nodes {
		e := w.evidence[n.Name]
		if e.Drain.UnderWay() && !e.Drain.Drained {
			d := *e.Drain
			switch {
			case calm || w.r.IntN(3) > 0:
				d.Drained = true
			case w.r.IntN(3) == 0:
				at := w.now
				d.GivenUp = &at
			}
			e.Drain = &d
		}
		switch {
		case n.Status.Pending != nil && n.Spec.Permit == n.Status.Pending.Plan:
			n.Status.Pending = nil
			acknowledging(n)
		case !calm && n.Spec.Revision != "" && w.r.IntN(6) == 0:
			asking([]v1alpha1.PlanHash{planA, planB}[w.r.IntN(2)])(n)
		}
		n.Status.ObservedGeneration = n.Generation
		e.Down = ""
		if !calm && w.r.IntN(10) == 0 {
			e.Down = "silent"
		}
		w.evidence[n.Name] = e
		if calm && StandingOf(n) != Offline && n.Spec.Revision != "" {
			if n.Status.Pending == nil {
				acknowledging(n)
			}
			n.Status.Conditions = nil
			ready(n)
		}
	}
	w.now = w.now.Add(time.Minute)
}

func randomWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 11))
	return &world{r: r, nodes: randomFleet(r), evidence: map[string]Evidence{}, now: noon, rollout: randomRollout(r)}
}

// underWay counts drains and permits; lost counts nodes that are down besides.
func (w *world) count() (underWay, lost, total int) {
	for _, n := range w.nodes {
		e := w.evidence[n.Name]
		switch standing := e.standing(n); {
		case standing == Unassigned || standing == Offline:
			continue
		case e.underWay(n):
			underWay++
		case asked(n) == "" && standing.Unavailable(), e.Down != "", standing == NotReady:
			lost++
		}
		total++
	}
	return underWay, lost, total
}

// The law that drains rest on: whatever happens, no drain or permit begins beyond the limit, and no
// node that works is taken while as many as are allowed are down.
func TestPermitsNeverTakeMoreThanMaxUnavailable(t *testing.T) {
	for seed := range uint64(500) {
		w := randomWorld(seed)
		for pass := range 15 {
			underWay, lost, total := w.count()
			limit := MaxUnavailable(w.rollout, total)
			before := map[string]int{}
			for _, n := range w.nodes {
				before[n.Name] = w.input().down(n)
			}
			begun, healthy := 0, 0
			for _, s := range PermitsOf(w.input()).Steps {
				if !w.evidence[s.Node.Name].underWay(s.Node) {
					begun++
					healthy += 1 - before[s.Node.Name]
				}
				w.carryOut(s)
			}
			if begun > 0 && underWay+begun > limit || healthy > 0 && underWay+lost+healthy > limit {
				t.Fatalf("seed %d pass %d: %d under way, %d lost, %d begun of which %d work, at most %d", seed, pass, underWay, lost, begun, healthy, limit)
			}
			w.live(false)
		}
	}
}

func TestEveryQuestionIsAnsweredInTheEnd(t *testing.T) {
	for seed := range uint64(300) {
		w := randomWorld(seed)
		for range 12 {
			for _, s := range PermitsOf(w.input()).Steps {
				w.carryOut(s)
			}
			w.live(false)
		}
		for range 8*len(w.nodes) + 10 {
			for _, s := range PermitsOf(w.input()).Steps {
				w.carryOut(s)
			}
			w.live(true)
		}
		for _, n := range w.nodes {
			if StandingOf(n) == Offline || n.Spec.Revision == "" {
				continue
			}
			if n.Status.Pending != nil || n.Spec.Permit != "" || w.evidence[n.Name].Drain != nil {
				t.Fatalf("seed %d: %s asks for %v, permit %q, drain %+v", seed, n.Name, n.Status.Pending, n.Spec.Permit, w.evidence[n.Name].Drain)
			}
		}
	}
}

func TestPermitsDoNotDependOnOrderAndChangeNothing(t *testing.T) {
	for seed := range uint64(200) {
		w := randomWorld(seed)
		for range 3 {
			for _, s := range PermitsOf(w.input()).Steps {
				w.carryOut(s)
			}
			w.live(false)
		}
		var before []*v1alpha1.NodeState
		for _, n := range w.nodes {
			before = append(before, n.DeepCopy())
		}
		want := steps(PermitsOf(w.input()))
		if diff := cmp.Diff(before, w.nodes); diff != "" {
			t.Fatalf("seed %d: the input has changed:\n%s", seed, diff)
		}
		w.r.Shuffle(len(w.nodes), func(i, j int) { w.nodes[i], w.nodes[j] = w.nodes[j], w.nodes[i] })
		if diff := cmp.Diff(want, steps(PermitsOf(w.input()))); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}
