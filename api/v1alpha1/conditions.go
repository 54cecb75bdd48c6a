package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus, so that `kubectl wait` and
// GitOps tools read them: Reconciling and Stalled are present only while they are True.
const (
	// ConditionReady is True when the object is fully realised on running hosts.
	ConditionReady = "Ready"
	// ConditionReconciling is True while work towards the observed generation goes on.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when work cannot go on until a user changes something.
	ConditionStalled = "Stalled"
	// ConditionPrepared is True when everything that a host without a running system can hold
	// (files, enablement) is in place.
	ConditionPrepared = "Prepared"
	// ConditionConflicted is True on NodeConfigs of equal priority that select the same node.
	ConditionConflicted = "Conflicted"

	// ConditionPublished is True when flannel's etcd holds the network of a NetworkConfig. It is there
	// only with the subnet manager Etcd.
	ConditionPublished = "Published"

	// Health of the components of a node, in the order of the chain.
	ConditionFlannelHealthy   = "FlannelHealthy"
	ConditionDockerHealthy    = "DockerHealthy"
	ConditionCRIHealthy       = "CRIHealthy"
	ConditionKubeletHealthy   = "KubeletHealthy"
	ConditionKubeProxyHealthy = "KubeProxyHealthy"
)

// Reasons of conditions and events. Each is one word of the field's vocabulary, is used for the
// condition and the event alike, and is listed in docs/reference/conditions.md.
const (
	ReasonSucceeded        = "Succeeded"
	ReasonProgressing      = "Progressing"
	ReasonWaiting          = "Waiting"
	ReasonPaused           = "Paused"
	ReasonOfflineRoot      = "OfflineRoot"
	ReasonNoRevision       = "NoRevision"
	ReasonNoNodes          = "NoNodes"
	ReasonNetworkNotFound  = "NetworkNotFound"
	ReasonNetworkChanged   = "NetworkChangeRefused"
	ReasonSecretNotFound   = "SecretNotFound"
	ReasonPriorityConflict = "PriorityConflict"
	ReasonInvalid          = "Invalid"
	ReasonRevisionTooLarge = "RevisionTooLarge"
	ReasonApplyFailed      = "ApplyFailed"
	// ReasonConfigRefused: a program refuses the file that it is to read; the file was not written.
	ReasonConfigRefused    = "ConfigRefused"
	ReasonComponentMissing = "ComponentMissing"
	ReasonUnitMissing      = "UnitMissing"
	ReasonNodesFailed      = "NodesFailed"
	ReasonUnitNotActive    = "UnitNotActive"
	// ReasonWaitingForPermit: the next step stops containers, and the manager has not yet drained
	// the node for it.
	ReasonWaitingForPermit = "WaitingForPermit"

	// Reasons of the health of components.
	ReasonHealthy           = "Healthy"
	ReasonStarting          = "Starting"
	ReasonCrashLooping      = "CrashLooping"
	ReasonNotAnswering      = "NotAnswering"
	ReasonCommandOverridden = "CommandOverridden"
	ReasonDuplicateOption   = "DuplicateOption"
	ReasonLeaseMissing      = "LeaseMissing"
	ReasonLeaseMismatch     = "LeaseMismatch"
	ReasonTunnelMismatch    = "TunnelMismatch"
	ReasonBridgeMismatch    = "BridgeMismatch"
	ReasonMTUMismatch       = "MTUMismatch"
	ReasonHairpinOff        = "HairpinOff"
	ReasonForwardPolicy     = "ForwardPolicy"
	ReasonNodeNameMismatch  = "NodeNameMismatch"
	// ReasonServingCertificate: the kubelet has no certificate to serve its node's address with, or one
	// that has expired.
	ReasonServingCertificate = "ServingCertificateMissing"

	// Reasons of a network that is not, or should not be, published as it is.
	ReasonEtcdUnreachable      = "EtcdUnreachable"
	ReasonEtcdPermissionDenied = "EtcdPermissionDenied"
	ReasonEtcdInsecure         = "EtcdInsecure"
	ReasonEtcdContended        = "EtcdContended"
	ReasonPrefixConflict       = "PrefixConflict"

	// Reasons of a node whose packages or binaries are not there yet.
	ReasonInstalling                = "Installing"
	ReasonPackageManagerBusy        = "PackageManagerBusy"
	ReasonPackageManagerInterrupted = "PackageManagerInterrupted"
	ReasonPackageManagerMissing     = "PackageManagerMissing"
	ReasonPackageNotAvailable       = "PackageNotAvailable"
	ReasonPackageConflict           = "PackageConflict"
	ReasonPackageHeld               = "PackageHeld"
	ReasonRepositoryUnreachable     = "RepositoryUnreachable"
	ReasonSignatureInvalid          = "SignatureInvalid"
	ReasonDownloadFailed            = "DownloadFailed"
	ReasonChecksumMismatch          = "ChecksumMismatch"
	ReasonProgramRefused            = "ProgramRefused"

	// ReasonDrainBlocked: a pod does not leave a node that is to be drained.
	ReasonDrainBlocked = "DrainBlocked"
	// Reasons of nodes whose share of the pod network is missing or wrong.
	ReasonPodCIDRExhausted = "PodCIDRExhausted"
	ReasonPodCIDROutside   = "PodCIDROutside"

	// Reasons of a node on which a revision cannot be rendered.
	ReasonInterfaceNotFound  = "InterfaceNotFound"
	ReasonInterfaceAmbiguous = "InterfaceAmbiguous"
	ReasonVersionUnsupported = "VersionUnsupported"
)
