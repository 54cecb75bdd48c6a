package host

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxUnitName is systemd's UNIT_NAME_MAX.
const maxUnitName = 255

var (
	unitName       = regexp.MustCompile(`^[A-Za-z0-9_:\\@][A-Za-z0-9:_.\\@-]*\.(service|socket|target|timer|path|mount|automount|swap|slice|scope|device)$`)
	linkName       = regexp.MustCompile(`^[a-zA-Z0-9_.@-]{1,15}$`)
	containerID    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	moduleName     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`)
	chainName      = regexp.MustCompile(`^(filter|nat|mangle|raw|security)/([A-Z]{1,28})$`)
	packageName    = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._+-]*[a-zA-Z0-9._+])?$`)
	packageVersion = regexp.MustCompile(`^([0-9]{1,9}:)?[a-zA-Z0-9]([a-zA-Z0-9._+~^-]*[a-zA-Z0-9._+~^])?$`)
)

// CheckFile says why a path cannot be a file's. Every name becomes a path or an argument on the
// host, so each port checks it again, wherever it comes from.
func CheckFile(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" || strings.ContainsRune(p, 0) {
		return fmt.Errorf("file %q: path must be absolute and clean, such as /etc/docker/daemon.json", p)
	}
	return nil
}

// CheckUnit says why a name cannot be a unit's (systemd.unit(5)). Slices whose name begins with a
// dash are systemd's own and count as bad, since they look like options.
func CheckUnit(name string) error {
	if len(name) > maxUnitName || !unitName.MatchString(name) {
		return fmt.Errorf("unit %q: bad name; want a full unit name such as docker.service", name)
	}
	return nil
}

// SysctlPath turns a sysctl's name into its path below /proc/sys. As in sysctl(8), a name whose
// first separator is a dot has dots and slashes swapped, so net.ipv4.conf.eth0/1.rp_filter is
// interface eth0.1; one whose first separator is a slash is the path already.
func SysctlPath(name string) (string, error) {
	p := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		p = strings.Map(swapSeparators, name)
	}
	if !fs.ValidPath(p) || p == "." || strings.ContainsRune(p, 0) {
		return "", fmt.Errorf("sysctl %q: bad name; want one such as net.ipv4.ip_forward", name)
	}
	return p, nil
}

func swapSeparators(r rune) rune {
	switch r {
	case '.':
		return '/'
	case '/':
		return '.'
	}
	return r
}

// NormalSysctl is a value with runs of white space as one space, as observed values are.
func NormalSysctl(value string) string { return strings.Join(strings.Fields(value), " ") }

// CheckModule says why a name cannot be a kernel module's.
func CheckModule(name string) error {
	if !moduleName.MatchString(name) {
		return fmt.Errorf("module %q: bad name; want letters, digits, _ and -, such as br_netfilter", name)
	}
	return nil
}

// NormalModule is a module's name as the kernel prints it: modprobe takes - for _ as well.
func NormalModule(name string) string { return strings.ReplaceAll(name, "-", "_") }

// CheckLink says why a name cannot be a network interface's: IFNAMSIZ has room for 15 bytes.
func CheckLink(name string) error {
	if !linkName.MatchString(name) || name == "." || name == ".." {
		return fmt.Errorf("link %q: bad name; want at most 15 letters, digits and ._@-, such as docker0", name)
	}
	return nil
}

// CheckContainer says why an ID cannot be a container's.
func CheckContainer(id string) error {
	if !containerID.MatchString(id) {
		return fmt.Errorf("container %q: bad ID; want 64 hexadecimal digits", id)
	}
	return nil
}

// SplitChain returns the table and the name of a built-in chain.
func SplitChain(name string) (table, chain string, err error) {
	parts := chainName.FindStringSubmatch(name)
	if parts == nil {
		return "", "", fmt.Errorf("chain %q: bad name; want TABLE/CHAIN of a built-in chain, such as filter/FORWARD", name)
	}
	return parts[1], parts[2], nil
}

// CheckPolicy says why a chain cannot have a policy.
func CheckPolicy(name, policy string) error {
	if _, _, err := SplitChain(name); err != nil {
		return err
	}
	if policy != "ACCEPT" && policy != "DROP" {
		return fmt.Errorf("chain %s: bad policy %q: want ACCEPT or DROP", name, policy)
	}
	return nil
}

// maxPackageName is the API's bound for names and versions.
const maxPackageName = 128

// CheckPackage says why a name cannot be a package's. What apt and dnf take for an option, a group, a
// pattern, an architecture or a removal (name-) is none.
func CheckPackage(name string) error {
	if len(name) > maxPackageName || !packageName.MatchString(name) {
		return fmt.Errorf("package %q: bad name; want letters, digits and . _ + -, such as docker-ce", name)
	}
	return nil
}

// CheckPackageVersion says why a version cannot be that of a package; empty is any version.
func CheckPackageVersion(name, version string) error {
	if version != "" && (len(version) > maxPackageName || !packageVersion.MatchString(version)) {
		return fmt.Errorf("package %s: bad version %q; want one such as 5:27.5.1-1", name, version)
	}
	return nil
}

// CheckTransaction says why a transaction cannot be made.
func CheckTransaction(t Transaction) error {
	for _, names := range [][]string{t.Remove, t.Unhold, t.Hold} {
		for _, name := range names {
			if err := CheckPackage(name); err != nil {
				return err
			}
		}
	}
	for name, version := range t.Install {
		if err := CheckPackage(name); err != nil {
			return err
		}
		if err := CheckPackageVersion(name, version); err != nil {
			return err
		}
		if slices.Contains(t.Remove, name) {
			return fmt.Errorf("package %s: is to be installed and removed at once", name)
		}
	}
	return nil
}
