package linux

import "sync/atomic"

var writes, fsyncs atomic.Uint64

// Writes is how many files, links and state files this process has put in place on hosts.
func Writes() uint64 { return writes.Load() }

// Fsyncs is how many times this process has waited for a disk.
func Fsyncs() uint64 { return fsyncs.Load() }
