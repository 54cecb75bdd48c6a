// Package supervisor holds a lab: two processes and everything below them.
//
// The watcher starts the lab's init in mount, process and network namespaces of its own and waits. The
// init is process 1 in there: when it ends, or the watcher does (the kernel kills the init with it), the
// kernel kills every process of the lab, and with the last one go its mounts and network namespaces.
// What a namespace does not hold, cgroups and files, the watcher removes; where it was killed, the next
// lab of that name does.
//
// The init's own network namespace is the seed's side: it has the bridge that the hosts hang on. Each host
// is a systemd-nspawn container with a network namespace that is made anew at each boot, as a real machine's
// interfaces and firewall rules are.
//
// In: a layout. Out: running hosts, and answers to control requests. It never touches the machine
// outside its own namespaces, cgroups and folders, and never sets up in a host what Seedbed is to set up.
package supervisor
