package resolve

func (r *resolver) flannel() {
	spec, f := orZero(r.in.Revision.Node.Flannel), &r.node.Flannel
	f.LogLevel = spec.LogLevel
	f.ExtraArgs = r.extraArgs("flannel.extraArgs", spec.ExtraArgs, flannelFlags, f.Version)
	f.PackageArgs = r.packageArgs("flannel", flannelFlags)
	f.Etcd = r.etcd()
}
