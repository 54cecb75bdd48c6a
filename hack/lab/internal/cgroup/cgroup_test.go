package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHierarchiesAreReadWithWhatTellsThemApart(t *testing.T) {
	for name, c := range map[string]struct {
		reason    string
		mountinfo string
		want      []Hierarchy
	}{
		"both": {
			reason: "version 1 beside version 2, as on a machine whose systemd runs in hybrid mode",
			mountinfo: `30 22 0:26 / /sys/fs/cgroup ro,relatime - tmpfs none ro,size=4096k
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup none rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/cpuset rw,relatime - cgroup none rw,cpuset,clone_children
33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup none rw,xattr,release_agent=/lib/systemd/agent,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 none rw,nsdelegate
`,
			want: []Hierarchy{
				{mount: "/sys/fs/cgroup/cpu,cpuacct", fstype: "cgroup", options: "cpu,cpuacct"},
				{mount: "/sys/fs/cgroup/cpuset", fstype: "cgroup", options: "cpuset"},
				{mount: "/sys/fs/cgroup/systemd", fstype: "cgroup", options: "name=systemd"},
				{mount: "/sys/fs/cgroup/unified", fstype: "cgroup2", options: ""},
			},
		},
		"version 2 alone": {
			reason:    "a present-day machine",
			mountinfo: "31 30 0:27 / /sys/fs/cgroup rw,relatime - cgroup2 none rw,nsdelegate,memory_recursiveprot\n",
			want:      []Hierarchy{{mount: "/sys/fs/cgroup", fstype: "cgroup2"}},
		},
		"none": {reason: "a mount whose source is called cgroup is no cgroup hierarchy", mountinfo: "31 30 0:27 / /mnt rw - tmpfs cgroup rw\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(strings.NewReader(c.mountinfo))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(Hierarchy{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestACgroupIsMadeInEveryHierarchyAndRemovedWithAllBelowIt(t *testing.T) {
	v1 := t.TempDir()
	write(t, filepath.Join(v1, "cpuset.cpus"), "0-1\n")
	write(t, filepath.Join(v1, "cpuset.mems"), "0\n")
	all := []Hierarchy{{mount: v1, fstype: "cgroup", options: "cpuset"}}
	if err := Make(all, "seedbed-x/node-a"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(v1, "seedbed-x/node-a/cpuset.cpus"))
	if err != nil || string(got) != "0-1\n" {
		t.Errorf("processors of the host's cgroup are %q (%v), want the machine's: without any, no process can be moved in", got, err)
	}
	// The kernel's files go with a cgroup; those of this test do not.
	for _, file := range []string{"seedbed-x/node-a", "seedbed-x"} {
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := os.Remove(filepath.Join(v1, file, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := Remove(all, "seedbed-x", time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(v1, "seedbed-x")); !os.IsNotExist(err) {
		t.Errorf("the lab's cgroup is still there (%v)", err)
	}
	if err := Remove(all, "seedbed-x", 0); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
}

func TestACgroupThatIsInUseIsAnErrorAfterAWhile(t *testing.T) {
	v1 := t.TempDir()
	write(t, filepath.Join(v1, "seedbed-x/in-use"), "")
	began := time.Now()
	if err := Remove([]Hierarchy{{mount: v1, fstype: "cgroup"}}, "seedbed-x", 120*time.Millisecond); err == nil {
		t.Error("no error, though the cgroup could not be removed")
	}
	if waited := time.Since(began); waited < 100*time.Millisecond {
		t.Errorf("gave up after %s: processes that were just killed need a moment to leave", waited)
	}
}

func TestFollowGoesWhereTheProcessIs(t *testing.T) {
	cpu, systemd, unified := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(cpu, "seedbed-x/node-a/tasks"), "")
	write(t, filepath.Join(systemd, "seedbed-x/node-a/init.scope/tasks"), "")
	all := []Hierarchy{
		{mount: cpu, fstype: "cgroup", options: "cpu,cpuacct"},
		{mount: systemd, fstype: "cgroup", options: "name=systemd"},
		{mount: unified, fstype: "cgroup2"},
	}
	folder, err := Follow(all, "9:name=systemd:/seedbed-x/node-a/init.scope\n2:cpuacct,cpu:/seedbed-x/node-a\n0::/seedbed-x/node-a/init.scope\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(unified, "seedbed-x/node-a/init.scope"); folder != want {
		t.Errorf("folder of version 2 is %s, want %s", folder, want)
	}
	for _, file := range []string{filepath.Join(cpu, "seedbed-x/node-a/tasks"), filepath.Join(systemd, "seedbed-x/node-a/init.scope/tasks")} {
		if got, err := os.ReadFile(file); err != nil || string(got) != "0" {
			t.Errorf("%s holds %q (%v), want 0, the calling thread", file, got, err)
		}
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
