package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	defaultDownloads = 3
	defaultLogDriver = "json-file"
	defaultDataRoot  = "/var/lib/docker"
)

// defaultLogOptions keep one container's log from filling the disk; dockerd's own default has no
// bound.
var defaultLogOptions = map[string]string{"max-size": "100m", "max-file": "3"}

func (r *resolver) docker() {
	spec, d := orZero(r.in.Revision.Node.Docker), &r.node.Docker
	for i, mirror := range spec.RegistryMirrors {
		r.url(fmt.Sprintf("docker.registryMirrors[%d]", i), string(mirror), "http", "https")
		d.RegistryMirrors = append(d.RegistryMirrors, string(mirror))
	}
	d.MaxConcurrentDownloads = or(spec.MaxConcurrentDownloads, defaultDownloads)
	d.LiveRestore = or(spec.LiveRestore, true)
	d.CgroupDriver = or(spec.CgroupDriver, v1alpha1.CgroupDriverSystemd)
	r.oneOf("docker.cgroupDriver", string(d.CgroupDriver), "systemd", "cgroupfs")
	d.IPForward = or(spec.IPForward, true)
	d.DataRoot = or(spec.DataRoot, defaultDataRoot)
	if r.text("docker.dataRoot", d.DataRoot) && !cleanPath(d.DataRoot) {
		r.invalid("docker.dataRoot", d.DataRoot, "not a clean absolute path: for example %s", defaultDataRoot)
	}
	r.logDriver(spec.LogDriver)
	r.daemonConfig(spec)
	d.Proxy = r.proxy(spec.Proxy)
	r.registries(spec.Registries)
	d.PackageArgs = r.packageArgs(v1alpha1.ComponentDocker, r.dockerFlags())
}

func (r *resolver) logDriver(spec *v1alpha1.LogDriver) {
	d := &r.node.Docker
	if spec == nil {
		d.LogDriver, d.LogOptions = defaultLogDriver, maps.Clone(defaultLogOptions)
		return
	}
	r.text("docker.logDriver.name", spec.Name)
	d.LogDriver, d.LogOptions = spec.Name, map[string]string{}
	for _, key := range state.SortedKeys(spec.Options) {
		r.text("docker.logDriver.options", key)
		r.text("docker.logDriver.options."+show(key), string(spec.Options[key]))
		d.LogOptions[key] = string(spec.Options[key])
	}
}

const cgroupOption = "native.cgroupdriver="

// daemonConfig takes what the user adds to daemon.json. dockerd takes most objects in that file
// apart and looks at the keys inside, so those count as well.
func (r *resolver) daemonConfig(spec v1alpha1.Docker) {
	const field = "docker.daemonConfig"
	config, err := object(spec.DaemonConfig)
	if err != nil {
		r.invalid(field, "", "%v", err)
		return
	}
	r.userKeys = map[string]bool{}
	for _, key := range state.SortedKeys(config) {
		inner, isObject := config[key].(map[string]any)
		if !isObject || slices.Contains(dockerFlatKeys, key) || dockerKeys[key] != "" {
			r.daemonKey(field+"."+show(key), key)
			continue
		}
		for _, k := range state.SortedKeys(inner) {
			r.daemonKey(field+"."+show(key)+"."+show(k), k)
		}
	}
	r.execOptions(field+".exec-opts", config["exec-opts"])
	r.plainStrings(field, config)
	r.node.Docker.DaemonConfig = config
}

func (r *resolver) daemonKey(field, key string) {
	r.userKeys[key] = true
	if by, owned := dockerKeys[key]; owned {
		r.invalid(field, "", "Seedbed sets this key from %s: remove it here", by)
		return
	}
	since, known := dockerKnownKeys[key]
	switch v := r.node.Docker.Version; {
	case !known:
		r.invalid(field, "", "not a key of daemon.json that this release of Seedbed knows, and dockerd does not start with a key that it does not know: correct or remove it")
	case v != nil && v.Major() < since:
		r.add(v1alpha1.ReasonVersionUnsupported, field, "", "docker has this key since %d, the node has %s, and dockerd does not start with a key it does not know: remove it, or update docker", since, v)
	}
}

// execOptions: one of exec-opts is ours, the rest are the user's.
func (r *resolver) execOptions(field string, v any) {
	if v == nil {
		return
	}
	options, ok := v.([]any)
	for _, o := range options {
		s, isString := o.(string)
		ok = ok && isString
		if strings.HasPrefix(s, cgroupOption) {
			r.invalid(field, s, "Seedbed sets this option from docker.cgroupDriver: set it there, and remove it here")
		}
	}
	if !ok {
		r.invalid(field, "", "not a list of strings")
	}
}

// dockerFlags are the flags of dockerd that have a key which Seedbed or the user sets.
func (r *resolver) dockerFlags() flagSet {
	set := flagSet{owned: map[string]string{}, short: dockerShort, switches: dockerSwitches}
	add := func(key, by string) {
		set.owned[key] = by
		for flag, k := range dockerFlagKeys {
			if k == key {
				set.owned[flag] = by
			}
		}
	}
	for key, by := range dockerKeys {
		// The unit keeps its sockets: docker.socket hands them over with -H fd://.
		if key != "hosts" {
			add(key, by)
		}
	}
	add("exec-opts", "docker.cgroupDriver")
	for key := range r.userKeys {
		add(key, "docker.daemonConfig")
	}
	return set
}

// DockerFlags are the flags of dockerd that set a key of daemon.json, without dashes, the short one
// included.
func DockerFlags(key string) []string {
	flags := []string{key}
	for flag, k := range dockerFlagKeys {
		if k == key {
			flags = append(flags, flag)
		}
	}
	for short, k := range dockerShort {
		if k == key || dockerFlagKeys[k] == key {
			flags = append(flags, short)
		}
	}
	slices.Sort(flags)
	return flags
}

func (r *resolver) proxy(spec *v1alpha1.DockerProxy) *Proxy {
	if spec == nil {
		return nil
	}
	p := &Proxy{
		HTTP:  r.proxyURL("docker.proxy.httpProxySecretRef", spec.HTTPProxySecretRef),
		HTTPS: r.proxyURL("docker.proxy.httpsProxySecretRef", spec.HTTPSProxySecretRef),
	}
	for i, entry := range spec.NoProxy {
		if !noProxy.MatchString(string(entry)) {
			r.invalid(fmt.Sprintf("docker.proxy.noProxy[%d]", i), string(entry), "not a host, domain or range: for example .example.com or 10.0.0.0/8")
		}
		p.NoProxy = append(p.NoProxy, string(entry))
	}
	return p
}

var noProxy = regexp.MustCompile(`^[a-zA-Z0-9.:*/_-]+$`)

// registryHost is host or host:port; it becomes the name of a folder.
var registryHost = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$`)

func (r *resolver) registries(specs []v1alpha1.Registry) {
	seen := map[string]bool{}
	for i, spec := range specs {
		field := fmt.Sprintf("docker.registries[%d]", i)
		if !registryHost.MatchString(spec.Host) || len(spec.Host) > 255 {
			r.invalid(field+".host", spec.Host, "not host or host:port: without scheme or path, for example 10.64.3.7:8000")
			continue
		}
		if seen[spec.Host] {
			r.invalid(field+".host", spec.Host, "is there twice: keep one")
		}
		seen[spec.Host] = true
		reg := Registry{Host: spec.Host, CA: r.certificates(field+".caSecretRef", spec.CASecretRef)}
		reg.Auth, reg.IdentityToken = r.credentials(field+".credentialsSecretRef", spec.Host, spec.CredentialsSecretRef)
		r.node.Docker.Registries = append(r.node.Docker.Registries, reg)
	}
	slices.SortFunc(r.node.Docker.Registries, func(a, b Registry) int { return cmp.Compare(a.Host, b.Host) })
}
