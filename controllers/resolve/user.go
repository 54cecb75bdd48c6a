package resolve

import (
	"cmp"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

var (
	accountName = regexp.MustCompile(`^([a-z_][a-z0-9_-]*|[0-9]+)$`)
	octalMode   = regexp.MustCompile(`^0[0-7]{3}$`)
	unitName    = regexp.MustCompile(`^[a-zA-Z0-9:_.@][a-zA-Z0-9:_.@-]*[.](service|socket|timer|path|mount|target|slice)$`)
	dropInName  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]*[.]conf$`)
)

func (r *resolver) files() {
	paths := map[string]string{}
	for _, p := range ownedPaths {
		paths[p] = "a file of Seedbed's"
	}
	for _, b := range r.node.Binaries {
		paths[b.Path] = "a binary"
	}
	for i, spec := range r.in.Revision.Node.Files {
		field := fmt.Sprintf("files[%d]", i)
		if !r.text(field+".path", spec.Path) {
			continue
		}
		if !cleanPath(spec.Path) {
			r.invalid(field+".path", spec.Path, "not a clean absolute path: for example /etc/motd")
			continue
		}
		if who, owned := owner(spec.Path); owned {
			r.invalid(field+".path", spec.Path, "%s: choose another path, or use the field that sets it", who)
		}
		if _, twice := paths[spec.Path]; twice {
			r.invalid(field+".path", spec.Path, "is there twice: keep one")
		}
		paths[spec.Path] = field
		r.node.Files = append(r.node.Files, r.file(field, spec))
	}
	r.nested(paths)
	slices.SortFunc(r.node.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
}

// nested refuses a file at a path that another file needs as a folder.
func (r *resolver) nested(paths map[string]string) {
	for _, p := range state.SortedKeys(paths) {
		for i := strings.LastIndexByte(p, '/'); i > 0; i = strings.LastIndexByte(p[:i], '/') {
			if who, both := paths[p[:i]]; both {
				r.invalid("files", p[:i], "is a file (%s) and at the same time the folder of %s: rename one", who, p)
			}
		}
	}
}

func (r *resolver) file(field string, spec v1alpha1.File) File {
	f := File{Path: spec.Path, Owner: or(spec.Owner, "root"), Group: or(spec.Group, "root")}
	for _, name := range []string{f.Owner, f.Group} {
		if !accountName.MatchString(name) {
			r.invalid(field+".owner", name, "not a user or group name or id: for example root")
		}
	}
	mode := "0644"
	switch {
	case (spec.Contents == nil) == (spec.ContentsSecretRef == nil):
		r.invalid(field, spec.Path, "needs exactly one of contents and contentsSecretRef")
	case spec.Contents != nil:
		f.Content = state.NewSensitive([]byte(*spec.Contents))
	default:
		mode, f.Secret = "0600", true
		f.Content, _ = r.sensitive(field+".contentsSecretRef", spec.ContentsSecretRef)
	}
	mode = or(spec.Mode, mode)
	bits, err := strconv.ParseUint(mode, 8, 32)
	if err != nil || !octalMode.MatchString(mode) || bits&0o002 != 0 {
		r.invalid(field+".mode", mode, "not an octal mode that keeps others from writing: for example \"0644\"")
	}
	f.Mode = fs.FileMode(bits)
	return f
}

func (r *resolver) units() {
	seen := map[string]bool{}
	for i, spec := range r.in.Revision.Node.Units {
		field := fmt.Sprintf("units[%d]", i)
		if !unitName.MatchString(spec.Name) || len(spec.Name) > 255 {
			r.invalid(field+".name", spec.Name, "not the name of a unit: for example node-exporter.service")
			continue
		}
		if ownedUnit(spec.Name) {
			r.invalid(field+".name", spec.Name, "Seedbed writes this unit: use the fields of its component, or another name")
		}
		if seen[spec.Name] {
			r.invalid(field+".name", spec.Name, "is there twice: keep one")
		}
		seen[spec.Name] = true
		r.node.Units = append(r.node.Units, r.unit(field, spec))
	}
	slices.SortFunc(r.node.Units, func(a, b Unit) int { return cmp.Compare(a.Name, b.Name) })
	r.unitFiles()
}

// unitFiles refuses a file and a unit that mean the same path.
func (r *resolver) unitFiles() {
	for _, f := range r.node.Files {
		for _, u := range r.node.Units {
			if p := UnitFolder + "/" + u.Name; f.Path == p || under(f.Path, p+".d") {
				r.invalid("files", f.Path, "belongs to %s, which is under units: put it there", u.Name)
			}
		}
	}
}

func (r *resolver) unit(field string, spec v1alpha1.Unit) Unit {
	u := Unit{Name: spec.Name, Contents: or(spec.Contents, "")}
	installable := true
	if spec.Contents != nil {
		installable = r.unitText(field+".contents", u.Contents)
	}
	if spec.Enabled != nil {
		u.Enablement = state.Disabled
		if *spec.Enabled {
			u.Enablement = state.Enabled
			if !installable {
				r.invalid(field+".enabled", "true", "contents has no [Install] section, without which systemd starts nothing at boot: add one, for example with WantedBy=multi-user.target")
			}
		}
	}
	switch s := or(spec.State, v1alpha1.UnitUnmanaged); s {
	case v1alpha1.UnitRunning:
		u.Activity = state.Active
	case v1alpha1.UnitStopped:
		u.Activity = state.Inactive
	default:
		r.oneOf(field+".state", string(s), "Running", "Stopped", "Unmanaged")
	}
	for i, d := range spec.DropIns {
		at := fmt.Sprintf("%s.dropIns[%d]", field, i)
		if !dropInName.MatchString(d.Name) || len(d.Name) > 128 {
			r.invalid(at+".name", d.Name, "not the name of a drop-in: letters, digits and _ . - ending in .conf")
		}
		if slices.ContainsFunc(u.DropIns, func(o DropIn) bool { return o.Name == d.Name }) {
			r.invalid(at+".name", d.Name, "is there twice: keep one")
		}
		r.unitText(at+".contents", d.Contents)
		u.DropIns = append(u.DropIns, DropIn{Name: d.Name, Contents: d.Contents})
	}
	slices.SortFunc(u.DropIns, func(a, b DropIn) int { return cmp.Compare(a.Name, b.Name) })
	return u
}

// unitText checks that systemd can read a unit's text at all, and says whether it can be enabled.
func (r *resolver) unitText(field, text string) (installable bool) {
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\uFEFF") {
		r.invalid(field, "", "has a NUL, a byte order mark or invalid UTF-8, which systemd refuses: remove it")
		return true
	}
	sections, err := unit.DeserializeSections(strings.NewReader(text))
	if err != nil || len(sections) == 0 {
		r.invalid(field, "", "not the text of a unit (%v): it needs sections such as [Service] and lines NAME=VALUE", err)
		return true
	}
	for _, s := range sections {
		if s.Section == "Install" && len(s.Entries) > 0 {
			installable = true
			r.otherNames(field, s.Entries)
		}
	}
	return installable
}

// otherNames refuses to let a user's unit be enabled under an owned unit's name, which would mask
// it, or to have owned units enabled and disabled with it. systemd takes quotes off.
func (r *resolver) otherNames(field string, entries []*unit.UnitEntry) {
	for _, e := range entries {
		if e.Name != "Alias" && e.Name != "Also" {
			continue
		}
		for word := range strings.FieldsSeq(strings.NewReplacer("\\\n", " ", `"`, "", "'", "").Replace(e.Value)) {
			switch {
			case ownedUnit(word):
				r.invalid(field, word, "%s= in [Install] names a unit that Seedbed writes: remove that word", e.Name)
			case strings.Contains(word, "%"):
				r.invalid(field, word, "%s= in [Install] has a specifier, which could become the name of any unit: write the name itself", e.Name)
			}
		}
	}
}
