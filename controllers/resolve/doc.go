// Package resolve turns a revision, the facts of a host and the Secrets it refers to into a Node:
// every default applied, every value concrete, every version parsed.
//
// In: a revision before defaults, facts, Secrets. Out: a Node that package render can write down
// without a further decision, or Errors that name the field, the value and the cure of everything
// that is wrong, sorted.
//
// Never here: a file, a clock, the network, the API; a guess where facts leave a choice open; the
// content of a Secret in an error. The rules that one object allows are the CRD's; they are not
// repeated here, but nothing here trusts that they ran: what reaches a file is parsed or checked.
package resolve
