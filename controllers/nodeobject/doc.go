// Package nodeobject decides what a cluster's Node object is to be: its labels and taints, its share
// of the pod network, whether its kubelet is heard of, and which of its pods a drain removes.
//
// In: a Node as it was read, what the NodeConfig declares, what we declared before, the ranges that
// other Nodes have. Out: a Patch that changes just that, a prefix, a verdict. Nothing here reads the
// API or a clock, and no field of a Node that somebody else wrote is ever touched.
package nodeobject
