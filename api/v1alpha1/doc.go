// Package v1alpha1 is the API of Seedbed: NetworkConfig and NodeConfig, which a user writes, and
// NodeState, one for each machine, whose spec the manager writes and whose status the node's agent.
//
// Fields without a CRD default are optional on purpose: defaults are applied by the resolve stage
// after objects have been merged. The documentation of each field states its default.
//
// +kubebuilder:object:generate=true
// +groupName=seedbed.dev
package v1alpha1
