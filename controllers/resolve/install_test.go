package resolve_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
	"seedbed.dev/seedbed/controllers/state"
)

func packages(change func(*v1alpha1.Packages)) func(*testing.T, *resolve.Input) {
	return node(func(n *v1alpha1.NodeConfigSpec) { change(n.Packages) })
}

func binary(change func(*v1alpha1.Binary)) func(*testing.T, *resolve.Input) {
	return node(func(n *v1alpha1.NodeConfigSpec) { change(&n.Binaries[0]) })
}

func repositoryAt(i int, change func(*v1alpha1.PackageRepository)) func(*testing.T, *resolve.Input) {
	return packages(func(p *v1alpha1.Packages) { change(&p.Repositories[i]) })
}

func manager(m v1alpha1.PackageManager) func(*testing.T, *resolve.Input) {
	return facts(func(f *v1alpha1.Facts) { f.PackageManager = m })
}

// The agent checks again what the API server has checked: admission is not a trust boundary.
func TestPackagesAndBinariesThatCannotBeAreRefused(t *testing.T) {
	refuse(t, "install", map[string]refusal{
		"NoManager":    {"nothing could install them", manager(""), v1alpha1.ReasonPackageManagerMissing, "facts.packageManager", "neither apt nor dnf"},
		"F069Option":   {"an option of apt", packages(func(p *v1alpha1.Packages) { p.Present[0].Name = "-oDPkg::Pre-Invoke=id" }), "", "packages.present[0].name", "not the name of a package"},
		"F069Absent":   {"an option of apt", packages(func(p *v1alpha1.Packages) { p.Absent[0] = "--purge" }), "", "packages.absent[0]", "not the name of a package"},
		"Removal":      {"apt removes name-", packages(func(p *v1alpha1.Packages) { p.Present[0].Name = "docker-" }), "", "packages.present[0].name", "not ending in -"},
		"Capital":      {"dpkg has no such names", packages(func(p *v1alpha1.Packages) { p.Present[0].Name = "Docker" }), "", "packages.present[0].name", "Debian package"},
		"Version":      {"two words", packages(func(p *v1alpha1.Packages) { p.Present[0].Version = new("1 2") }), "", "packages.present[0].version", "apt-cache policy"},
		"BothLists":    {"which one?", packages(func(p *v1alpha1.Packages) { p.Absent = append(p.Absent, "conntrack") }), "", "packages.present[1].name", "under absent too"},
		"OtherManager": {"its versions are another distribution's", repositoryAt(0, func(r *v1alpha1.PackageRepository) { r.Type = "Dnf" }), "", "packages.repositories[0].type", "is Apt"},
		"Path":         {"it leaves its folder", repositoryAt(0, func(r *v1alpha1.PackageRepository) { r.Name = "../x" }), "", "packages.repositories[0].name", "not the name of a repository"},
		"Line":         {"a second field", repositoryAt(0, func(r *v1alpha1.PackageRepository) { r.BaseURL = "https://a/\nTrusted: yes" }), "", "packages.repositories[0].baseURL", "not an http"},
		"Suite":        {"a second suite", repositoryAt(0, func(r *v1alpha1.PackageRepository) { r.Suite = new("a b") }), "", "packages.repositories[0].suite", "not a suite"},
		"Component":    {"an option", repositoryAt(0, func(r *v1alpha1.PackageRepository) { r.Components[0] = "a\nSigned-By: /x" }), "", "packages.repositories[0].components", "not a component"},
		"Unsigned":     {"anybody could sign", repositoryAt(0, func(r *v1alpha1.PackageRepository) { r.GPGKeySecretRef = nil }), "", "packages.repositories[0]", "exactly one"},
		"UnsignedHTTP": {"anybody on the way", repositoryAt(1, func(r *v1alpha1.PackageRepository) { r.BaseURL = "http://a/b" }), "", "packages.repositories[1].baseURL", "on the way"},
		"KeyMissing":   {"no such Secret", repositoryAt(0, func(r *v1alpha1.PackageRepository) { r.GPGKeySecretRef.Key = "none" }), v1alpha1.ReasonSecretNotFound, "packages.repositories[0].gpgKeySecretRef", "no such key"},
		"KeyOfOther": {"a certificate", repositoryAt(0, func(r *v1alpha1.PackageRepository) {
			*r.GPGKeySecretRef = v1alpha1.SecretKeyReference{Name: "cluster-ca", Key: "ca.crt"}
		}), "", "packages.repositories[0].gpgKeySecretRef", "gpg --armor"},
		"RpmVersion":  {"no release", both(manager("Dnf"), packages(func(p *v1alpha1.Packages) { p.Repositories = nil; p.Present[0].Version = new("27.5.1") })), "", "packages.present[0].version", "version-release"},
		"BinaryPath":  {"relative", binary(func(b *v1alpha1.Binary) { b.Path = "bin/kubelet" }), "", "binaries[0].path", "clean absolute path"},
		"BinaryOwned": {"the agent itself", binary(func(b *v1alpha1.Binary) { b.Path = "/usr/local/bin/seedbed" }), "", "binaries[0].path", "Seedbed writes it"},
		"BinaryURL":   {"another scheme", binary(func(b *v1alpha1.Binary) { b.URL = "ftp://a/b" }), "", "binaries[0].url", "https"},
		"BinarySum":   {"nothing is verified", binary(func(b *v1alpha1.Binary) { b.SHA256 = "" }), "", "binaries[0].sha256", "SHA-256"},
		"BinaryMode":  {"everybody may write", binary(func(b *v1alpha1.Binary) { b.Mode = new("0777") }), "", "binaries[0].mode", "octal mode"},
		"BinaryTwice": {"which one?", binary(func(b *v1alpha1.Binary) { b.Path = "/usr/local/bin/kube-proxy" }), "", "binaries[1].path", "twice"},
		"TwoKubelets": {"which one runs?", node(func(n *v1alpha1.NodeConfigSpec) {
			b := n.Binaries[0]
			b.Path = "/opt/kubelet"
			n.Binaries = append(n.Binaries, b)
		}), "", "binaries", "keep the one"},
		"FileAndBinary": {"two writers of one path", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Files = []v1alpha1.File{{Path: "/usr/local/bin/kubelet", Contents: new("x")}}
		}), "", "files[0].path", "twice"},
		"FileOfARepo": {"two writers of one path", node(func(n *v1alpha1.NodeConfigSpec) {
			n.Files = []v1alpha1.File{{Path: "/etc/apt/sources.list.d/seedbed-x.sources", Contents: new("x")}}
		}), "", "files[0].path", "packages.repositories"},
	})
}

func TestVersionOfAPackageIsTheOneThatThePackageManagerPrints(t *testing.T) {
	in := resolvetest.Load(t, "install")
	in.Revision.Node.Packages.Present[0].Version = new("0:27.5.1-1")
	n, err := resolve.Resolve(in)
	if err != nil || n.Packages.Present[0].Version != "27.5.1-1" {
		t.Errorf("%+v, %v: an epoch of 0 is not printed, and would never match", n.Packages.Present, err)
	}
}

func TestComponentAmongTheBinariesIsKnownWithoutFacts(t *testing.T) {
	in := resolvetest.Load(t, "install")
	n, err := resolve.Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	if p := n.KubeProxy; p.Path != "/usr/local/bin/kube-proxy" || p.Source != v1alpha1.SourceBinary || p.Version.String() != "1.33.6" || len(n.Missing) > 0 {
		t.Errorf("kube-proxy is %+v, missing %v", p.Program, n.Missing)
	}
	// One from a package is there too, and is not the one that is to run.
	in.Facts.Components = append(in.Facts.Components, v1alpha1.ComponentFacts{
		Name: v1alpha1.ComponentKubeProxy, Path: "/usr/bin/kube-proxy", Version: "v1.30.0", Source: v1alpha1.SourcePackage, ExecStart: []string{"/usr/bin/kube-proxy", "--old"},
	})
	if n, err = resolve.Resolve(in); err != nil || n.KubeProxy.Path != "/usr/local/bin/kube-proxy" || len(n.KubeProxy.PackageArgs) > 0 {
		t.Errorf("kube-proxy is %+v, %v", n.KubeProxy.Program, err)
	}
}

func TestWhatInstallingMayPutRightIsMissingAndNotWrong(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*testing.T, *resolve.Input)
		want []string
	}{
		"docker is not there": {facts(func(f *v1alpha1.Facts) {
			f.Components = slices.DeleteFunc(f.Components, func(c v1alpha1.ComponentFacts) bool { return c.Name == v1alpha1.ComponentDocker })
		}), []string{"facts.components.docker"}},
		"nothing is there": {facts(func(f *v1alpha1.Facts) { f.Components = nil }), []string{
			"facts.components.cri-dockerd", "facts.components.docker", "facts.components.flannel",
		}},
		"an old kubelet": {version("kubelet", "v1.32.0"), []string{"facts.components.kubelet.version"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := resolvetest.Load(t, "install")
			c.edit(t, &in)
			n, err := resolve.Resolve(in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range n.Missing {
				got = append(got, e.Field)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if len(n.Packages.Present) != 2 || len(n.Binaries) != 3 || !slices.Contains(n.System.Modules, "overlay") {
				t.Errorf("what has to be installed is not there: %+v", n)
			}
		})
	}
}

// A bad spec touches nothing: no package is installed for a revision that can never be realised.
func TestWhatInstallingCannotPutRightIsAnErrorAtOnce(t *testing.T) {
	for name, edit := range map[string]func(*testing.T, *resolve.Input){
		"a bad flag": node(func(n *v1alpha1.NodeConfigSpec) {
			n.Kubelet = &v1alpha1.Kubelet{ExtraArgs: []v1alpha1.Argument{"--cgroup-driver=systemd"}}
		}),
		"an old Kubernetes": node(func(n *v1alpha1.NodeConfigSpec) { n.Kubernetes.Version = "v1.20.0" }),
		"an empty Secret": func(_ *testing.T, in *resolve.Input) {
			in.Secrets = resolve.NewSecrets(map[v1alpha1.SecretKeyReference]state.Sensitive{})
		},
		"nothing to install": node(func(n *v1alpha1.NodeConfigSpec) { n.Packages, n.Binaries = nil, nil }),
		"only to be removed": node(func(n *v1alpha1.NodeConfigSpec) { n.Packages.Present, n.Binaries = nil, nil }),
	} {
		t.Run(name, func(t *testing.T) {
			in := resolvetest.Load(t, "install")
			in.Facts.Components = nil
			edit(t, &in)
			if n, err := resolve.Resolve(in); err == nil {
				t.Errorf("no error; missing: %v", n.Missing)
			}
		})
	}
}
