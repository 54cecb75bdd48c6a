package v1alpha1_test

import "strings"

const sum = "5e4b7bb0a1c6c7b0d1dbbd7a2f5a1f4c7f1e2f8a3d0e6b9c4a5f6d7e8c9b0a1f"

// invalidInstalls are about packages, their repositories and binaries.
var invalidInstalls = []invalid{
	{"F069: a package that is an option of dpkg", present(`name: "-oDPkg::Pre-Invoke=id"`), "spec.packages.present[0].name", "package name -oDPkg::Pre-Invoke=id is not the name of a package: letters, digits and . _ + - , starting with a letter or digit and not ending in - , for example docker-ce"},
	{"F069: an absent package that is an option", `{spec: {packages: {absent: ["--purge"]}}}`, "spec.packages.absent[0]", "package name --purge is not the name of a package"},
	{"F069: a package that apt would remove", present(`name: docker-`), "spec.packages.present[0].name", "not ending in -"},
	{"a package with its architecture", present(`name: "docker:amd64"`), "spec.packages.present[0].name", "package name docker:amd64 is not the name of a package"},
	{"a package with its version", present(`name: docker=1`), "spec.packages.present[0].name", "package name docker=1 is not"},
	{"a group of packages", present(`name: "@core"`), "spec.packages.present[0].name", "package name @core is not"},
	{"a package by a pattern", present(`name: "docker*"`), "spec.packages.present[0].name", "package name docker* is not"},
	{"a package by a path", present(`name: "/usr/bin/x"`), "spec.packages.present[0].name", "package name /usr/bin/x is not"},
	{"a package without a name", present(`name: ""`), "spec.packages.present[0].name", "is not the name of a package"},
	{"a package twice", `{spec: {packages: {present: [{name: a}, {name: a}]}}}`, "spec.packages.present[1]", `Duplicate value: {"name":"a"}`},
	{"a package present and absent", `{spec: {packages: {absent: [a], present: [{name: a}]}}}`, "spec.packages", "packages has a name under absent and under present: remove it from one of them"},
	{"a version with a star", present(`name: docker, version: "5:27*"`), "spec.packages.present[0].version", "package version 5:27* is not the version of a package: write it as apt-cache policy or dnf list shows it, for example 5:27.5.1-1"},
	{"a version that begins with an option", present(`name: docker, version: "-1"`), "spec.packages.present[0].version", "package version -1 is not the version"},
	{"a version with a space", present(`name: docker, version: "1 2"`), "spec.packages.present[0].version", "package version 1 2 is not the version"},
	{"a version that is a number", present(`name: docker, version: 27`), "spec.packages.present[0].version", `must be of type string: "integer"`},

	{"a repository whose name leaves its folder", repository(`name: ../x`), "spec.packages.repositories[0].name", "packages repository name ../x is not one: lower-case letters, digits and - , for example docker-ce"},
	{"a repository of an unknown type", repository(`type: Zypper`), "spec.packages.repositories[0].type", `supported values: "Apt", "Dnf"`},
	{"a repository over ftp", repository(`baseURL: "ftp://example.com/x"`), "spec.packages.repositories[0].baseURL", "packages repository baseURL ftp://example.com/x is not an http, https or file URL of host, optional port and path: without user, query and spaces, for example https://download.docker.com/linux/debian or file:///srv/packages"},
	{"a repository with a password", repository(`baseURL: "https://u:p@example.com/x"`), "spec.packages.repositories[0].baseURL", "without user, query and spaces"},
	{"a repository with a second line", repository(`baseURL: "https://example.com/x\nTrusted: yes"`), "spec.packages.repositories[0].baseURL", "packages repository baseURL https://example.com/x Trusted: yes is not"},
	{"an Apt repository without a suite", repository(`suite: null, components: null`), "spec.packages.repositories[0]", "packages repository r of type Apt needs a suite: for example suite: bookworm, or suite: ./ for packages right in baseURL"},
	{"a suite without components", repository(`components: null`), "spec.packages.repositories[0]", "packages repository r needs components with a suite, and none with a suite that ends in / : for example suite: bookworm and components: [main]"},
	{"a folder with components", repository(`suite: ./`), "spec.packages.repositories[0]", "and none with a suite that ends in /"},
	{"a suite with a space", repository(`suite: "a b"`), "spec.packages.repositories[0].suite", "packages repository suite a b is not one: for example bookworm, bookworm/updates or ./"},
	{"a component with a space", repository(`components: ["a b"]`), "spec.packages.repositories[0].components[0]", "packages repository component a b is not one: letters, digits and . _ + - , for example main"},
	{"a Dnf repository with a suite", repository(`type: Dnf`), "spec.packages.repositories[0]", "packages repository r of type Dnf has no suite and no components: remove them, and write all of the path into baseURL"},
	{"a repository without a key", repository(`gpgKeySecretRef: null`), "spec.packages.repositories[0]", "packages repository r needs exactly one of gpgKeySecretRef, which its packages are verified with, and signed: false, which trusts whoever writes to it"},
	{"a repository with a key that is not to be used", repository(`signed: false`), "spec.packages.repositories[0]", "needs exactly one of gpgKeySecretRef"},
	{"an unsigned repository over http", repository(`gpgKeySecretRef: null, signed: false, baseURL: "http://example.com/x"`), "spec.packages.repositories[0]", "packages repository r is unsigned and read over http, so that anybody on the way could put packages there: use https, or gpgKeySecretRef"},
	{"a repository twice", `{spec: {packages: {repositories: [` + repositoryFields("") + `, ` + repositoryFields("") + `]}}}`, "spec.packages.repositories[1]", `Duplicate value: {"name":"r"}`},

	{"a binary without a checksum", `{spec: {binaries: [{path: /opt/x, url: "http://example.com/x"}]}}`, "spec.binaries[0].sha256", "Required value"},
	{"a checksum that is short", binary(`sha256: abc`), "spec.binaries[0].sha256", "binaries sha256 abc is not a SHA-256: 64 lower-case hexadecimal digits, as sha256sum prints them"},
	{"a checksum in capitals", binary(`sha256: ` + strings.ToUpper(sum)), "spec.binaries[0].sha256", "64 lower-case hexadecimal digits"},
	{"a binary over ftp", binary(`url: "ftp://example.com/x"`), "spec.binaries[0].url", "binaries url ftp://example.com/x is not an http, https or file URL of a file: without user, query and spaces, for example https://dl.k8s.io/v1.37.2/bin/linux/amd64/kubelet"},
	{"a binary that is a folder", binary(`url: "https://example.com/x/"`), "spec.binaries[0].url", "is not an http, https or file URL of a file"},
	{"a binary with a token", binary(`url: "https://example.com/x?token=a"`), "spec.binaries[0].url", "without user, query and spaces"},
	{"a binary at a relative path", binary(`path: bin/x`), "spec.binaries[0].path", "binaries path bin/x is not a clean absolute path: start with /, no //, no . or .. parts, no trailing /, and only letters, digits and . _ @ + - between, for example /usr/local/bin/kubelet"},
	{"a binary at a path with a space", binary(`path: "/opt/a b"`), "spec.binaries[0].path", "binaries path /opt/a b is not a clean absolute path"},
	{"a binary among the configuration", binary(`path: /etc/cron.d/x`), "spec.binaries[0].path", "binaries path /etc/cron.d/x is no place for programs: for example /usr/local/bin/kubelet"},
	{"a binary that a reboot would take", binary(`path: /run/x`), "spec.binaries[0].path", "is no place for programs"},
	{"a binary that everybody may write", binary(`mode: "0777"`), "spec.binaries[0].mode", `binaries mode 0777 is not an octal mode that keeps others from writing: for example "0755"`},
	{"a set-user-ID binary", binary(`mode: "4755"`), "spec.binaries[0].mode", "binaries mode 4755 is not an octal mode"},
	{"a binary twice", `{spec: {binaries: [` + binaryFields("") + `, ` + binaryFields("") + `]}}`, "spec.binaries[1]", `Duplicate value: {"path":"/opt/x"}`},
	{"a binary where a file is", `{spec: {files: [{path: /opt/x, contents: a}], binaries: [` + binaryFields("") + `]}}`, "spec.binaries", "binaries has a path that files has too: keep it in one of them"},
}

func present(fields string) string {
	return `{spec: {packages: {present: [{` + fields + `}]}}}`
}

func repository(fields string) string {
	return `{spec: {packages: {repositories: [` + repositoryFields(fields) + `]}}}`
}

func repositoryFields(fields string) string {
	return withDefaults(fields,
		[2]string{"name", "r"}, [2]string{"type", "Apt"}, [2]string{"baseURL", `"https://example.com/debian"`},
		[2]string{"suite", "bookworm"}, [2]string{"components", "[main]"}, [2]string{"gpgKeySecretRef", "{name: a, key: b}"})
}

func binary(fields string) string { return `{spec: {binaries: [` + binaryFields(fields) + `]}}` }

func binaryFields(fields string) string {
	return withDefaults(fields, [2]string{"path", "/opt/x"}, [2]string{"url", `"https://example.com/x"`}, [2]string{"sha256", sum})
}

// withDefaults is an object of the fields, and of the defaults whose names are not among them. A
// field that is null is left out.
func withDefaults(fields string, defaults ...[2]string) string {
	var all []string
	for field := range strings.SplitSeq(fields, ", ") {
		if field != "" && !strings.HasSuffix(field, ": null") {
			all = append(all, field)
		}
	}
	for _, d := range defaults {
		if !strings.Contains(", "+fields, ", "+d[0]+":") {
			all = append(all, d[0]+": "+d[1])
		}
	}
	return "{" + strings.Join(all, ", ") + "}"
}
