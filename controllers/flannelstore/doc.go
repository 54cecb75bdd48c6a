// Package flannelstore reads and writes what flannel keeps in etcd: the network's configuration and
// the subnets that are leased to machines.
//
// In: which etcd, with which certificate, and which prefix in it. Out: views of what is there, kept
// up to date by a watch as long as somebody follows it, and two kinds of transactions: the
// configuration is written, a lease is deleted, each only if the key is still as it was seen. What is
// to be written or deleted is not decided here, no key outside the prefix is touched, and no
// certificate or key of it reaches an error.
package flannelstore
