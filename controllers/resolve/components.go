package resolve

import (
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// binaries names each component's program, for the message about a missing one.
var binaries = map[v1alpha1.ComponentName]string{
	v1alpha1.ComponentFlannel:    "flanneld",
	v1alpha1.ComponentDocker:     "dockerd",
	v1alpha1.ComponentCRIDockerd: "cri-dockerd",
	v1alpha1.ComponentKubelet:    "kubelet",
	v1alpha1.ComponentKubeProxy:  "kube-proxy",
}

// SearchPath is where the agent looks for a component's program, in order, when no package owns it.
var SearchPath = []string{"/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin", "/opt/bin"}

// programs resolves the five components' facts, and then whether their versions fit together.
func (r *resolver) programs() {
	n := &r.node
	n.Flannel.Program = r.program(v1alpha1.ComponentFlannel)
	n.Docker.Program = r.program(v1alpha1.ComponentDocker)
	n.CRIDockerd.Program = r.program(v1alpha1.ComponentCRIDockerd)
	n.Kubelet.Program = r.program(v1alpha1.ComponentKubelet)
	n.KubeProxy.Program = r.program(v1alpha1.ComponentKubeProxy)
	r.kubernetesVersions()
	r.flannelVersion()
	r.dockerAPI()
}

func factsField(name v1alpha1.ComponentName) string { return "facts.components." + string(name) }

// program finds a component in the facts. Its package's arguments are resolved later, together
// with the flags that Seedbed sets.
func (r *resolver) program(name v1alpha1.ComponentName) Program {
	field := factsField(name)
	binary, downloaded := r.binaryOf(name)
	for _, c := range r.in.Facts.Components {
		// A package's program beside the one that is downloaded is not the one that is to run.
		if c.Name != name || (downloaded && c.Path != binary.Path) {
			continue
		}
		if downloaded {
			c.Source = v1alpha1.SourceBinary
		}
		r.oneOf(field+".source", string(c.Source), string(v1alpha1.SourceBinary), string(v1alpha1.SourcePackage))
		if !r.text(field+".path", c.Path) || !path.IsAbs(c.Path) || path.Clean(c.Path) != c.Path || strings.ContainsAny(c.Path, "\"'\\ $") {
			r.invalid(field+".path", c.Path, "not a clean absolute path of a program: correct the facts")
		}
		if c.Version == "" {
			r.add(v1alpha1.ReasonVersionUnsupported, field+".version", "", "the program did not say which version it is, and flags depend on it: run %s --version on the node", c.Path)
			return Program{Path: c.Path, Source: c.Source}
		}
		return Program{Path: c.Path, Source: c.Source, Version: r.parseVersion(field+".version", c.Version)}
	}
	if downloaded {
		return Program{Path: binary.Path, Source: v1alpha1.SourceBinary, Version: r.assumed(name)}
	}
	r.add(v1alpha1.ReasonComponentMissing, field, "", "%s was not found on the node, neither in a package's unit nor as %s in %s: install it",
		name, binaries[name], strings.Join(SearchPath, ", "))
	return Program{}
}

// assumed is the version of a program that is downloaded and was not asked yet: that of Kubernetes
// for its own programs. For the others it is nil, which counts as the newest.
func (r *resolver) assumed(name v1alpha1.ComponentName) *version.Version {
	if name != v1alpha1.ComponentKubelet && name != v1alpha1.ComponentKubeProxy {
		return nil
	}
	v, err := version.ParseGeneric(r.in.Revision.Node.Kubernetes.Version)
	if err != nil {
		return nil // reported with the field
	}
	return v
}

// missing returns what was found wrong with the programs on the host, and true when that is all and
// something is to be installed: it may then be right afterwards.
func (r *resolver) missing() (Errors, bool) {
	for _, e := range r.list {
		wrong := e.Reason == v1alpha1.ReasonComponentMissing || e.Reason == v1alpha1.ReasonVersionUnsupported
		if !wrong || !strings.HasPrefix(e.Field, "facts.components.") {
			return nil, false
		}
	}
	return r.list, len(r.list) > 0 && r.installs()
}

// parseVersion is nil after an error.
func (r *resolver) parseVersion(field, value string) *version.Version {
	v, err := version.ParseGeneric(value)
	if err != nil || badRune(value) {
		r.invalid(field, value, "not a version: for example v1.37.2")
		return nil
	}
	return v
}

// kubernetesVersions refuses programs of another minor than kubernetes.version, which decides the
// flags and fields that are written.
func (r *resolver) kubernetesVersions() {
	want, err := version.ParseGeneric(r.in.Revision.Node.Kubernetes.Version)
	if err != nil {
		return
	}
	if want.LessThan(version.MajorMinor(1, 29)) {
		r.add(v1alpha1.ReasonVersionUnsupported, "kubernetes.version", r.in.Revision.Node.Kubernetes.Version, "too old for a present-day API server: use v1.29.0 or later")
	}
	for name, program := range map[v1alpha1.ComponentName]*Program{
		v1alpha1.ComponentKubelet:   &r.node.Kubelet.Program,
		v1alpha1.ComponentKubeProxy: &r.node.KubeProxy.Program,
	} {
		if v := program.Version; v != nil && (v.Major() != want.Major() || v.Minor() != want.Minor()) {
			r.add(v1alpha1.ReasonVersionUnsupported, factsField(name)+".version", "v"+v.String(), "kubernetes.version is %s, another minor version: install that one on the node, or change kubernetes.version",
				r.in.Revision.Node.Kubernetes.Version)
			if r.installs() {
				program.Version = want // what else is checked is about the one that will be there
			}
		}
	}
}

// below is true for a known version that is less than major.minor.patch.
func below(v *version.Version, atLeast string) bool {
	return v != nil && v.LessThan(version.MustParseGeneric(atLeast))
}

func (r *resolver) flannelVersion() {
	v, field := r.node.Flannel.Version, factsField(v1alpha1.ComponentFlannel)+".version"
	switch etcd := or(orZero(r.in.Revision.Network.SubnetManager).Type, "") == v1alpha1.SubnetManagerEtcd; {
	case below(v, "0.7.0"):
		r.add(v1alpha1.ReasonVersionUnsupported, field, v.String(), "flannel before 0.7.0 gives flannel.1 the mask /16 instead of /32, and traffic to other nodes is lost (SB008): install 0.21.0 or later")
	case etcd && below(v, "0.21.0"):
		r.add(v1alpha1.ReasonVersionUnsupported, field, v.String(), "flannel before 0.21.0 speaks the v2 API, which etcd 3.6 and later no longer have: install 0.21.0 or later, or use subnetManager.type Kubernetes")
	}
}

// dockerAPI refuses pairs of cri-dockerd and docker that do not understand each other: cri-dockerd
// speaks one fixed version of docker's API and does not negotiate.
func (r *resolver) dockerAPI() {
	cri, docker := r.node.CRIDockerd.Version, r.node.Docker.Version
	if cri == nil || docker == nil {
		return
	}
	field := factsField(v1alpha1.ComponentCRIDockerd) + ".version"
	refuse := func(why string) {
		r.add(v1alpha1.ReasonVersionUnsupported, field, cri.String(), "%s", fmt.Sprintf("docker %s is on this node: %s", docker, why))
	}
	switch oldest, api := dockerRange(cri); {
	case below(cri, "0.3.0"):
		refuse("cri-dockerd before 0.3.0 has no CRI v1, which the kubelet needs since 1.26: install 0.3.16 or later")
	case below(docker, oldest):
		refuse(fmt.Sprintf("this cri-dockerd speaks docker API %s, which docker has since %s: update docker, or install a cri-dockerd for it (0.3.16 to 0.3.25, 0.4.2 and 0.4.3 work with docker 25 and later)", api, oldest))
	case below(cri, "0.3.16") && !below(docker, "29.0.0") && !r.minAPIVersion():
		refuse("docker 29 and later refuse the API version that cri-dockerd before 0.3.16 speaks: update cri-dockerd, or set docker.daemonConfig min-api-version")
	}
}

// dockerRange is the oldest docker that has the API a cri-dockerd speaks.
func dockerRange(cri *version.Version) (oldest, api string) {
	switch {
	case below(cri, "0.3.12"):
		return "1.0.0", "1.43"
	case below(cri, "0.3.16"):
		return "1.0.0", "1.43 or 1.44"
	case below(cri, "0.4.0"):
		return "25.0.0", "1.44"
	case below(cri, "0.4.2"):
		return "27.0.0", "1.46"
	case below(cri, "0.4.4"):
		return "25.0.0", "1.44"
	}
	return "27.0.0", "1.46"
}

func (r *resolver) minAPIVersion() bool {
	docker := orZero(r.in.Revision.Node.Docker)
	config, err := object(docker.DaemonConfig)
	if err != nil {
		return false
	}
	_, set := config["min-api-version"]
	return set
}
