package v1alpha1

// Namespace holds the Secrets that objects refer to, the ControllerRevisions
// and the leases.
const Namespace = "seedbed-system"

// SecretKeyReference names one key of a Secret in the namespace
// seedbed-system.
type SecretKeyReference struct {
	// name of the Secret in the namespace seedbed-system.
	// Example: "cluster-ca".
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",messageExpression="'secret name ' + self + ' is not an object name: lower-case letters, digits, - and . , starting and ending with a letter or digit, for example cluster-ca'"
	Name string `json:"name"`
	// key within the Secret's data.
	// Example: "ca.crt".
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",messageExpression="'secret key ' + self + ' is not a key of a Secret: letters, digits, - _ and . only, for example ca.crt'"
	Key string `json:"key"`
}

// SecretReference names a Secret in the namespace seedbed-system.
type SecretReference struct {
	// name of the Secret in the namespace seedbed-system.
	// Example: "registry-login".
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",messageExpression="'secret name ' + self + ' is not an object name: lower-case letters, digits, - and . , starting and ending with a letter or digit, for example registry-login'"
	Name string `json:"name"`
}

// NetworkReference names the NetworkConfig a node uses.
type NetworkReference struct {
	// name of the NetworkConfig.
	// Example: "default".
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",messageExpression="'networkRef name ' + self + ' is not an object name: lower-case letters, digits, - and . , starting and ending with a letter or digit, for example default'"
	Name string `json:"name"`
}
