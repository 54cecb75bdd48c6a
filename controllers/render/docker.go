package render

import (
	"fmt"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func renderDocker(n resolve.Node) (state.Host, error) {
	host := state.New()
	daemon := daemonConfig(n)
	content, err := jsonFile(daemon)
	if err != nil {
		return host, err
	}
	host.Files[resolve.PathDaemonJSON] = file(content)
	read, err := daemonInputs(daemon, content)
	if err != nil {
		return host, err
	}
	if err := dockerFiles(host, n.Docker); err != nil {
		return host, err
	}
	unit := unitPath(resolve.UnitDocker, n.Docker.Source)
	if content, err = dockerUnit(n.Docker); err != nil {
		return host, err
	}
	host.Files[unit] = file(content)
	host.Units[resolve.UnitDocker] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Needs: podNetwork(),
		Inputs: append(read, inputs(host, unit, resolve.PathDockerProxyEnv)...),
		Engine: &state.Engine{LiveRestore: n.Docker.LiveRestore, Users: []string{resolve.UnitKubelet}, Socket: resolve.UnitDockerSocket},
	}
	return host, nil
}

// daemonConfig is daemon.json. Address and MTU of the bridge are not in it: they are flannel's
// lease, on the command line, and dockerd does not start when a key is in both (SB015).
func daemonConfig(n resolve.Node) map[string]any {
	d := n.Docker
	mirrors := d.RegistryMirrors
	if mirrors == nil {
		// An empty list, not an absent key: dockerd keeps its mirrors over a reload without the key.
		mirrors = []string{}
	}
	ours := map[string]any{
		"registry-mirrors":         mirrors,
		"max-concurrent-downloads": d.MaxConcurrentDownloads,
		"live-restore":             d.LiveRestore,
		"exec-opts":                execOptions(d),
		"ip-forward":               d.IPForward,
		"log-driver":               d.LogDriver,
		"data-root":                d.DataRoot,
	}
	if len(d.LogOptions) > 0 {
		ours["log-opts"] = d.LogOptions
	}
	if _, free := d.DaemonConfig["userland-proxy"]; !free && n.Network.Hairpin == v1alpha1.HairpinVeth {
		// Without its proxy dockerd sets hairpin mode on each container's port as it makes it (SB011).
		ours["userland-proxy"] = false
	}
	for key, value := range d.DaemonConfig {
		if _, set := ours[key]; !set {
			ours[key] = value
		}
	}
	return ours
}

func execOptions(d resolve.Docker) []any {
	free, _ := d.DaemonConfig["exec-opts"].([]any)
	return append([]any{"native.cgroupdriver=" + string(d.CgroupDriver)}, free...)
}

// dockerReloads are the keys that dockerd takes over on SIGHUP (moby v26, daemon/reload.go and
// reload_unix.go). The value is true where it also notices that a key is gone; of the others it
// keeps the old value then.
var dockerReloads = map[string]bool{
	"registry-mirrors": true, "live-restore": true, // always written by us
	"max-concurrent-downloads": true, "max-concurrent-uploads": true, "max-download-attempts": true,
	"features": true, "network-diagnostic-port": true,
	"debug": false, "labels": false, "insecure-registries": false, "allow-nondistributable-artifacts": false,
	"shutdown-timeout": false, "runtimes": false, "default-runtime": false, "default-shm-size": false,
	"default-ipc-mode": false, "default-cgroupns-mode": false,
}

// dockerLasting are the keys, with dockerd's defaults, that say where it finds its containers and what
// they are made with: with others a dockerd that starts does not know those that run, or not as they are,
// whatever live-restore is (docs.docker.com/engine/daemon/live-restore, "Live restore upon restart").
var dockerLasting = map[string]any{
	"data-root": "/var/lib/docker", "exec-root": "/var/run/docker",
	"storage-driver": nil, "storage-opts": nil, "userns-remap": nil, "exec-opts": nil,
	"containerd": nil, "containerd-namespace": "moby",
}

// daemonInputs splits daemon.json by what it takes to make dockerd read it. Keys whose absence a
// reload does not notice count with their name among the others, so that adding or removing one is
// a restart and changing it a reload.
func daemonInputs(daemon map[string]any, content []byte) (read []state.Input, err error) {
	lasting, err := state.HashKeys(content, dockerLasting)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", resolve.PathDaemonJSON, err)
	}
	reloaded, others := map[string]any{}, map[string]any{}
	for key, value := range daemon {
		noticed, reloads := dockerReloads[key]
		_, lasts := dockerLasting[key]
		switch {
		case lasts:
		case !reloads:
			others[key] = value
		case noticed:
			reloaded[key] = value
		default:
			reloaded[key], others[key] = value, "set"
		}
	}
	input := func(name string, keys map[string]any, d state.Disruption) state.Input {
		content, e := jsonFile(keys)
		if e != nil {
			err = fmt.Errorf("encode %s: %w", resolve.PathDaemonJSON, e)
		}
		return state.Input{Name: resolve.PathDaemonJSON + " (" + name + ")", Path: resolve.PathDaemonJSON, Hash: state.Hash(content), Disruption: d}
	}
	lost := input("keys that containers do not outlive", daemon, state.Recreate)
	lost.Hash, lost.Keys = lasting, dockerLasting
	read = []state.Input{input("keys that dockerd reloads", reloaded, state.Reload), input("keys that need a restart", others, state.Restart), lost}
	return read, err
}

func dockerFiles(host state.Host, d resolve.Docker) error {
	auths := map[string]map[string]string{}
	for _, r := range d.Registries {
		if !r.CA.Empty() {
			folder, err := below(resolve.PathCertsD, r.Host)
			if err != nil {
				return err
			}
			host.Files[folder+"/ca.crt"] = file(r.CA.Reveal())
		}
		entry := map[string]string{}
		if !r.Auth.Empty() {
			entry["auth"] = string(r.Auth.Reveal())
		}
		if !r.IdentityToken.Empty() {
			entry["identitytoken"] = string(r.IdentityToken.Reveal())
		}
		if len(entry) > 0 {
			auths[r.Host] = entry
		}
	}
	if len(auths) > 0 {
		content, err := jsonFile(map[string]any{"auths": auths})
		if err != nil {
			return err
		}
		// For docker on the command line, and for the kubelet, which hands them to cri-dockerd.
		host.Files[resolve.PathRootDockerConfig] = secretFile(content)
		host.Files[resolve.PathKubeletDockerConfig] = secretFile(content)
	}
	return proxyFile(host, d.Proxy)
}

// proxyFile is apart from the unit because systemd shows a unit's Environment= to everybody.
func proxyFile(host state.Host, p *resolve.Proxy) error {
	if p == nil {
		return nil
	}
	var variables []variable
	for _, v := range []variable{
		{"HTTP_PROXY", string(p.HTTP.Reveal())},
		{"HTTPS_PROXY", string(p.HTTPS.Reveal())},
		{"NO_PROXY", strings.Join(p.NoProxy, ",")},
	} {
		if v.value != "" {
			variables = append(variables, v)
		}
	}
	content, err := envFile(variables)
	if err != nil {
		return err
	}
	host.Files[resolve.PathDockerProxyEnv] = secretFile(content)
	return nil
}

func dockerUnit(d resolve.Docker) ([]byte, error) {
	u := &unitFile{}
	if d.Source == v1alpha1.SourceBinary {
		u.add("Unit", "Description", "docker, the container engine").
			add("Unit", "Documentation", "https://docs.docker.com").
			add("Unit", "Wants", "network-online.target").
			add("Unit", "After", "network-online.target firewalld.service").
			add("Unit", "StartLimitIntervalSec", "60").
			add("Unit", "StartLimitBurst", "3").
			add("Service", "Type", "notify").
			add("Service", "ExecReload", "/bin/kill -s HUP $MAINPID").
			add("Service", "TimeoutStartSec", "0").
			add("Service", "Restart", "always").
			add("Service", "RestartSec", "2").
			add("Service", "LimitNOFILE", "infinity").
			add("Service", "LimitNPROC", "infinity").
			add("Service", "LimitCORE", "infinity").
			add("Service", "TasksMax", "infinity").
			add("Service", "Delegate", "yes").
			add("Service", "KillMode", "process").
			add("Service", "OOMScoreAdjust", "-500").
			add("Install", "WantedBy", "multi-user.target")
	}
	// Requires: never on the wrong subnet (SB001, SB002). Wants: a flanneld that restarts does not
	// take docker with it. Not After flanneld: while the API is away flanneld does not get ready, and
	// local containers wait for no more than the last lease, which the options service waits for.
	u.add("Unit", "Requires", resolve.UnitDockerOpts).
		add("Unit", "Wants", resolve.UnitFlannel).
		add("Unit", "After", resolve.UnitDockerOpts).
		add("Service", "EnvironmentFile", dockerEnvironment(d)...).
		resetExec(d.Source).
		exec(command(d.Program, nil, nil), dockeropts.Variable)
	return u.bytes()
}

// dockerEnvironment: none has the prefix -, which would make systemd ignore a missing file (SB024).
func dockerEnvironment(d resolve.Docker) []string {
	files := []string{resolve.PathDockerOptsEnv}
	if d.Proxy != nil {
		files = append(files, resolve.PathDockerProxyEnv)
	}
	return slices.Clip(files)
}
