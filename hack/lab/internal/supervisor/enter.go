package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/cgroup"
	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

// becomeHost turns this process into the host's systemd-nspawn: it moves itself into the host's cgroup,
// makes that the root of all that it sees, and executes.
func becomeHost(lab layout.Lab, name string) error {
	node, err := lab.Node(name)
	if err != nil {
		return err
	}
	all, err := cgroup.Hierarchies()
	if err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	if err := cgroup.Join(all, hostCgroup(lab, name)); err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	argv := nspawn(lab, node)
	// Of version 2, systemd-nspawn shows the host its own part by itself.
	if cgroup.AnyVersion1(all) {
		if err := rootCgroups(all); err != nil {
			return fmt.Errorf("cgroups: %w", err)
		}
		argv = append(argv, "--bind=/sys/fs/cgroup")
	}
	if err := unix.Exec(argv[0], argv, nspawnEnvironment()); err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

// rootCgroups makes this process's cgroup the root of what it sees of each hierarchy. The namespaces are
// this thread's, and the one that executes is the one that stays.
func rootCgroups(all []cgroup.Hierarchy) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP); err != nil {
		return err
	}
	return cgroup.Remount(all)
}

func hostCgroup(lab layout.Lab, node string) string { return filepath.Join(lab.Cgroup(), node) }

const nspawnProgram = "/usr/bin/systemd-nspawn"

// nspawn is the command that boots the host. All capabilities, since docker and kubelet use most of
// them; what they do stays inside the lab's namespaces and cgroups.
func nspawn(lab layout.Lab, node layout.Node) []string {
	return []string{
		nspawnProgram, "--quiet", "--boot", "--directory=" + lab.Mounted(node.Name), "--machine=" + node.Name,
		"--register=no", "--keep-unit", "--notify-ready=yes", "--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
		"--network-namespace-path=" + namespaceFile(lab, node.Name),
		"--capability=all", "--system-call-filter=@known",
		"--bind-ro=/sys/module",
		"--bind=" + dockerFolder(lab, node.Name) + ":/var/lib/docker",
		"--bind=" + settingsFolder(lab, node.Name) + ":/opt/lab/sys",
		"--bind-ro=" + filepath.Join(lab.Root, "repo") + ":/srv/repo",
		"--bind-ro=" + filepath.Join(lab.Served(), "images") + ":/srv/images",
		"--bind-ro=" + filepath.Join(lab.Served(), "seedbed") + ":/root/seedbed",
		// Found before the package's own, which it calls.
		"--bind-ro=" + filepath.Join(lab.Work(), "runc") + ":/usr/local/sbin/runc",
	}
}

// nspawnEnvironment: below /proc/sys only net, which is the host's own, can be written.
func nspawnEnvironment() []string {
	return append(os.Environ(), "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network")
}
