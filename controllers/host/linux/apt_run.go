package linux

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// get runs apt-get.
func (a *apt) get(ctx context.Context, args ...string) (stdout string, err error) {
	return a.run(ctx, "apt-get", append(append([]string{}, aptOptions...), args...)...)
}

// cache runs apt-cache.
func (a *apt) cache(ctx context.Context, args ...string) (stdout string, err error) {
	return a.run(ctx, "apt-cache", args...)
}

// mark holds and unholds packages; none is nothing to do.
func (a *apt) mark(ctx context.Context, verb string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	_, err := a.run(ctx, "apt-mark", append([]string{verb, "--"}, names...)...)
	return err
}

// quietly runs a program with aptEnv.
func quietly(cmd *exec.Cmd) { cmd.Env = aptEnv }

func (a *apt) run(ctx context.Context, name string, args ...string) (stdout string, err error) {
	program, err := find(name)
	if err != nil {
		return "", fmt.Errorf("packages: %w", err)
	}
	stdout, stderr, err := readAs(ctx, quietly, program, append(append([]string{}, a.options...), args...)...)
	if err == nil {
		return stdout, nil
	}
	return stdout, aptError(err, stderr+"\n"+stdout)
}

// aptComplaints are what tells apt's failures apart: it has one exit status for all. They choose the
// word that a user sees, and nothing that is done depends on them.
var aptComplaints = []struct{ text, reason string }{
	{"dpkg was interrupted", v1alpha1.ReasonPackageManagerInterrupted},
	{"Could not get lock", v1alpha1.ReasonPackageManagerBusy},
	{"Unable to acquire the dpkg frontend lock", v1alpha1.ReasonPackageManagerBusy},
	{"Held packages were changed", v1alpha1.ReasonPackageHeld},
	{"The following signatures", v1alpha1.ReasonSignatureInvalid},
	{"is not signed", v1alpha1.ReasonSignatureInvalid},
	{"GPG error", v1alpha1.ReasonSignatureInvalid},
	{"Hash Sum mismatch", v1alpha1.ReasonSignatureInvalid},
	{"unauthenticated packages", v1alpha1.ReasonSignatureInvalid},
	{"Unable to locate package", v1alpha1.ReasonPackageNotAvailable},
	{"was not found", v1alpha1.ReasonPackageNotAvailable},
	{"Failed to fetch", v1alpha1.ReasonRepositoryUnreachable},
	{"Unable to fetch", v1alpha1.ReasonRepositoryUnreachable},
	{"does not have a Release file", v1alpha1.ReasonRepositoryUnreachable},
	{"held broken packages", v1alpha1.ReasonPackageConflict},
	{"unmet dependencies", v1alpha1.ReasonPackageConflict},
}

func aptError(err error, output string) error {
	reason := v1alpha1.ReasonApplyFailed
	for _, c := range aptComplaints {
		if strings.Contains(output, c.text) {
			reason = c.reason
			break
		}
	}
	said := complaint(output, "E:")
	if unmet := unmetDependencies(output); unmet != "" {
		said = unmet
	}
	if said == "" {
		return packageError(reason, "packages: %w", err)
	}
	return packageError(reason, "packages: apt: %s", said)
}

// unmetDependencies is the part of apt's explanation that names packages: indented lines with
// Depends:, Conflicts: or Breaks:.
func unmetDependencies(output string) string {
	const most = 3
	var lines []string
	for line := range strings.Lines(output) {
		for _, word := range []string{" : Depends: ", " : Conflicts: ", " : Breaks: ", " : PreDepends: "} {
			if strings.HasPrefix(line, " ") && strings.Contains(line, word) && len(lines) < most {
				lines = append(lines, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	return strings.Join(lines, "; ")
}
