// Package forecast says what a node's agent will do towards a revision, before it does any of it.
//
// In: what resolve takes, a way to look at the host, and its ledger. Out: the plan of all the passes
// that it will take: with the permit that it will ask for, and with the programs that it will install
// first. It is made by the stages that the agent runs; what they cannot know yet is assumed, and said.
//
// Never here: a change of anything, a clock, the API.
package forecast
