package hosttest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// FilesFixture is one implementation of host.Files, on an empty host.
type FilesFixture struct {
	Files host.Files
	// Owner and Group that files can be given, and a second pair that differs; the second pair is
	// empty where there is none.
	Owner, Group           string
	OtherOwner, OtherGroup string
	// Plant puts something at a path behind the port's back, and makes its parents.
	Plant func(t *testing.T, path string, file state.File)
	// List names what is in a folder, hidden files too.
	List func(t *testing.T, dir string) []string
}

// FilesContract is what every host.Files promises.
func FilesContract(t *testing.T, open func(t *testing.T) FilesFixture) {
	t.Helper()
	for name, promise := range map[string]func(*testing.T, FilesFixture){
		"what was written is read back":                 writtenIsReadBack,
		"a write replaces content, mode and owner":      writeReplaces,
		"a write makes parents and names them":          writeMakesParents,
		"absent files are absent, not errors":           absentIsNoError,
		"a symbolic link is seen, replaced, put back":   linksAreNotFollowed,
		"folders and special files are seen and kept":   foldersAndSpecialsAreKept,
		"a file on the way to a path is an error":       fileOnTheWay,
		"a link on the way to a path is an error":       linkOnTheWay,
		"removing is idempotent and spares full dirs":   removing,
		"an unknown owner is refused before any change": unknownOwner,
		"bad paths are refused":                         badPaths,
		"nothing else appears in the folder":            noLeftovers,
	} {
		t.Run(name, func(t *testing.T) { promise(t, open(t)) })
	}
}

// file is a regular file of the fixture's first owner.
func (x FilesFixture) file(content string) state.File {
	return state.File{Content: []byte(content), Mode: 0o644, Owner: x.Owner, Group: x.Group}
}

func (x FilesFixture) mustWrite(t *testing.T, p string, file state.File) []string {
	t.Helper()
	made, err := x.Files.Write(p, file)
	if err != nil {
		t.Fatalf("Write(%s): %v", p, err)
	}
	return made
}

func (x FilesFixture) mustRead(t *testing.T, p string) state.File {
	t.Helper()
	file, found, err := x.Files.Read(p)
	if err != nil || !found {
		t.Fatalf("Read(%s) = found %v, error %v", p, found, err)
	}
	return file
}

func (x FilesFixture) mustHave(t *testing.T, p string, want state.File) {
	t.Helper()
	if diff := cmp.Diff(want, x.mustRead(t, p)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", p, diff)
	}
}

func writtenIsReadBack(t *testing.T, x FilesFixture) {
	for _, tt := range []struct {
		reason string
		file   state.File
	}{
		{"plain", x.file("a\n")},
		{"no content", state.File{Content: []byte{}, Mode: 0o600, Owner: x.Owner, Group: x.Group}},
		{"binary content", x.file("\x00\xff\n\r")},
		{"larger than a page", x.file(strings.Repeat("0123456789abcdef", 1<<14))},
		{"nobody may read it", state.File{Content: []byte("s"), Mode: 0o400, Owner: x.Owner, Group: x.Group}},
		{"executable for all", state.File{Content: []byte("x"), Mode: 0o755, Owner: x.Owner, Group: x.Group}},
	} {
		p := "/etc/seedbed-test/" + strings.ReplaceAll(tt.reason, " ", "-")
		x.mustWrite(t, p, tt.file)
		x.mustHave(t, p, tt.file)
	}
	if err := x.Files.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
}

func writeReplaces(t *testing.T, x FilesFixture) {
	const p = "/etc/replaced"
	x.mustWrite(t, p, x.file("old and longer"))
	second := state.File{Content: []byte("new"), Mode: 0o640, Owner: x.Owner, Group: x.Group}
	if x.OtherOwner != "" {
		second.Owner, second.Group = x.OtherOwner, x.OtherGroup
	}
	x.mustWrite(t, p, second)
	x.mustHave(t, p, second)
}

func writeMakesParents(t *testing.T, x FilesFixture) {
	x.Plant(t, "/etc/there/x", x.file(""))
	made := x.mustWrite(t, "/etc/there/new/newer/file", x.file("a"))
	if diff := cmp.Diff([]string{"/etc/there/new", "/etc/there/new/newer"}, made); diff != "" {
		t.Errorf("made folders (-want +got):\n%s", diff)
	}
	if made := x.mustWrite(t, "/etc/there/new/newer/file2", x.file("a")); len(made) != 0 {
		t.Errorf("a second write into the folder made %v", made)
	}
	if dir := x.mustRead(t, "/etc/there/new"); dir.Type != state.Directory || dir.Mode != 0o755 {
		t.Errorf("made folder is %s with mode %v, want a directory with 0755", dir.Type, dir.Mode)
	}
}

func absentIsNoError(t *testing.T, x FilesFixture) {
	x.Plant(t, "/etc/there/x", x.file(""))
	for _, p := range []string{"/etc/there/none", "/etc/none/none/none"} {
		if _, found, err := x.Files.Read(p); found || err != nil {
			t.Errorf("Read(%s) = found %v, error %v; want neither", p, found, err)
		}
	}
}

func linksAreNotFollowed(t *testing.T, x FilesFixture) {
	const p, victim = "/etc/link", "/etc/victim"
	x.Plant(t, victim, x.file("mine"))
	x.Plant(t, p, state.File{Type: state.Symlink, Target: "victim"})
	link := x.mustRead(t, p)
	if link.Type != state.Symlink || link.Target != "victim" || link.Content != nil {
		t.Fatalf("Read of a link = %+v; want the link itself", link)
	}
	x.mustWrite(t, p, x.file("ours"))
	x.mustHave(t, p, x.file("ours"))
	if got := x.mustRead(t, victim); string(got.Content) != "mine" {
		t.Errorf("the write went through the link: %q", got.Content)
	}
	x.mustWrite(t, p, state.File{Type: state.Symlink, Target: "victim", Owner: x.Owner, Group: x.Group})
	if got := x.mustRead(t, p); got.Type != state.Symlink || got.Target != "victim" {
		t.Errorf("putting the link back gave %+v", got)
	}
	if err := x.Files.Remove(p); err != nil {
		t.Errorf("Remove of a link: %v", err)
	}
	if got := x.mustRead(t, victim); string(got.Content) != "mine" {
		t.Errorf("the removal went through the link: %q", got.Content)
	}
}

func foldersAndSpecialsAreKept(t *testing.T, x FilesFixture) {
	for _, kind := range []state.FileType{state.Directory, state.Special} {
		p := "/etc/" + string(kind)
		x.Plant(t, p, state.File{Type: kind, Mode: 0o755})
		if got := x.mustRead(t, p); got.Type != kind {
			t.Errorf("Read of a %s says it is a %q", kind, got.Type)
		}
		if _, err := x.Files.Write(p, x.file("a")); err == nil {
			t.Errorf("Write over a %s succeeded", kind)
		}
		if err := x.Files.Remove(p); err == nil {
			t.Errorf("Remove of a %s succeeded", kind)
		}
		if got := x.mustRead(t, p); got.Type != kind {
			t.Errorf("the %s has become a %q", kind, got.Type)
		}
	}
}

func fileOnTheWay(t *testing.T, x FilesFixture) {
	x.Plant(t, "/etc/file", x.file("a"))
	if _, _, err := x.Files.Read("/etc/file/below"); err == nil {
		t.Error("Read below a file gave no error: it would count as absent")
	}
	if _, err := x.Files.Write("/etc/file/below", x.file("a")); err == nil {
		t.Error("Write below a file succeeded")
	}
	x.mustHave(t, "/etc/file", state.File{Content: []byte("a"), Mode: 0o644, Owner: x.Owner, Group: x.Group})
}

func linkOnTheWay(t *testing.T, x FilesFixture) {
	x.Plant(t, "/etc/elsewhere/file", x.file("mine"))
	x.Plant(t, "/etc/planted", state.File{Type: state.Symlink, Target: "elsewhere"})
	if _, _, err := x.Files.Read("/etc/planted/file"); err == nil {
		t.Error("Read followed a link on the way")
	}
	if _, err := x.Files.Write("/etc/planted/file", x.file("ours")); err == nil {
		t.Error("Write followed a link on the way")
	}
	if err := x.Files.Remove("/etc/planted/file"); err == nil {
		t.Error("Remove followed a link on the way")
	}
	if got := x.mustRead(t, "/etc/elsewhere/file"); string(got.Content) != "mine" {
		t.Errorf("what the link leads to has changed: %q", got.Content)
	}
}

func removing(t *testing.T, x FilesFixture) {
	x.mustWrite(t, "/etc/made/a", x.file("a"))
	steps := []struct {
		reason string
		do     func() error
		left   []string
	}{
		{"a folder with a file stays", func() error { return x.Files.RemoveDir("/etc/made") }, []string{"a"}},
		{"a file goes", func() error { return x.Files.Remove("/etc/made/a") }, nil},
		{"and is not missed the second time", func() error { return x.Files.Remove("/etc/made/a") }, nil},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Errorf("%s: %v", s.reason, err)
		}
		if diff := cmp.Diff(s.left, x.List(t, "/etc/made")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.reason, diff)
		}
	}
	for range 2 {
		if err := x.Files.RemoveDir("/etc/made"); err != nil {
			t.Errorf("RemoveDir: %v", err)
		}
	}
	if slices.Contains(x.List(t, "/etc"), "made") {
		t.Error("the empty folder is still there")
	}
	if err := x.Files.Sync(); err != nil {
		t.Errorf("Sync after a folder was removed: %v", err)
	}
}

func unknownOwner(t *testing.T, x FilesFixture) {
	for _, tt := range []struct{ owner, group string }{{"no-such-user", x.Group}, {x.Owner, "no-such-group"}, {"", x.Group}} {
		_, err := x.Files.Write("/etc/unknown/file", state.File{Mode: 0o644, Owner: tt.owner, Group: tt.group})
		if err == nil {
			t.Errorf("Write for %q:%q succeeded", tt.owner, tt.group)
			continue
		}
		for _, name := range []string{tt.owner, tt.group} {
			if strings.HasPrefix(name, "no-such") && !strings.Contains(err.Error(), name) {
				t.Errorf("error %q does not name %s", err, name)
			}
		}
	}
	if _, found, _ := x.Files.Read("/etc/unknown"); found {
		t.Error("a refused write made the folder")
	}
}

func badPaths(t *testing.T, x FilesFixture) {
	for _, p := range []string{"", "/", "etc/x", "/etc/../x", "/etc//x", "/etc/x/", "/etc/./x", "../x"} {
		if _, _, err := x.Files.Read(p); err == nil {
			t.Errorf("Read(%q) succeeded", p)
		}
		if _, err := x.Files.Write(p, x.file("a")); err == nil {
			t.Errorf("Write(%q) succeeded", p)
		}
	}
}

func noLeftovers(t *testing.T, x FilesFixture) {
	for range 3 {
		x.mustWrite(t, "/etc/clean/file", x.file("a"))
	}
	x.Plant(t, "/etc/clean/dir", state.File{Type: state.Directory, Mode: 0o755})
	if _, err := x.Files.Write("/etc/clean/dir", x.file("a")); err == nil {
		t.Error("Write over a folder succeeded")
	}
	if diff := cmp.Diff([]string{"dir", "file"}, x.List(t, "/etc/clean")); diff != "" {
		t.Errorf("the folder holds (-want +got):\n%s", diff)
	}
}
