package layout

import (
	"strings"
	"testing"
)

func TestHostsHaveTheGuidesAddresses(t *testing.T) {
	lab, err := New("/cache", "lab", 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Node{
		{Name: "node-a", Address: "10.64.3.7", Public: "203.0.113.7"},
		{Name: "node-b", Address: "10.64.3.8", Public: "203.0.113.8"},
		{Name: "node-c", Address: "10.64.3.9", Public: "203.0.113.9"},
	} {
		if lab.Nodes[i] != want {
			t.Errorf("host %d is %+v, want %+v", i, lab.Nodes[i], want)
		}
	}
	if _, err := lab.Node("node-d"); err == nil || !strings.Contains(err.Error(), "node-a to node-c") {
		t.Errorf("a host that is not there: %v; want an error that names those that are", err)
	}
}

func TestTwoLabsShareNothingButTheCache(t *testing.T) {
	one, err := New("/cache", "one", 1)
	if err != nil {
		t.Fatal(err)
	}
	two, err := New("/cache", "two", 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]func(Lab) string{
		"work": Lab.Work, "registry": Lab.Registry, "lock": Lab.LockFile, "state": Lab.StateFile,
		"socket": Lab.Socket, "cgroup": Lab.Cgroup, "hosts": Lab.Hosts, "served": Lab.Served, "program": Lab.Program,
	} {
		if a, b := path(one), path(two); a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/") {
			t.Errorf("%s: both use %s and %s", name, a, b)
		}
	}
}

func TestANameThatCannotBeAFolderOrACgroupIsRefused(t *testing.T) {
	for name, reason := range map[string]string{
		"":                      "empty",
		"../other":              "a path out of the folder",
		"a/b":                   "a path",
		"Lab":                   "upper case, which a host name loses",
		"-lab":                  "looks like a flag",
		"lab-":                  "ends in a dash",
		strings.Repeat("a", 33): "too long for a unix socket's path",
		"lab name":              "a space",
		"lab.lock":              "another lab's lock file",
	} {
		if _, err := New("/cache", name, 1); err == nil {
			t.Errorf("name %q was taken: %s", name, reason)
		}
	}
	for _, nodes := range []int{-1, 0, MaxNodes + 1} {
		if _, err := New("/cache", "lab", nodes); err == nil {
			t.Errorf("%d hosts were taken", nodes)
		}
	}
}
