package render

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// Each target gives one renderer what a user could write: resolve refuses it, or its consumer
// reads just that.

func FuzzFlannel(f *testing.F) {
	f.Add("/coreos.com/network", "--iptables-resync=5", "http://10.0.0.1:2379")
	for _, value := range nasty {
		f.Add("/"+value, "--x="+value, "http://"+value)
	}
	f.Fuzz(func(t *testing.T, prefix, arg, endpoint string) {
		c, _, ok := through(t, func(n *v1alpha1.NodeConfigSpec, net *v1alpha1.NetworkConfigSpec) {
			net.SubnetManager.Etcd.TLS = nil
			net.SubnetManager.Etcd.Prefix, net.SubnetManager.Etcd.Endpoints = &prefix, []v1alpha1.EtcdEndpoint{v1alpha1.EtcdEndpoint(endpoint)}
			n.Flannel.ExtraArgs = []v1alpha1.Argument{v1alpha1.Argument(arg)}
		})
		if !ok {
			return
		}
		for _, want := range []string{arg, "--etcd-prefix=" + prefix, "--etcd-endpoints=" + endpoint} {
			if !slices.Contains(c.argv[resolve.UnitFlannel], want) {
				t.Errorf("flanneld does not get %q: %q", want, c.argv[resolve.UnitFlannel])
			}
		}
	})
}

func FuzzDocker(f *testing.F) {
	f.Add("https://mirror.example.com", "max-size", "/data", "10.0.0.1:5000", ".example.com", `{"debug":true}`)
	for _, value := range nasty {
		f.Add("https://"+value, value, "/"+value, value, value, `{"log-level":"`+value+`"}`)
	}
	f.Fuzz(func(t *testing.T, mirror, option, root, host, noProxy, daemon string) {
		c, h, ok := through(t, func(n *v1alpha1.NodeConfigSpec, _ *v1alpha1.NetworkConfigSpec) {
			d := n.Docker
			d.RegistryMirrors = []v1alpha1.RegistryMirror{v1alpha1.RegistryMirror(mirror)}
			d.LogDriver.Options = map[string]v1alpha1.LogOption{option: v1alpha1.LogOption(option)}
			d.DataRoot, d.DaemonConfig = &root, &runtime.RawExtension{Raw: []byte(daemon)}
			d.Registries[0].Host, d.Registries[0].CredentialsSecretRef, d.Registries[0].CASecretRef = host, nil, d.Registries[1].CASecretRef
			d.Proxy.NoProxy = []v1alpha1.NoProxyEntry{v1alpha1.NoProxyEntry(noProxy)}
		})
		if !ok {
			return
		}
		options, _ := c.daemon["log-opts"].(map[string]any)
		if c.daemon["data-root"] != root || options[option] != option || c.proxyEnv["NO_PROXY"] != noProxy {
			t.Errorf("dockerd reads data-root %v, log-opts %v, NO_PROXY %q", c.daemon["data-root"], options, c.proxyEnv["NO_PROXY"])
		}
		if _, there := h.Files[resolve.PathCertsD+"/"+host+"/ca.crt"]; !there {
			t.Errorf("the CA of %q is elsewhere", host)
		}
	})
}

func FuzzCRIDockerd(f *testing.F) {
	f.Add("registry.k8s.io/pause:3.10", "--image-pull-progress-deadline=5m")
	for _, value := range nasty {
		f.Add(value, "--x="+value)
	}
	f.Fuzz(func(t *testing.T, image, arg string) {
		c, _, ok := through(t, func(n *v1alpha1.NodeConfigSpec, _ *v1alpha1.NetworkConfigSpec) {
			n.CRIDockerd.PodInfraImage, n.CRIDockerd.ExtraArgs = &image, []v1alpha1.Argument{v1alpha1.Argument(arg)}
		})
		if argv := c.argv[resolve.UnitCRIDockerd]; ok && (!slices.Contains(argv, "--pod-infra-container-image="+image) || !slices.Contains(argv, arg)) {
			t.Errorf("cri-dockerd gets %q", argv)
		}
	})
}

func FuzzKubelet(f *testing.F) {
	f.Add("--v=2", `{"evictionHard":{"memory.available":"200Mi"}}`, "cluster.local")
	for _, value := range nasty {
		f.Add("--x="+value, `{"providerID":"`+value+`"}`, value)
	}
	f.Fuzz(func(t *testing.T, arg, config, domain string) {
		c, _, ok := through(t, func(n *v1alpha1.NodeConfigSpec, net *v1alpha1.NetworkConfigSpec) {
			n.Kubelet.ExtraArgs = []v1alpha1.Argument{v1alpha1.Argument(arg)}
			n.Kubelet.Config = &runtime.RawExtension{Raw: []byte(config)}
			net.DNS.Domain = &domain
		})
		if !ok {
			return
		}
		argv := c.argv[resolve.UnitKubelet]
		if !slices.Contains(argv, arg) {
			t.Errorf("the kubelet gets %q", argv)
		}
		if c.kubelet.ClusterDomain != domain || *c.kubelet.Authentication.Anonymous.Enabled {
			t.Errorf("the kubelet reads domain %q", c.kubelet.ClusterDomain)
		}
	})
}

func FuzzKubeProxy(f *testing.F) {
	f.Add(`{"nftables":{"minSyncPeriod":"1s"}}`)
	for _, value := range nasty {
		f.Add(`{"portRange":"` + value + `"}`)
	}
	f.Fuzz(func(t *testing.T, config string) {
		c, _, ok := through(t, func(n *v1alpha1.NodeConfigSpec, _ *v1alpha1.NetworkConfigSpec) {
			n.KubeProxy.Config = &runtime.RawExtension{Raw: []byte(config)}
		})
		if ok && (c.kubeProxy.ClusterCIDR != "172.30.0.0/16" || c.kubeProxy.Mode != "nftables" || c.kubeProxy.HostnameOverride != "node-f") {
			t.Errorf("kube-proxy reads %+v", c.kubeProxy)
		}
	})
}

func FuzzSystem(f *testing.F) {
	f.Add("net.core.somaxconn", "1024", "nf_conntrack")
	for _, value := range nasty {
		f.Add("net."+value, value, value)
	}
	f.Fuzz(func(t *testing.T, name, value, module string) {
		_, h, ok := through(t, func(n *v1alpha1.NodeConfigSpec, _ *v1alpha1.NetworkConfigSpec) {
			n.Sysctls = map[string]v1alpha1.SysctlValue{name: v1alpha1.SysctlValue(value)}
			n.KernelModules = []v1alpha1.KernelModule{v1alpha1.KernelModule(module)}
		})
		if _, loaded := h.Modules[module]; ok && (!loaded || h.Sysctls[name] == "") {
			t.Errorf("module %q or sysctl %q is lost", module, name)
		}
	})
}

func FuzzUser(f *testing.F) {
	f.Add("/etc/motd", "text", "x.service", "[Service]\nExecStart=/x\n", "10.conf")
	for _, value := range nasty {
		f.Add("/etc/"+value, value, value+".service", "[Service]\nX="+value+"\n", value+".conf")
	}
	f.Fuzz(func(t *testing.T, path, content, name, unit, dropIn string) {
		_, h, ok := through(t, func(n *v1alpha1.NodeConfigSpec, _ *v1alpha1.NetworkConfigSpec) {
			n.Files = []v1alpha1.File{{Path: path, Contents: &content}}
			n.Units = []v1alpha1.Unit{{Name: name, Contents: &unit, DropIns: []v1alpha1.DropIn{{Name: dropIn, Contents: unit}}}}
		})
		if !ok {
			return
		}
		folder := resolve.UnitFolder + "/"
		for p, want := range map[string]string{path: content, folder + name: unit, folder + name + ".d/" + dropIn: unit} {
			if f, there := h.Files[p]; !there || string(f.Content) != want || f.Component != state.ComponentUser {
				t.Errorf("file %q: there %v, content %q, want %q", p, there, f.Content, want)
			}
		}
	})
}
