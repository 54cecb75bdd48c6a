package resolve

import "regexp"

const defaultPodInfraImage = "registry.k8s.io/pause:3.10"

var imageReference = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$`)

func (r *resolver) criDockerd() {
	spec, c := orZero(r.in.Revision.Node.CRIDockerd), &r.node.CRIDockerd
	c.PodInfraImage = or(spec.PodInfraImage, defaultPodInfraImage)
	if !imageReference.MatchString(c.PodInfraImage) {
		r.invalid("criDockerd.podInfraImage", c.PodInfraImage, "not an image reference: for example %s", defaultPodInfraImage)
	}
	c.ExtraArgs = r.extraArgs("criDockerd.extraArgs", spec.ExtraArgs, criDockerdFlags, c.Version)
	c.PackageArgs = r.packageArgs("cri-dockerd", criDockerdFlags)
}
