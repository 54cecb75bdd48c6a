// Package host is the border between the pure stages and a machine: the ports through which a
// host is observed and changed, and Observe, which fills a state.Host through them.
//
// In: the resources that a desired host or a ledger name. Out: what they are now. Nothing here
// decides anything, and only package linux behind these ports touches a machine.
package host
