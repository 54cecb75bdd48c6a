package linux

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// factsReader finds out what this machine is. A pass in which no program changed starts none.
type factsReader struct {
	tree     *tree
	versions *versions
}

func newFactsReader(t *tree) *factsReader {
	return &factsReader{tree: t, versions: newVersions(programVersion)}
}

// Facts implements host.FactsReader. What cannot be found out is left empty and its error returned
// with the rest.
func (r *factsReader) Facts(ctx context.Context) (v1alpha1.Facts, error) {
	facts := v1alpha1.Facts{Architecture: runtime.GOARCH, PackageManager: packageManager(r.tree)}
	var errs []error
	keep := func(into *string, value string, err error) {
		*into = value
		errs = append(errs, err)
	}
	hostname, err := os.Hostname()
	keep(&facts.Hostname, hostname, err)
	machineID, err := r.text("/etc/machine-id")
	keep(&facts.MachineID, strings.TrimSpace(machineID), err)
	release, err := kernelRelease()
	keep(&facts.Kernel, release, err)
	osName, err := r.osName()
	keep(&facts.OS, osName, err)
	cgroup, err := cgroupVersion("/sys/fs/cgroup")
	keep(&facts.Cgroup, cgroup, err)
	facts.Interfaces, facts.Routes, err = readNetwork()
	errs = append(errs, err)
	facts.Components, err = r.components(ctx)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return facts, fmt.Errorf("facts: %w", err)
	}
	return facts, nil
}

// text reads a small text file of the host, following a link at its path; "" when there is none.
func (r *factsReader) text(p string) (string, error) {
	content, err := readText(r.tree, p)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("file %s: %w", p, err)
	}
	return content, nil
}

// readText reads a small regular file, following links.
func readText(t *tree, p string) (string, error) {
	dir, base, info, err := t.follow(p)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	if !info.Mode().IsRegular() {
		return "", errors.New("is not a regular file")
	}
	content, _, err := readRegular(dir, base, info)
	return string(content), err
}

// statFollowing is about the file that p leads to.
func statFollowing(t *tree, p string) (fs.FileInfo, error) {
	dir, _, info, err := t.follow(p)
	if err != nil {
		return nil, err
	}
	return info, cause(dir.Close())
}

// osName is ID and VERSION_ID of os-release(5).
func (r *factsReader) osName() (string, error) {
	for _, p := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		content, err := r.text(p)
		if err != nil || content != "" {
			return osNameOf(content), err
		}
	}
	return "", nil
}

func osNameOf(release string) string {
	values := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader([]byte(release)))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !ok {
			continue
		}
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		values[key] = strings.Trim(value, "'")
	}
	return strings.TrimSpace(values["ID"] + " " + values["VERSION_ID"])
}

// cgroupVersion tells by the file system: v2 mounts cgroup2 there, v1 a tmpfs of hierarchies
// (https://systemd.io/CGROUP_DELEGATION, "Three Scenarios"; hybrid counts as v1, as kubelet has it).
func cgroupVersion(mount string) (string, error) {
	var stat unix.Statfs_t
	err := unix.Statfs(mount, &stat)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("file system %s: %w", mount, err)
	case stat.Type == unix.CGROUP2_SUPER_MAGIC:
		return "v2", nil
	}
	return "v1", nil
}
