package render

import (
	"encoding/json"
	"strconv"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// FlannelHealthz is where flanneld answers /healthz and /readyz, on loopback.
const (
	FlannelHealthzIP   = "127.0.0.1"
	FlannelHealthzPort = 8471
)

// NetConf is flannel's network configuration (flannel, Documentation/configuration.md). With the
// Kubernetes subnet manager it is a file on each node; with etcd it is the key PREFIX/config.
type NetConf struct {
	Network   string
	SubnetLen int `json:",omitempty"`
	Backend   NetConfBackend
}

// NetConfBackend is the backend of a NetConf.
type NetConfBackend struct {
	Type          string
	VNI           int32 `json:",omitempty"`
	Port          int32 `json:",omitempty"`
	DirectRouting bool  `json:",omitempty"`
	MTU           int32 `json:",omitempty"`
}

// flannelTypes are flannel's names of the backends.
var flannelTypes = map[string]string{"VXLAN": "vxlan", "HostGateway": "host-gw", "WireGuard": "wireguard", "UDP": "udp"}

// FlannelNetConf is a network as flannel reads it.
func FlannelNetConf(n resolve.Network) NetConf {
	c := NetConf{
		Network: n.PodCIDR.String(), SubnetLen: n.PodSubnetLength,
		Backend: NetConfBackend{Type: flannelTypes[string(n.Backend.Type)]},
	}
	if n.Backend.MTU != 0 { // flannel wants that of the packets around those of the pods
		c.Backend.MTU = n.Backend.MTU + n.Backend.Overhead()
	}
	if c.Backend.Type == "vxlan" {
		c.Backend.VNI, c.Backend.Port, c.Backend.DirectRouting = n.Backend.VNI, n.Backend.Port, n.Backend.DirectRouting
	}
	return c
}

// FlannelConfig is a network's configuration as flannel reads it: the file on each node with the
// Kubernetes subnet manager, the value of the key PREFIX/config with etcd. Both are the same bytes.
func FlannelConfig(n resolve.Network) ([]byte, error) { return jsonFile(FlannelNetConf(n)) }

func renderFlannel(n resolve.Node) (state.Host, error) {
	host := state.New()
	if err := flannelFiles(host, n); err != nil {
		return host, err
	}
	path := unitPath(resolve.UnitFlannel, n.Flannel.Source)
	content, err := flannelUnit(n)
	if err != nil {
		return host, err
	}
	host.Files[path] = file(content)
	reads := inputs(host, path, resolve.PathFlannelNetConf, resolve.PathFlannelKubeconfig,
		resolve.PathFlannelEtcdCA, resolve.PathFlannelEtcdCert, resolve.PathFlannelEtcdKey)
	var awaits []string
	if n.Flannel.Etcd == nil {
		reads, awaits = append(reads, clusterCA(n)), []string{resolve.PathFlannelClient}
	}
	host.Units[resolve.UnitFlannel] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Needs: podNetwork(), Inputs: reads, Awaits: awaits,
	}
	return host, nil
}

func flannelFiles(host state.Host, n resolve.Node) error {
	if etcd := n.Flannel.Etcd; etcd != nil {
		if etcd.TLS != nil {
			host.Files[resolve.PathFlannelEtcdCA] = file(etcd.TLS.CA.Reveal())
			host.Files[resolve.PathFlannelEtcdCert] = file(etcd.TLS.Cert.Reveal())
			host.Files[resolve.PathFlannelEtcdKey] = secretFile(etcd.TLS.Key.Reveal())
		}
		return nil
	}
	conf, err := FlannelConfig(n.Network)
	if err != nil {
		return err
	}
	kubeconfig, err := kubeconfig(n, "flannel", clientCertificate(resolve.PathFlannelClient))
	if err != nil {
		return err
	}
	host.Files[resolve.PathFlannelNetConf] = file(conf)
	host.Files[resolve.PathFlannelKubeconfig] = file(kubeconfig)
	return nil
}

// flannelArgs: flannel masquerades, not docker, which is told so by the lease (package dockeropts).
// docker's rule covers everything that leaves docker0, so that a pod would reach pods of other nodes
// under its node's address; flannel's leaves out the pod network. docker's iptables stay on: they
// publish the host ports of pods (SB016).
func flannelArgs(n resolve.Node) []string {
	var args []string
	if etcd := n.Flannel.Etcd; etcd != nil {
		args = append(args, "--etcd-endpoints="+strings.Join(etcd.Endpoints, ","), "--etcd-prefix="+etcd.Prefix)
		if etcd.TLS != nil {
			args = append(args, "--etcd-cafile="+resolve.PathFlannelEtcdCA,
				"--etcd-certfile="+resolve.PathFlannelEtcdCert, "--etcd-keyfile="+resolve.PathFlannelEtcdKey)
		}
	} else {
		args = append(args, "--kube-subnet-mgr=true", "--kubeconfig-file="+resolve.PathFlannelKubeconfig,
			"--net-config-path="+resolve.PathFlannelNetConf)
	}
	return append(args, "--iface="+n.Interface, "--public-ip="+n.IP.String(), "--subnet-file="+resolve.PathSubnetEnv,
		"--ip-masq=true",
		"--healthz-ip="+FlannelHealthzIP, "--healthz-port="+strconv.Itoa(FlannelHealthzPort),
		"--v="+strconv.Itoa(int(n.Flannel.LogLevel)))
}

// flannelUnit: flanneld tells systemd it is ready once it has written subnet.env. Its start is
// bounded, since docker waits for it to end either way: with the seed away flanneld never becomes
// ready, and docker then goes on with the last lease.
func flannelUnit(n resolve.Node) ([]byte, error) {
	u := &unitFile{}
	if n.Flannel.Source == v1alpha1.SourceBinary {
		u.add("Unit", "Description", "flannel, the pod network").
			add("Unit", "Documentation", "https://github.com/flannel-io/flannel").
			add("Install", "WantedBy", "multi-user.target")
	}
	u.add("Unit", "Wants", "network-online.target").
		add("Unit", "After", "network-online.target").
		add("Unit", "StartLimitIntervalSec", "0").
		add("Service", "Type", "notify").
		add("Service", "NotifyAccess", "main")
	if n.Flannel.Etcd == nil {
		u.environment("NODE_NAME", n.Name)
	} else if err := u.networkOf(n); err != nil {
		return nil, err
	}
	u.resetExec(n.Flannel.Source).
		exec(command(n.Flannel.Program, flannelArgs(n), n.Flannel.ExtraArgs)).
		add("Service", "TimeoutStartSec", "90").
		add("Service", "Restart", "always").
		add("Service", "RestartSec", "5")
	return u.bytes()
}

// networkOf writes the network into the unit, as a setting that systemd passes over (systemd.unit(5)):
// flanneld reads it from etcd when it starts, and only then, so that a change of it has to be one of
// the unit. The manager writes etcd before it tells nodes.
func (u *unitFile) networkOf(n resolve.Node) error {
	conf, err := json.Marshal(FlannelNetConf(n.Network))
	if err == nil {
		u.add("Unit", "X-FlannelNetwork", string(conf))
	}
	return err
}
