package controllers_test

import (
	"context"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	newNetworkLease = "FLANNEL_NETWORK=172.31.0.0/16\nFLANNEL_SUBNET=172.31.7.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
	longerLease     = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.5.129/25\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
	newMTULease     = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.38.1/24\nFLANNEL_MTU=1400\nFLANNEL_IPMASQ=true\n"
)

// recreated is docker0 made anew in a later pass, with a container on it; kube-proxy is told podCIDR.
func recreated(besides ...string) []string {
	all := append([]string{"Recreate link docker0", "Recreate containers docker.service", "Restart unit flanneld.service"}, besides...)
	return append(all, "Restart unit kubelet.service", "Restart unit docker.service")
}

const restartsKubeProxy = "Restart unit kube-proxy.service"

var (
	kubeletProgram = []byte("kubelet-1")
	userUnit       = "[Service]\nExecStart=/bin/sleep 1\n[Install]\nWantedBy=multi-user.target\n"
)

func downloads(version string, content []byte) func(specs) {
	return func(s specs) {
		s.node.Kubernetes.Version = version
		s.node.Binaries = nil
		for _, program := range []string{"kubelet", "kube-proxy"} {
			s.node.Binaries = append(s.node.Binaries, v1alpha1.Binary{Path: "/usr/local/bin/" + program, URL: "https://example.com/" + string(content[8:]), SHA256: state.Hash(content)})
		}
	}
}

func serving(contents ...[]byte) func(*hosttest.Fake) {
	return func(f *hosttest.Fake) {
		for _, content := range contents {
			f.Serve("https://example.com/"+string(content[8:]), content)
		}
	}
}

// quietDocker is a version whose scripts restart nothing.
func quietDocker(f *hosttest.Fake) {
	f.AddPackage("docker-ce", "28.0.0-1", hosttest.Brings{
		Quiet: true,
		Files: map[string]state.File{dockerUnitFile: {Content: []byte("[Service]\nExecStart=/usr/bin/dockerd\n[Install]\nWantedBy=multi-user.target\n")}},
		Component: &v1alpha1.ComponentFacts{
			Name: v1alpha1.ComponentDocker, Version: "28.0.0", Path: "/usr/bin/dockerd", Source: v1alpha1.SourcePackage, ExecStart: []string{"/usr/bin/dockerd"},
		},
	})
}

func dockerVersion(version string) func(specs) {
	return func(s specs) { s.node.Packages.Present[0].Version = &version }
}

// changes are one of each kind that a user makes.
func changes() map[string]change {
	all := settingsChanges()
	for _, more := range []map[string]change{networkChanges(), programChanges(), troubledChanges(), engineChanges()} {
		maps.Copy(all, more)
	}
	return all
}

func settingsChanges() map[string]change {
	return map[string]change{
		"nothing": {reason: "the same again", do: func(specs) {}, disruption: "None"},
		"docker key that is reloaded": {
			reason: "dockerd reads it on SIGHUP", disruption: "Reload", costs: []string{"Reload unit docker.service"},
			do: func(s specs) { s.node.Docker.MaxConcurrentDownloads = new(int32(7)) },
		},
		"docker key that is not": {
			reason: "dockerd reads it at its start only", disruption: "Restart", costs: []string{"Restart unit docker.service"},
			do: func(s specs) { s.node.Docker.IPForward = new(false) },
		},
		"docker keys of both kinds": {
			reason: "one restart is enough for both", disruption: "Restart", costs: []string{"Restart unit docker.service"},
			do: func(s specs) {
				s.node.Docker.MaxConcurrentDownloads, s.node.Docker.IPForward = new(int32(7)), new(false)
			},
		},
		"kubelet": {
			reason: "the kubelet reads its file at its start", disruption: "Restart", costs: []string{"Restart unit kubelet.service"},
			do: func(s specs) { s.node.Kubelet = &v1alpha1.Kubelet{MaxPods: new(int32(99))} },
		},
		"kubelet's free configuration": {
			reason: "so with what has no field", disruption: "Restart", costs: []string{"Restart unit kubelet.service"},
			do: func(s specs) {
				s.node.Kubelet = &v1alpha1.Kubelet{Config: &runtime.RawExtension{Raw: []byte(`{"podPidsLimit":4096}`)}}
			},
		},
		"kube-proxy": {
			reason: "kube-proxy restarts alone", disruption: "Restart", costs: []string{"Restart unit kube-proxy.service"},
			do: func(s specs) { s.node.KubeProxy.Conntrack.Min = new(int32(131073)) },
		},
		"flannel's log": {
			reason: "flanneld comes back with the lease it had", disruption: "Restart", costs: []string{"Restart unit flanneld.service"},
			do: func(s specs) { s.node.Flannel = &v1alpha1.Flannel{LogLevel: 4} },
		},
		"sysctl": {
			reason: "nobody notices", disruption: "None",
			machine: func(f *hosttest.Fake) { f.AddSysctl("net.core.somaxconn", "4096") },
			do:      func(s specs) { s.node.Sysctls = map[string]v1alpha1.SysctlValue{"net.core.somaxconn": "5000"} },
		},
		"labels and taints": {
			reason: "the manager puts them on the Node", disruption: "None",
			do: func(s specs) {
				s.node.Node = &v1alpha1.NodeRegistration{
					Labels: map[string]v1alpha1.LabelValue{"example.com/rack": "7"},
					Taints: []v1alpha1.Taint{{Key: "example.com/x", Effect: corev1.TaintEffectNoSchedule}},
				}
			},
		},
		"file": {
			reason: "no unit reads it", disruption: "None",
			do: func(s specs) { s.node.Files = []v1alpha1.File{{Path: "/etc/motd", Contents: new("hello\n")}} },
		},
		"user's unit": {
			reason: "it is restarted", disruption: "Restart", costs: []string{"Restart unit mine.service"},
			before: func(s specs) {
				s.node.Units = []v1alpha1.Unit{{Name: "mine.service", Contents: new(userUnit), State: new(v1alpha1.UnitRunning)}}
			},
			do: func(s specs) { s.node.Units[0].Contents = new(strings.ReplaceAll(userUnit, "sleep 1", "sleep 2")) },
		},
		"user's unit that goes": {
			reason: "it is stopped", disruption: "Restart", costs: []string{"Restart unit mine.service"},
			before: func(s specs) {
				s.node.Units = []v1alpha1.Unit{{Name: "mine.service", Contents: new(userUnit), State: new(v1alpha1.UnitRunning)}}
			},
			do: func(s specs) { s.node.Units = nil },
		},
	}
}

func networkChanges() map[string]change {
	lease := func(text string) func(*hosttest.Fake) { return func(f *hosttest.Fake) { f.NextLease(text) } }
	return map[string]change{
		"podCIDR": {
			reason: "another network is another lease", disruption: "Recreate", costs: recreated(restartsKubeProxy), event: lease(newNetworkLease),
			do: func(s specs) { s.network.PodCIDR = "172.31.0.0/16" },
		},
		"podCIDR that Nodes have a share of": {
			reason: "with a Node made anew it costs what it costs with etcd", disruption: "Recreate", costs: recreated(restartsKubeProxy), event: lease(newNetworkLease),
			before: func(s specs) { s.network.SubnetManager = nil },
			do:     func(s specs) { s.network.PodCIDR = "172.31.0.0/16" },
		},
		"subnet length": {
			reason: "a lease of another length is another lease", disruption: "Recreate", costs: recreated(), event: lease(longerLease),
			do: func(s specs) { s.network.PodSubnetLength = new(int32(25)) },
		},
		"subnets from Nodes instead of etcd": {
			reason: "they do not know of each other's", disruption: "Recreate", costs: recreated(), event: lease(movedLease),
			do: func(s specs) { s.network.SubnetManager = nil },
		},
		"subnets from etcd instead of Nodes": {
			reason: "nor the other way round", disruption: "Recreate", costs: recreated(), event: lease(movedLease),
			before: func(s specs) { s.network.SubnetManager = nil },
			do: func(s specs) {
				s.network.SubnetManager = &v1alpha1.SubnetManager{
					Type: new(v1alpha1.SubnetManagerEtcd), Etcd: &v1alpha1.EtcdSubnetManager{Endpoints: []v1alpha1.EtcdEndpoint{"http://10.64.3.7:2379"}},
				}
			},
		},
		"MTU": {
			reason: "docker0 takes no other MTU while containers are on it", disruption: "Recreate", costs: recreated(), event: lease(newMTULease),
			do: func(s specs) { s.network.Backend.MTU = new(int32(1400)) },
		},
		"podCIDR without containers": {
			local:  true,
			reason: "nothing is stopped that is not there", disruption: "Recreate",
			costs: []string{"Recreate link docker0", "Restart unit flanneld.service", restartsKubeProxy, "Restart unit kubelet.service", "Restart unit docker.service"},
			event: func(f *hosttest.Fake) {
				f.NextLease(newNetworkLease)
				_ = f.Host().Containers.Stop(context.Background(), webContainer)
			},
			do: func(s specs) { s.network.PodCIDR = "172.31.0.0/16" },
		},
		"podCIDR that has the old one in it": {
			reason: "flannel keeps the lease", disruption: "Restart", costs: []string{"Restart unit flanneld.service", restartsKubeProxy},
			do: func(s specs) { s.network.PodCIDR, s.network.ServiceCIDR = "172.16.0.0/12", "10.254.0.0/16" },
		},
		"VXLAN port": {
			reason: "flannel keeps the lease", disruption: "Restart", costs: []string{"Restart unit flanneld.service"},
			do: func(s specs) { s.network.Backend.VXLAN = &v1alpha1.VXLANBackend{Port: new(int32(4789))} },
		},
		"lease that moved": {
			local:  true,
			reason: "with nothing configured, too", disruption: "Recreate",
			costs: []string{"Recreate containers docker.service", "Recreate link docker0", "Restart unit kubelet.service", "Restart unit docker.service"},
			event: func(f *hosttest.Fake) { f.SetLease(movedLease) }, do: func(specs) {},
		},
		"lease that moved, and a kubelet setting": {
			local:  true,
			reason: "the restart at the end is enough for both", disruption: "Recreate",
			costs: []string{"Recreate containers docker.service", "Recreate link docker0", "Restart unit kubelet.service", "Restart unit docker.service"},
			event: func(f *hosttest.Fake) { f.SetLease(movedLease) },
			do:    func(s specs) { s.node.Kubelet = &v1alpha1.Kubelet{MaxPods: new(int32(99))} },
		},
	}
}

func programChanges() map[string]change {
	next, minor := []byte("kubelet-2"), []byte("kubelet-3")
	both := []string{"Restart unit kubelet.service", "Restart unit kube-proxy.service"}
	upgraded := []string{"Restart package docker-ce", "Restart unit docker.service"}
	drained := []string{"Recreate package docker-ce", "Recreate containers docker.service", "Restart unit docker.service"}
	return map[string]change{
		"program of the same release": {
			reason: "units run what is on disk", disruption: "Restart", costs: both, machine: serving(kubeletProgram, next),
			before: downloads("v1.37.2", kubeletProgram), do: downloads("v1.37.2", next),
		},
		"programs of another minor release": {
			reason: "the rest is planned for what will be there", disruption: "Restart", costs: both,
			machine: func(f *hosttest.Fake) {
				serving(kubeletProgram, minor)(f)
				f.Prints(minor, "v1.38.0")
			},
			before: downloads("v1.37.2", kubeletProgram), do: downloads("v1.38.0", minor),
		},
		"package, whose scripts restart": {
			reason: "docker runs anew, whoever restarts it", disruption: "Recreate", costs: drained, do: dockerVersion("27.5.1-1"), unpromised: true,
		},
		"package of a patch release": {
			reason: "containers go on, with live-restore", disruption: "Restart", costs: upgraded, do: dockerVersion("26.1.9-1"),
		},
		"package, without containers": {
			local:  true,
			reason: "nothing ends that does not run", disruption: "Restart", costs: upgraded, do: dockerVersion("27.5.1-1"),
			event: func(f *hosttest.Fake) { _ = f.Host().Containers.Stop(context.Background(), webContainer) },
		},
		"package, whose scripts do not restart": {
			reason: "then the agent does", disruption: "Recreate", unpromised: true, costs: drained, do: dockerVersion("28.0.0-1"),
			machine: quietDocker,
		},
		"package of no component": {
			reason: "what its scripts restart is not known", disruption: "Restart", costs: []string{"Restart package conntrack"},
			machine: func(f *hosttest.Fake) { f.AddPackage("conntrack", "1.5", hosttest.Brings{}) },
			before: func(s specs) {
				s.node.Packages.Present = append(s.node.Packages.Present, v1alpha1.Package{Name: "conntrack", Version: new("1.4")})
			},
			do: func(s specs) { s.node.Packages.Present[1].Version = new("1.5") },
		},
		"package that is new": {
			reason: "nothing runs of it yet", disruption: "None",
			do: func(s specs) {
				s.node.Packages.Present = append(s.node.Packages.Present, v1alpha1.Package{Name: "conntrack", Version: new("1.4")})
			},
		},
	}
}

func troubledChanges() map[string]change {
	return map[string]change{
		"file that somebody changed": {
			local:  true,
			reason: "it is put right, and dockerd may have read it", disruption: "Reload", costs: []string{"Reload unit docker.service"},
			event: func(f *hosttest.Fake) { f.Put(daemonJSON, state.File{Content: []byte("{}"), Mode: 0o644}) }, do: func(specs) {},
		},
		"unit that somebody stopped": {
			local:  true,
			reason: "to start it disturbs nobody", disruption: "None",
			event: func(f *hosttest.Fake) { _ = f.Host().Units.Do(context.Background(), "kube-proxy.service", host.Stop) }, do: func(specs) {},
		},
		"unit that is masked": {
			local:  true,
			reason: "it is not restarted, nor is what needs it", disruption: "None", stuck: true,
			event: func(f *hosttest.Fake) {
				f.SetUnit("docker.service", state.Unit{Enablement: state.Masked, Activity: state.Active})
			},
			do: func(s specs) {
				s.node.Docker.IPForward, s.node.Kubelet = new(false), &v1alpha1.Kubelet{MaxPods: new(int32(99))}
			},
		},
		"certificate that is not there yet": {
			local:  true,
			reason: "what waits is done later, and costs what it costs", disruption: "Restart", costs: []string{"Restart unit kube-proxy.service"},
			event: func(f *hosttest.Fake) { f.Delete(resolve.PathKubeProxyClient) },
			later: func(f *hosttest.Fake) { certify(f, resolve.PathKubeProxyClient) },
			do:    func(s specs) { s.node.KubeProxy.Conntrack.Min = new(int32(131073)) },
		},
	}
}
