package chain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	flanneld   = "flanneld.service"
	dockerOpts = "seedbed-docker-opts.service"
	docker     = "docker.service"
	kubelet    = "kubelet.service"
	subnetEnv  = "/run/flannel/subnet.env"
	optionsEnv = "/run/seedbed/docker-opts.env"
	leaseText  = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.38.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
)

var on, off = true, false

func options(t *testing.T, text string) state.File {
	t.Helper()
	lease, err := dockeropts.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return state.File{Content: lease.EnvFile()}
}

// healthy is a node with nothing wrong.
func healthy(t *testing.T) (desired, seen state.Host) {
	t.Helper()
	desired, seen = state.New(), state.New()
	for name, c := range map[string]state.Component{
		flanneld: state.ComponentFlannel, dockerOpts: state.ComponentDockerOpts, docker: state.ComponentDocker,
		"cri-docker.service": state.ComponentCRIDockerd, "cri-docker.socket": state.ComponentCRIDockerd,
		kubelet: state.ComponentKubelet, "kube-proxy.service": state.ComponentKubeProxy,
	} {
		desired.Units[name] = state.Unit{Activity: state.Active, Component: c}
		seen.Units[name] = state.Unit{Activity: state.Active, Uptime: time.Hour, Result: "success"}
	}
	u := desired.Units[docker]
	u.Command = state.CommandRule{Has: []string{"$SEEDBED_DOCKER_OPTS"}, HasNot: map[string]string{"data-root": "data-root", "g": "data-root", "log-opt": "log-opts"}}
	desired.Units[docker] = u
	runs(seen, docker, "/usr/sbin/dockerd", "-H", "fd://", "$SEEDBED_DOCKER_OPTS")
	desired.Links["docker0"] = state.Link{Component: state.ComponentDocker, Promiscuous: &on, Bridge: &state.Bridge{
		Lease: subnetEnv, Options: optionsEnv, Writer: dockerOpts, Giver: flanneld, Maker: docker, Users: []string{kubelet}, Network: "172.30.0.0/16",
	}}
	desired.Links["flannel.1"] = state.Link{Component: state.ComponentFlannel, Local: "10.64.3.7"}
	seen.Files[subnetEnv], seen.Files[optionsEnv] = state.File{Content: []byte(leaseText)}, options(t, leaseText)
	seen.Links["docker0"] = state.Link{
		Kind: "bridge", Addresses: []string{"172.30.38.1/24"}, MTU: 1450, Promiscuous: &on, Ports: map[string]state.Port{"veth1": {MTU: 1450}},
	}
	seen.Links["flannel.1"] = state.Link{Kind: "vxlan", Addresses: []string{"172.30.38.0/32"}, MTU: 1450, Local: "10.64.3.7"}
	desired.Chains["filter/FORWARD"], seen.Chains["filter/FORWARD"] = state.Chain{Policy: "ACCEPT"}, state.Chain{Policy: "ACCEPT"}
	for name, c := range map[string]state.Component{"flannel healthz": state.ComponentFlannel, "docker ping": state.ComponentDocker, "kubelet healthz": state.ComponentKubelet} {
		desired.Probes[name] = state.Probe{Component: c, Kind: state.ProbeHTTP, Address: "127.0.0.1:10248", Path: "/healthz"}
		seen.Probes[name] = state.Probe{Answer: "ok"}
	}
	desired.Probes["kubelet certificate"] = state.Probe{Component: state.ComponentKubelet, Kind: state.ProbeCertificate, Path: "/var/lib/kubelet/pki/x.pem", Want: "system:node:node-a"}
	seen.Probes["kubelet certificate"] = state.Probe{Answer: "system:node:node-a"}
	return desired, seen
}

func runs(h state.Host, name string, argv ...string) {
	u := h.Units[name]
	u.Exec = argv
	h.Units[name] = u
}

func is(h state.Host, name string, u state.Unit) { h.Units[name] = u }

func link(h state.Host, name string, change func(*state.Link)) {
	l := h.Links[name]
	change(&l)
	h.Links[name] = l
}

func TestExamine(t *testing.T) {
	for name, tt := range map[string]struct {
		reason string
		change func(d, s state.Host)
		// want are component, reason and rule of each finding; says is in the first message.
		want []string
		says string
	}{
		"Healthy": {"nothing is wrong", func(_, _ state.Host) {}, nil, ""},
		"WrongSubnet": {"docker came up before flannel", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.Addresses = []string{"172.17.0.1/16"} })
		}, []string{"docker BridgeMismatch SB001"}, "docker0: it has 172.17.0.1/16, and flannel's lease is 172.30.38.1/24; it is made anew"},
		"TwoAddresses": {"an address more harms nobody", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.Addresses = []string{"172.17.0.1/16", "172.30.38.1/24"} })
		}, nil, ""},
		"NoAddress": {"somebody flushed it", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.Addresses = nil })
		}, []string{"docker BridgeMismatch SB001"}, "it has no address"},
		"BridgeGone": {"docker does not make it again by itself", func(_, s state.Host) {
			delete(s.Links, "docker0")
		}, []string{"docker BridgeMismatch SB001"}, "it is gone, and docker.service runs"},
		"BridgeOfNoDocker": {"a docker that does not run has no bridge to miss", func(_, s state.Host) {
			delete(s.Links, "docker0")
			is(s, docker, state.Unit{Activity: state.Failed, Result: "start-limit-hit"})
		}, []string{"docker UnitNotActive "}, "docker.service is failed (systemd has given up starting it)"},
		"PortMTU": {"packets that fit one side do not fit the other", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.Ports["veth1"] = state.Port{MTU: 1500} })
		}, []string{"docker MTUMismatch SB026"}, "its port veth1 has MTU 1500, and flannel's lease has MTU 1450"},
		"BridgeMTU": {"with ports the bridge counts too", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.MTU = 1500 })
		}, []string{"docker MTUMismatch SB026"}, "it has MTU 1500"},
		"BridgeMTUWithoutPorts": {"docker before 26 leaves the kernel's MTU until the first container", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.MTU, l.Ports = 1500, nil })
		}, nil, ""},
		"BridgeMTUOfOtherOptions": {"docker was started with another MTU", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.MTU, l.Ports = 1500, nil })
			s.Files[optionsEnv] = options(t, strings.ReplaceAll(leaseText, "1450", "1500"))
		}, []string{"docker MTUMismatch SB026"}, "it has MTU 1500"},
		"OptionsGone": {"docker does not start again without them", func(_, s state.Host) {
			delete(s.Files, optionsEnv)
		}, []string{"docker BridgeMismatch SB002"}, "systemctl restart seedbed-docker-opts.service"},
		"NoLease": {"flannel waits for its config; docker0 cannot be judged", func(_, s state.Host) {
			delete(s.Files, subnetEnv)
			is(s, flanneld, state.Unit{Activity: state.Activating})
		}, []string{"flannel Starting ", "flannel LeaseMissing SB025"}, "flanneld.service is starting"},
		"HalfALease": {"a file that is cut off is no lease", func(_, s state.Host) {
			s.Files[subnetEnv] = state.File{Content: []byte(leaseText[:40])}
		}, []string{"flannel LeaseMissing SB025"}, "cut off"},
		"OtherNetwork": {"flannel reads another config than ours", func(_, s state.Host) {
			s.Files[subnetEnv] = state.File{Content: []byte(strings.ReplaceAll(leaseText, "172.30.", "10.1."))}
		}, []string{"flannel LeaseMismatch SB025", "docker BridgeMismatch SB001"}, "podCIDR is 172.30.0.0/16"},
		"OldLease": {"while flanneld is down its lease does not count, and it is said", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.Addresses = []string{"172.30.60.1/24"} })
			is(s, flanneld, state.Unit{Activity: state.Failed, Result: "exit-code"})
		}, []string{"flannel UnitNotActive ", "docker BridgeMismatch SB001"}, "flanneld.service is failed (exit-code)"},
		"PublicInterface": {"flannel sends from the interface of the default route", func(_, s state.Host) {
			link(s, "flannel.1", func(l *state.Link) { l.Local = "203.0.113.9" })
		}, []string{"flannel TunnelMismatch SB007"}, "sends from 203.0.113.9, and the node's address is 10.64.3.7"},
		"WideTunnel": {"flannel before 0.7.0", func(_, s state.Host) {
			link(s, "flannel.1", func(l *state.Link) { l.Addresses = []string{"172.30.38.0/16"} })
		}, []string{"flannel TunnelMismatch SB008"}, "172.30.38.0/16"},
		"TunnelMTU": {"the tunnel carries less than the lease says", func(_, s state.Host) {
			link(s, "flannel.1", func(l *state.Link) { l.MTU = 1400 })
		}, []string{"flannel MTUMismatch SB026"}, "flannel.1 has MTU 1400"},
		"TunnelGone": {"somebody deleted it", func(_, s state.Host) {
			delete(s.Links, "flannel.1")
		}, []string{"flannel TunnelMismatch "}, "link flannel.1 is gone"},
		"ForwardDrop": {"docker set it", func(_, s state.Host) {
			s.Chains["filter/FORWARD"] = state.Chain{Policy: "DROP"}
		}, []string{"docker ForwardPolicy SB003"}, "has policy DROP, and ACCEPT is declared"},
		"ForwardUnknown": {"two variants of iptables are in use", func(_, s state.Host) {
			s.Unknown[state.Ref{Kind: state.KindChain, Name: "filter/FORWARD"}] = "rules in both variants"
		}, []string{"docker ForwardPolicy SB003"}, "rules in both variants"},
		"NotPromiscuous": {"a pod does not reach itself", func(_, s state.Host) {
			link(s, "docker0", func(l *state.Link) { l.Promiscuous = &off })
		}, []string{"docker HairpinOff SB011"}, "docker0 is not promiscuous"},
		"TwiceLong": {"dockerd refuses a key that is also a flag", func(_, s state.Host) {
			runs(s, docker, "/usr/sbin/dockerd", "$SEEDBED_DOCKER_OPTS", "--data-root=/data")
		}, []string{"docker DuplicateOption SB015"}, "--data-root=/data on its command line and key data-root"},
		"TwiceShort": {"the short flag too, which is what explains a docker that failed", func(_, s state.Host) {
			is(s, docker, state.Unit{Activity: state.Failed, Result: "exit-code"})
			runs(s, docker, "/usr/sbin/dockerd", "$SEEDBED_DOCKER_OPTS", "-g", "/data")
		}, []string{"docker DuplicateOption SB015", "docker UnitNotActive "}, "-g on its command line"},
		"Overridden": {"a drop-in of somebody else's replaces the command", func(_, s state.Host) {
			runs(s, docker, "/usr/sbin/dockerd", "-H", "fd://")
		}, []string{"docker CommandOverridden "}, "lacks $SEEDBED_DOCKER_OPTS"},
		"UnitMissing": {"the package went away", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Missing: true})
		}, []string{"kubelet UnitMissing "}, "systemd knows no unit kubelet.service"},
		"JustStarted": {"a fresh unit has to stay up before it counts", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Active, Uptime: 4 * time.Second})
		}, []string{"kubelet Starting "}, "has just been started"},
		"StableAfterFive": {"and then counts", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Active, Uptime: 5 * time.Second})
		}, nil, ""},
		"CrashLoop": {"fault 19: it dies after three seconds, again and again", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Active, Uptime: 2 * time.Second, Restarts: 6, Result: "exit-code"})
		}, []string{"kubelet CrashLooping "}, "kubelet.service ends again and again (exit-code): journalctl -u kubelet.service"},
		"CrashLoopBetween": {"also while systemd waits to start it", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Activating, Restarts: 1, Result: "exit-code"})
		}, []string{"kubelet CrashLooping "}, "again and again"},
		"OnceRestarted": {"SB030: a kubelet that died once at its first start and stays up is well", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Active, Uptime: 10 * time.Second, Restarts: 1})
		}, nil, ""},
		"OftenRestarted": {"after many it has to prove itself longer", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Active, Uptime: 29 * time.Second, Restarts: 99})
		}, []string{"kubelet CrashLooping "}, ""},
		"OftenRestartedAndWell": {"and not for ever", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Active, Uptime: 30 * time.Second, Restarts: 99})
		}, nil, ""},
		"NotAnswering": {"active, and hangs", func(_, s state.Host) {
			s.Probes["kubelet healthz"] = state.Probe{Failure: "no answer within 2s"}
		}, []string{"kubelet NotAnswering "}, "kubelet healthz at 127.0.0.1:10248/healthz: no answer within 2s; journalctl -u kubelet.service"},
		"NotAskedWhileDown": {"of a unit that is down that says it all", func(_, s state.Host) {
			is(s, kubelet, state.Unit{Activity: state.Inactive})
			s.Probes["kubelet healthz"] = state.Probe{Failure: "connection refused"}
		}, []string{"kubelet UnitNotActive "}, "kubelet.service is inactive"},
		"OtherName": {"the kubelet registers as another node", func(_, s state.Host) {
			s.Probes["kubelet certificate"] = state.Probe{Answer: "system:node:old-name"}
		}, []string{"kubelet NodeNameMismatch SB022"}, `is for "system:node:old-name" and the node is "system:node:node-a"`},
		"NoCertificate": {"a kubelet may be identified in other ways", func(_, s state.Host) {
			s.Probes["kubelet certificate"] = state.Probe{Failure: "no such file or directory"}
		}, nil, ""},
		"NoServingCertificate": {"kubectl logs fails, and somebody has to do something about it", func(d, s state.Host) {
			d.Probes["serving"] = state.Probe{Component: state.ComponentKubelet, Kind: state.ProbeCertificate, Path: "/server.pem", Want: "system:node:node-a", Cure: "approve it"}
			s.Probes["serving"] = state.Probe{Failure: "no such file or directory"}
		}, []string{"kubelet ServingCertificateMissing "}, "kubectl logs and exec fail: /server.pem: no such file or directory; approve it"},
		"ExpiredServingCertificate": {"it was not renewed", func(d, s state.Host) {
			d.Probes["serving"] = state.Probe{Component: state.ComponentKubelet, Kind: state.ProbeCertificate, Path: "/server.pem", Want: "system:node:node-a", Cure: "approve it"}
			s.Probes["serving"] = state.Probe{Answer: "system:node:node-a", Failure: "expired at 2026-11-23T12:00:00Z"}
		}, []string{"kubelet ServingCertificateMissing "}, "kubectl logs and exec fail: /server.pem: expired at 2026-11-23T12:00:00Z; approve it"},
		"ServingCertificate": {"it is there", func(d, s state.Host) {
			d.Probes["serving"] = state.Probe{Component: state.ComponentKubelet, Kind: state.ProbeCertificate, Path: "/server.pem", Want: "system:node:node-a", Cure: "approve it"}
			s.Probes["serving"] = state.Probe{Answer: "system:node:node-a"}
		}, nil, ""},
		"UnknownUnit": {"systemd does not answer", func(_, s state.Host) {
			delete(s.Units, kubelet)
			s.Unknown[state.Ref{Kind: state.KindUnit, Name: kubelet}] = "connecting to systemd: timeout"
		}, []string{"kubelet UnitNotActive "}, "cannot be looked at: connecting to systemd"},
	} {
		t.Run(name, func(t *testing.T) {
			d, s := healthy(t)
			tt.change(d, s)
			findings := chain.Examine(d, s)
			var got []string
			for _, f := range findings {
				got = append(got, string(f.Component)+" "+f.Reason+" "+f.Rule)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%v", tt.reason, diff, findings)
			}
			if len(findings) > 0 && !strings.Contains(findings[0].String(), tt.says) {
				t.Errorf("%s: %q does not say %q", tt.reason, findings[0], tt.says)
			}
		})
	}
}

func TestFindingsNameTheirRuleOnce(t *testing.T) {
	d, s := healthy(t)
	s.Chains["filter/FORWARD"] = state.Chain{Policy: "DROP"}
	if got := chain.Examine(d, s)[0].String(); strings.Count(got, "SB003") != 1 || !strings.HasSuffix(got, " (SB003)") {
		t.Errorf("got %q", got)
	}
}
