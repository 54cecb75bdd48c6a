// Package revision turns a NodeConfig and its NetworkConfig into an immutable snapshot and back.
//
// In: specs. Out: canonical bytes, their hash and name, and the Secrets they refer to. Nothing
// here reads the API; the manager stores the bytes in a ControllerRevision and the agent reads them.
package revision
