package resolve

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var (
	binaryURL  = regexp.MustCompile(`^(https?://[a-zA-Z0-9.:[\]-]+|file://)(/[a-zA-Z0-9._~%+@=,:-]+)+$`)
	binaryPath = regexp.MustCompile(`^(/[a-zA-Z0-9._@+-]+)+$`)
	sha256Sum  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// binaryFiles resolves the programs to download, and finds the components among them.
func (r *resolver) binaryFiles() {
	for i, spec := range r.in.Revision.Node.Binaries {
		field := fmt.Sprintf("binaries[%d]", i)
		if !cleanPath(spec.Path) || !binaryPath.MatchString(spec.Path) {
			r.invalid(field+".path", spec.Path, "not a clean absolute path: for example /usr/local/bin/kubelet")
			continue
		}
		if who, owned := owner(spec.Path); owned {
			r.invalid(field+".path", spec.Path, "%s: choose another path", who)
		}
		if !binaryURL.MatchString(spec.URL) {
			r.invalid(field+".url", spec.URL, "not an http, https or file URL of a file, without user and query: for example https://dl.k8s.io/v1.37.2/bin/linux/amd64/kubelet")
		}
		if !sha256Sum.MatchString(spec.SHA256) {
			r.invalid(field+".sha256", spec.SHA256, "not a SHA-256: 64 lower-case hexadecimal digits, as sha256sum prints them")
		}
		b := Binary{Path: spec.Path, URL: spec.URL, SHA256: spec.SHA256, Mode: r.binaryMode(field+".mode", or(spec.Mode, "0755"))}
		if slices.ContainsFunc(r.node.Binaries, func(o Binary) bool { return o.Path == b.Path }) {
			r.invalid(field+".path", spec.Path, "is there twice: keep one")
		}
		r.node.Binaries = append(r.node.Binaries, b)
	}
	slices.SortFunc(r.node.Binaries, func(a, b Binary) int { return cmp.Compare(a.Path, b.Path) })
	r.oneProgramEach()
}

func (r *resolver) binaryMode(field, mode string) fs.FileMode {
	bits, err := strconv.ParseUint(mode, 8, 32)
	if err != nil || !octalMode.MatchString(mode) || bits&0o002 != 0 {
		r.invalid(field, mode, "not an octal mode that keeps others from writing: for example \"0755\"")
	}
	return fs.FileMode(bits)
}

// oneProgramEach refuses two programs for one component: which one runs would be a guess.
func (r *resolver) oneProgramEach() {
	byName := map[string]string{}
	for _, b := range r.node.Binaries {
		name := path.Base(b.Path)
		_, isProgram := ComponentAt(b.Path)
		if other, twice := byName[name]; twice && isProgram {
			r.invalid("binaries", b.Path, "is %s, and so is %s: keep the one that is to run", name, other)
		}
		byName[name] = b.Path
	}
}

// ComponentAt is the component whose program a path is for, by its last part.
func ComponentAt(program string) (v1alpha1.ComponentName, bool) {
	for name, binary := range binaries {
		if binary == path.Base(program) {
			return name, true
		}
	}
	return "", false
}

// binaryOf finds a component's program among the binaries.
func (r *resolver) binaryOf(name v1alpha1.ComponentName) (Binary, bool) {
	for _, b := range r.node.Binaries {
		if path.Base(b.Path) == binaries[name] {
			return b, true
		}
	}
	return Binary{}, false
}

// installs is true when something is to be installed, so that what is wrong with the programs on
// the host may be right afterwards.
func (r *resolver) installs() bool {
	return len(r.node.Packages.Present)+len(r.node.Binaries) > 0
}
