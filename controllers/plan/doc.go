// Package plan compares what a host is to be with what it is, and says what to do about it.
//
// In: the desired host, the observed host and the ledger. Out: a Plan, which is data: ordered
// steps with target, reason and disruption. Equal input gives an equal plan, whatever the order
// of maps. Nothing here looks at a clock, a file or the API, and nothing here acts.
package plan
