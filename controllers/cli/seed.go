package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/seed"
)

// defaultSeedDir is where a seed on a machine of its own keeps its data.
const defaultSeedDir = "/var/lib/seedbed/seed"

func newSeedCommand() *cobra.Command {
	var o seed.Options
	c := &cobra.Command{
		Use:   "seed",
		Short: "Bring up a seed control plane on this machine",
		Long: `Bring up a seed control plane on this machine: etcd, kube-apiserver and, where their programs are
there, kube-controller-manager and kube-scheduler, with certificates of their own, and in it the
kinds, roles and namespace of Seedbed. It keeps its data below --data-dir over a restart, starts a
component that dies again, and stops everything it started when it is told to stop.

The programs are taken from --components, else from the folder in $` + seed.ComponentsVariable + `, else
from bin/components/current, where hack/components.sh puts them.

By default it listens on loopback only, which is enough to try Seedbed out; nodes need
--bind-address. Everything below --data-dir is as good as root on the whole cluster.`,
		Example: `  # Try it out, as any user; Ctrl-C stops it
  seedbed seed --data-dir ./seed

  # For nodes, on the machine that has the address 10.64.3.7
  seedbed seed --bind-address 10.64.3.7 --secure-port 6443 --cluster-cidr 172.30.0.0/16

  # The same, with flannel's leases in etcd, as the install guide has it
  seedbed seed --bind-address 10.64.3.7 --secure-port 6443 --flannel-etcd-port 2379 --flannel-prefix /kube-centos/network

  # Use it
  export KUBECONFIG=./seed/admin.kubeconfig
  kubectl get nodeconfigs

  # Let nodes in: run what this prints on each of them
  seedbed seed token create --labels role=worker --addresses 10.64.3.0/26 --data-dir ./seed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			agents, err := linux.HoldsState(o.DataDir)
			if err != nil {
				return err
			}
			if agents {
				return fmt.Errorf("--data-dir %s: is where this machine's agent has its state, which leaving removes: choose a folder of its own; example: %s", o.DataDir, defaultSeedDir)
			}
			return seed.Run(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.DataDir, "data-dir", defaultSeedDir, "folder that holds all that the seed keeps; made if missing, readable by nobody else")
	f.StringVar(&o.Components, "components", "", "folder with etcd, kube-apiserver and, optionally, kube-controller-manager and kube-scheduler")
	f.StringVar(&o.BindAddress, "bind-address", seed.DefaultBindAddress, "IP address that kube-apiserver listens on; 0.0.0.0 for all")
	f.StringVar(&o.AdvertiseAddress, "advertise-address", "", "IP address that nodes and pods reach kube-apiserver by (default: --bind-address)")
	f.IntVar(&o.SecurePort, "secure-port", 0, "port of kube-apiserver; 0 is the one of the last start, else a free one")
	f.StringVar(&o.ServiceRange, "service-cluster-ip-range", seed.DefaultServiceRange, "CIDR of the services' addresses; cannot change later")
	f.StringVar(&o.ClusterRange, "cluster-cidr", "", "CIDR of the pods' addresses; with it, kube-controller-manager gives each node a share")
	f.IntVar(&o.NodeMaskSize, "node-cidr-mask-size", seed.DefaultNodeMaskSize, "prefix length of each node's share of --cluster-cidr")
	f.StringSliceVar(&o.ExtraSANs, "tls-san", nil, "further DNS names or IP addresses of kube-apiserver's certificate")
	f.StringSliceVar(&o.FlannelPrefixes, "flannel-prefix", []string{v1alpha1.DefaultEtcdPrefix}, "prefix in etcd that flannel's certificate is let into, as in NetworkConfig.spec.subnetManager.etcd.prefix; may be repeated")
	f.IntVar(&o.FlannelEtcdPort, "flannel-etcd-port", 0, "port on --bind-address where nodes' flannel reaches etcd, such as 2379, for subnetManager.type Etcd; 0 is none")
	f.StringVar(&o.ReadyFile, "ready-file", "", "file to write when the seed is ready, with the path of the administrator's kubeconfig in it")
	c.AddCommand(newSeedAddNodeCommand(), newSeedTokenCommand())
	return c
}
