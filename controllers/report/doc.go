// Package report turns what a pass found and did into the status of a NodeState.
//
// In: the record of a pass and the status before it. Out: the next status, with all conditions
// computed in one place. The time comes with the pass; messages are sorted, bounded and without
// times, so that they do not flap. Nothing here reads or writes anything.
package report
