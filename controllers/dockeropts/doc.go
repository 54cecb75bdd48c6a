// Package dockeropts turns flannel's lease into the options of dockerd's bridge. It is what
// `seedbed docker-opts` does, before docker starts, at boot too, with nothing else of Seedbed running.
//
// In: the text of flannel's subnet.env and of the copy kept of the last one. Out: an environment
// file, which is written only from a lease that was parsed to the last field (SB001, SB002).
//
// Never here: a file, a clock or a wait of its own (they are arguments); an empty or partial
// option; an address that no lease gave.
package dockeropts
