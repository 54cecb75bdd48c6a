// Package cluster tests the main job on real hosts: from bare machines to a working Kubernetes cluster, and
// what happens to it then. The specs are one cluster's life, in order; each file is a part of it.
//
// In: the lab and the checkout. Out: what a user sees: objects, pods that answer, and what a host's own
// tools (systemctl, ip, iptables) say. A test joins hosts, applies objects, breaks things and looks; it
// never does on a host what Seedbed is to do.
package cluster
