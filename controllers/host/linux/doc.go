// Package linux implements the ports of package host on a Linux machine with systemd, and on a host
// root without a running system. It is the only package that touches a machine.
//
// In: the calls of the ports. Out: files, unit jobs, sysctls, modules, chain policies, facts; beside
// the ports the agent's lock and a watcher of managed files.
//
// Never here: a decision about what a host should be, a shell, a path that leaves the host root, a
// symbolic link followed below one of the host's own configuration folders.
package linux
