package seed

import (
	"fmt"
	"strconv"
	"time"

	"seedbed.dev/seedbed/controllers/seed/install"
	"seedbed.dev/seedbed/controllers/seed/supervise"
)

// The components, by the names of their programs.
const (
	etcdName       = "etcd"
	apiserverName  = "kube-apiserver"
	controllerName = "kube-controller-manager"
	schedulerName  = "kube-scheduler"
)

// stopTimeout is how long a component may take to stop. kube-apiserver's own grace period for requests
// is a minute; a watch that nobody closes is not worth waiting for.
const stopTimeout = 15 * time.Second

// Plan is what to run, as data.
type Plan struct {
	// Children in the order they start in. They stop in the reverse order.
	Children []supervise.Child
	// Dirs are folders to make first, which a component would make readable for everybody.
	Dirs []string
	// Authentication is the content of kube-apiserver's AuthenticationConfiguration.
	Authentication string
}

// MakePlan says which programs run with which arguments.
func MakePlan(s Settings, p Ports, c Components) Plan {
	m := planner{s: s, p: p, c: c, l: Layout{Root: s.DataDir}}
	plan := Plan{
		Dirs:           []string{m.l.FlexVolumeDir()},
		Authentication: authentication(c.Version),
		Children:       []supervise.Child{m.etcd(), m.apiserver()},
	}
	if c.ControllerManager != "" {
		plan.Children = append(plan.Children, m.controllerManager())
	}
	if c.Scheduler != "" {
		plan.Children = append(plan.Children, m.scheduler())
	}
	return plan
}

type planner struct {
	s Settings
	p Ports
	c Components
	l Layout
}

func (m planner) etcd() supervise.Child {
	client, peer := localURL(m.p.Etcd, ""), localURL(m.p.EtcdPeer, "")
	return m.child(etcdName, m.c.Etcd, []string{
		"--name=seed",
		"--data-dir=" + m.l.EtcdDir(),
		"--listen-client-urls=" + etcdClientURLs(m.s, m.p),
		"--advertise-client-urls=" + client,
		"--cert-file=" + m.cert(etcdServerPair),
		"--key-file=" + m.key(etcdServerPair),
		"--trusted-ca-file=" + m.cert(etcdAuthority),
		"--client-cert-auth=true",
		// Through the gateway a client has no name that etcd could let in.
		"--enable-grpc-gateway=false",
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=seed=" + peer,
		"--peer-cert-file=" + m.cert(etcdPeerPair),
		"--peer-key-file=" + m.key(etcdPeerPair),
		"--peer-trusted-ca-file=" + m.cert(etcdAuthority),
		"--peer-client-cert-auth=true",
	}, supervise.Health{
		URL:      localURL(m.p.Etcd, "/health"),
		CAFile:   m.cert(etcdAuthority),
		CertFile: m.cert(etcdClientPair),
		KeyFile:  m.key(etcdClientPair),
	})
}

func (m planner) apiserver() supervise.Child {
	args := []string{
		"--bind-address=" + m.s.Bind.String(),
		"--advertise-address=" + m.s.Advertise.String(),
		"--secure-port=" + strconv.Itoa(m.p.APIServer),
		"--tls-cert-file=" + m.cert(apiserverPair),
		"--tls-private-key-file=" + m.key(apiserverPair),

		"--etcd-servers=" + localURL(m.p.Etcd, ""),
		// Managers and agents watch for ever; without a bound a stop would wait for them.
		"--shutdown-watch-termination-grace-period=5s",
		"--etcd-cafile=" + m.cert(etcdAuthority),
		"--etcd-certfile=" + m.cert(etcdClientPair),
		"--etcd-keyfile=" + m.key(etcdClientPair),

		"--client-ca-file=" + m.cert(clusterAuthority),
		"--authentication-config=" + m.l.AuthenticationFile(),
		// Nodes join with a bootstrap token, a Secret in kube-system with an end.
		"--enable-bootstrap-token-auth=true",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		// Which pods may be privileged is Pod Security's to say, for each namespace; off, this flag
		// would refuse the network agents of every distribution as well.
		"--allow-privileged=true",
		"--profiling=false",

		"--service-cluster-ip-range=" + m.s.ServiceRange.String(),
		"--service-account-issuer=https://" + serviceAccountHost,
		"--service-account-key-file=" + m.publicKey(serviceAccountKey),
		"--service-account-signing-key-file=" + m.key(serviceAccountKey),

		"--kubelet-client-certificate=" + m.cert(kubeletClientPair),
		"--kubelet-client-key=" + m.key(kubeletClientPair),
		// Without it anybody at a node's address could pass for its kubelet.
		"--kubelet-certificate-authority=" + m.cert(clusterAuthority),
		"--kubelet-preferred-address-types=InternalIP",

		"--proxy-client-cert-file=" + m.cert(frontProxyPair),
		"--proxy-client-key-file=" + m.key(frontProxyPair),
		"--requestheader-client-ca-file=" + m.cert(frontProxyAuthority),
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
	}
	if m.s.Loopback() {
		// Endpoints may not be loopback addresses: the Service "kubernetes" gets none, which is true,
		// where the default would log an error every ten seconds.
		args = append(args, "--endpoint-reconciler-type=none")
	}
	return m.child(apiserverName, m.c.APIServer, args, supervise.Health{
		URL:    m.s.localServer(m.p.APIServer) + "/readyz",
		CAFile: m.cert(clusterAuthority),
	})
}

func (m planner) controllerManager() supervise.Child {
	kubeconfig := m.l.Kubeconfig(controllerPair)
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback.String(),
		"--secure-port=" + strconv.Itoa(m.p.ControllerManager),
		"--tls-cert-file=" + m.cert(controllerPair),
		"--tls-private-key-file=" + m.key(controllerPair),
		"--leader-elect=false",
		"--profiling=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + m.key(serviceAccountKey),
		"--root-ca-file=" + m.cert(clusterAuthority),
		"--cluster-signing-cert-file=" + m.cert(clusterAuthority),
		"--cluster-signing-key-file=" + m.key(clusterAuthority),
		// The two that are off by default sign kube-public/cluster-info for those who hold a bootstrap
		// token, and delete tokens that have expired.
		"--controllers=*,bootstrap-signer-controller,token-cleaner-controller",
		"--service-cluster-ip-range=" + m.s.ServiceRange.String(),
		// The default is made where it is missing: a folder below /usr, outside the data dir.
		"--flex-volume-plugin-dir=" + m.l.FlexVolumeDir(),
	}
	if m.s.ClusterRange.IsValid() {
		args = append(args,
			"--allocate-node-cidrs=true",
			"--cluster-cidr="+m.s.ClusterRange.String(),
			"--node-cidr-mask-size="+strconv.Itoa(m.s.NodeMaskSize))
	}
	return m.child(controllerName, m.c.ControllerManager, args, m.localHealth(m.p.ControllerManager))
}

func (m planner) scheduler() supervise.Child {
	kubeconfig := m.l.Kubeconfig(schedulerPair)
	return m.child(schedulerName, m.c.Scheduler, []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback.String(),
		"--secure-port=" + strconv.Itoa(m.p.Scheduler),
		"--tls-cert-file=" + m.cert(schedulerPair),
		"--tls-private-key-file=" + m.key(schedulerPair),
		"--leader-elect=false",
		"--profiling=false",
	}, m.localHealth(m.p.Scheduler))
}

func (m planner) child(name, path string, args []string, h supervise.Health) supervise.Child {
	return supervise.Child{
		Name: name, Path: path, Args: args, Health: h,
		Env:         []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + m.l.Root},
		Log:         m.l.Log(name),
		StopTimeout: stopTimeout,
	}
}

func (m planner) localHealth(port int) supervise.Health {
	return supervise.Health{URL: localURL(port, "/healthz"), CAFile: m.cert(clusterAuthority)}
}

func (m planner) cert(name string) string { return m.l.PKI().CertFile(name) }

func (m planner) key(name string) string { return m.l.PKI().KeyFile(name) }

func (m planner) publicKey(name string) string { return m.l.PKI().PublicKeyFile(name) }

func localURL(port int, path string) string {
	return fmt.Sprintf("https://%s:%d%s", loopback, port, path)
}

// authentication lets anybody ask whether the API server is healthy, and for what a node that joins
// must know beforehand, and nothing else (KEP-4633). The stable version of the file came with
// Kubernetes 1.34.
func authentication(v Version) string {
	version := "v1"
	if v.Minor < 34 {
		version = "v1beta1"
	}
	return `apiVersion: apiserver.config.k8s.io/` + version + `
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /livez
  - path: /readyz
  - path: /healthz
  - path: ` + install.ClusterInfoPath + `
`
}

// warnings are what a user should know of the settings, each with its cure.
func warnings(s Settings) []string {
	var w []string
	if s.Loopback() {
		w = append(w, fmt.Sprintf("SB017: the API server listens on %s, so other machines and all pods are refused; "+
			"to let them in, start with --bind-address and an address of this machine, or 0.0.0.0 and --advertise-address", s.Bind))
	}
	return w
}

// notRun are the things of a cluster that a user may look for here in vain.
func notRun(c Components) []string {
	var n []string
	if c.ControllerManager == "" {
		n = append(n, controllerName+" (not among the components: no garbage collection, no service account tokens, no node.spec.podCIDR)")
	}
	if c.Scheduler == "" {
		n = append(n, schedulerName+" (not among the components: pods stay Pending unless they name their node)")
	}
	return append(n, "kubelet, kube-proxy and DNS (nodes run them)")
}
