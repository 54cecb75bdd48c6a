// Package join gives a host its identity in a cluster, and takes it back: `seedbed join` and
// `seedbed leave`.
//
// In: what the user typed, the ports of the host (host.Host and Machine), the seed's API server. Out:
// the agent's certificate, its kubeconfig and its systemd unit on the host, and a record of them
// (join.json); after leaving none of these, and the host as it was before Seedbed. A join that does
// not succeed is undone in reverse, whatever it was that failed.
//
// What never happens here: nothing that a server says is believed before its authority was found to
// be the one whose hash the user gave; no token is written down; no NodeConfig is applied, which is
// the agent's work. Why it undoes what it undoes: docs/decisions/0011.
package join
