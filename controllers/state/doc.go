// Package state holds the plain data that every stage of the pipeline speaks: what a host is
// (desired or observed), what an agent owns on it, and how much a change disturbs.
//
// In: nothing. Out: types that the stages resolve, render, observe, plan, apply and report share.
// Nothing here reads a clock, a file, the network or the API, and nothing here decides.
package state
