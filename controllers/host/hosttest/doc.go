// Package hosttest holds a fake host that keeps state in memory, and the contracts that the fake and
// the Linux adapters both pass.
//
// In: what a test puts on the host, and the faults it wants. Out: the ports, a journal of the calls
// that change the host, and a dump of what it became. Nothing here touches the machine the test runs
// on, except through the adapters that a contract is given.
package hosttest
