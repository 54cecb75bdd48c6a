// Package credentials is about the client certificates of a node: which there are, where they are
// kept, and how the agent obtains and renews them.
//
// In: the node's name, the agent's client configuration, and the files that units await. Out: one
// file for each certificate, with its key, in resolve.PathClientPKI, replaced whole and durably by
// host.Files; and an Observer that is told what was obtained and what failed. Renewal is client-go's
// certificate manager; programs that use client-go read a file again by themselves when it changed.
//
// What never happens here: a key does not leave the host, no request is approved, and nothing is
// removed or stopped because a certificate could not be renewed: the node goes on with what it has.
package credentials
