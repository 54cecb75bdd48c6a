// Command supervisor holds one lab; package hack/lab starts it. See hack/lab/internal/supervisor.
package main

import (
	"fmt"
	"os"
	"runtime"

	"seedbed.dev/seedbed/hack/lab/internal/supervisor"
)

// The kernel ends the lab when the thread that started its init ends, so that has to be the main one.
func init() { runtime.LockOSThread() }

func main() {
	if err := supervisor.Main(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor:", err)
		os.Exit(1)
	}
}
