// Package apply carries out a plan on the ports of a host and keeps the ledger.
//
// In: a plan, a host. Out: a result for each step, and a ledger on disk that is true whenever the
// process may die. Nothing here decides what to do; a step that cannot be taken stops the steps
// that need it and no others.
package apply
