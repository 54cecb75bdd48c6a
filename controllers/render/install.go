package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// renderInstall renders the packages, their repositories, and the programs to download.
func renderInstall(n resolve.Node) (state.Host, error) {
	host := state.New()
	for _, b := range n.Binaries {
		host.Binaries[b.Path] = state.Binary{SHA256: b.SHA256, URL: b.URL, Mode: b.Mode, Owner: "root", Group: "root"}
	}
	for _, r := range n.Packages.Repositories {
		if err := repositoryFiles(host, n.Packages.Manager, r); err != nil {
			return host, err
		}
	}
	if len(n.Packages.Present) > 0 {
		if err := waitForConfiguration(host, n); err != nil {
			return host, err
		}
	}
	needs := needs(host, state.SortedKeys(host.Files)...)
	for _, p := range n.Packages.Present {
		host.Packages[p.Name] = state.Package{Version: p.Version, Held: p.Version != "", Needs: needs, Engine: engineOf(p.Name)}
	}
	for _, name := range n.Packages.Absent {
		host.Packages[name] = state.Package{Absent: true, Needs: needs, Engine: engineOf(name)}
	}
	return host, nil
}

// engines are packages whose scripts restart docker, or the containerd that it runs containers with, as
// their makers and distributions name them.
var engines = []string{"docker-ce", "docker.io", "moby-engine", "docker-engine", "containerd.io", "containerd", "moby-containerd"}

func engineOf(name string) *state.PackagedEngine {
	if !slices.Contains(engines, name) {
		return nil
	}
	return &state.PackagedEngine{Unit: resolve.UnitDocker, Users: []string{resolve.UnitKubelet}}
}

// repositoryFiles: sources.list(5) in its deb822 form, or a .repo file (dnf.conf(5)). An Apt
// repository's index is signed, and with Dnf each package.
func repositoryFiles(host state.Host, manager v1alpha1.PackageManager, r resolve.Repository) error {
	if strings.Contains(r.Name, "/") {
		return fmt.Errorf("repository %q: not the name of a file", r.Name)
	}
	for _, text := range append([]string{r.Name, r.BaseURL, r.Suite}, r.Components...) {
		if oneLine(text) != nil || strings.ContainsAny(text, " \t") {
			return fmt.Errorf("repository %q: %q is not one word", r.Name, text)
		}
	}
	var out strings.Builder
	out.WriteString(header)
	if manager == v1alpha1.PackageManagerDnf {
		fmt.Fprintf(&out, "[seedbed-%s]\nname=%s\nbaseurl=%s\nenabled=1\n", r.Name, r.Name, r.BaseURL)
		if r.Key.Empty() {
			out.WriteString("gpgcheck=0\n")
		} else {
			key := resolve.PathDnfKeys + r.Name
			host.Files[key] = file(r.Key.Reveal())
			fmt.Fprintf(&out, "gpgcheck=1\ngpgkey=file://%s\n", key)
		}
		host.Files[resolve.PathDnfRepos+r.Name+".repo"] = file([]byte(out.String()))
		return nil
	}
	fmt.Fprintf(&out, "Types: deb\nURIs: %s\nSuites: %s\n", r.BaseURL, r.Suite)
	if len(r.Components) > 0 {
		fmt.Fprintf(&out, "Components: %s\n", strings.Join(r.Components, " "))
	}
	if r.Key.Empty() {
		out.WriteString("Trusted: yes\n")
	} else {
		key := resolve.PathAptKeys + r.Name + ".asc"
		host.Files[key] = file(r.Key.Reveal())
		fmt.Fprintf(&out, "Signed-By: %s\n", key)
	}
	host.Files[resolve.PathAptSources+r.Name+".sources"] = file([]byte(out.String()))
	return nil
}

// componentUnits are the units of each component that a package may bring, the service first.
func componentUnits(n resolve.Node) []struct {
	program resolve.Program
	units   []string
} {
	return []struct {
		program resolve.Program
		units   []string
	}{
		{n.Flannel.Program, []string{resolve.UnitFlannel}},
		{n.Docker.Program, []string{resolve.UnitDocker, "docker.socket"}},
		{n.CRIDockerd.Program, []string{resolve.UnitCRIDockerd, resolve.UnitCRISocket}},
		{n.Kubelet.Program, []string{resolve.UnitKubelet}},
		{n.KubeProxy.Program, []string{resolve.UnitKubeProxy}},
	}
}

// waitForConfiguration keeps systemd from starting a component before its settings are in place. A
// package starts its daemon as soon as it is unpacked, and docker would come up on its own subnet
// (SB001). The condition is a file on disk, so it holds over a crash and a reboot in between, and
// touches nothing else on the host, as a policy-rc.d(8) would; a start that it stops counts as a
// success, so the package's scripts go on (systemd.unit(5), "Conditions and Asserts"). It is met by
// what Seedbed writes for the component: drop-in or whole unit.
func waitForConfiguration(host state.Host, n resolve.Node) error {
	for _, c := range componentUnits(n) {
		if c.program.Source == v1alpha1.SourceBinary {
			continue
		}
		service := path.Join(resolve.UnitFolder, c.units[0])
		for _, name := range c.units {
			u := &unitFile{}
			u.add("Unit", "ConditionPathExists", "|"+path.Join(service+".d", resolve.DropInName), "|"+service)
			content, err := u.bytes()
			if err != nil {
				return err
			}
			host.Files[path.Join(resolve.UnitFolder, name+".d", resolve.WaitDropInName)] = file(content)
		}
	}
	return nil
}

// programInputs makes each unit's program one of its inputs, where Seedbed installs it: a unit
// that runs another program than the one on disk is owed a restart.
func programInputs(host state.Host, n resolve.Node) {
	for _, c := range componentUnits(n) {
		name := c.units[0]
		u, ok := host.Units[name]
		if !ok {
			continue
		}
		u.Program = c.program.Path
		u.Inputs = append(u.Inputs, programInput(host, n, c.program)...)
		if name == resolve.UnitDocker {
			u.Inputs = append(u.Inputs, containerd(host)...)
		}
		host.Units[name] = u
	}
}

func programInput(host state.Host, n resolve.Node, p resolve.Program) []state.Input {
	if b, ok := host.Binaries[p.Path]; ok {
		return []state.Input{program(p.Path, b.SHA256)}
	}
	if p.Source != v1alpha1.SourcePackage || len(n.Packages.Present) == 0 || p.Version == nil {
		return nil
	}
	return []state.Input{program(p.Path, state.Hash([]byte(p.Version.String())))}
}

// containerd is run by dockerd for as long as dockerd runs; its other helpers only at each use.
func containerd(host state.Host) []state.Input {
	for _, p := range state.SortedKeys(host.Binaries) {
		if path.Base(p) == "containerd" {
			return []state.Input{program(p, host.Binaries[p].SHA256)}
		}
	}
	return nil
}

func program(path, hash string) state.Input {
	return state.Input{Name: path + " (program)", Path: path, Hash: hash, Disruption: state.Restart}
}

// userPrograms are the binaries that a user's unit runs, by the commands in its text.
func userPrograms(n resolve.Node, text string) []state.Input {
	options, err := unit.DeserializeOptions(strings.NewReader(text))
	if err != nil {
		return nil // resolve has said so
	}
	var all []state.Input
	for _, b := range n.Binaries {
		for _, o := range options {
			command := strings.TrimLeft(o.Value, "-@:+!|")
			if strings.HasPrefix(o.Name, "Exec") && (command == b.Path || strings.HasPrefix(command, b.Path+" ")) {
				all = append(all, program(b.Path, b.SHA256))
				break
			}
		}
	}
	return all
}
