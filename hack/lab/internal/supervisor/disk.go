package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/layout"
)

// settingsTrees are those below /proc/sys that a host gets as files of its own: no namespace keeps
// them apart. The lab-kernel-settings unit in the root mounts them.
var settingsTrees = []string{"vm", "fs", "kernel"}

// settingsFolder is where a host's own kernel settings are; it is bound to /opt/lab/sys in the host.
func settingsFolder(lab layout.Lab, node string) string { return filepath.Join(lab.Disk(node), "sys") }

// dockerFolder is the host's /var/lib/docker. It is not on the overlay, on which docker could not
// have its own.
func dockerFolder(lab layout.Lab, node string) string { return filepath.Join(lab.Disk(node), "docker") }

// makeDisk mounts the host's root, an overlay over the shared one, and gives it its name.
func makeDisk(lab layout.Lab, node layout.Node) error {
	disk := lab.Disk(node.Name)
	for _, folder := range []string{"upper", "work", "root", "docker", "sys"} {
		if err := os.MkdirAll(filepath.Join(disk, folder), 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s",
		filepath.Join(lab.Root, "root"), filepath.Join(disk, "upper"), filepath.Join(disk, "work"))
	mounted := lab.Mounted(node.Name)
	if err := unix.Mount("overlay", mounted, "overlay", 0, options); err != nil {
		return fmt.Errorf("host %s: overlay mount: %w", node.Name, err)
	}
	files := map[string]string{
		"etc/hostname": node.Name + "\n",
		"etc/hosts":    "127.0.0.1 localhost\n127.0.1.1 " + node.Name + "\n",
		// Empty, it is made at the first boot: each host has its own.
		"etc/machine-id": "",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(mounted, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("host %s: %w", node.Name, err)
		}
	}
	return nil
}

// makeSettings gives the host the machine's kernel settings as at boot, forgetting what it had set.
func makeSettings(lab layout.Lab, node string) error {
	for _, tree := range settingsTrees {
		target := filepath.Join(settingsFolder(lab, node), tree)
		if err := os.RemoveAll(target); err != nil {
			return err
		}
		if err := copySettings("/proc/sys/"+tree, target); err != nil {
			return fmt.Errorf("host %s: kernel settings: %w", node, err)
		}
	}
	// kube-proxy sizes the machine's table of connections.
	size, err := os.ReadFile(hashSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(settingsFolder(lab, node), filepath.Base(hashSize)), size, 0o644)
	}
	return err
}

const hashSize = "/sys/module/nf_conntrack/parameters/hashsize"

func copySettings(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			return os.Mkdir(target, 0o755)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		// One that can only be written, such as drop_caches, reads as empty.
		value, _ := os.ReadFile(path)
		return os.WriteFile(target, value, info.Mode().Perm())
	})
}
