// Command seedbed keeps the nodes of a Kubernetes cluster as their NodeConfig says.
package main

import (
	"os"

	"seedbed.dev/seedbed/controllers/cli"
)

func main() { os.Exit(cli.Main()) }
