package linux

import (
	"context"
	"os/exec"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// dnf runs dnf, which says no more than it was asked.
func (d *dnf) dnf(ctx context.Context, args ...string) (stdout string, err error) {
	stdout, stderr, err := d.start(ctx, append([]string{"-q"}, args...)...)
	if err == nil {
		return stdout, nil
	}
	return stdout, dnfError(err, stderr+"\n"+stdout)
}

func (d *dnf) start(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	program, err := find("dnf")
	if err != nil {
		return "", "", err
	}
	return readAs(ctx, func(*exec.Cmd) {}, program, slices.Concat(dnfOptions, d.options, args)...)
}

// dnfComplaints are what tells dnf's failures apart, as for apt.
var dnfComplaints = []struct{ text, reason string }{
	{"GPG check FAILED", v1alpha1.ReasonSignatureInvalid},
	{"Public key", v1alpha1.ReasonSignatureInvalid},
	{"Failed to download metadata", v1alpha1.ReasonRepositoryUnreachable},
	{"Error downloading packages", v1alpha1.ReasonRepositoryUnreachable},
	{"Cannot download", v1alpha1.ReasonRepositoryUnreachable},
	{"Unable to find a match", v1alpha1.ReasonPackageNotAvailable},
	{"excludepkgs", v1alpha1.ReasonPackageHeld},
	{"filtered out by exclude filtering", v1alpha1.ReasonPackageHeld},
	{"conflicts with", v1alpha1.ReasonPackageConflict},
	{"Problem", v1alpha1.ReasonPackageConflict},
}

func dnfError(err error, output string) error {
	reason := v1alpha1.ReasonApplyFailed
	for _, c := range dnfComplaints {
		if strings.Contains(output, c.text) {
			reason = c.reason
			break
		}
	}
	said := strings.Join(slices.DeleteFunc([]string{complaint(output, "Problem:"), complaint(output, "- "), complaint(output, "Error:")}, func(s string) bool { return s == "" }), "; ")
	if said == "" {
		return packageError(reason, "packages: %w", err)
	}
	return packageError(reason, "packages: dnf: %s", said)
}
