package seed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"seedbed.dev/seedbed/controllers/seed/supervise"
)

// oldestMinor is the first Kubernetes 1.x whose kube-apiserver can limit anonymous requests to health
// checks without a feature gate.
const oldestMinor = 32

// ComponentsVariable names the folder of the components in the environment.
const ComponentsVariable = "SEEDBED_COMPONENTS"

// Version is a Kubernetes version.
type Version struct {
	Major, Minor int
	// Text is the whole of it. Example: "v1.37.2".
	Text string
}

// Components are the programs of a control plane, by path. The last two may be missing: "".
type Components struct {
	Etcd, APIServer              string
	ControllerManager, Scheduler string
	Version                      Version
}

// ComponentsDir is the folder to take components from: the one given, else the one of the environment,
// else bin/components/current as hack/components.sh leaves it, beside this program or below the
// working folder.
func ComponentsDir(given string) string {
	if given != "" {
		return given
	}
	if dir := os.Getenv(ComponentsVariable); dir != "" {
		return dir
	}
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Join(filepath.Dir(exe), "components", "current")
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	return filepath.Join("bin", "components", "current")
}

// findComponents looks for the programs in the folder and asks kube-apiserver for its version, which
// also shows that it runs on this machine.
func findComponents(ctx context.Context, dir string) (Components, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Components{}, fmt.Errorf("components %s: %w", dir, err)
	}
	var c Components
	for _, part := range []struct {
		name     string
		path     *string
		optional bool
	}{
		{etcdName, &c.Etcd, false},
		{apiserverName, &c.APIServer, false},
		{controllerName, &c.ControllerManager, true},
		{schedulerName, &c.Scheduler, true},
	} {
		path := filepath.Join(dir, part.name)
		p := checkProgram(path)
		switch {
		case p == nil:
			*part.path = path
		case part.optional && errors.Is(p, fs.ErrNotExist):
		default:
			return Components{}, p
		}
	}
	c.Version, err = versionOf(ctx, c.APIServer)
	return c, err
}

func checkProgram(path string) error {
	const cure = "run hack/components.sh, or give a folder with etcd and kube-apiserver by --components or " + ComponentsVariable
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return &Problem{What: fmt.Sprintf("component %v", unwrapPath(path, err)), Cure: cure, Err: err}
	case !info.Mode().IsRegular():
		return &Problem{What: fmt.Sprintf("component %s: not a program but a %s", path, kindOf(info)), Cure: cure}
	case info.Mode().Perm()&0o111 == 0:
		return &Problem{What: fmt.Sprintf("component %s: not executable (mode %04o)", path, info.Mode().Perm()), Cure: "chmod +x it, or give another folder by --components"}
	}
	f, err := os.Open(path)
	if err != nil {
		return &Problem{What: fmt.Sprintf("component %v", unwrapPath(path, err)), Cure: "make it readable for this user, or give another folder by --components", Err: err}
	}
	return f.Close()
}

// unwrapPath leaves the system call out of a path error: "stat /x: no such file" says less clearly the
// same as "/x: no such file".
func unwrapPath(path string, err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func kindOf(info fs.FileInfo) string {
	if info.IsDir() {
		return "folder"
	}
	return "special file"
}

func versionOf(ctx context.Context, apiserver string) (Version, error) {
	out, err := supervise.Output(ctx, apiserver, "--version")
	if ctx.Err() != nil {
		return Version{}, ctx.Err()
	}
	if err != nil {
		return Version{}, &Problem{
			What: fmt.Sprintf("component %s: does not run here: %v", apiserver, errors.Unwrap(err)),
			Cure: "is it for another kind of machine? Run hack/components.sh, or give another folder by --components", Err: err,
		}
	}
	v, ok := parseVersion(out)
	if !ok {
		return Version{}, problemf("give a folder with the real one by --components", "component %s: says %.80q to --version, not a Kubernetes version", apiserver, out)
	}
	if v.Major != 1 || v.Minor < oldestMinor {
		return Version{}, problemf("use 1."+strconv.Itoa(oldestMinor)+" or later", "component %s: Kubernetes %s is too old", apiserver, v.Text)
	}
	return v, nil
}

var versionPattern = regexp.MustCompile(`^Kubernetes (v(\d{1,4})\.(\d{1,4})\.\S+)$`)

// parseVersion reads what `kube-apiserver --version` prints.
func parseVersion(out string) (Version, bool) {
	m := versionPattern.FindStringSubmatch(out)
	if m == nil {
		return Version{}, false
	}
	major, _ := strconv.Atoi(m[2])
	minor, _ := strconv.Atoi(m[3])
	return Version{Major: major, Minor: minor, Text: m[1]}, true
}
