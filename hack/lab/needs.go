package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unfit says why this machine cannot run a lab.
type Unfit struct{ Reasons []string }

func (e *Unfit) Error() string {
	return "this machine cannot run a lab (LAB=skip skips the tests that need one): " + strings.Join(e.Reasons, "; ")
}

// tools are the programs that a lab needs on the machine, and the Debian packages that bring them.
var tools = map[string]string{
	"systemd-nspawn": "systemd-container",
	"mmdebstrap":     "mmdebstrap",
	"apt-ftparchive": "apt-utils",
	"dpkg-deb":       "dpkg",
	"gcc":            "gcc", // flannel has a backend in C
}

// fit checks what cannot be installed: the right to make namespaces and mounts, and the kernel's parts.
func fit() error {
	var reasons []string
	if os.Geteuid() != 0 {
		return &Unfit{Reasons: []string{"it needs root, for namespaces, mounts and cgroups"}}
	}
	if err := tryNamespaces(); err != nil {
		reasons = append(reasons, fmt.Sprintf("new mount, process and network namespaces are refused (%v)", err))
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(filesystems), "\toverlay\n") {
		reasons = append(reasons, "its kernel has no overlay file system (modprobe overlay)")
	}
	if err := unix.Access("/sys/fs/cgroup", unix.F_OK); err != nil {
		reasons = append(reasons, "/sys/fs/cgroup is not there")
	}
	if len(reasons) > 0 {
		return &Unfit{Reasons: reasons}
	}
	return nil
}

// tryNamespaces starts a program that does nothing in the namespaces that a lab has.
func tryNamespaces() error {
	command := exec.Command("/bin/true")
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	return command.Run()
}

// installTools installs the tools that are missing, where apt is there to do it.
func installTools(ctx context.Context, progress io.Writer) error {
	var missing, packages []string
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing, packages = append(missing, tool), append(packages, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return &Unfit{Reasons: []string{"it has no " + strings.Join(missing, ", ") + ", and no apt-get to install them"}}
	}
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)} {
		command := exec.CommandContext(ctx, "apt-get", args...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		command.Stdout, command.Stderr = progress, progress
		if err := command.Run(); err != nil {
			return errors.Join(&Unfit{Reasons: []string{"it has no " + strings.Join(missing, ", ")}},
				fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err))
		}
	}
	return nil
}
