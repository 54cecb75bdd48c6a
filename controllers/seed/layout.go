package seed

import (
	"path/filepath"

	"seedbed.dev/seedbed/controllers/seed/pki"
)

// Layout says where things are below a data dir.
type Layout struct{ Root string }

// VersionFile says which layout the data dir has, and with that, that it is one.
func (l Layout) VersionFile() string { return filepath.Join(l.Root, "VERSION") }

// LockFile is held by the seed that runs on the data dir; it has that process's id in it.
func (l Layout) LockFile() string { return filepath.Join(l.Root, "seed.lock") }

// StateFile holds what has to be the same at the next start: ports and the service range.
func (l Layout) StateFile() string { return filepath.Join(l.Root, "seed.json") }

// EtcdDir is etcd's data.
func (l Layout) EtcdDir() string { return filepath.Join(l.Root, "etcd") }

// FlexVolumeDir is where controller-manager looks for volume plugins; it stays empty.
func (l Layout) FlexVolumeDir() string { return filepath.Join(l.Root, "flexvolume") }

// AuthenticationFile is kube-apiserver's AuthenticationConfiguration.
func (l Layout) AuthenticationFile() string { return filepath.Join(l.Root, "authentication.yaml") }

// PKI keeps the certificates.
func (l Layout) PKI() pki.Store { return pki.Store{Dir: filepath.Join(l.Root, "pki")} }

// Kubeconfig is the kubeconfig of one of the seed's own identities. Example: "admin".
func (l Layout) Kubeconfig(name string) string { return filepath.Join(l.Root, name+".kubeconfig") }

// NodeKubeconfig is where `add-node` writes a node's kubeconfig.
func (l Layout) NodeKubeconfig(node string) string {
	return filepath.Join(l.Root, "nodes", node+".kubeconfig")
}

// Log is a component's log; the one of the start before is beside it with ".1".
func (l Layout) Log(component string) string {
	return filepath.Join(l.Root, "logs", component+".log")
}
