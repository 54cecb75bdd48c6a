package controllers_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

var webContainer = strings.Repeat("a1", 32)

// withoutLiveRestore is a docker whose restarts end containers.
func withoutLiveRestore(s specs) { s.node.Docker.LiveRestore = new(false) }

// engineChanges are of a docker that may end its containers.
func engineChanges() map[string]change {
	ends := []string{"Recreate unit docker.service", "Recreate containers docker.service"}
	with := []string{
		"Recreate link docker0", "Recreate containers docker.service", "Restart unit flanneld.service",
		"Restart unit docker.service", restartsKubeProxy, "Restart unit kubelet.service",
	}
	forward := func(s specs) { s.node.Docker.IPForward = new(false) }
	return map[string]change{
		"docker key that is not reloaded, without live-restore": {
			reason: "containers end with docker", disruption: "Recreate", costs: ends, before: withoutLiveRestore, do: forward,
		},
		"docker key that is not reloaded, without live-restore and containers": {
			local:  true,
			reason: "nothing ends that does not run", disruption: "Restart", costs: []string{"Restart unit docker.service"}, before: withoutLiveRestore, do: forward,
			event: func(f *hosttest.Fake) { _ = f.Host().Containers.Stop(context.Background(), webContainer) },
		},
		"docker key that is reloaded, without live-restore": {
			reason: "a reload ends nothing", disruption: "Reload", costs: []string{"Reload unit docker.service"}, before: withoutLiveRestore,
			do: func(s specs) { s.node.Docker.MaxConcurrentDownloads = new(int32(7)) },
		},
		"docker's data-root": {
			reason: "the docker that starts knows no container of before, whatever live-restore is", disruption: "Recreate",
			costs: append(slices.Clone(ends), "Restart unit kubelet.service"),
			do:    func(s specs) { s.node.Docker.DataRoot = new("/data/docker") },
		},
		"docker's data-root, without containers": {
			local:  true,
			reason: "none is lost", disruption: "Restart", costs: []string{"Restart unit docker.service"},
			do:    func(s specs) { s.node.Docker.DataRoot = new("/data/docker") },
			event: func(f *hosttest.Fake) { _ = f.Host().Containers.Stop(context.Background(), webContainer) },
		},
		"podCIDR and docker's data-root": {
			reason: "one drain and one stop are enough", disruption: "Recreate", event: func(f *hosttest.Fake) { f.NextLease(newNetworkLease) },
			costs: with,
			do: func(s specs) {
				s.node.Docker.DataRoot = new("/data/docker")
				s.network.PodCIDR = "172.31.0.0/16"
			},
		},
		"live-restore turned off": {
			reason: "dockerd reloads it", disruption: "Reload", costs: []string{"Reload unit docker.service"}, do: withoutLiveRestore,
		},
		"live-restore turned off, and a key that is not reloaded": {
			reason: "the docker that starts ends what the one that stopped has left", disruption: "Recreate", costs: ends,
			do: func(s specs) {
				withoutLiveRestore(s)
				forward(s)
			},
		},
		"live-restore turned on, and a key that is not reloaded": {
			reason: "it is on before the restart", disruption: "Restart", costs: []string{"Restart unit docker.service"}, before: withoutLiveRestore,
			do: func(s specs) {
				s.node.Docker.LiveRestore = nil
				forward(s)
			},
		},
		"docker that has not taken live-restore over": {
			local:  true,
			reason: "what runs counts, and not what is configured", disruption: "Recreate", costs: ends, do: forward,
			event: func(f *hosttest.Fake) { f.EndContainers(true) },
		},
		"docker that has lost live-restore, and its file": {
			local:  true,
			reason: "who changed it has restarted docker", disruption: "Restart", costs: []string{"Restart unit docker.service"}, do: func(specs) {},
			event: func(f *hosttest.Fake) {
				f.Put(daemonJSON, state.File{Content: []byte(`{"live-restore": false, "exec-opts": ["native.cgroupdriver=systemd"]}`), Mode: 0o644})
				_ = f.Host().Units.Do(context.Background(), "docker.service", "restart")
				_ = f.Host().Containers.Start(context.Background(), webContainer)
			},
		},
		"docker that somebody started with another data-root": {
			local:  true,
			reason: "what runs in it is lost to the docker that has the right one", disruption: "Recreate",
			costs: append(slices.Clone(ends), "Restart unit kubelet.service"), do: func(specs) {},
			event: func(f *hosttest.Fake) {
				f.Put(daemonJSON, state.File{Content: []byte(`{"live-restore": true, "data-root": "/data", "exec-opts": ["native.cgroupdriver=systemd"]}`), Mode: 0o644})
				_ = f.Host().Units.Do(context.Background(), "docker.service", "restart")
			},
		},
		"package of a patch release, without live-restore": {
			reason: "its scripts end containers", disruption: "Recreate", before: withoutLiveRestore, do: dockerVersion("26.1.9-1"),
			costs: append([]string{"Recreate package docker-ce", "Recreate containers docker.service"}, ends...),
		},
		"program of docker, whose package restarts nothing, without live-restore": {
			reason: "the agent restarts it", disruption: "Recreate", costs: append([]string{"Recreate package docker-ce", "Recreate containers docker.service"}, ends...), before: withoutLiveRestore,
			do:      dockerVersion("28.0.0-1"),
			machine: quietDocker,
		},
		"podCIDR and a docker key, without live-restore": {
			reason: "one drain and one restart of docker are enough", disruption: "Recreate", event: func(f *hosttest.Fake) { f.NextLease(newNetworkLease) },
			before: withoutLiveRestore,
			costs:  with,
			do: func(s specs) {
				forward(s)
				s.network.PodCIDR = "172.31.0.0/16"
			},
		},
		"podCIDR and a docker key": {
			reason: "so with live-restore", disruption: "Recreate", event: func(f *hosttest.Fake) { f.NextLease(newNetworkLease) },
			costs: with,
			do: func(s specs) {
				forward(s)
				s.network.PodCIDR = "172.31.0.0/16"
			},
		},
	}
}

func TestAHostThatJoinsKeepsTheContainersOfItsOwn(t *testing.T) {
	for name, live := range map[string]bool{"with live-restore": true, "without live-restore": false} {
		t.Run(name, func(t *testing.T) {
			f := guideMachine(t)
			f.SetUnit("docker.service", state.Unit{Enablement: state.Enabled, Activity: state.Active})
			f.RunContainer(webContainer, state.Container{Name: "web"})
			f.EndContainers(false)
			in := resolvetest.Load(t, "guide")
			s := specs{&in.Revision.Node, &in.Revision.Network}
			s.node.Docker.LiveRestore = &live
			told := foretell(t, f, s)
			if !slices.Contains(costsOf(told), "Recreate containers docker.service") || told.Plan.Asks != nil {
				t.Errorf("want it to end, and no question; asked %+v:\n%s", told.Plan.Asks, told.Plan)
			}
			a := newAgent(t, f)
			a.Pipeline.Progress, a.Pipeline.Log = nil, logr.Discard()
			want := assignmentOf(t, 1, s)
			if status := passesOf(t, a, want, nil, nil); status.Revision != want.Revision || status.Pending != nil {
				t.Fatalf("the host does not get there by itself: %+v", status)
			}
			if diff := cmp.Diff([]string{webContainer}, f.Running()); diff != "" || f.Ended(webContainer) != 1 {
				t.Errorf("its container ended %d times, want once, for docker0; running (-want +got):\n%s", f.Ended(webContainer), diff)
			}
		})
	}
}
