package state

import (
	"fmt"
	"io/fs"
	"strings"
)

// Package is a package of the host's package manager.
type Package struct {
	// Version as the package manager has it, "[epoch:]version-release"; desired and empty: any.
	Version string
	// Held: no upgrade but Seedbed's own changes it (apt-mark(8) hold, dnf's versionlock).
	Held bool
	// Absent is desired only: the package must not be installed.
	Absent bool
	// Broken is observed only: the state that dpkg was cut off in, such as "half-configured"; empty
	// for a package that is wholly installed.
	Broken string
	// Needs is desired only: resources that must be in place before the package is, such as the
	// file of its repository.
	Needs []Ref
	// Engine is desired only: what the package's own scripts restart, if that runs containers; nil for
	// other packages.
	Engine *PackagedEngine
}

// PackagedEngine is a container engine that a package brings, or needs to run.
type PackagedEngine struct {
	// Unit that runs containers.
	Unit string
	// Users are units that start containers of the cluster on it.
	Users []string
}

// Digest of what a desired package is to be, for the ledger.
func (p Package) Digest() string {
	switch {
	case p.Absent:
		return "absent"
	case p.Version == "":
		return "any version"
	case p.Held:
		return p.Version + " held"
	}
	return p.Version
}

// Meets is true for an observed package that is as desired; one that is not installed is the zero
// Package.
func (p Package) Meets(want Package, installed bool) bool {
	switch {
	case want.Absent:
		return !installed
	case !installed || p.Broken != "":
		return false
	}
	return want.Version == "" || (p.Version == want.Version && p.Held == want.Held)
}

// Upstream is a package's version without the epoch and what its distribution adds (deb-version(7),
// rpm-version(7)): 5:27.5.1-1~debian.12 is 27.5.1.
func Upstream(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	if i := strings.IndexAny(version, "-~+"); i >= 0 {
		version = version[:i]
	}
	return version
}

// Binary is a program that is downloaded. Its content is never in memory.
type Binary struct {
	// SHA256 of the content, in hexadecimal.
	SHA256 string
	Mode   fs.FileMode
	// Owner and Group are names, or decimal ids where no name is known.
	Owner, Group string
	// URL it comes from; desired only. The file scheme is a path of the host.
	URL string
	// Type is Regular in every desired host.
	Type FileType
	// Target of a symbolic link; observed only.
	Target string
	// Identity is observed only: what changes whenever the content may have (device, inode, size
	// and times). While it is the one on record, the content is not hashed again.
	Identity string
}

// Digest identifies content, mode and owner, in the form of a file's.
func (b Binary) Digest() string {
	if b.Type != Regular {
		return File{Type: b.Type, Target: b.Target}.Digest()
	}
	return regularDigest(b.SHA256, b.Mode, b.Owner, b.Group)
}

// Describe says what the binary is, in a line.
func (b Binary) Describe() string {
	const shown = 12
	if b.Type != Regular {
		return File{Type: b.Type, Target: b.Target}.Describe()
	}
	return fmt.Sprintf("%04o %s:%s, sha256 %s", b.Mode, b.Owner, b.Group, b.SHA256[:min(len(b.SHA256), shown)])
}

// Verified is a file whose content was hashed.
type Verified struct {
	SHA256   string `json:"sha256"`
	Identity string `json:"identity"`
}

// Installation is the part of a desired host that has to be there before the rest can be known:
// which programs there are, and of which version. It is Partial.
func (h Host) Installation() Host {
	part := New()
	part.Partial = true
	part.Packages, part.Binaries = h.Packages, h.Binaries
	part.Modules, part.Sysctls = h.Modules, h.Sysctls
	for path, f := range h.Files {
		if f.Component == ComponentHost {
			part.Files[path] = f
		}
	}
	return part
}
