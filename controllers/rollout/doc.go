// Package rollout decides which NodeConfig governs which node, which nodes get the newest revision
// now, which revisions may be forgotten, and what a NodeConfig's status says of all that.
//
// In: NodeConfigs, NodeStates and revisions as they were read. Out: decisions as plain values: a
// Selection, an Assignment, names to prune, a status. Nothing here reads a clock or the API, writes
// anything, or changes what it was given; equal input in any order gives equal output.
package rollout
