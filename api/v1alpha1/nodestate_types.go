package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// NodeStateSpec is what a node is assigned. The manager writes it, but for
// addresses, which are an administrator's to change once the node has joined.
type NodeStateSpec struct {
	// config is the name of the NodeConfig that governs the node.
	// Example: "workers".
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Config string `json:"config,omitempty"`
	// revision is the name of the ControllerRevision in seedbed-system that the
	// node is to be at.
	// Example: "workers-6f9c4d7b21".
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`
	// secrets pins the Secrets the revision refers to, so that rotating one is a
	// rollout.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Secrets []PinnedSecret `json:"secrets,omitempty"`
	// addresses are the IP addresses that the kubelet's serving certificate may name, as
	// addresses and ranges in CIDR notation. They come from the token that the node joined with,
	// or from an administrator, and never from the node. None means that no serving certificate
	// is approved. The address of an API server, by itself, says that it runs on this node: a node
	// that has its name serves by that name only then.
	// Example: ["10.64.3.8", "10.64.4.0/26"].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isIP(self) || isCIDR(self)",messageExpression="'address ' + self + ' is neither an IP address nor a range: write one such as 10.64.3.8 or 10.64.3.0/26'"
	// +kubebuilder:validation:items:XValidation:rule="!isCIDR(self) || string(cidr(self).masked()) == self",messageExpression="'address ' + self + ' is a range with host bits set: write its first address, as in 10.64.3.0/26, or the address alone'"
	Addresses []string `json:"addresses,omitempty"`
	// permit is the plan that the agent may carry out although it rebuilds
	// docker0, ends containers with docker, or wants a reboot:
	// status.pending.plan, once the manager has drained the node for it. A permit for another plan permits nothing; the manager takes
	// it back when the plan is done. Default: none.
	// Example: "2c26b46b68ffc68ff99b453c1d304134".
	// +optional
	Permit PlanHash `json:"permit,omitempty"`
}

// PlanHash names a plan by what it would do: the same steps on the same host
// have the same hash.
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8,64}$')",messageExpression=`'plan ' + self.replace('\n', ' ') + ' is no hash: write 8 to 64 hexadecimal digits in lower case, for example 2c26b46b'`
type PlanHash string

// PinnedSecret is one version of a Secret in seedbed-system.
type PinnedSecret struct {
	// name of the Secret.
	// Example: "cluster-ca".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// uid of the Secret, as the API server gave it.
	// Example: "0a1e3c2b-6a0c-4c55-9f0e-1f3f0f5b7f0a".
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid"`
	// resourceVersion of the Secret.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ResourceVersion string `json:"resourceVersion"`
}

// DisruptionName is what a plan costs at most: None, Reload, Restart,
// Recreate or Reboot.
// +kubebuilder:validation:Enum=None;Reload;Restart;Recreate;Reboot
type DisruptionName string

// ApplyStatus is the last pass that changed something or failed.
type ApplyStatus struct {
	// started is when the pass began.
	// +required
	Started metav1.Time `json:"started"`
	// finished is when the pass ended.
	// +required
	Finished metav1.Time `json:"finished"`
	// revision that the host was brought towards.
	// Example: "workers-6f9c4d7b21".
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`
	// steps that were planned.
	// +optional
	Steps int32 `json:"steps,omitempty"`
	// changed is how many steps changed the host.
	// +optional
	Changed int32 `json:"changed,omitempty"`
	// deferred is how many steps wait for the host to run (OfflineRoot).
	// +optional
	Deferred int32 `json:"deferred,omitempty"`
	// failed is how many steps failed or were not tried because one before them
	// failed.
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// disruption is the most that any of the steps cost that were taken, in this
	// pass and in those before it on the way to the same revision. What was
	// skipped, or waits, cost nothing.
	// Example: "Restart".
	// +optional
	Disruption DisruptionName `json:"disruption,omitempty"`
}

// PendingPlan is a plan that waits for a permit, because containers run that it
// would cut off.
type PendingPlan struct {
	// plan that waits. The manager drains the node for it and then names it in
	// spec.permit.
	// Example: "2c26b46b68ffc68ff99b453c1d304134".
	// +required
	Plan PlanHash `json:"plan"`
	// disruption is the most that any of its steps costs.
	// Example: "Recreate".
	// +required
	Disruption DisruptionName `json:"disruption"`
	// message says which steps wait, and for what.
	// Example: "docker0 changes from 172.30.1.1/24 to 172.30.2.1/24".
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// since is when the plan began to wait.
	// +required
	Since metav1.Time `json:"since"`
}

// DriftStatus counts what somebody else changed and the agent put right.
type DriftStatus struct {
	// corrected is how many resources were put right since the agent's ledger
	// began.
	// +optional
	// +kubebuilder:default=0
	Corrected int64 `json:"corrected"`
	// last resource that was put right.
	// +optional
	Last *DriftRecord `json:"last,omitempty"`
}

// DriftRecord is one resource that was put right.
type DriftRecord struct {
	// what was changed.
	// Example: "file /etc/docker/daemon.json".
	// +required
	// +kubebuilder:validation:MaxLength=512
	What string `json:"what"`
	// when it was put right.
	// +required
	When metav1.Time `json:"when"`
}

// NodeStateStatus is what a node's agent reports. Only that agent writes it.
type NodeStateStatus struct {
	// observedGeneration is the generation of the spec that the conditions are
	// about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// facts the agent found on the host.
	// +optional
	Facts *Facts `json:"facts,omitempty"`
	// revision the host is at: set once every step of it that can be taken has
	// been taken.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`
	// secrets the host is at, as the spec pinned them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Secrets []PinnedSecret `json:"secrets,omitempty"`
	// apply is the last pass that changed something or failed.
	// +optional
	Apply *ApplyStatus `json:"apply,omitempty"`
	// pending is the plan that waits for spec.permit; nothing of it that disrupts
	// is done before.
	// +optional
	Pending *PendingPlan `json:"pending,omitempty"`
	// drift counts what somebody else changed and the agent put right.
	// +optional
	Drift *DriftStatus `json:"drift,omitempty"`
	// conditions: Prepared, Ready, Reconciling, Stalled and the health of each
	// component.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// NodeState is one machine: what it is assigned (spec, written by the
// manager) and what its agent reports (status). Its labels decide which
// NodeConfig governs it; they come from whoever registered the node, and the
// node cannot change them.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=nodestates,singular=nodestate,categories=seedbed
// +kubebuilder:printcolumn:name="Config",type=string,JSONPath=`.spec.config`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Wanted",type=string,JSONPath=`.spec.revision`,priority=1
// +kubebuilder:printcolumn:name="Prepared",type=string,JSONPath=`.status.conditions[?(@.type=="Prepared")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Pending",type=string,JSONPath=`.status.pending.disruption`,priority=1
// +kubebuilder:printcolumn:name="Drift",type=integer,JSONPath=`.status.drift.corrected`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",messageExpression="'metadata.name ' + self.metadata.name + ' is longer than 63 characters: shorten it'"
type NodeState struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the node is assigned; the manager writes it.
	// +optional
	Spec NodeStateSpec `json:"spec,omitempty"`
	// status is what the node's agent reports.
	// +optional
	Status NodeStateStatus `json:"status,omitempty"`
}

// NodeStateList is a list of NodeStates.
// +kubebuilder:object:root=true
type NodeStateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeState `json:"items"`
}
