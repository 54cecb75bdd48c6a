package resolve

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var (
	packageName    = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._+-]*[a-zA-Z0-9._+])?$`)
	packageVersion = regexp.MustCompile(`^([0-9]{1,9}:)?[a-zA-Z0-9]([a-zA-Z0-9._+~^-]*[a-zA-Z0-9._+~^])?$`)
	dpkgName       = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	repositoryName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	repositoryURL  = regexp.MustCompile(`^(https?://[a-zA-Z0-9.:[\]-]+|file://)(/([a-zA-Z0-9._~%+@=,:-]|[$](releasever|basearch))*)*$`)
	repositoryPart = regexp.MustCompile(`^([.]|[a-zA-Z0-9][a-zA-Z0-9._+~-]*)(/[a-zA-Z0-9][a-zA-Z0-9._+~-]*)*/?$`)
)

// packages resolves the packages and their repositories.
func (r *resolver) packages() {
	spec := r.in.Revision.Node.Packages
	if spec == nil {
		return
	}
	p, manager := &r.node.Packages, r.in.Facts.PackageManager
	p.Manager = manager
	if manager == "" {
		r.add(v1alpha1.ReasonPackageManagerMissing, "facts.packageManager", "", "packages are to be installed, and the node has neither apt nor dnf: use binaries, or a node that has one")
	} else {
		r.oneOf("facts.packageManager", string(manager), string(v1alpha1.PackageManagerApt), string(v1alpha1.PackageManagerDnf))
	}
	for i := range spec.Repositories {
		p.Repositories = append(p.Repositories, r.repository(fmt.Sprintf("packages.repositories[%d]", i), &spec.Repositories[i]))
	}
	slices.SortFunc(p.Repositories, func(a, b Repository) int { return cmp.Compare(a.Name, b.Name) })
	for i, name := range spec.Absent {
		if r.packageName(fmt.Sprintf("packages.absent[%d]", i), string(name)) {
			p.Absent = append(p.Absent, string(name))
		}
	}
	for i, present := range spec.Present {
		field := fmt.Sprintf("packages.present[%d]", i)
		if !r.packageName(field+".name", string(present.Name)) {
			continue
		}
		if slices.Contains(spec.Absent, present.Name) {
			r.invalid(field+".name", string(present.Name), "is under absent too: remove it from one of them")
		}
		p.Present = append(p.Present, Package{Name: string(present.Name), Version: r.packageVersion(field+".version", or(present.Version, ""))})
	}
}

func (r *resolver) packageName(field, name string) bool {
	switch {
	case !packageName.MatchString(name) || len(name) > 128:
		r.invalid(field, name, "not the name of a package: letters, digits and . _ + -, starting with a letter or digit and not ending in -, for example docker-ce")
	case r.in.Facts.PackageManager == v1alpha1.PackageManagerApt && !dpkgName.MatchString(name):
		r.invalid(field, name, "not the name of a Debian package: at least two lower-case letters, digits and + - ., for example docker-ce")
	default:
		return true
	}
	return false
}

// packageVersion is the version as the package manager prints it: an epoch of 0 is none.
func (r *resolver) packageVersion(field, value string) string {
	if value == "" {
		return ""
	}
	if !packageVersion.MatchString(value) || len(value) > 128 {
		r.invalid(field, value, "not the version of a package: write it as apt-cache policy or dnf list shows it, for example 5:27.5.1-1")
	}
	if r.in.Facts.PackageManager == v1alpha1.PackageManagerDnf && strings.Count(value, "-") != 1 {
		r.invalid(field, value, "not a whole version of an rpm: write [epoch:]version-release, for example 3:27.5.1-1.el9")
	}
	return strings.TrimPrefix(value, "0:")
}

func (r *resolver) repository(field string, spec *v1alpha1.PackageRepository) Repository {
	repo := Repository{Name: spec.Name, BaseURL: spec.BaseURL, Suite: or(spec.Suite, "")}
	if !repositoryName.MatchString(spec.Name) || len(spec.Name) > 63 {
		r.invalid(field+".name", spec.Name, "not the name of a repository: lower-case letters, digits and -, for example docker-ce")
	}
	if manager := r.in.Facts.PackageManager; manager != "" && spec.Type != manager {
		r.invalid(field+".type", string(spec.Type), "the node's package manager is %s: give such nodes a NodeConfig of their own", manager)
	}
	if !repositoryURL.MatchString(spec.BaseURL) {
		r.invalid(field+".baseURL", spec.BaseURL, "not an http, https or file URL without user and query: for example https://download.docker.com/linux/debian")
	}
	if spec.Type == v1alpha1.PackageManagerApt && !repositoryPart.MatchString(repo.Suite) {
		r.invalid(field+".suite", repo.Suite, "not a suite: for example bookworm, or ./ for packages right in baseURL")
	}
	for _, c := range spec.Components {
		if !repositoryPart.MatchString(string(c)) {
			r.invalid(field+".components", string(c), "not a component: for example main")
		}
		repo.Components = append(repo.Components, string(c))
	}
	switch unsigned := !or(spec.Signed, true); {
	case unsigned == (spec.GPGKeySecretRef != nil):
		r.invalid(field, spec.Name, "needs exactly one of gpgKeySecretRef and signed: false")
	case unsigned && strings.HasPrefix(spec.BaseURL, "http://"):
		r.invalid(field+".baseURL", spec.BaseURL, "is unsigned and read over http, so that anybody on the way could put packages there: use https, or gpgKeySecretRef")
	}
	key, real := r.sensitive(field+".gpgKeySecretRef", spec.GPGKeySecretRef)
	if text := string(key.Reveal()); real && !strings.Contains(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
		r.invalid(field+".gpgKeySecretRef", "", "is not an ASCII-armoured public key: export it with gpg --armor --export")
	}
	repo.Key = key
	return repo
}
