package plan_test

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	flanneld    = "flanneld.service"
	dockerOpts  = "seedbed-docker-opts.service"
	subnetEnv   = "/run/flannel/subnet.env"
	optionsEnv  = "/run/seedbed/docker-opts.env"
	newLease    = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.60.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
	toNextLease = "c9c207216590116172c2ab7dd32d6980" // of 172.30.0.0/18
	toNewLease  = "bcb30b9712eb1667dd1cf8334d1c15c5" // the plan's hash
	oldLease    = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.38.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
)

var (
	web, pod = strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	yes      = true
)

func options(t *testing.T, lease string) state.File {
	t.Helper()
	l, err := dockeropts.Parse([]byte(lease))
	if err != nil {
		t.Fatal(err)
	}
	return seen(string(l.EnvFile()))
}

// chained is the small node with flannel and docker0, converged with docker0 on the lease.
func chained(t *testing.T) (d, o state.Host, l state.Ledger) {
	t.Helper()
	d = desired()
	o, l = converged()
	for name, c := range map[string]state.Component{flanneld: state.ComponentFlannel, dockerOpts: state.ComponentDockerOpts} {
		d.Units[name] = state.Unit{Enablement: state.Enabled, Activity: state.Active, Component: c}
		o.Units[name] = state.Unit{Enablement: state.Enabled, Activity: state.Active, Invocation: name + "-run1"}
		l.Owned[state.Ref{Kind: state.KindUnit, Name: name}] = state.Owned{Prior: state.Prior{Absent: true}}
		l.Started[name] = state.Started{Inputs: map[string]string{}, Invocation: name + "-run1"}
	}
	d.Links["docker0"] = state.Link{Promiscuous: &yes, Bridge: &state.Bridge{
		Lease: subnetEnv, Options: optionsEnv, Writer: dockerOpts, Giver: flanneld, Maker: docker, Socket: "docker.socket", Users: []string{kubelet},
	}}
	o.Units["docker.socket"] = state.Unit{Enablement: state.Enabled, Activity: state.Active}
	o.Files[subnetEnv], o.Files[optionsEnv] = seen(oldLease), options(t, oldLease)
	o.Links["docker0"] = state.Link{Kind: "bridge", Addresses: []string{"172.30.38.1/24"}, MTU: 1450, Promiscuous: &yes}
	l.Owned[state.Ref{Kind: state.KindLink, Name: "docker0"}] = state.Owned{Prior: state.Prior{Value: plan.NotPromiscuous}, Applied: plan.Promiscuous}
	return d, o, l
}

// withPods lets two containers run on docker0, one of them the kubelet's.
func withPods(o *state.Host) {
	o.Containers[web], o.Containers[pod] = state.Container{Name: "web"}, state.Container{Name: "k8s_app", Kubernetes: true}
	link := o.Links["docker0"]
	link.Ports = map[string]state.Port{"veth1": {MTU: 1450}, "veth2": {MTU: 1450}}
	o.Links["docker0"] = link
}

// reads makes a unit read something new.
func reads(d *state.Host, name string) {
	u := d.Units[name]
	u.Inputs = append(u.Inputs, state.Input{Name: "net-conf.json", Hash: "new", Disruption: state.Restart})
	d.Units[name] = u
}

func TestPlanOfABridge(t *testing.T) {
	const permit = "the plan's own"
	unknownContainers := state.Ref{Kind: state.KindContainers, Name: docker}
	for _, c := range []struct {
		name, reason, permit string
		change               func(d, o *state.Host, l *state.Ledger)
	}{
		{"bridge-next-network", "another network is another lease, and so another docker0", "", func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
		}},
		{"bridge-next-permitted", "with the permit flanneld takes its next lease, and docker0 follows with the same", permit, func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
		}},
		{"bridge-next-taken", "what flanneld took its lease with a permit for goes on without another", "", func(d, o *state.Host, l *state.Ledger) {
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.30.0.0/18"
			o.Files[subnetEnv] = seen(newLease)
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: toNextLease, Permitted: true}
		}},
		{"bridge-next-kept", "it is over if the lease stayed after all", "", func(d, o *state.Host, l *state.Ledger) {
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.30.0.0/18"
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: toNextLease, Permitted: true}
		}},
		{"bridge-next-cut-off", "an agent that was killed before flanneld's restart goes on with it", "", func(d, o *state.Host, l *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: "4a70cf5b3d63a307b58cdec2f5dc0b2e", Permitted: true}
		}},
		{"bridge-next-by-node", "Nodes know nothing of the leases in etcd", "", func(d, o *state.Host, l *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.ByNode = "flannel.kubeconfig"
			l.Started[flanneld] = state.Started{Inputs: map[string]string{"/etc/systemd/system/" + flanneld: "etcd"}, Invocation: flanneld + "-run1"}
		}},
		{"bridge-next-by-etcd", "etcd may know of another lease than the Node's", "", func(d, o *state.Host, l *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.ByNode, d.Links["docker0"].Bridge.Length = "flannel.kubeconfig", 24
			l.Started[flanneld] = state.Started{Inputs: map[string]string{"/etc/systemd/system/" + flanneld: "nodes", "flannel.kubeconfig": "x"}, Invocation: flanneld + "-run1"}
		}},
		{"bridge-next-kubelet", "what runs on the node goes on while it is drained: a kubelet that does not run is started", "", func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.MTU = 1400
			o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Failed}
		}},
		{"bridge-next-unknown", "what may run is asked for as well", "", func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			d.Links["docker0"].Bridge.MTU = 1400
			o.Unknown[unknownContainers] = "docker: list containers: no answer"
		}},
		{"bridge-next-down", "a flanneld that does not run waits for nobody", "", func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
			o.Units[flanneld] = state.Unit{Enablement: state.Enabled, Activity: state.Failed}
		}},
		{"bridge-next-docker-down", "a docker that is down has left its containers running, and reached", "", func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
			o.Units[docker] = state.Unit{Enablement: state.Enabled, Activity: state.Failed}
			o.Containers = map[string]state.Container{}
		}},
		{"bridge-next-starting", "nor does one that comes up and fails again and again", "", func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
			o.Units[flanneld] = state.Unit{Enablement: state.Enabled, Activity: state.Activating, Invocation: flanneld + "-run1"}
		}},
		{"bridge-next-moved", "nor one whose lease has left its docker0 already", "", func(d, o *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			withPods(o)
			o.Files[subnetEnv] = seen(newLease)
			d.Links["docker0"].Bridge.Network = "172.31.0.0/16"
		}},
		{"bridge-next-length", "so are subnets of another length", "", func(d, _ *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			d.Links["docker0"].Bridge.Length = 25
		}},
		{"bridge-next-mtu", "so is another MTU", "", func(d, _ *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			d.Links["docker0"].Bridge.MTU = 1500
		}},
		{"bridge-next-same", "a flanneld that is restarted for another reason keeps its lease", "", func(d, _ *state.Host, _ *state.Ledger) {
			reads(d, flanneld)
			b := d.Links["docker0"].Bridge
			b.Network, b.Length, b.MTU = "172.30.0.0/17", 24, 1450
		}},
		{"bridge-agrees", "a bridge on the lease needs no step", "", func(_, _ *state.Host, _ *state.Ledger) {}},
		{"bridge-no-lease", "without a lease nobody knows what docker0 is to be", "", func(_, o *state.Host, _ *state.Ledger) {
			delete(o.Files, subnetEnv)
		}},
		{"bridge-recreate", "without containers docker0 is made anew at once, unless one has come since", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
		}},
		{"bridge-waits", "running containers are stopped with a permit only; what does not concern docker0 goes on", "", func(d, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			d.Files[daemon] = file(`{"max-concurrent-downloads": 10}`, state.ComponentDocker)
			d.Units[docker].Inputs[0].Hash = "live2"
		}},
		{"bridge-permitted", "with the permit the containers are stopped, and those that nobody else starts are started again", permit, func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
		}},
		{"bridge-restart-included", "a restart that docker owes besides is the start at the end", permit, func(d, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			d.Files[daemon] = file(`{"data-root": "/data"}`, state.ComponentDocker)
			d.Units[docker].Inputs[1].Hash = "rest2"
		}},
		{"bridge-other-permit", "a permit for another plan permits nothing", "0123456789abcdef0123456789abcdef", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
		}},
		{"bridge-containers-unknown", "a docker that does not answer is left alone", permit, func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			o.Unknown[unknownContainers] = "docker: list containers: no answer"
		}},
		{"bridge-flannel-down", "the lease of a flanneld that does not run may be an old one", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			o.Units[flanneld] = state.Unit{Enablement: state.Enabled, Activity: state.Activating}
		}},
		{"bridge-docker-failed", "a docker that failed is started before anything: only then is known what runs on the host's network", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			o.Units[docker] = state.Unit{Enablement: state.Enabled, Activity: state.Failed}
			o.Units["docker.socket"] = state.Unit{Activity: state.Failed}
		}},
		{"bridge-docker-down-with-ports", "only a docker that runs can stop its containers, so it is started first", permit, func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Units[docker] = state.Unit{Enablement: state.Enabled, Activity: state.Failed}
			o.Containers = map[string]state.Container{}
		}},
		{"bridge-options-stale", "docker is not started with options of an old lease", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			delete(o.Links, "docker0")
			o.Units[docker] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive}
		}},
		{"bridge-killed-with-docker-down", "after a kill the rest is done, and counts as nobody's drift", "", func(_, o *state.Host, l *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			delete(o.Links, "docker0")
			for _, name := range []string{docker, kubelet, "docker.socket"} {
				o.Units[name] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive, Invocation: name + "-run1"}
			}
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: "p", Containers: []string{web}}
		}},
		{"bridge-killed-before-stop", "a recreation under way needs no second permit", "", func(_, o *state.Host, l *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive, Invocation: kubelet + "-run1"}
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: toNewLease, Permitted: true, Containers: []string{web}}
		}},
		{"bridge-killed-before-delete", "a docker that was stopped for it makes docker0 anew: before docker 26 one that is there keeps its MTU", "", func(_, o *state.Host, l *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			for _, name := range []string{docker, kubelet, "docker.socket"} {
				o.Units[name] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive, Invocation: name + "-run1"}
			}
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: toNewLease, Permitted: true}
		}},
		{"bridge-other-under-way", "a lease that moves again asks again, whatever is under way", "", func(_, o *state.Host, l *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: "another", Permitted: true, Containers: []string{web}}
		}},
		{"bridge-begun-without-permit", "what began while no container ran stops none that has come since", "", func(_, o *state.Host, l *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: toNewLease}
		}},
		{"bridge-made-wrong", "what docker made of it with a permit needs another, once somebody else has started docker", "", func(_, o *state.Host, l *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: toNewLease, Permitted: true, Invocation: "another run"}
		}},
		{"bridge-container-left", "a container that did not start at first is tried again, with docker0 as it is to be", "", func(_, _ *state.Host, l *state.Ledger) {
			l.Recreated = &state.Recreation{Link: "docker0", Maker: docker, Plan: toNewLease, Permitted: true, Containers: []string{web}, Refused: 1, Done: true}
		}},
		{"bridge-busy", "apt that is at work passes: the node waits, and goes on asking", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Busy = "apt-get (pid 7) holds its lock"
		}},
		{"bridge-flannel-restarts", "a flanneld that starts passes: the node goes on asking", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Units[flanneld] = state.Unit{Enablement: state.Enabled, Activity: state.Activating}
		}},
		{"bridge-docker-restarts", "a docker that starts passes: the node goes on asking", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Containers = map[string]state.Container{}
			o.Units[docker] = state.Unit{Enablement: state.Enabled, Activity: state.Activating}
		}},
		{"bridge-user-masked", "a kubelet that could not be started again does not pass: nobody is asked", permit, func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Units[kubelet] = state.Unit{Enablement: state.Masked, Activity: state.Active}
		}},
		{"bridge-socket-masked", "a docker whose socket is masked would not start again", permit, func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Units["docker.socket"] = state.Unit{Enablement: state.Masked, Activity: state.Active}
		}},
		{"bridge-first-kubelet", "a kubelet that does not run yet starts no pod on the wrong docker0", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			withPods(o)
			o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive}
		}},
		{"bridge-promiscuous", "a docker0 that is not promiscuous keeps pods from themselves (SB011)", "", func(_, o *state.Host, _ *state.Ledger) {
			no := false
			link := o.Links["docker0"]
			link.Promiscuous = &no
			o.Links["docker0"] = link
		}},
		{"bridge-hairpin", "ports come without hairpin", "", func(d, o *state.Host, _ *state.Ledger) {
			withPods(o)
			link := d.Links["docker0"]
			link.Hairpin = &yes
			d.Links["docker0"] = link
		}},
		{"bridge-removal", "leaving puts the mode back and leaves the bridge to docker", "", func(d, _ *state.Host, _ *state.Ledger) {
			*d = state.New()
		}},
		{"bridge-rp-filter", "a link that comes later is born with the values of default; one that is there is set (SB004)", "", func(d, o *state.Host, _ *state.Ledger) {
			d.Sysctls["net.ipv4.conf.docker0.rp_filter"], o.Sysctls["net.ipv4.conf.docker0.rp_filter"] = "0", "1"
			d.Links["flannel.1"] = state.Link{}
			d.Sysctls["net.ipv4.conf.flannel/1.rp_filter"] = "0"
		}},
		{"bridge-unknown", "a bridge that cannot be looked at is left alone", "", func(_, o *state.Host, _ *state.Ledger) {
			o.Files[subnetEnv] = seen(newLease)
			o.Links = map[string]state.Link{}
			o.Unknown[state.Ref{Kind: state.KindLink, Name: "docker0"}] = "the host does not run"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, o, l := chained(t)
			c.change(&d, &o, &l)
			if c.permit == permit {
				if asks := plan.New(d, o, l).Asks; asks != nil {
					c.permit = asks.Plan
				}
			}
			p := plan.NewPermitted(d, o, l, c.permit)
			text := "# " + c.reason + "\n" + p.String()
			if p.Asks != nil {
				text += "asks for " + p.Asks.Plan + ": " + p.Asks.Message + "\n"
			}
			if p.Recreation != nil {
				text += "on record: " + strings.Join(p.Recreation.Containers, ", ") + "\n"
			}
			golden(t, c.name, text)
		})
	}
}

func TestAPermitStaysGoodWhileItsPlanIsCarriedOut(t *testing.T) {
	d, o, l := chained(t)
	o.Files[subnetEnv] = seen(newLease)
	withPods(&o)
	first := plan.New(d, o, l).Asks
	delete(o.Containers, web)
	o.Units[kubelet] = state.Unit{Enablement: state.Enabled, Activity: state.Inactive}
	if again := plan.New(d, o, l).Asks; again == nil || again.Plan != first.Plan {
		t.Errorf("another permit is wanted half-way: %+v, then %+v", first, again)
	}
	o.Files[subnetEnv] = seen(strings.ReplaceAll(newLease, "172.30.60", "172.30.61"))
	if other := plan.New(d, o, l).Asks; other.Plan == first.Plan {
		t.Error("a permit for one lease is good for another")
	}
}

func TestAPlanKnowsWhenItCannotTellWhetherItAsks(t *testing.T) {
	for reason, ref := range map[string]state.Ref{
		"docker0": {Kind: state.KindLink, Name: "docker0"}, "the lease": {Kind: state.KindFile, Name: subnetEnv},
		"flanneld": {Kind: state.KindUnit, Name: flanneld}, "docker": {Kind: state.KindUnit, Name: docker},
	} {
		d, o, l := chained(t)
		if plan.New(d, o, l).Blind {
			t.Fatal("a plan that sees everything is blind")
		}
		o.Unknown[ref] = "no answer"
		if !plan.New(d, o, l).Blind {
			t.Errorf("%s cannot be looked at, and the plan says that there is nothing to ask", reason)
		}
	}
}

func TestNothingIsStoppedThatCouldNotBeStartedAgain(t *testing.T) {
	d, o, l := chained(t)
	o.Files[subnetEnv] = seen(newLease)
	d.Files[dropIn] = file("[Service]\nLimitNOFILE=1\n", state.ComponentDocker)
	d.Files[unit] = file("[Service]\nExecStart=/bin/kubelet\n", state.ComponentKubelet)
	for i, s := range plan.New(d, o, l).Steps {
		if s.Action != plan.Stop {
			continue
		}
		for _, want := range []state.Ref{{Kind: state.KindFile, Name: dropIn}, {Kind: state.KindFile, Name: unit}, {Kind: state.KindSystemd, Name: "manager"}} {
			if !contains(s.Needs, want) {
				t.Errorf("step %d, %s %s, does not wait for %s", i, s.Action, s.Target, want)
			}
		}
	}
	u := o.Units[docker]
	u.Enablement = state.Masked
	o.Units[docker] = u
	for _, s := range plan.New(d, o, l).Steps {
		if s.Action == plan.Stop || s.Action == plan.Delete && !strings.Contains(s.Blocked, "masked") {
			t.Errorf("%s %s although docker is masked (%s)", s.Action, s.Target, s.Blocked)
		}
	}
}
