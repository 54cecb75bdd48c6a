package linux

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// starts is a drop-in that replaces the command.
func starts(command string) state.File {
	return text("[Service]\nExecStart=\nType=simple\nExecStart=" + command + "\n")
}

func TestThePackagesCommandIsTheOneThatSystemdWouldRun(t *testing.T) {
	const (
		etc, run, usr = "/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/"
		own, ours     = "kube-proxy.service.d/", resolve.DropInName
	)
	for name, tt := range map[string]struct {
		reason  string
		dropIns map[string]state.File
		want    string
		refuse  []string
	}{
		"None":         {"the package's alone", nil, "/package", nil},
		"Ours":         {"it would build on itself", map[string]state.File{etc + own + ours: starts("/ours")}, "/package", nil},
		"Override":     {"`systemctl edit` before ours", map[string]state.File{etc + own + ours: starts("/ours"), etc + own + "override.conf": starts("/override")}, "/override", nil},
		"ByName":       {"the name orders, not the folder", map[string]state.File{etc + own + "10-a.conf": starts("/a"), usr + own + "20-b.conf": starts("/b"), run + own + "15-c.conf": starts("/c")}, "/b", nil},
		"EtcMasks":     {"/etc wins over /run and /usr/lib", map[string]state.File{etc + own + "10.conf": starts("/etc"), run + own + "10.conf": starts("/run"), usr + own + "10.conf": starts("/usr")}, "/etc", nil},
		"RunMasks":     {"/run wins over /usr/lib", map[string]state.File{run + own + "10.conf": starts("/run"), usr + own + "10.conf": starts("/usr")}, "/run", nil},
		"NullMasks":    {"a link to /dev/null says nothing", map[string]state.File{etc + own + "10.conf": {Type: state.Symlink, Target: "/dev/null"}, usr + own + "10.conf": starts("/usr")}, "/package", nil},
		"EmptyMasks":   {"nor does an empty file", map[string]state.File{etc + own + "10.conf": text(""), usr + own + "10.conf": starts("/usr")}, "/package", nil},
		"OtherSetting": {"no command, whatever the name", map[string]state.File{etc + own + "zzz.conf": text("[Service]\nNice=5\n")}, "/package", nil},
		"Prefix":       {"drop-ins of a prefix", map[string]state.File{etc + "kube-.service.d/10.conf": starts("/prefix")}, "/prefix", nil},
		"Type":         {"a unit's own wins over its type's of that name", map[string]state.File{etc + "service.d/10.conf": starts("/type"), usr + own + "10.conf": starts("/own")}, "/own", nil},
		"NotConf":      {"not a drop-in", map[string]state.File{etc + own + "10.conf.bak": starts("/bak")}, "/package", nil},
		"OtherUnit":    {"another unit's", map[string]state.File{etc + "kubelet.service.d/10.conf": starts("/kubelet")}, "/package", nil},
		"AfterOurs":    {"it would undo ours unseen", map[string]state.File{etc + own + "zzz.conf": starts("/late")}, "", []string{etc + own + "zzz.conf", ours, "sorts before"}},
		"ResetAfter":   {"so would a bare reset", map[string]state.File{run + own + "zzz.conf": text("[Service]\nExecStart=\n")}, "", []string{run + own + "zzz.conf"}},
		"Emptied":      {"nothing is left to run", map[string]state.File{etc + own + "10.conf": text("[Service]\nExecStart=\n")}, "", []string{etc + own + "10.conf", "without an ExecStart"}},
		"NoUnit":       {"not the text of a unit", map[string]state.File{etc + own + "10.conf": text("[Service\nNice=5\n")}, "", []string{etc + own + "10.conf", "not a unit file"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			plant(t, root, usr+"kube-proxy.service", text("[Service]\nExecStart=/package --v=1\n"))
			for p, f := range tt.dropIns {
				plant(t, root, p, f)
			}
			got, err := newFactsReader(treeAt(t, root)).packageCommand(resolve.UnitKubeProxy)
			if tt.want != "" && (err != nil || len(got) == 0 || got[0] != tt.want) {
				t.Errorf("%s: got %q, %v; want %s", tt.reason, got, err, tt.want)
			}
			for _, part := range tt.refuse {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%s: got %q, %v; want an error with %q", tt.reason, got, err, part)
				}
			}
		})
	}
}

func TestAPackageUnderAnotherUnitNameIsNoPackage(t *testing.T) {
	root := t.TempDir()
	for unit, program := range map[string]string{"flannel.service": "/opt/flannel/flanneld", "cri-dockerd.service": "/usr/bin/cri-dockerd"} {
		plant(t, root, "/usr/lib/systemd/system/"+unit, text("[Service]\nExecStart="+program+"\n"))
		plant(t, root, program, state.File{Mode: 0o755})
	}
	r := newFactsReader(treeAt(t, root))
	r.versions = newVersions(func(context.Context, string) (string, error) { return "v1.2.3", nil })
	got, err := r.components(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.ComponentFacts{{Name: v1alpha1.ComponentCRIDockerd, Version: "v1.2.3", Path: "/usr/bin/cri-dockerd", Source: v1alpha1.SourceBinary}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drop-ins would be written for units that are not there (-want +got):\n%s", diff)
	}
}

func TestProgramsAreLookedForWhereMessagesSay(t *testing.T) {
	for _, dir := range resolve.SearchPath {
		root := t.TempDir()
		plant(t, root, dir+"/kubelet", state.File{Mode: 0o755})
		if got, err := newFactsReader(treeAt(t, root)).program("kubelet"); got != dir+"/kubelet" || err != nil {
			t.Errorf("program in %s: found %q, %v", dir, got, err)
		}
	}
}
