// Package seed brings up a seed control plane: etcd, kube-apiserver and, where their programs are
// there, kube-controller-manager and kube-scheduler, with certificates of their own, and in it what
// Seedbed needs. It also registers nodes with it.
//
// In: Options and a folder of programs. Out: a running control plane, kubeconfigs, and lines that say
// what is being done. Everything it keeps is below one data dir that nobody else can read, and one
// process at a time holds that. Which programs run with which arguments is pure (plan.go), as are the
// checks of options (options.go) and what the certificates say (identity.go); package supervise runs
// the programs, pki keeps the certificates, install talks to the API server. No node is configured
// here, and nothing is downloaded or built.
package seed
