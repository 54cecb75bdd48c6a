package controllers_test

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/forecast"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	stage "seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

// specs are what a user changes.
type specs struct {
	node    *v1alpha1.NodeConfigSpec
	network *v1alpha1.NetworkConfigSpec
}

// change is one kind of change, and what it costs.
type change struct {
	reason string
	// before is part of the configuration already.
	before func(specs)
	do     func(specs)
	// machine prepares the host before the first configuration, event happens after it, later after the
	// first pass of the change.
	machine, event, later func(*hosttest.Fake)
	// unpromised is true where containers may go on, and nobody promises it.
	unpromised bool
	// local is true for what only the host itself shows.
	local bool
	// stuck is true when the host cannot get there.
	stuck bool
	// costs are the disruption of the whole, and each disturbed target with its own.
	disruption string
	costs      []string
}

// steady is a node of the guide that is at its configuration, and the specs of it.
func (c *change) steady(t *testing.T) (*hosttest.Fake, *testAgent, *controllers.Assignment, specs) {
	t.Helper()
	f := bareMachine(t)
	if c.machine != nil {
		c.machine(f)
	}
	in := resolvetest.Load(t, "guide")
	s := specs{&in.Revision.Node, &in.Revision.Network}
	version := "26.1.5-1"
	s.node.Packages = &v1alpha1.Packages{Present: []v1alpha1.Package{{Name: "docker-ce", Version: &version}}}
	if c.before != nil {
		c.before(s)
	}
	a := newAgent(t, f)
	a.Pipeline.Progress, a.Pipeline.Log = nil, logr.Discard()
	held := assignmentOf(t, 1, s)
	status := passesOf(t, a, held, nil, nil)
	if status.Revision != held.Revision {
		t.Fatalf("the host does not settle: %+v", status)
	}
	f.RunContainer(webContainer, state.Container{Name: "web"})
	passesOf(t, a, held, held, nil) // the container's port gets what it needs
	if c.event != nil {
		c.event(f)
	}
	return f, a, held, s
}

func assignmentOf(t *testing.T, generation int64, s specs) *controllers.Assignment {
	t.Helper()
	data, name, err := revision.New(*s.node, *s.network).Encode("workers")
	if err != nil {
		t.Fatal(err)
	}
	return &controllers.Assignment{Generation: generation, Revision: name, Data: data, Contents: resolvetest.Secrets(t)}
}

// passesOf are those of an agent until its host agrees, with a manager that permits what is asked for.
func passesOf(t *testing.T, a *testAgent, want, held *controllers.Assignment, between func()) v1alpha1.NodeStateStatus {
	t.Helper()
	var status v1alpha1.NodeStateStatus
	for range 6 {
		now := *want
		if status.Pending != nil {
			now.Permit = status.Pending.Plan
		}
		pass, enforced := a.Pipeline.Pass(context.Background(), &now, held)
		held, status = enforced, stage.Status(status, &pass)
		if pass.Agrees() {
			break
		}
		if between != nil {
			between()
		}
	}
	return status
}

// reportedCost is None where nothing was to be done.
func reportedCost(s v1alpha1.NodeStateStatus) string {
	if s.Apply == nil {
		return "None"
	}
	return string(s.Apply.Disruption)
}

// foretell is what `seedbed plan` does on a node.
func foretell(t *testing.T, f *hosttest.Fake, s specs) forecast.Forecast {
	t.Helper()
	ctx, h := context.Background(), f.Host()
	ledger, err := apply.Peek(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	observe := func(desired state.Host) state.Host { return host.Observe(ctx, h, desired, ledger) }
	told, err := forecast.New(forecast.Input{Node: inputOf(t, f, s), Observe: observe, Ledger: ledger})
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// foretellFromAfar is what it does elsewhere.
func foretellFromAfar(t *testing.T, f *hosttest.Fake, old, s specs) forecast.Forecast {
	t.Helper()
	observe, ledger := forecast.FromAfar(rendered(t, inputOf(t, f, old)), netip.Prefix{})
	told, err := forecast.New(forecast.Input{Node: inputOf(t, f, s), Observe: observe, Ledger: ledger})
	if err != nil {
		t.Fatal(err)
	}
	return told
}

func inputOf(t *testing.T, f *hosttest.Fake, s specs) resolve.Input {
	t.Helper()
	facts, err := f.Host().Facts.Facts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return resolve.Input{
		NodeName: "node-a", Revision: revision.New(*s.node, *s.network), Facts: facts, Secrets: resolve.NewSecrets(resolvetest.Secrets(t)),
	}
}

func costsOf(told forecast.Forecast) []string {
	var costs []string
	for _, d := range told.Plan.Disturbances() {
		costs = append(costs, d.Disruption.String()+" "+d.Target.String())
	}
	return costs
}

// runs are the units that run, each with its run.
func unitRuns(f *hosttest.Fake, desired state.Host) map[string]string {
	all := map[string]string{}
	for _, name := range append(state.SortedKeys(desired.Units), "docker.socket", "mine.service") {
		if u := f.Unit(name); u.Activity == state.Active && name != resolve.UnitDockerOpts {
			all[name] = u.Invocation
		}
	}
	return all
}

func disturbed(before, after map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if after[name] != before[name] {
			names = append(names, name)
		}
	}
	return names
}

func TestWhatAPlanCostsIsWhatItsPassesThenCost(t *testing.T) {
	for name, c := range changes() {
		t.Run(name, func(t *testing.T) {
			f, a, held, s := c.steady(t)
			c.do(s)
			machine := f.Dump()
			f.ForgetJournal()
			told := foretell(t, f, s)
			if f.Changes() != 0 || f.Dump() != machine {
				t.Fatalf("a plan changed the host: %v", f.Journal())
			}
			if diff := cmp.Diff(c.costs, costsOf(told)); diff != "" || told.Plan.Disruption().String() != c.disruption {
				t.Errorf("%s: disruption %s, want %s (-want +planned):\n%s\n%s", c.reason, told.Plan.Disruption(), c.disruption, diff, told.Plan)
			}

			before, ran, ended := unitRuns(f, told.Desired), f.Running(), f.Ended(webContainer)
			want := assignmentOf(t, 2, s)
			status := passesOf(t, a, want, held, func() {
				if c.later != nil {
					c.later(f)
				}
			})
			if (status.Revision != want.Revision) != c.stuck {
				t.Fatalf("the host does not get there: %+v\nplan:\n%s", status, told.Plan)
			}
			if got := reportedCost(status); got != c.disruption {
				t.Errorf("planned %s, and status.apply.disruption is %s", c.disruption, got)
			}
			var restarts []string
			ends := false
			for _, d := range told.Plan.Disturbances() {
				ends = ends || d.Target.Kind == state.KindContainers
				if d.Target.Kind == state.KindUnit && d.Disruption >= state.Restart {
					restarts = append(restarts, d.Target.Name)
				}
			}
			slices.Sort(restarts)
			if diff := cmp.Diff(slices.Compact(restarts), disturbed(before, unitRuns(f, told.Desired))); diff != "" {
				t.Errorf("units that run anew (-planned +done):\n%s\n%s", diff, told.Plan)
			}
			if got := f.Ended(webContainer) - ended; (got > 0) != (ends && !c.unpromised) || got > 1 {
				t.Errorf("a container ended %d times; the plan said that containers end: %v\n%s", got, ends, told.Plan)
			}
			if diff := cmp.Diff(ran, f.Running()); diff != "" {
				t.Errorf("containers that run (-before +after):\n%s", diff)
			}
		})
	}
}

func TestAPlanFromAfarCostsWhatItCostsOnTheNode(t *testing.T) {
	for name, c := range changes() {
		if c.local {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f, _, _, s := c.steady(t)
			old := specs{s.node.DeepCopy(), s.network.DeepCopy()}
			same := foretellFromAfar(t, f, old, old)
			if len(same.Plan.Steps) != 0 {
				t.Errorf("a node that is there has something to do:\n%s", same.Plan)
			}
			c.do(s)
			here, told := foretell(t, f, s), foretellFromAfar(t, f, old, s)
			if diff := cmp.Diff(costsOf(here), costsOf(told)); diff != "" {
				t.Errorf("-on the node +from afar:\n%s\n%s\n%s", diff, here.Plan, told.Plan)
			}
		})
	}
}

// A plan on a node knows of its Node what the lease says.
func TestAPlanOnANodeSaysThatItsNodeIsInTheWay(t *testing.T) {
	byNodes := func(s specs) { s.network.SubnetManager = nil }
	for name, c := range map[string]struct {
		change
		held bool
	}{
		"its podCIDR is outside":            {change{before: byNodes, do: func(s specs) { s.network.PodCIDR = "172.31.0.0/16" }}, true},
		"its podCIDR is in the new one":     {change{before: byNodes, do: func(s specs) { s.network.PodCIDR, s.network.ServiceCIDR = "172.16.0.0/12", "10.254.0.0/16" }}, false},
		"flannel's etcd gives another one":  {change{do: func(s specs) { s.network.PodCIDR = "172.31.0.0/16" }}, false},
		"nothing of the network is changed": {change{before: byNodes, do: func(s specs) { s.node.Docker.MaxConcurrentDownloads = new(int32(7)) }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, _, _, s := c.steady(t)
			c.do(s)
			told := foretell(t, f, s)
			const says = "the manager holds it back while spec.podCIDR of Node node-a is outside podCIDR 172.31.0.0/16"
			if strings.HasPrefix(told.Held, says) != c.held || !c.held && told.Held != "" {
				t.Errorf("%q", told.Held)
			}
		})
	}
}
