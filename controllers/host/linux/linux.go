package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
)

// Live returns the machine this process runs on. The connection to systemd is made when it is first
// needed. Close the host when done.
func Live() (host.Host, error) {
	tree, err := openTree("/")
	if err != nil {
		return host.Host{}, err
	}
	units, files := newUnits(), newFiles(tree, nil)
	binaries := newBinaries(files)
	binaries.judge = &programJudge{tree: tree, folder: trialFolder}
	return host.Host{
		Files:    files,
		Packages: newPackages(tree), Binaries: binaries,
		Units:   units,
		Sysctls: newSysctls("/proc/sys"),
		Modules: newModules("/"),
		Chains:  newChains(),
		Facts:   newFactsReader(tree),
		Store:   newStore(tree),
		Checker: NewChecker(trialFolder),
		Links:   netLinks{}, Containers: newContainers(dockerSocket), Health: newHealth(tree),
		Closer: closers{units.Close, tree.Close},
	}, nil
}

// Offline returns the host below the folder root, which is not running. Nothing is read from or done
// to the machine this process runs on: facts are what the caller says, files and enablement are
// real, and all else is recorded in StateDir/offline.json below root. Close the host when done.
func Offline(root string, facts v1alpha1.Facts) (host.Host, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return host.Host{}, fmt.Errorf("host root %s: %w", root, err)
	}
	if abs == "/" {
		return host.Host{}, errors.New("host root /: that is this machine, which is running; leave the host root out to manage it")
	}
	tree, err := openTree(abs)
	if err != nil {
		return host.Host{}, err
	}
	store := newStore(tree)
	record, err := loadOffline(store)
	if err != nil {
		return host.Host{}, errors.Join(err, tree.Close())
	}
	// Root can give files any owner, so only other users need ownership recorded.
	owners := record
	if os.Geteuid() == 0 {
		owners = nil
	}
	files := newFiles(tree, owners)
	return host.Host{
		Files:    files,
		Units:    &offlineUnits{tree: tree, files: files, record: record},
		Sysctls:  offlineSysctls{record},
		Modules:  offlineModules{record},
		Chains:   offlineChains{record},
		Packages: offlinePackages{record}, Binaries: newBinaries(files),
		Facts:   fixedFacts(facts),
		Store:   store,
		Offline: true,
		Closer:  closers{tree.Close},
	}, nil
}

// FactsFile reads a facts file: the fields of NodeState.status.facts as YAML or JSON. Unknown
// fields are errors.
func FactsFile(path string) (v1alpha1.Facts, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return v1alpha1.Facts{}, fmt.Errorf("facts file %s: %w", path, cause(err))
	}
	var facts v1alpha1.Facts
	if err := yaml.UnmarshalStrict(content, &facts); err != nil {
		return v1alpha1.Facts{}, fmt.Errorf("facts file %s: %w", path, err)
	}
	return facts, nil
}

// fixedFacts are facts that somebody else found out.
type fixedFacts v1alpha1.Facts

func (f fixedFacts) Facts(context.Context) (v1alpha1.Facts, error) {
	facts := v1alpha1.Facts(f)
	return *facts.DeepCopy(), nil
}

// closers are closed in order; every one is tried.
type closers []func() error

func (c closers) Close() error {
	var errs []error
	for _, closeOne := range c {
		errs = append(errs, closeOne())
	}
	return errors.Join(errs...)
}
