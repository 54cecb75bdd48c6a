// Package testenv starts a real etcd and kube-apiserver for tests, with Seedbed's CRDs and the
// namespace seedbed-system in it.
//
// What comes in is the folder of the programs: KUBEBUILDER_ASSETS, or else bin/components/current
// in this repository. What goes out is an Env with clients. No controller runs here, and nothing is
// downloaded.
package testenv
