// Package lab starts a lab on this machine: hosts that boot systemd, as bare as a new machine, with the
// addresses of the install guide, for Seedbed to make a cluster of. It is for the e2e tests and for
// trying things by hand (hack/lab/cmd, `make lab`).
//
//	the machine
//	└─ the lab's namespaces: processes, mounts, network
//	   ├─ seed   10.64.3.1   the tests run `seedbed seed` here; files at http://10.64.3.1:8081/
//	   ├─ node-a 10.64.3.7   systemd, Debian; no docker, kubelet or flannel
//	   ├─ node-b 10.64.3.8
//	   └─ node-c 10.64.3.9
//
// In: how many hosts, and a name. Out: running hosts, and ways to run programs on them, dial from among
// them and switch them off. It never touches the machine outside its own namespaces, cgroups and folders,
// and never does on a host what Seedbed is to do.
package lab
