package linux

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// tool skips the test where a program is missing.
func tool(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("a package manager works as root only")
	}
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderrOf(err))
	}
	return string(out)
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as exec returns it
		return string(exit.Stderr)
	}
	return ""
}

// testPackage is a package of a test's repository.
type testPackage struct {
	name, version string
	// fields are further lines of the control file, such as "Conflicts: x".
	fields string
	// files by path; those below /etc are configuration files.
	files map[string]string
	// scripts that dpkg runs, by name (deb-postinst(5)), or rpm's in Lua.
	scripts map[string]string
	// triggers is what the package wants to be told of (deb-triggers(5)).
	triggers string
}

var contractPackages = []testPackage{
	{name: "seedbed-one", version: "1.0-1", fields: "Conflicts: seedbed-rival"},
	{name: "seedbed-one", version: "2.0-1", fields: "Conflicts: seedbed-rival"},
	{name: "seedbed-two", version: "1.0-1"},
	{name: "seedbed-two", version: "2.0-1"},
	{name: "seedbed-rival", version: "1.0-1", fields: "Conflicts: seedbed-one"},
}

// aptRoot is an empty host whose apt and dpkg do not touch this machine, with a repository.
func aptRoot(t *testing.T, repository string) (a *apt, root string) {
	t.Helper()
	root = t.TempDir()
	for _, dir := range []string{
		"/etc/apt/apt.conf.d", "/etc/apt/preferences.d", "/etc/apt/sources.list.d", "/etc/apt/trusted.gpg.d", "/etc/dpkg/dpkg.cfg.d",
		"/var/lib/dpkg/info", "/var/lib/dpkg/updates", "/var/lib/dpkg/triggers", "/var/lib/apt/lists/partial", "/var/cache/apt/archives/partial", "/var/log/apt", "/tmp",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	plant(t, root, dpkgStatus, state.File{Mode: 0o644})
	plant(t, root, aptHookless, state.File{Mode: 0o644, Content: []byte(aptHooklessConf)})
	plantAptSource(t, root, "test", repository)
	return aptAt(root), root
}

func plantAptSource(t *testing.T, root, name, repository string) {
	t.Helper()
	plant(t, root, resolve.PathAptSources+name+".sources", state.File{Mode: 0o644, Content: []byte("Types: deb\nURIs: file:" + repository + "\nSuites: ./\nTrusted: yes\n")})
}

// aptHookless keeps apt from running what this machine's own configuration, which it reads first, has it
// run around each transaction: debconf, appstream, a cleaner of this machine's cache. They have nothing to
// do with the root and take most of the time. Nor does each run ask dpkg three times for architectures.
const (
	aptHookless     = "/etc/apt/hookless.conf"
	aptHooklessConf = `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
APT::Architectures { "` + runtime.GOARCH + `"; };
`
)

// aptAt is apt for a root that aptRoot made.
func aptAt(root string) *apt {
	a := newApt(root, []string{
		"-c", filepath.Join(root, aptHookless),
		"-o", "Dir=" + root, "-o", "Dir::State::status=" + filepath.Join(root, dpkgStatus),
		"-o", "APT::Sandbox::User=root",
	})
	// Scripts would want a shell in the root.
	a.dpkgOptions = []string{"--root=" + root, "--log=" + filepath.Join(root, "/var/log/dpkg.log"), "--force-unsafe-io", "--force-script-chrootless"}
	for _, option := range a.dpkgOptions {
		a.options = append(a.options, "-o", "Dpkg::Options::="+option)
	}
	a.locks.wait = 300 * time.Millisecond
	return a
}

// aptRepository is a folder of packages with their index.
func aptRepository(t *testing.T, packages ...testPackage) string {
	t.Helper()
	tool(t, "apt-get", "apt-ftparchive", "dpkg-deb", "dpkg")
	repository := t.TempDir()
	addPackages(t, repository, packages...)
	return repository
}

// addPackages makes packages and the index of all that are there.
func addPackages(t *testing.T, repository string, packages ...testPackage) {
	t.Helper()
	for _, p := range packages {
		build := t.TempDir()
		control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: test <test@example.com>\nDescription: test\n", p.name, p.version)
		if p.fields != "" {
			control += p.fields + "\n"
		}
		plant(t, build, "/DEBIAN/control", state.File{Mode: 0o644, Content: []byte(control)})
		conffiles := ""
		for at, content := range p.files {
			plant(t, build, at, state.File{Mode: 0o644, Content: []byte(content)})
			if strings.HasPrefix(at, "/etc/") {
				conffiles += at + "\n"
			}
		}
		if conffiles != "" {
			plant(t, build, "/DEBIAN/conffiles", state.File{Mode: 0o644, Content: []byte(conffiles)})
		}
		for script, content := range p.scripts {
			plant(t, build, "/DEBIAN/"+script, state.File{Mode: 0o755, Content: []byte(content)})
		}
		if p.triggers != "" {
			plant(t, build, "/DEBIAN/triggers", state.File{Mode: 0o644, Content: []byte(p.triggers)})
		}
		command(t, "/", "dpkg-deb", "--root-owner-group", "--build", build, filepath.Join(repository, p.name+"_"+p.version+"_all.deb"))
	}
	index := command(t, repository, "apt-ftparchive", "packages", ".")
	plant(t, repository, "/Packages", state.File{Mode: 0o644, Content: []byte(index)})
	release := command(t, repository, "apt-ftparchive", "release", ".")
	plant(t, repository, "/Release", state.File{Mode: 0o644, Content: []byte(release)})
}

func TestAptKeepsTheContract(t *testing.T) {
	repository := aptRepository(t, contractPackages...)
	heirs := aptRepository(t, testPackage{name: "seedbed-heir", version: "1.0-1", fields: "Conflicts: seedbed-two\nReplaces: seedbed-two\nProvides: seedbed-two"})
	hosttest.PackagesContract(t, func(t *testing.T) hosttest.PackagesFixture {
		a, root := aptRoot(t, repository)
		return hosttest.PackagesFixture{
			Packages: a, Holds: true,
			Heir: func() { plantAptSource(t, root, "heir", heirs) },
			Lock: func() func() {
				return holdRecordLock(t, filepath.Join(root, "/var/lib/dpkg/lock-frontend"))
			},
		}
	})
}

// holdRecordLock has another process hold the lock, since a process does not see its own.
func holdRecordLock(t *testing.T, path string) (unlock func()) {
	t.Helper()
	cmd := child(t, nil, "hold-record-lock", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, 1)
	if _, err := out.Read(ready); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed
	}
}

func holdRecord(args []string) error {
	file, err := os.OpenFile(args[0], os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		return err
	}
	fmt.Print("x")
	time.Sleep(time.Minute)
	return file.Close()
}

// dnfRoot is an empty host whose dnf and rpm do not touch this machine, with a repository.
func dnfRoot(t *testing.T, repository string) *dnf {
	t.Helper()
	root, err := os.MkdirTemp("", "dnf") //nolint:usetesting // dnf splits lists at commas, which names of tests have
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	for _, dir := range []string{"/etc/dnf/plugins", "/etc/yum.repos.d", "/var/lib/rpm", "/var/cache/dnf", "/var/log"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d := newDnf(root, []string{
		"--installroot=" + root, "--setopt=reposdir=" + filepath.Join(root, "/etc/yum.repos.d"), "--releasever=9",
		"--setopt=cachedir=" + filepath.Join(root, "/var/cache/dnf"), "--setopt=logdir=" + filepath.Join(root, "/var/log"),
	})
	d.locks.wait = 300 * time.Millisecond
	// Debian's rpm keeps its database in the user's home.
	if folder := strings.TrimSpace(command(t, "/", "rpm", "--eval", "%{_dbpath}")); folder != "/var/lib/rpm" {
		d.database.folders = []string{folder}
		d.locks.paths = []string{filepath.Join(root, folder, ".rpm.lock")}
	}
	plant(t, root, versionLockPlugin, state.File{Mode: 0o644, Content: []byte("[main]\nenabled = 1\n")})
	plantDnfRepository(t, root, "test", repository)
	return d
}

func plantDnfRepository(t *testing.T, root, name, repository string) {
	t.Helper()
	plant(t, root, resolve.PathDnfRepos+name+".repo", state.File{Mode: 0o644, Content: []byte("[seedbed-" + name + "]\nname=" + name + "\nbaseurl=file://" + repository + "\nenabled=1\ngpgcheck=0\n")})
}

// rpmRepository is a folder of packages with createrepo's index.
func rpmRepository(t *testing.T, packages ...testPackage) string {
	t.Helper()
	tool(t, "dnf", "rpm", "rpmbuild", "createrepo_c")
	repository, build := t.TempDir(), t.TempDir()
	for _, p := range packages {
		version, release, _ := strings.Cut(p.version, "-")
		spec := fmt.Sprintf("Name: %s\nVersion: %s\nRelease: %s\nSummary: test\nLicense: none\nBuildArch: noarch\n%s\n%%description\ntest\n%%files\n", p.name, version, release, p.fields)
		for script, content := range p.scripts {
			spec += "%" + script + " -p <lua>\n" + content
		}
		plant(t, build, "/x.spec", state.File{Mode: 0o644, Content: []byte(spec)})
		command(t, build, "rpmbuild", "-bb", "--define", "_topdir "+build, "--define", "_rpmdir "+repository, filepath.Join(build, "x.spec"))
	}
	command(t, repository, "createrepo_c", "--quiet", repository)
	return repository
}

func TestDnfKeepsTheContract(t *testing.T) {
	repository := rpmRepository(t, contractPackages...)
	heirs := rpmRepository(t, testPackage{name: "seedbed-heir", version: "1.0-1", fields: "Obsoletes: seedbed-two"})
	hosttest.PackagesContract(t, func(t *testing.T) hosttest.PackagesFixture {
		d := dnfRoot(t, repository)
		return hosttest.PackagesFixture{
			Packages: d, Holds: true,
			Heir: func() { plantDnfRepository(t, d.root, "heir", heirs) },
			Lock: func() func() {
				if err := os.MkdirAll(filepath.Dir(d.locks.paths[0]), 0o755); err != nil {
					t.Fatal(err)
				}
				return holdRecordLock(t, d.locks.paths[0])
			},
		}
	})
}

func TestOfflinePackagesKeepTheContract(t *testing.T) {
	hosttest.PackagesContract(t, func(t *testing.T) hosttest.PackagesFixture {
		return hosttest.PackagesFixture{Packages: offline(t, t.TempDir()).Packages, Holds: true, Deferred: true}
	})
}
