package forecast

import (
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// bring are packages by which components are known to be installed, as their makers and distributions
// name them.
var bring = map[string]v1alpha1.ComponentName{
	"docker-ce": v1alpha1.ComponentDocker, "docker.io": v1alpha1.ComponentDocker, "moby-engine": v1alpha1.ComponentDocker,
	"cri-dockerd": v1alpha1.ComponentCRIDockerd, "flannel": v1alpha1.ComponentFlannel,
	"kubelet": v1alpha1.ComponentKubelet, "kube-proxy": v1alpha1.ComponentKubeProxy,
}

// expect returns the facts as they will be when f's plan has installed what it does, and what that
// takes programs to be. A program of a package that is not there at all stays missing: what its unit
// runs is not known.
func expect(in resolve.Input, f Forecast) (facts v1alpha1.Facts, assumed []string) {
	facts = *in.Facts.DeepCopy()
	upgraded, downloaded := installed(f.Plan)
	for i := range facts.Components {
		c := &facts.Components[i]
		if version := upgraded[c.Name]; version != "" && c.Source == v1alpha1.SourcePackage {
			c.Version = version
			assumed = append(assumed, fmt.Sprintf("%s %s", c.Name, version))
		}
	}
	for _, missing := range f.Missing {
		name, _, _ := strings.Cut(strings.TrimPrefix(missing.Field, "facts.components."), ".")
		for _, b := range in.Revision.Node.Binaries {
			if component, ok := resolve.ComponentAt(b.Path); ok && string(component) == name && downloaded[b.Path] {
				// Without it resolve takes what is downloaded for what kubernetes.version says.
				facts.Components = slices.DeleteFunc(facts.Components, func(c v1alpha1.ComponentFacts) bool { return c.Name == component })
				assumed = append(assumed, name+" "+versionOf(component, in))
			}
		}
	}
	slices.Sort(assumed)
	return facts, slices.Compact(assumed)
}

// versionOf is what resolve assumes of a program that is downloaded.
func versionOf(component v1alpha1.ComponentName, in resolve.Input) string {
	if component == v1alpha1.ComponentKubelet || component == v1alpha1.ComponentKubeProxy {
		return in.Revision.Node.Kubernetes.Version
	}
	return "of the newest release"
}

// installed are the versions of components that packages will bring, and the paths of programs that
// will be downloaded.
func installed(p plan.Plan) (upgraded map[v1alpha1.ComponentName]string, downloaded map[string]bool) {
	upgraded, downloaded = map[v1alpha1.ComponentName]string{}, map[string]bool{}
	for i := range p.Steps {
		switch s := &p.Steps[i]; {
		case s.Blocked != "":
		case s.Target.Kind == state.KindBinary && s.Action == plan.Write:
			downloaded[s.Target.Name] = true
		case s.Target.Kind == state.KindPackage && s.Action == plan.Install && s.Package.Version != "":
			if name, known := bring[s.Target.Name]; known {
				upgraded[name] = state.Upstream(s.Package.Version)
			}
		}
	}
	return upgraded, downloaded
}
