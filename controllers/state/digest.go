package state

import (
	"fmt"
	"io/fs"
	"strings"
)

// Digest identifies content, mode and owner of a file, or what else stands at its path.
func (f File) Digest() string {
	switch f.Type {
	case Symlink:
		return "symlink:" + f.Target
	case Directory, Special:
		return string(f.Type)
	}
	return regularDigest(Hash(f.Content), f.Mode, f.Owner, f.Group)
}

func regularDigest(hash string, mode fs.FileMode, owner, group string) string {
	return fmt.Sprintf("%s:%04o:%s:%s", hash, mode, owner, group)
}

// Digest is that of the file as it was, comparable with File.Digest; empty when there was none.
func (p Prior) Digest() string {
	switch {
	case p.Absent:
		return ""
	case p.Type != Regular:
		return File{Type: p.Type, Target: p.Target}.Digest()
	}
	return regularDigest(p.Blob, p.Mode, p.Owner, p.Group)
}

// Describe says what a file is without its content: "0644 root:root, 212 bytes".
func (f File) Describe() string {
	switch f.Type {
	case Symlink:
		return "symbolic link to " + f.Target
	case Directory, Special:
		return string(f.Type)
	}
	return fmt.Sprintf("%04o %s:%s, %d bytes", f.Mode, f.Owner, f.Group, len(f.Content))
}

// UnitFolder is where an administrator's units are, and Seedbed's.
const UnitFolder = "/etc/systemd/system/"

// IsUnitFile is true for paths that systemd reads only after a daemon-reload.
func IsUnitFile(path string) bool { return strings.HasPrefix(path, UnitFolder) }
