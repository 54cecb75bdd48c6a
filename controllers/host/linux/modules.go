package linux

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/host"
)

// modules is host.Modules on a running kernel.
type modules struct{ root string }

func newModules(root string) *modules { return &modules{root: root} }

// Loaded implements host.Modules. A module without parameters that is built in is in modules.builtin
// only, which kernels made without modules do not come with: of those, what it brings is looked for.
func (m *modules) Loaded(name string) (bool, error) {
	if err := host.CheckModule(name); err != nil {
		return false, err
	}
	name = host.NormalModule(name)
	for _, look := range []func(string) (bool, error){m.hasFolder, m.isListed, m.isBuiltIn, m.hasEffect} {
		found, err := look(name)
		if err != nil {
			return false, fmt.Errorf("module %s: %w", name, cause(err))
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

// hasFolder: /sys/module has loaded modules, and built-in ones with parameters.
func (m *modules) hasFolder(name string) (bool, error) {
	_, err := os.Stat(filepath.Join(m.root, "sys/module", name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (m *modules) isListed(name string) (bool, error) {
	return hasLine(filepath.Join(m.root, "proc/modules"), func(line string) bool {
		first, _, _ := strings.Cut(line, " ")
		return first == name
	})
}

func (m *modules) isBuiltIn(name string) (bool, error) {
	release, err := kernelRelease()
	if err != nil {
		return false, err
	}
	// Lines are paths such as kernel/net/bridge/br_netfilter.ko, with - or _ as the source has it.
	return hasLine(filepath.Join(m.root, "lib/modules", release, "modules.builtin"), func(line string) bool {
		return host.NormalModule(strings.TrimSuffix(path.Base(line), ".ko")) == name
	})
}

// effects are files that are there only with a module, for the modules that nodes need.
var effects = map[string]string{
	"br_netfilter": "proc/sys/net/bridge/bridge-nf-call-iptables",
	"nf_conntrack": "proc/sys/net/netfilter/nf_conntrack_max",
	"ip_vs":        "proc/net/ip_vs",
	"ip_tables":    "proc/net/ip_tables_names",
	"tun":          "sys/class/misc/tun",
}

// hasEffect looks for what the module brings; a file system is in /proc/filesystems.
func (m *modules) hasEffect(name string) (bool, error) {
	if file, known := effects[name]; known {
		_, err := os.Stat(filepath.Join(m.root, file))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	return hasLine(filepath.Join(m.root, "proc/filesystems"), func(line string) bool {
		fields := strings.Fields(line)
		return len(fields) > 0 && fields[len(fields)-1] == name
	})
}

// hasLine is true when a line of a file passes; a file that does not exist has none.
func hasLine(file string, pass func(string) bool) (bool, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if pass(lines.Text()) {
			return true, nil
		}
	}
	return false, lines.Err()
}

// Load implements host.Modules.
func (m *modules) Load(ctx context.Context, name string) error {
	if err := host.CheckModule(name); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(m.root, "proc/modules")); errors.Is(err, fs.ErrNotExist) {
		release, err := kernelRelease()
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		return fmt.Errorf("module %s: kernel %s was built without loadable modules, and nothing shows that the module is built in; leave it out of kernelModules if it is, or boot another kernel", name, release)
	}
	modprobe, err := find("modprobe")
	if err != nil {
		return fmt.Errorf("module %s: %w; install kmod", name, err)
	}
	if _, _, err := run(ctx, modprobe, "--", name); err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	return nil
}

func kernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}
