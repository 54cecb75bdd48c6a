// Package leases judges the subnets that flannel gave to nodes: which are in order, whose they are,
// and which one may be released because its node has left.
//
// In: leases as they were read from flannel's etcd or from Nodes, the network, and the nodes that
// there are with their addresses. Out: the leases of a NetworkConfig's status, and yes or no to a
// release. Nothing here reads etcd, the API or a clock; equal input in any order gives equal output.
package leases
