// Package controllers is where the stages meet the API: the manager's reconcilers, the agent's, and
// the pipeline that an agent runs on its host.
//
// The manager (setup.go, one file for each controller):
//
//	registration ConfigMap ─► NodeState ─► RBAC of the node's agent
//	NodeConfig + NetworkConfig + Secrets' versions ─► ControllerRevision (cut.go)
//	NodeConfigs + NodeStates ─► who governs, who is next (rollout) ─► NodeState.spec (access.go)
//	NodeState + its revision ─► the machine's Node (node_controller.go)
//	NodeStates that ask for a permit ─► cordon (node_permits.go) ─► evictions (node_drain.go) ─► permit
//	NodeStates' status and Nodes ─► NodeConfig and NetworkConfig status
//	NetworkConfig ◄─► flannel's etcd (network_*.go): the configuration there, the leases in the status
//
// The agent (agent_*.go, pipeline.go):
//
//	NodeState.spec ─► ControllerRevision and Secrets ─► resolve ─► render ─► observe ─► plan ─► apply
//	─► report ─► one NodeState status patch
//
// In: objects of the API. Out: objects and their status, events (events.go, manager_events.go) and
// metrics. What is decided here is decided by the pure packages; a function here reads, asks one of
// them, and writes. The manager reads the content of no Secret but those that a NetworkConfig names for
// flannel's etcd (network_publish.go), and never touches a host; the
// agent writes nothing but the status of its own NodeState.
//
// The packages below, each with its own doc.go:
//
//	state                                 what the stages speak
//	revision resolve render plan report   the stages that decide, pure
//	forecast                              what an agent will do, before it does it; pure
//	rollout nodeobject leases approve     the manager's decisions, pure
//	flannelstore                          what flannel keeps in etcd
//	host host/linux host/hosttest         ports of a host, the real ones, the fakes
//	apply                                 a plan carried out, journal and ledger
//	sign                                  certificates, where nothing else signs them
//	seed                                  the seed control plane
//	credentials                           client certificates of a node, obtained and renewed
//	join                                  a host gets an identity, and gives it back
//	cli                                   the commands
//	testenv                               a real API server for tests
package controllers
