// Package chain says whether the components of a node fit together: flannel's lease, docker's
// options and docker0; MTUs; what each program answers.
//
// In: the desired and the observed host. Out: what is wrong, each with the component, the rule of
// docs/reference/problems.md and the cure. Equal input gives equal findings, in the same order.
//
// Never here: a clock, a file, a socket, or a change. Package plan decides what is done about it.
package chain
