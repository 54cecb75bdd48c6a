package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
)

// versionTimeout bounds a program that is asked for its version.
const versionTimeout = 10 * time.Second

// component is where to look for one component: the unit has the name that is rendered, since a
// package's under another name would run beside ours.
type component struct {
	name    v1alpha1.ComponentName
	unit    string
	program string
}

var componentTable = []component{
	{v1alpha1.ComponentFlannel, resolve.UnitFlannel, "flanneld"},
	{v1alpha1.ComponentDocker, resolve.UnitDocker, "dockerd"},
	{v1alpha1.ComponentCRIDockerd, resolve.UnitCRIDockerd, "cri-dockerd"},
	{v1alpha1.ComponentKubelet, resolve.UnitKubelet, "kubelet"},
	{v1alpha1.ComponentKubeProxy, resolve.UnitKubeProxy, "kube-proxy"},
}

// components finds each component by the unit of its package, else by its program.
func (r *factsReader) components(ctx context.Context) ([]v1alpha1.ComponentFacts, error) {
	var facts []v1alpha1.ComponentFacts
	var errs []error
	for _, c := range componentTable {
		found, ok, err := r.component(ctx, c)
		if err != nil {
			errs = append(errs, fmt.Errorf("component %s: %w", c.name, err))
		}
		if ok {
			facts = append(facts, found)
		}
	}
	return facts, errors.Join(errs...)
}

func (r *factsReader) component(ctx context.Context, c component) (v1alpha1.ComponentFacts, bool, error) {
	found := v1alpha1.ComponentFacts{Name: c.name}
	argv, err := r.packageCommand(c.unit)
	if err != nil {
		return found, false, err
	}
	if len(argv) > 0 {
		found.Source, found.Path, found.ExecStart = v1alpha1.SourcePackage, argv[0], argv
	} else {
		found.Source = v1alpha1.SourceBinary
		if found.Path, err = r.program(c.program); err != nil || found.Path == "" {
			return found, false, err
		}
	}
	// Without a version the component is still there.
	found.Version, err = r.versions.of(ctx, r.tree, found.Path)
	return found, true, err
}

func (r *factsReader) program(name string) (string, error) {
	for _, dir := range resolve.SearchPath {
		p := path.Join(dir, name)
		info, err := statFollowing(r.tree, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("file %s: %w", p, err)
		}
		if info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", nil
}

// versions asks programs for their version, once for each program file as it is.
type versions struct {
	ask func(ctx context.Context, program string) (string, error)

	mu    sync.Mutex
	known map[string]knownVersion
}

type knownVersion struct {
	stamp   fileStamp
	version string
}

func newVersions(ask func(context.Context, string) (string, error)) *versions {
	return &versions{ask: ask, known: map[string]knownVersion{}}
}

func (v *versions) of(ctx context.Context, t *tree, program string) (string, error) {
	info, err := statFollowing(t, program)
	if err != nil {
		return "", fmt.Errorf("file %s: %w", program, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	stamp := stampOf(info)
	if known, ok := v.known[program]; ok && known.stamp == stamp {
		return known.version, nil
	}
	version, err := v.ask(ctx, program)
	if err != nil {
		return "", err
	}
	v.known[program] = knownVersion{stamp, version}
	return version, nil
}

var versionPattern = regexp.MustCompile(`\bv?[0-9]+\.[0-9]+(\.[0-9]+)?(-[0-9A-Za-z][0-9A-Za-z.-]*)?`)

// programVersion runs the program with --version. flanneld answers on its error stream.
func programVersion(ctx context.Context, program string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	stdout, stderr, err := run(ctx, program, "--version")
	if err != nil {
		return "", err
	}
	version := versionPattern.FindString(stdout + "\n" + stderr)
	if version == "" {
		return "", fmt.Errorf("%s --version: no version in %q", program, strings.TrimSpace(stdout+stderr))
	}
	return version, nil
}
