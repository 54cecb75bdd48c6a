package v1alpha1_test

import (
	"fmt"
	"strings"
)

// invalidHostThings are about sysctls, kernel modules, files and units.
var invalidHostThings = []invalid{
	{"a sysctl without dots", `{spec: {sysctls: {swappiness: "1"}}}`, "spec.sysctls", "sysctls has the name swappiness, which is no sysctl: write at most 128 characters with dots, for example net.ipv4.tcp_keepalive_time"},
	{"a sysctl as a path", `{spec: {sysctls: {/proc/sys/vm/swappiness: "1"}}}`, "spec.sysctls", "sysctls has the name /proc/sys/vm/swappiness, which is no sysctl"},
	{"a sysctl that climbs", `{spec: {sysctls: {net.//.x: "1"}}}`, "spec.sysctls", "sysctls has the name net.//.x, which is no sysctl"},
	{"a sysctl that Seedbed owns", `{spec: {sysctls: {net.ipv4.ip_forward: "0"}}}`, "spec.sysctls", "sysctls has net.ipv4.ip_forward, which Seedbed sets to 1 itself since pods need it: remove it"},
	{"a bridge sysctl that Seedbed owns", `{spec: {sysctls: {net.bridge.bridge-nf-call-iptables: "1"}}}`, "spec.sysctls", "sysctls has net.bridge.bridge-nf-call-iptables, which Seedbed sets"},
	{"a sysctl's value with a newline", `{spec: {sysctls: {vm.swappiness: "1\nkernel.panic=1"}}}`, "spec.sysctls[vm.swappiness]", "sysctl value 1 kernel.panic=1 has characters that no sysctl takes: use letters, digits, spaces and . / _ : , + - on one line, for example 786432"},
	{"a sysctl's value as a number", `{spec: {sysctls: {vm.swappiness: 1}}}`, "spec.sysctls.vm.swappiness", `must be of type string: "integer"`},
	{"a sysctl's value that is empty", `{spec: {sysctls: {vm.swappiness: ""}}}`, "spec.sysctls[vm.swappiness]", "has characters that no sysctl takes"},
	{"a kernel module with a dash", `{spec: {kernelModules: [br-netfilter]}}`, "spec.kernelModules[0]", "kernel module br-netfilter is not a module name: letters, digits and _ only (br_netfilter, not br-netfilter)"},
	{"a kernel module with options", `{spec: {kernelModules: ["nf_conntrack hashsize=1"]}}`, "spec.kernelModules[0]", "is not a module name"},
	{"a kernel module twice", `{spec: {kernelModules: [a, a]}}`, "spec.kernelModules[1]", `Duplicate value: "a"`},

	{"a file at a relative path", file(`path: etc/motd`), "spec.files[0].path", "files path etc/motd is not a clean absolute path: start with /, no //, no . or .. parts, no trailing / and no control characters, for example /etc/motd"},
	{"a file at a path with ..", file(`path: /etc/../proc/x`), "spec.files[0].path", "files path /etc/../proc/x is not a clean absolute path"},
	{"a file at a path with //", file(`path: /etc//motd`), "spec.files[0].path", "files path /etc//motd is not a clean absolute path"},
	{"a file at a path that ends in /", file(`path: /etc/motd/`), "spec.files[0].path", "no trailing /"},
	{"a file at a path with a newline", file(`path: "/etc/mo\ntd"`), "spec.files[0].path", "files path /etc/mo td is not a clean absolute path"},
	{"a file at a path with a NUL", file(`path: "/etc/mo\0td"`), "spec.files[0].path", "no control characters"},
	{"a file at the root", file(`path: /`), "spec.files[0].path", "files path / is not a clean absolute path"},
	{"a file below /proc", file(`path: /proc/sys/net/ipv4/ip_forward`), "spec.files[0].path", "files path /proc/sys/net/ipv4/ip_forward is below /proc, /sys, /dev or /boot: use sysctls or kernelModules, or a file elsewhere"},
	{"a file below /sys", file(`path: /sys/x`), "spec.files[0].path", "files path /sys/x is below /proc, /sys, /dev or /boot"},
	{"a file below /dev", file(`path: /dev/sda`), "spec.files[0].path", "files path /dev/sda is below /proc"},
	{"a file below /boot", file(`path: /boot/grub/grub.cfg`), "spec.files[0].path", "or a file elsewhere"},
	{"a file in the agent's folder", file(`path: /var/lib/seedbed/ledger.json`), "spec.files[0].path", "files path /var/lib/seedbed/ledger.json belongs to the system, to the kubelet or to the agent itself: choose another"},
	{"the system's passwords", file(`path: /etc/shadow`), "spec.files[0].path", "files path /etc/shadow belongs to the system"},
	{"a file in a pod", file(`path: /var/lib/kubelet/pods/a/b`), "spec.files[0].path", "belongs to the system, to the kubelet or to the agent itself"},
	{"the same path twice", `{spec: {files: [{path: /etc/motd, contents: a}, {path: /etc/motd, contents: b}]}}`, "spec.files[1]", `Duplicate value: {"path":"/etc/motd"}`},
	{"a path that is another's folder", `{spec: {files: [{path: /opt/a/b, contents: a}, {path: /opt/a, contents: b}]}}`, "spec.files", "files has a path that is the folder of another path in the list: one path cannot be a file and a folder; rename or remove one of them"},
	{"a file without contents", `{spec: {files: [{path: /etc/motd}]}}`, "spec.files[0]", "files /etc/motd needs exactly one of contents and contentsSecretRef: set one"},
	{"a file with two contents", file(`contentsSecretRef: {name: a, key: b}`), "spec.files[0]", "files /etc/motd needs exactly one of contents and contentsSecretRef"},
	{"contents with a NUL", file(`contents: "a\0b"`), "spec.files[0].contents", "contents has a NUL character: text only; take binary contents from a Secret (contentsSecretRef)"},
	{"contents over 64 KiB", file(`contents: ` + long(65537)), "spec.files[0].contents", "Too long: may not be more than 65536"},
	{"more than 128 files", `{spec: {files: [` + manyFiles(129) + `]}}`, "spec.files", "Too many: 129: must have at most 128 items"},
	{"a mode as a number", file(`mode: 420`), "spec.files[0].mode", `must be of type string: "integer"`},
	{"a mode without leading zero", file(`mode: "644"`), "spec.files[0].mode", `files mode 644 is not an octal mode without set-ID bits: write four digits in quotes, the first 0, for example "0644"`},
	{"a mode in decimal", file(`mode: "0648"`), "spec.files[0].mode", "files mode 0648 is not an octal mode"},
	{"a set-user-ID mode", file(`mode: "4755"`), "spec.files[0].mode", "files mode 4755 is not an octal mode without set-ID bits"},
	{"a mode that lets everybody write", file(`mode: "0666"`), "spec.files[0].mode", `files mode 0666 lets everybody write: for example "0644"`},
	{"an owner with a colon", file(`owner: "root:root"`), "spec.files[0].owner", "files owner root:root is not a user name or decimal id: for example root"},
	{"an owner that is a flag", file(`owner: --recursive`), "spec.files[0].owner", "files owner --recursive is not a user name or decimal id"},
	{"a group with a space", file(`group: "no group"`), "spec.files[0].group", "files group no group is not a group name or decimal id: for example root"},

	{"a unit without suffix", unit(`name: exporter`), "spec.units[0].name", "units name exporter is not the name of a unit: letters, digits and : _ . @ - with a suffix such as .service, for example node-exporter.service"},
	{"a unit with a slash", unit(`name: ../x.service`), "spec.units[0].name", "units name ../x.service is not the name of a unit"},
	{"a unit that is a flag", unit(`name: --root=x.service`), "spec.units[0].name", "is not the name of a unit"},
	{"a unit of Seedbed", unit(`name: seedbed-agent.service`), "spec.units[0].name", "units name seedbed-agent.service starts with seedbed-, which is kept for Seedbed itself: choose another name"},
	{"a unit that a component owns", unit(`name: docker.service`), "spec.units[0].name", "units name docker.service is a component that Seedbed runs: use the fields flannel, docker, criDockerd, kubelet or kubeProxy"},
	{"a unit that says nothing", `{spec: {units: [{name: a.service, state: Unmanaged}]}}`, "spec.units[0]", "units a.service says nothing: set contents, dropIns, enabled or state, or remove it"},
	{"a template that is to run", unit(`name: a@.service`), "spec.units[0]", "units a@.service is a template, which cannot run: name an instance, for example getty@tty1.service"},
	{"a unit twice", `{spec: {units: [{name: a.service, enabled: true}, {name: a.service, enabled: false}]}}`, "spec.units[1]", `Duplicate value: {"name":"a.service"}`},
	{"a unit's state in systemd's word", unit(`state: active`), "spec.units[0].state", `supported values: "Running", "Stopped", "Unmanaged"`},
	{"a unit's contents with a NUL", unit(`contents: "[Unit]\0"`), "spec.units[0].contents", "contents has a NUL character, which systemd refuses: remove it"},
	{"a unit's contents that are empty", unit(`contents: ""`), "spec.units[0].contents", "should be at least 1 chars long"},
	{"a drop-in without .conf", unit(`dropIns: [{name: limits, contents: x}]`), "spec.units[0].dropIns[0].name", "units dropIns name limits is not the name of a drop-in: letters, digits and _ . - ending in .conf, for example 10-limits.conf"},
	{"a drop-in in another folder", unit(`dropIns: [{name: ../../x.conf, contents: x}]`), "spec.units[0].dropIns[0].name", "is not the name of a drop-in"},
	{"a drop-in twice", unit(`dropIns: [{name: a.conf, contents: x}, {name: a.conf, contents: y}]`), "spec.units[0].dropIns[1]", `Duplicate value: {"name":"a.conf"}`},
	{"a drop-in over 16 KiB", unit(`dropIns: [{name: a.conf, contents: ` + long(16385) + `}]`), "spec.units[0].dropIns[0].contents", "Too long: may not be more than 16384"},
	{"a drop-in without contents", unit(`dropIns: [{name: a.conf}]`), "spec.units[0].dropIns[0].contents", "Required value"},
	{"a unit file in files and units", `{spec: {files: [{path: /etc/systemd/system/a.service, contents: x}], units: [{name: a.service, contents: "[Unit]"}]}}`, "spec.files", "files has a path that units writes too: keep the unit's contents and drop-ins in units alone"},
}

// invalidStates are about what manager and agent write.
var invalidStates = []invalid{
	{"a name over 63 characters", `{metadata: {name: ` + long(64) + `}}`, "<nil>", "metadata.name " + long(64) + " is longer than 63 characters: shorten it"},
	{"a pinned Secret twice", `{spec: {secrets: [{name: a, uid: u, resourceVersion: "1"}, {name: a, uid: u, resourceVersion: "2"}]}}`, "spec.secrets[1]", `Duplicate value: {"name":"a"}`},
	{"an address that is a name", `{spec: {addresses: [node-a]}}`, "spec.addresses[0]", "address node-a is neither an IP address nor a range: write one such as 10.64.3.8 or 10.64.3.0/26"},
	{"an address with host bits", `{spec: {addresses: [10.64.3.8/26]}}`, "spec.addresses[0]", "address 10.64.3.8/26 is a range with host bits set: write its first address, as in 10.64.3.0/26, or the address alone"},
	{"an address twice", `{spec: {addresses: [10.64.3.8, 10.64.3.8]}}`, "spec.addresses[1]", `Duplicate value: "10.64.3.8"`},
	{"a permit that is no hash", `{spec: {permit: "yes"}}`, "spec.permit", "plan yes is no hash: write 8 to 64 hexadecimal digits in lower case, for example 2c26b46b"},
	{"a plan that waits without a hash", `{status: {pending: {plan: "", disruption: Recreate, since: "2026-01-01T00:00:00Z"}}}`, "status.pending.plan", "plan  is no hash"},
	{"a plan that waits for nothing", `{status: {pending: {plan: 2c26b46b, disruption: Drain, since: "2026-01-01T00:00:00Z"}}}`, "status.pending.disruption", `supported values: "None", "Reload", "Restart", "Recreate", "Reboot"`},
	{"a component that is unknown", facts(`components: [{name: containerd, path: /a, source: Binary}]`), "status.facts.components[0].name", `Unsupported value: "containerd": supported values: "flannel", "docker", "cri-dockerd", "kubelet", "kube-proxy"`},
	{"a component twice", facts(`components: [{name: docker, path: /a, source: Binary}, {name: docker, path: /b, source: Binary}]`), "status.facts.components[1]", `Duplicate value: {"name":"docker"}`},
	{"a program at a relative path", facts(`components: [{name: docker, path: dockerd, source: Binary}]`), "status.facts.components[0].path", "component path dockerd is not a clean absolute path: for example /usr/bin/dockerd"},
	{"a source that is unknown", facts(`components: [{name: docker, path: /a, source: Snap}]`), "status.facts.components[0].source", `supported values: "Binary", "Package"`},
	{"execStart of a binary", facts(`components: [{name: docker, path: /a, source: Binary, execStart: [/a]}]`), "status.facts.components[0]", "execStart is of a package's unit: set source: Package, or remove it"},
	{"an address without length", facts(`interfaces: [{name: eth4, addresses: [10.64.3.8]}]`), "status.facts.interfaces[0].addresses[0]", "address 10.64.3.8 is not in CIDR notation: write address/length, for example 10.64.3.8/26"},
	{"an interface twice", facts(`interfaces: [{name: eth4}, {name: eth4}]`), "status.facts.interfaces[1]", `Duplicate value: {"name":"eth4"}`},
	{"a route to a host's name", facts(`routes: [{destination: default, interface: eth5}]`), "status.facts.routes[0].destination", "destination default is not in CIDR notation: write address/length, with 0.0.0.0/0 for the default route"},
	{"a cgroup version that is unknown", facts(`cgroup: hybrid`), "status.facts.cgroup", `supported values: "v1", "v2"`},
	{"a kernel with terminal escapes", facts(`kernel: "6.1\e[2J"`), "status.facts.kernel", "kernel has other than printable ASCII characters: remove them"},
	{"an operating system with a tab", facts(`os: "debian\t12"`), "status.facts.os", "os has other than printable ASCII characters: remove them"},
	{"an architecture with an accent", facts(`architecture: amd64é`), "status.facts.architecture", "architecture has other than printable ASCII characters"},
	{"a machine id with a newline", facts(`machineID: "abc\n"`), "status.facts.machineID", "machineID has other than printable ASCII characters"},
	{"a version with terminal escapes", facts(`components: [{name: docker, path: /a, source: Binary, version: "26\e[31m"}]`), "status.facts.components[0].version", "version has other than printable ASCII characters"},
	{"a hostname with a newline", facts(`hostname: "a\nb"`), "status.facts.hostname", "hostname has other than printable ASCII characters"},
}

func file(fields string) string {
	if !strings.Contains(fields, "path:") {
		fields = "path: /etc/motd, " + fields
	}
	if !strings.Contains(fields, "contents:") {
		fields += ", contents: x"
	}
	return `{spec: {files: [{` + fields + `}]}}`
}

func unit(fields string) string {
	if !strings.Contains(", "+fields, ", name:") && !strings.HasPrefix(fields, "name:") {
		fields = "name: a.service, " + fields
	}
	if !strings.Contains(fields, "state:") {
		fields += ", state: Running"
	}
	return `{spec: {units: [{` + fields + `}]}}`
}

func facts(fields string) string { return `{status: {facts: {` + fields + `}}}` }

func manyFiles(n int) string { return many(n, "{path: /opt/%d, contents: x}") }

// many is a list of n items, each of them numbered.
func many(n int, item string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(item, i)
	}
	return strings.Join(all, ", ")
}
